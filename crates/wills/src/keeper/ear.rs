//! Hears the ends of connections.

use std::sync::atomic::{AtomicBool, Ordering};

use bus::{Message, Sink, Subject};
use prost::Message as _;
use tokio::sync::mpsc;
use wire::{UserId, control::ConnectionEvent, gateway::LostSession};

use crate::{key, will::Clock};

/// Puts ends into a bounded queue. What does not fit, or got lost on the way, is
/// noted: it takes a scan.
pub(super) struct Ear {
    ends: mpsc::Sender<Ended>,
    missed: AtomicBool,
    clock: Clock,
}

/// A connection has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// The will of its session, if it has one.
    pub(super) key: Subject,
    /// The connection's id.
    pub(super) connection: String,
    /// How the session was lost, if this was its last connection.
    pub(super) loss: LostSession,
}

// === impl Ear ===

impl Ear {
    /// An ear, and where what it hears comes out.
    pub(super) fn new(room: usize, clock: Clock) -> (Self, mpsc::Receiver<Ended>) {
        let (ends, heard) = mpsc::channel(room);
        let ear = Self {
            ends,
            missed: AtomicBool::new(false),
            clock,
        };
        (ear, heard)
    }

    /// Whether anything was missed since the last call.
    pub(super) fn missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    fn read(&self, message: &Message) -> Option<Ended> {
        let event = ConnectionEvent::decode(message.payload.clone()).ok()?;
        let connection = event.connection?;
        let user = UserId::new(&connection.user)?;
        let session = connection.session_id.parse().ok()?;
        Some(Ended {
            key: key::of_session(&user, session),
            connection: connection.connection_id,
            loss: LostSession {
                // Of this clock and not the gateway's: they need not agree.
                at_ms: self.clock.now_ms(),
                cause: event.cause,
                session_epoch: connection.session_epoch,
                attempts: 0,
                tried_since_ms: 0,
            },
        })
    }
}

impl Sink for Ear {
    fn deliver(&self, message: &Message) {
        if let Some(ended) = self.read(message)
            && self.ends.try_send(ended).is_err()
        {
            self.missed.store(true, Ordering::Relaxed);
        }
    }

    fn lost(&self, _dropped: u64) {
        self.missed.store(true, Ordering::Relaxed);
    }
}
