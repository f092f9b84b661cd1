//! A connection whose messages go down as server-sent events (WHATWG HTML, section
//! 9.2), one stream for all of its life.

use std::mem;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use tokio::sync::mpsc;
use wire::{Subprotocol, gateway::CarriedOutcome};

use super::{
    carriers::{Ask, Entry, Upstream, carried},
    pair::{Frame, Pair},
    watching::Watcher,
};

/// Says nothing, but that somebody is there.
const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// See the module. Ends with the client's stream, or with the connection.
pub(super) struct Streaming {
    pub(super) pair: Pair,
    pub(super) entry: Entry,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) teller: Teller,
    /// To the client; as much as is under way, and one piece.
    pub(super) down: mpsc::Sender<Bytes>,
}

/// How the client is told.
pub(super) enum Teller {
    /// As the protocol has it.
    Plainly(Subprotocol),
    /// For people and `EventSource`.
    Readably(Box<Watcher>),
}

// === impl Streaming ===

impl Streaming {
    pub(super) async fn run(self) {
        let Self {
            mut pair,
            entry,
            mut asks,
            mut teller,
            down,
        } = self;
        let mut upstream = Upstream::default();
        let mut ready = teller.greeting(&entry);
        loop {
            let has_ended = pair.has_ended();
            if has_ended && ready.is_empty() {
                return;
            }
            tokio::select! {
                permit = down.reserve(), if !ready.is_empty() => match permit {
                    Ok(permit) => permit.send(mem::take(&mut ready).into()),
                    Err(_) => return,
                },
                () = down.closed(), if ready.is_empty() => return,
                Some(ask) = asks.recv() => teller.serve(ask, &mut upstream, &mut pair),
                // What is not taken stays with the shard, which knows what may be let go.
                () = pair.go_on(ready.is_empty()) => {}
            }
            while let Some(frame) = pair.next_frame() {
                match frame {
                    Frame::Message(message) => teller.tell(&message, &mut ready),
                    Frame::Ping => ready.extend_from_slice(HEARTBEAT),
                }
            }
        }
    }
}

// === impl Teller ===

impl Teller {
    /// What comes first.
    fn greeting(&self, entry: &Entry) -> Vec<u8> {
        match self {
            Self::Plainly(_) => format!("event: open\ndata: {}\n\n", entry.handle()).into_bytes(),
            Self::Readably(_) => Vec::new(),
        }
    }

    fn serve(&self, ask: Ask, upstream: &mut Upstream, pair: &mut Pair) {
        let codec = match self {
            Self::Plainly(codec) => Some(*codec),
            // Its reader has no handle.
            Self::Readably(_) => None,
        };
        match (ask, codec) {
            (
                Ask::Send {
                    sequence,
                    message,
                    text,
                    answer,
                },
                Some(codec),
            ) => answer.give(upstream.take(pair, codec, (sequence, &message, text))),
            (Ask::Send { answer, .. } | Ask::Poll { answer, .. }, _) => {
                answer.give(carried(CarriedOutcome::Mismatch));
            }
        }
    }

    /// Writes a message of the gateway as events.
    fn tell(&mut self, message: &[u8], into: &mut Vec<u8>) {
        let codec = match self {
            Self::Readably(watcher) => return watcher.tell(message, into),
            Self::Plainly(codec) => codec,
        };
        into.extend_from_slice(b"data: ");
        match codec.is_text() {
            // Without line breaks, which JSON escapes in texts.
            true => into.extend_from_slice(message),
            false => into.extend_from_slice(STANDARD.encode(message).as_bytes()),
        }
        into.extend_from_slice(b"\n\n");
    }
}
