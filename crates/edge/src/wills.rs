//! Wills of this gateway's sessions: put into the cluster's keeping, and taken
//! back, on the front. Shards give orders and get the outcome by mail.
//!
//! Orders of one session are done one after another, those of others meanwhile.
//! Bounded: [`WAITING`] in the queue, beyond which shards refuse them as
//! overloaded, and [`HELD`] taken from it.

use std::{collections::VecDeque, time::Duration};

use bus::BusError;
use foldhash::{HashMap, HashMapExt};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::sync::mpsc;
use wills::{Armory, NewWill, WillError};
use wire::{
    SessionId, UserId,
    client::{ErrorCode, Failure},
    failure,
};

use crate::{
    mailbox::Mailbox,
    shard::{ConnectionKey, Mail, code_of},
};

/// Orders that may wait.
pub(crate) const WAITING: usize = 4096;

/// Orders that are worked on, or wait for another one of their session.
const HELD: usize = 256;

/// What a will may ask for.
#[derive(Clone, Copy, Debug)]
pub struct WillLimits {
    /// Shortest grace: a client must be able to come back within it.
    pub min_grace: Duration,
    /// Longest grace.
    pub max_grace: Duration,
    /// Largest payload.
    pub max_payload_bytes: usize,
}

/// Takes orders.
pub(crate) type Orders = mpsc::Sender<Order>;

/// What a client wants.
pub(crate) struct Order {
    pub(crate) connection: ConnectionKey,
    /// Names the operation.
    pub(crate) id: u32,
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    /// To be kept; absent: the session's will is to be taken back.
    pub(crate) will: Option<NewWill>,
    /// Where the outcome goes.
    pub(crate) mailbox: Mailbox,
}

/// Sessions that are worked on, and what else they want.
type Busy = HashMap<SessionId, VecDeque<Order>>;

// === impl WillLimits ===

impl WillLimits {
    /// Whether a will is within them.
    pub(crate) fn check(&self, payload: usize, grace: Duration) -> Result<(), Failure> {
        if payload > self.max_payload_bytes {
            let most = format!("a will holds {} bytes at most", self.max_payload_bytes);
            return Err(failure(ErrorCode::MessageTooLarge, &most));
        }
        if grace < self.min_grace || grace > self.max_grace {
            let bounds = format!(
                "the grace must be {} to {} ms",
                self.min_grace.as_millis(),
                self.max_grace.as_millis()
            );
            return Err(failure(ErrorCode::MalformedMessage, &bounds));
        }
        Ok(())
    }
}

// === impl Order ===

impl Order {
    /// Does it and tells the shard; gives back whose it was.
    async fn settle(self, armory: &Armory) -> SessionId {
        let outcome = match self.will {
            Some(will) => armory.arm(will).await,
            None => armory.disarm(&self.user, self.session).await,
        };
        self.mailbox.push(Mail::WillSettled {
            connection: self.connection,
            id: self.id,
            outcome: outcome.map_err(|error| explain(&error)),
        });
        self.session
    }
}

/// Works on orders until it is dropped.
pub(crate) async fn serve(armory: Armory, mut orders: mpsc::Receiver<Order>) {
    let mut busy = Busy::new();
    let mut held = 0;
    let mut running: FuturesUnordered<BoxFuture<'_, SessionId>> = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(session) = running.next() => {
                held -= 1;
                if let Some(order) = next_of(&mut busy, session) {
                    running.push(order.settle(&armory).boxed());
                }
            }
            Some(order) = orders.recv(), if held < HELD => {
                held += 1;
                match busy.get_mut(&order.session) {
                    Some(waiting) => waiting.push_back(order),
                    None => {
                        busy.insert(order.session, VecDeque::new());
                        running.push(order.settle(&armory).boxed());
                    }
                }
            }
            else => return,
        }
    }
}

/// What the session wants next; it is not busy any more if that is nothing.
fn next_of(busy: &mut Busy, session: SessionId) -> Option<Order> {
    let next = busy.get_mut(&session)?.pop_front();
    if next.is_none() {
        busy.remove(&session);
    }
    next
}

fn explain(error: &WillError) -> Failure {
    match error {
        WillError::Fired => failure(ErrorCode::WillFired, ""),
        WillError::InProgress => Failure {
            message: error.to_string(),
            ..failure(ErrorCode::InProgress, "")
        },
        // It was changed under our hands, again and again.
        WillError::Bus(BusError::Conflict) => failure(ErrorCode::Overloaded, ""),
        WillError::Bus(error) => failure(code_of(error), ""),
    }
}
