//! The publisher of the fan-out: stamps messages and sends them, over a client
//! connection or over the control plane's stream.

use anyhow::{Context, Result, bail};
use wire::control::NewPublication;

use crate::args::PublishOver;
use crate::clock;
use crate::connection::Stage;
use crate::fleet::Fleet;
use crate::grpc::PublishStream;
use crate::messages::Template;
use crate::payload::Marker;
use crate::scenario::Run;
use crate::share::{SPEAKER, TURN};

/// How long the publisher may take until it is ready.
const PATIENCE: u64 = 10 * clock::SECOND;

/// Sends numbered messages.
#[derive(Debug)]
pub(crate) struct Publisher {
    way: Way,
    /// Messages sent, which is the next one's number.
    sent: u32,
}

/// How messages travel.
#[derive(Debug)]
enum Way {
    Connection {
        number: usize,
        template: Template,
        out: Vec<u8>,
    },
    Stream {
        stream: PublishStream,
        channel: String,
        size: usize,
    },
}

// === impl Publisher ===

impl Publisher {
    /// Connects.
    pub(crate) fn open(
        over: PublishOver,
        run: &Run<'_>,
        size: usize,
        fleet: &mut Fleet,
    ) -> Result<Self> {
        let channel = &run.common.channel;
        let way = match over {
            PublishOver::Ws => Way::Connection {
                number: connect(fleet)?,
                template: Template::publish(channel, size),
                out: Vec::new(),
            },
            PublishOver::Grpc => {
                let url = run.server.endpoints.grpc_url.as_ref();
                let url =
                    url.context("no gRPC address: name one with --grpc, or publish over ws")?;
                Way::Stream {
                    stream: PublishStream::open(url)?,
                    channel: channel.clone(),
                    size,
                }
            }
        };
        Ok(Self { way, sent: 0 })
    }

    /// Messages sent since the publisher was opened.
    pub(crate) fn sent(&self) -> u64 {
        u64::from(self.sent)
    }

    /// Sends so many messages in one write or batch, stamped with a moment.
    /// `false`: there is no room at the moment, and nothing was sent.
    pub(crate) fn publish(
        &mut self,
        fleet: &mut Fleet,
        count: usize,
        sent_at: u64,
    ) -> Result<bool> {
        let first = self.sent;
        let markers = (first..)
            .take(count)
            .map(|sequence| Marker { sequence, sent_at });
        match &mut self.way {
            Way::Connection {
                number,
                template,
                out,
            } => {
                out.clear();
                markers.for_each(|marker| template.stamp(marker, out));
                fleet.local.engine.send(*number, out);
            }
            Way::Stream {
                stream,
                channel,
                size,
            } => {
                if !stream.has_room()? {
                    return Ok(false);
                }
                let publication = |marker: Marker| NewPublication {
                    channel: channel.clone(),
                    payload: marker.payload(*size).into(),
                    ..NewPublication::default()
                };
                stream.send(markers.map(publication).collect());
            }
        }
        self.sent += count as u32;
        Ok(true)
    }
}

/// Opens a connection that only speaks; returns its number.
fn connect(fleet: &mut Fleet) -> Result<usize> {
    let number = fleet.local.engine.open(SPEAKER);
    let give_up = clock::now() + PATIENCE;
    while fleet.local.engine.connections[number].stage != Stage::Ready {
        fleet.turn(TURN)?;
        if clock::now() > give_up {
            bail!(
                "the publisher can't connect: {:?}",
                fleet.local.engine.notes
            );
        }
    }
    Ok(number)
}
