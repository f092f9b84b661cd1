//! The connections of this gateway that plain HTTP requests carry, by number, and what
//! requests ask of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use auth::Handle;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bus::Responder;
use bytes::Bytes;
use foldhash::HashMap;
use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    oneshot, watch,
};
use wire::{
    Subprotocol,
    gateway::{Carried, CarriedOutcome, CommandReply, command_reply::Reply},
    websocket::OpCode,
};

use super::pair::Pair;
use crate::{gateway::Gateway, transport::Transport};

/// Requests that may wait for one connection: a client has one send and one poll under
/// way, and perhaps those that it gave up.
const WAITING: usize = 4;

/// See the module.
pub(crate) struct Carriers {
    /// The upper half of all numbers: no other process has it.
    prefix: u128,
    next: AtomicU64,
    open: Mutex<HashMap<u128, mpsc::Sender<Ask>>>,
    /// Connections of HTTP.
    serving: watch::Sender<usize>,
    /// Of server-sent events, and of polls.
    carried: [Gauge; 2],
    /// By [`CarriedOutcome`].
    sends: [Counter; OUTCOMES.len()],
}

/// Labels of what became of sends, by number.
const OUTCOMES: [&str; 6] = [
    "unknown",
    "taken",
    "gone",
    "out_of_order",
    "busy",
    "mismatch",
];

/// A connection of HTTP that is served.
pub(super) struct Serving<'a>(&'a Carriers);

/// A connection's entry, which ends with it.
pub(super) struct Entry {
    gateway: Arc<Gateway>,
    pub(super) number: u128,
    /// Which gauge counts it.
    kind: usize,
}

/// What a request wants of a connection.
pub(crate) enum Ask {
    /// To send what the client says.
    Send {
        sequence: u64,
        message: Bytes,
        text: bool,
        answer: Answer,
    },
    /// To hear what there is for the client, within so long.
    Poll {
        cursor: u64,
        patience: Duration,
        answer: Answer,
    },
}

/// Who waits for what becomes of it.
pub(crate) enum Answer {
    Here(oneshot::Sender<Carried>),
    /// Another gateway, which has the request.
    Bus(Responder),
}

/// What the client has sent.
#[derive(Default)]
pub(super) struct Upstream {
    /// The last one that was taken.
    sequence: u64,
}

// === impl Carriers ===

impl Carriers {
    /// `prefix`: 64 bits that no other process has.
    pub(crate) fn new(prefix: u128) -> Self {
        Self {
            prefix,
            next: AtomicU64::new(0),
            open: Mutex::default(),
            serving: watch::Sender::new(0),
            carried: [Transport::Sse, Transport::LongPolling].map(|transport| {
                gauge!("tidegate_edge_carried_connections", "transport" => transport.label())
            }),
            sends: OUTCOMES.map(|result| counter!("tidegate_edge_sends_total", "result" => result)),
        }
    }

    /// Counts a send of a client.
    pub(super) fn count(&self, outcome: CarriedOutcome) {
        self.sends[outcome as usize].increment(1);
    }

    /// Counts a connection of HTTP, for as long as it is served.
    pub(super) fn serve(&self) -> Serving<'_> {
        self.serving.send_modify(|count| *count += 1);
        Serving(self)
    }

    /// Waits until there is none, so that the last words of shards have gone down.
    pub(crate) async fn are_served(&self) {
        // We hold the sender, so it is there.
        let _ = self.serving.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Enters a connection of this gateway.
    pub(super) fn enter(
        gateway: &Arc<Gateway>,
        transport: Transport,
    ) -> (Entry, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(WAITING);
        let carriers = &gateway.carriers;
        let next = carriers.next.fetch_add(1, Ordering::Relaxed);
        let number = carriers.prefix << 64 | u128::from(next);
        carriers.open.lock().insert(number, asks);
        let kind = usize::from(transport == Transport::LongPolling);
        carriers.carried[kind].increment(1);
        let entry = Entry {
            gateway: gateway.clone(),
            number,
            kind,
        };
        (entry, asked)
    }

    /// Asks something of a connection.
    pub(crate) fn ask(&self, number: u128, ask: Ask) {
        let asks = self.open.lock().get(&number).cloned();
        let (ask, outcome) = match asks {
            None => (ask, CarriedOutcome::Gone),
            Some(asks) => match asks.try_send(ask) {
                Ok(()) => return,
                Err(TrySendError::Full(ask)) => (ask, CarriedOutcome::Busy),
                Err(TrySendError::Closed(ask)) => (ask, CarriedOutcome::Gone),
            },
        };
        let (Ask::Send { answer, .. } | Ask::Poll { answer, .. }) = ask;
        answer.give(carried(outcome));
    }
}

// === impl Entry ===

impl Entry {
    /// The handle by which the client names the connection, in base64url.
    pub(super) fn handle(&self) -> String {
        let config = &self.gateway.config;
        let handle = Handle {
            gateway: config.gateway.clone(),
            number: self.number,
        };
        URL_SAFE_NO_PAD.encode(config.tickets.seal_handle(&handle))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let carriers = &self.gateway.carriers;
        carriers.open.lock().remove(&self.number);
        carriers.carried[self.kind].decrement(1);
    }
}

// === impl Serving ===

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.serving.send_modify(|count| *count -= 1);
    }
}

// === impl Answer ===

impl Answer {
    /// Who asked may be gone, which is as good.
    pub(super) fn give(self, carried: Carried) {
        match self {
            Self::Here(waiting) => drop(waiting.send(carried)),
            Self::Bus(responder) => {
                let reply = CommandReply {
                    reply: Some(Reply::Carried(carried)),
                };
                responder.reply(Ok(reply.encode_to_vec().into()));
            }
        }
    }
}

/// An answer without more to it.
pub(super) fn carried(outcome: CarriedOutcome) -> Carried {
    Carried {
        outcome: outcome.into(),
        ..Carried::default()
    }
}

// === impl Upstream ===

impl Upstream {
    /// Takes what the client sends, if it is its turn: at most once each.
    pub(super) fn take(
        &mut self,
        pair: &mut Pair,
        codec: Subprotocol,
        (sequence, message, text): (u64, &[u8], bool),
    ) -> Carried {
        if text != codec.is_text() {
            return carried(CarriedOutcome::Mismatch);
        }
        let due = self.sequence + 1;
        if sequence == self.sequence && sequence > 0 {
            return carried(CarriedOutcome::Done);
        }
        if sequence != due {
            return Carried {
                expected_sequence: due,
                ..carried(CarriedOutcome::OutOfOrder)
            };
        }
        if !pair.is_heard() {
            return carried(CarriedOutcome::Busy);
        }
        pair.send(message_opcode(codec), message);
        self.sequence = sequence;
        carried(CarriedOutcome::Done)
    }
}

/// What messages of this codec are.
pub(super) fn message_opcode(codec: Subprotocol) -> OpCode {
    match codec.is_text() {
        true => OpCode::Text,
        false => OpCode::Binary,
    }
}
