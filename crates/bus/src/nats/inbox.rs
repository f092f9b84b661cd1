//! Requests over one connection: one wildcard subscription takes all replies.
//!
//! The client library's own multiplexer keeps an entry for ever for each request
//! that times out; this one does not.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use async_nats::{HeaderMap, Message, StatusCode, Subject};
use bytes::Bytes;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::{
    feed::Feed,
    lane::{Lane, Outbound},
    line::Gate,
    waiting::{Abandon, Awaited, CallId, Waiting},
};
use crate::port::{BusError, Done};

/// How late a deadline may be noticed.
const TICK: Duration = Duration::from_millis(10);

/// Asks over one connection, and takes the replies.
pub(super) struct Inbox {
    /// Subject of the replies, up to the call's number.
    prefix: String,
    lane: Arc<Lane>,
    gate: Gate,
    // A lock: held for a slab operation.
    waiting: Mutex<Waiting>,
    /// For what outlives the caller's borrow.
    own: Weak<Self>,
}

// === impl Inbox ===

impl Inbox {
    /// `prefix`: a subject that nobody else uses.
    pub(super) fn new(prefix: &str, lane: Arc<Lane>, gate: Gate) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            prefix: format!("{prefix}."),
            lane,
            gate,
            waiting: Mutex::new(Waiting::new()),
            own: own.clone(),
        })
    }

    /// What to subscribe to for [`Inbox::run`].
    pub(super) fn subject(&self) -> String {
        format!("{}*", self.prefix)
    }

    /// Asks and waits for one reply. No responders is an error; so is a deadline
    /// that passes.
    pub(super) fn call(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
        deadline: Duration,
        done: Done<Message>,
    ) {
        let awaited = Awaited::One(done);
        self.ask(subject.into(), headers, payload, deadline, awaited, None);
    }

    /// Asks and waits for replies up to one with a status, which is the last of
    /// them; for a batch of direct gets (NATS ADR-31).
    pub(super) fn collect(
        &self,
        subject: String,
        payload: Bytes,
        deadline: Duration,
        done: Done<Vec<Message>>,
    ) {
        let awaited = Awaited::Batch(Vec::new(), done);
        self.ask(subject.into(), None, payload, deadline, awaited, None);
    }

    /// Like [`Inbox::call`], for something that can be cancelled. `abandon`
    /// makes what is done, given the reply subject, when the call ends without
    /// its reply.
    pub(super) fn request(
        &self,
        subject: Subject,
        headers: HeaderMap,
        payload: Bytes,
        deadline: Duration,
        abandon: impl FnOnce(Subject) + Send + 'static,
        done: Done<Message>,
    ) -> CallId {
        let awaited = Awaited::One(done);
        let abandon: Box<dyn FnOnce(Subject) + Send> = Box::new(abandon);
        self.ask(
            subject,
            Some(headers),
            payload,
            deadline,
            awaited,
            Some(abandon),
        )
    }

    /// A message to ourselves through the server: once it is back, the server
    /// has seen everything sent on this connection before.
    pub(super) fn round_trip(&self, deadline: Duration, done: Done<Message>) {
        if !self.gate.is_open() {
            return done(Err(BusError::Unavailable));
        }
        if let Some(message) = self.to_ourselves(deadline, done) {
            self.lane.push(message);
        }
    }

    /// The same, though it may be known that nothing passes.
    pub(super) fn probe(&self, deadline: Duration, done: Done<Message>) {
        if let Some(message) = self.to_ourselves(deadline, done) {
            self.lane.push_probe(message);
        }
    }

    fn to_ourselves(&self, deadline: Duration, done: Done<Message>) -> Option<Outbound> {
        let inserted = self.waiting.lock().insert(deadline, Awaited::One(done));
        match inserted {
            Ok(id) => {
                let to = self.reply_subject(id);
                Some(self.outbound(id, to, None, None, Bytes::new()))
            }
            Err(awaited) => {
                refuse(awaited, BusError::Overloaded);
                None
            }
        }
    }

    /// Loses interest in a call.
    pub(super) fn cancel(&self, id: CallId) {
        let call = self.waiting.lock().take(id);
        if let Some(mut call) = call {
            if let Some(abandon) = call.abandon.take() {
                abandon();
            }
            call.fail(BusError::Cancelled);
        }
    }

    /// Calls that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Takes replies, and ends calls whose deadline has passed. Ends with the
    /// subscription.
    pub(super) async fn run(&self, mut replies: Feed) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                reply = replies.next() => match reply {
                    Some(reply) => self.receive(reply),
                    None => return,
                },
                _ = ticks.tick() => self.expire(),
            }
        }
    }

    fn ask(
        &self,
        subject: Subject,
        headers: Option<HeaderMap>,
        payload: Bytes,
        deadline: Duration,
        awaited: Awaited,
        abandon: Option<Box<dyn FnOnce(Subject) + Send>>,
    ) -> CallId {
        if !self.gate.is_open() {
            refuse(awaited, BusError::Unavailable);
            return CallId(0);
        }
        let mut waiting = self.waiting.lock();
        let id = match waiting.insert(deadline, awaited) {
            Ok(id) => id,
            Err(awaited) => {
                drop(waiting);
                refuse(awaited, BusError::Overloaded);
                return CallId(0);
            }
        };
        let reply = self.reply_subject(id);
        if let Some(abandon) = abandon {
            let reply = reply.clone();
            let abandon: Abandon = Box::new(move || abandon(reply));
            waiting.set_abandon(id, abandon);
        }
        drop(waiting);
        let outbound = self.outbound(id, subject, Some(reply), headers, payload);
        self.lane.push(outbound);
        id
    }

    /// A call on its way; if it can't be sent, that is its outcome.
    fn outbound(
        &self,
        id: CallId,
        subject: Subject,
        reply: Option<Subject>,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Outbound {
        let own = self.own.clone();
        let done = Box::new(move |sent: Result<(), BusError>| {
            if let (Err(error), Some(inbox)) = (sent, own.upgrade()) {
                let call = inbox.waiting.lock().take(id);
                if let Some(call) = call {
                    call.fail(error);
                }
            }
        });
        Outbound {
            subject,
            reply,
            headers,
            payload,
            done: Some(done),
        }
    }

    fn receive(&self, reply: Message) {
        let number = reply.subject.as_str().strip_prefix(&*self.prefix);
        let Some(id) = number.and_then(|number| u64::from_str_radix(number, 16).ok()) else {
            return;
        };
        let ended = self.waiting.lock().receive(CallId(id), reply);
        let Some((call, last)) = ended else { return };
        match call.awaited {
            Awaited::One(done) if last.status == Some(StatusCode::NO_RESPONDERS) => {
                done(Err(BusError::NoResponders));
            }
            Awaited::One(done) => done(Ok(last)),
            Awaited::Batch(_, done) if last.status == Some(StatusCode::NO_RESPONDERS) => {
                done(Err(BusError::Unavailable));
            }
            Awaited::Batch(mut messages, done) => {
                messages.push(last);
                done(Ok(messages));
            }
        }
    }

    fn expire(&self) {
        let expired = self.waiting.lock().take_expired(Instant::now());
        for mut call in expired {
            if let Some(abandon) = call.abandon.take() {
                abandon();
            }
            call.fail(BusError::DeadlineExceeded);
        }
    }

    fn reply_subject(&self, id: CallId) -> Subject {
        format!("{}{:x}", self.prefix, id.0).into()
    }
}

fn refuse(awaited: Awaited, error: BusError) {
    match awaited {
        Awaited::One(done) => done(Err(error)),
        Awaited::Batch(_, done) => done(Err(error)),
    }
}
