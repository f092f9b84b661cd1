//! Publishing to logs: done when the stream has acknowledged it.
//!
//! Bounded: so many messages and bytes wait for acknowledgement, then more are
//! refused with [`BusError::Overloaded`]. Nothing is queued across an outage.
//! A message that was not acknowledged in time may be stored nevertheless;
//! whoever repeats it gives it a message id.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use wire::Offset;

use super::{headers, log::Logs, log_api, log_stream::LogStream};
use crate::{
    origin::Origin,
    port::{BusError, Done, Outgoing, Published},
};

/// How long a stream may take to acknowledge a message.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(5);

/// Bounds of what waits for acknowledgement: an election's worth of messages,
/// and no more memory than one well-filled queue.
const UNACKNOWLEDGED: usize = 32_768;
const UNACKNOWLEDGED_BYTES: usize = 64 << 20;

/// What waits for acknowledgement.
#[derive(Default)]
pub(super) struct Unacknowledged {
    messages: AtomicUsize,
    bytes: AtomicUsize,
}

// === impl Logs ===

impl Logs {
    /// Publishes to a subject of this log: done when the log has it.
    pub(super) fn publish(&self, log: &LogStream, outgoing: &Outgoing, done: Done<Published>) {
        let bytes = outgoing.payload.len();
        if !self.unacknowledged.enter(bytes) {
            return done(Err(BusError::Overloaded));
        }
        let id = match &*outgoing.message_id {
            "" => String::new(),
            // A stream holds many subjects, and an id counts for one.
            id => format!("{id} {}", outgoing.subject),
        };
        let headers = headers::of_outgoing(outgoing, &id, Origin::UNKNOWN);
        let (unacknowledged, tails) = (Arc::clone(&self.unacknowledged), Arc::clone(&log.tails));
        let done: Done<async_nats::Message> = Box::new(move |outcome| {
            unacknowledged.leave(bytes);
            let outcome = match outcome {
                Err(BusError::NoResponders) => Err(BusError::Unavailable),
                outcome => outcome,
            };
            done(outcome.and_then(|answer| {
                let ack = log_api::acknowledged(&answer.payload)?;
                tails.reach(ack.seq);
                Ok(Published {
                    offset: Offset(ack.seq),
                    duplicate: ack.duplicate,
                })
            }));
        });
        let (subject, payload) = (outgoing.subject.to_string(), outgoing.payload.clone());
        let inbox = self.streams.inbox();
        inbox.call(subject, Some(headers), payload, ACKNOWLEDGEMENT, done);
    }
}

// === impl Unacknowledged ===

impl Unacknowledged {
    fn enter(&self, bytes: usize) -> bool {
        let messages = self.messages.fetch_add(1, Ordering::Relaxed);
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // A single large message passes when nothing else waits.
        let fits =
            messages < UNACKNOWLEDGED && (waiting == 0 || waiting + bytes <= UNACKNOWLEDGED_BYTES);
        if !fits {
            self.leave(bytes);
        }
        fits
    }

    fn leave(&self, bytes: usize) {
        self.messages.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}
