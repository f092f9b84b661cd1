//! The publisher of the fan-out: stamps messages and sends them, over a client
//! connection or over the control plane's stream.

use anyhow::{Result, bail};

use crate::args::PublishOver;
use crate::clock;
use crate::connection::Stage;
use crate::fleet::Fleet;
use crate::messages::Template;
use crate::payload::Marker;
use crate::scenario::Run;
use crate::share::{SPEAKER, TURN};

/// How long the publisher may take until it is ready.
const PATIENCE: u64 = 10 * clock::SECOND;

/// Sends numbered messages.
#[derive(Debug)]
pub(crate) struct Publisher {
    template: Template,
    connection: usize,
    /// Messages sent, which is the next one's number.
    sent: u32,
    out: Vec<u8>,
}

// === impl Publisher ===

impl Publisher {
    /// Connects.
    pub(crate) fn open(
        _over: PublishOver,
        run: &Run<'_>,
        size: usize,
        fleet: &mut Fleet,
    ) -> Result<Self> {
        let connection = fleet.local.engine.open(SPEAKER);
        let give_up = clock::now() + PATIENCE;
        while fleet.local.engine.connections[connection].stage != Stage::Ready {
            fleet.turn(TURN)?;
            if clock::now() > give_up {
                bail!(
                    "the publisher can't connect: {:?}",
                    fleet.local.engine.notes
                );
            }
        }
        Ok(Self {
            template: Template::publish(&run.common.channel, size),
            connection,
            sent: 0,
            out: Vec::new(),
        })
    }

    /// Messages sent since the publisher was opened.
    pub(crate) fn sent(&self) -> u64 {
        u64::from(self.sent)
    }

    /// Sends so many messages in one write, stamped with a moment.
    pub(crate) fn publish(&mut self, fleet: &mut Fleet, count: usize, sent_at: u64) {
        self.out.clear();
        for _ in 0..count {
            self.template.stamp(
                Marker {
                    sequence: self.sent,
                    sent_at,
                },
                &mut self.out,
            );
            self.sent += 1;
        }
        fleet.local.engine.send(self.connection, &self.out);
    }
}
