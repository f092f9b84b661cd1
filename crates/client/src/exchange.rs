//! The client's side of the protocol, without I/O: what waits to be sent, what is
//! in flight, what is subscribed. Fed with operations and with server events;
//! gives messages to send.
//!
//! The rule it keeps: every operation is answered exactly once, whatever becomes
//! of its connection, and no more are in flight than `Welcome` allows.

mod moving;

use std::{collections::VecDeque, sync::Arc};

use tokio::time::Instant;
use wire::{
    Subprotocol,
    client::{
        self as proto, Cancel, ErrorCode, Limits, Subscribed, Unsubscribed, Welcome, client_event,
        response::Outcome, server_event::Event,
    },
};

use crate::{
    client::Accepted,
    direct::{self, Mailbox},
    error::Error,
    greeting::Behind,
    in_flight::{Operation, Pending, Subscribing, answer_will},
    line::Line,
    signals::Ears,
    subscriptions::{Agreed, Subscriptions},
    will::Will,
};

/// Which of the two connections that a client has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one that new operations go over.
    Main,
    /// The one that will replace it, or that it has replaced.
    Second,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Exchange {
    line: Line,
    second: Option<Line>,
    /// What callers want and could not be sent yet. Bounded by the window and one
    /// batch of operations.
    waiting: VecDeque<Operation>,
    subscriptions: Subscriptions,
    mailbox: Mailbox,
    ears: Ears,
    will: Will,
    /// Where the client stands with its move to another gateway.
    moving: moving::Stage,
    last_line: u32,
    /// What the last Welcome said.
    limits: Limits,
    subprotocol: Subprotocol,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn new(subprotocol: Subprotocol, direct: Arc<direct::Queue>, ears: Ears) -> Self {
        Self {
            line: Line::new(0, subprotocol),
            second: None,
            waiting: VecDeque::new(),
            subscriptions: Subscriptions::default(),
            mailbox: Mailbox::new(direct),
            ears,
            will: Will::default(),
            moving: moving::Stage::Settled,
            last_line: 0,
            limits: Limits::default(),
            subprotocol,
        }
    }

    /// Offset of the last durable direct message; zero: none.
    pub(crate) fn mailbox_offset(&self) -> u64 {
        self.mailbox.offset()
    }

    /// How many more operations could be sent now.
    pub(crate) fn room(&self) -> usize {
        let waiting = self.waiting.len() + self.line.waiting.len();
        self.line.in_flight.room().saturating_sub(waiting)
    }

    /// Takes an operation to be sent as soon as there is room.
    pub(crate) fn submit(&mut self, operation: Operation) {
        if let Operation::Subscribe(subscribing) = &operation {
            // One that was just dropped must not stand in its successor's way.
            self.sweep();
            if !self.subscriptions.insert(subscribing) {
                return operation.fail(Error::of_code(ErrorCode::AlreadySubscribed));
            }
        }
        if let Operation::Set(setting) = &operation
            && !self.subscriptions.set(setting)
        {
            return operation.fail(Error::of_code(ErrorCode::NotSubscribed));
        }
        self.waiting.push_back(operation);
    }

    /// Gives up what callers have dropped.
    pub(crate) fn sweep(&mut self) {
        for line in [Some(&mut self.line), self.second.as_mut()]
            .into_iter()
            .flatten()
        {
            for id in line.in_flight.cancel_abandoned() {
                line.send(client_event::Event::Cancel(Cancel { id }));
            }
        }
        for channel in self.subscriptions.take_abandoned() {
            if let Some(second) = self.second.as_mut().filter(|line| line.has(&channel)) {
                second.forget(&channel);
                second.unsubscribe(channel.clone());
            }
            self.line.forget(&channel);
            self.line.unsubscribe(channel);
        }
    }

    /// The application has dealt with direct messages up to this number.
    pub(crate) fn confirm(&mut self, number: u64) {
        self.mailbox.confirm(number);
    }

    /// What to say right behind Hello on the next connection: the subscriptions
    /// that are made again, or those that come first. If there will be no Welcome,
    /// [`Self::disconnected`] begins anew.
    pub(crate) fn behind_hello(&mut self) -> Behind {
        self.line.limit(&self.limits);
        Behind {
            events: self.line.subscribe_ahead(&self.subscriptions),
            max_message_bytes: self.limits.max_message_bytes,
        }
    }

    /// A new connection: sends again what may be, in order.
    pub(crate) fn connected(&mut self, welcome: &Welcome) {
        self.limits = welcome.limits.unwrap_or_default();
        self.line.open(&self.limits);
        self.line
            .waiting
            .extend(self.will.welcomed(&welcome.session_id));
    }

    /// Whether [`Self::ask_again`] has something to ask for.
    pub(crate) fn has_postponed(&self, side: Side) -> bool {
        self.on(side).is_some_and(|line| !line.postponed.is_empty())
    }

    /// Asks again for what the gateway could not renew.
    pub(crate) fn ask_again(&mut self, side: Side) {
        if let Some(line) = self.on_mut(side) {
            line.ask_again();
        }
    }

    /// Every connection is gone.
    pub(crate) fn disconnected(&mut self) {
        self.stay();
        let next = self.next_line();
        let mut gone = std::mem::replace(&mut self.line, next);
        self.mailbox.line_ended(gone.id);
        self.subscriptions.end_overlap();
        self.line.subscribe_to(self.subscriptions.again());
        self.repeat(gone.end());
    }

    /// The end: nothing will be sent any more.
    pub(crate) fn end(&mut self, error: &Error) {
        let in_flight = self.line.in_flight.take_all().into_iter();
        let second = self.second.take();
        let left = second.map(|mut line| line.in_flight.take_all());
        for pending in in_flight.chain(left.into_iter().flatten()) {
            pending.fail(error.clone());
        }
        for operation in self.waiting.drain(..) {
            operation.fail(error.clone());
        }
        self.subscriptions.end(error);
        self.mailbox.end();
    }

    /// The messages to send now.
    pub(crate) fn take_messages(&mut self, side: Side) -> Vec<Vec<u8>> {
        while let Some(operation) = self.next_to_send(side) {
            if operation.is_abandoned() {
                continue;
            }
            let subscriptions = &self.subscriptions;
            let line = on(&mut self.line, &mut self.second, side).expect("it has room");
            if let Err(pending) = line.start(operation, subscriptions) {
                let error = Error::of_code(ErrorCode::MessageTooLarge);
                self.refused(side, pending, error);
            }
        }
        let Some(line) = on(&mut self.line, &mut self.second, side) else {
            return Vec::new();
        };
        if let Some(ack) = self.mailbox.take_ack(line.id, side == Side::Main) {
            line.send(client_event::Event::Ack(ack));
        }
        line.take_messages()
    }

    /// Takes what the gateway said, at this time.
    pub(crate) fn handle(&mut self, side: Side, event: Event, now: Instant) {
        let has_two = self.second.as_ref().is_some_and(|line| line.is_open);
        let Some(line) = on(&mut self.line, &mut self.second, side) else {
            return;
        };
        match event {
            Event::Publication(_)
            | Event::Gap(_)
            | Event::PresenceChange(_)
            | Event::Signalled(_) => self.hear(side, event, has_two, now),
            Event::Direct(direct) => self.mailbox.deliver(line.id, direct, has_two, now),
            Event::Response(response) => {
                let result = match response.outcome {
                    Some(Outcome::Payload(payload)) => Ok(payload),
                    Some(Outcome::Failure(failure)) => Err(failure.into()),
                    // The empty payload has no bytes in some encoders.
                    None => Ok(bytes::Bytes::new()),
                };
                if let Some(Pending::Request(_, reply)) = line.in_flight.end(response.id) {
                    drop(reply.send(result));
                }
            }
            Event::Accepted(accepted) => {
                let pending = line.in_flight.end(accepted.id);
                self.accepted(pending, accepted);
            }
            Event::Refreshed(refreshed) => {
                if let Some(Pending::Refresh(reply)) = line.in_flight.end(refreshed.id) {
                    drop(reply.send(Ok(())));
                }
            }
            Event::HistoryResult(result) => {
                if let Some(Pending::History(_, reply)) = line.in_flight.end(result.id) {
                    drop(reply.send(Ok(result)));
                }
            }
            Event::PresenceResult(result) => {
                if let Some(Pending::Presence(_, reply)) = line.in_flight.end(result.id) {
                    drop(reply.send(Ok(result)));
                }
            }
            Event::Subscribed(subscribed) => {
                if let Some(Pending::Subscribe(asked)) = line.in_flight.end(subscribed.id) {
                    self.subscribed(side, asked, subscribed);
                }
            }
            Event::Unsubscribed(ended) if ended.id == 0 => self.unsubscribed(side, &ended),
            Event::Unsubscribed(answer) => drop(line.in_flight.end(answer.id)),
            Event::Error(error) => {
                let failure = error.failure.unwrap_or_default().into();
                match line.in_flight.end(error.id) {
                    Some(pending) => self.refused(side, pending, failure),
                    None => tracing::debug!(%failure, "the gateway reports an error"),
                }
            }
            Event::Pong(_) => self.heard_the_end(side),
            // What this version has no use for, and what answers nothing of ours.
            other => tracing::trace!(?other, "event ignored"),
        }
    }

    /// Takes what is about a channel.
    fn hear(&mut self, side: Side, event: Event, has_two: bool, now: Instant) {
        let Some(line) = on(&mut self.line, &mut self.second, side) else {
            return;
        };
        let channel = |alias| line.aliases.get(&alias);
        match event {
            Event::Publication(publication) => {
                if let Some(channel) = channel(publication.alias) {
                    self.subscriptions
                        .publication(line.id, channel, publication);
                }
            }
            Event::Gap(gap) => {
                if let Some(channel) = channel(gap.alias) {
                    self.subscriptions.gap(line.id, channel, gap);
                }
            }
            Event::PresenceChange(change) => {
                if let Some(channel) = channel(change.alias) {
                    self.subscriptions.presence(line.id, channel, change);
                }
            }
            Event::Signalled(signalled) => {
                if let Some(channel) = channel(signalled.alias).cloned() {
                    self.ears.hear(line.id, channel, signalled, has_two, now);
                }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, pending: Option<Pending>, accepted: proto::Accepted) {
        let proto::Accepted {
            offset, reached, ..
        } = accepted;
        match pending {
            Some(Pending::Signal(reply)) => drop(reply.send(Ok(reached))),
            Some(Pending::Publish(_, reply)) => drop(reply.send(Ok(Accepted { offset }))),
            Some(Pending::Will(order, reply)) => {
                self.will.settled(order);
                answer_will(reply, Ok(()));
            }
            Some(Pending::Set(setting)) => setting.end(Ok(())),
            _ => {}
        }
    }

    fn subscribed(&mut self, side: Side, asked: Subscribing, answer: Subscribed) {
        let Some(line) = on(&mut self.line, &mut self.second, side) else {
            return;
        };
        let (channel, alias) = (asked.channel.clone(), answer.alias);
        let Some(agreed) = self.subscriptions.subscribed(line.id, asked, answer) else {
            return;
        };
        line.aliases.insert(alias, channel.clone());
        if agreed == Agreed::Anew {
            self.began(side, &channel);
        }
    }

    /// The gateway ended a subscription unasked.
    fn unsubscribed(&mut self, side: Side, ended: &Unsubscribed) {
        let Some(line) = on(&mut self.line, &mut self.second, side) else {
            return;
        };
        line.forget(&ended.channel);
        if self.is_left(side) || !self.subscriptions.has(&ended.channel) {
            return;
        }
        self.subscriptions.unsubscribed(ended);
        let other = on(&mut self.line, &mut self.second, side.other());
        if let Some(other) = other.filter(|other| other.has(&ended.channel)) {
            other.forget(&ended.channel);
            other.unsubscribe(ended.channel.as_str().into());
        }
    }

    fn refused(&mut self, side: Side, pending: Pending, error: Error) {
        let Pending::Subscribe(asked) = pending else {
            match pending {
                // It is being subscribed again, with what is asked for.
                Pending::Set(setting)
                    if error.code() == Some(ErrorCode::NotSubscribed)
                        && self.subscriptions.has(&setting.channel) =>
                {
                    return setting.end(Ok(()));
                }
                Pending::Will(..) => self.will.refused(&error),
                _ => {}
            }
            return pending.fail(error);
        };
        let postponed = self.subscriptions.refused(asked, error);
        if let Some(line) = self.on_mut(side) {
            line.postponed.extend(postponed);
        }
    }

    fn next_to_send(&mut self, side: Side) -> Option<Operation> {
        let line = on(&mut self.line, &mut self.second, side)?;
        if line.in_flight.room() == 0 {
            return None;
        }
        let of_line = line.waiting.pop_front();
        match side {
            Side::Main => of_line.or_else(|| self.next_waiting()),
            Side::Second => of_line,
        }
    }

    /// A publish must not overtake those that the old connection has not answered:
    /// they may have to be sent again.
    fn next_waiting(&mut self) -> Option<Operation> {
        let held = self.old_is_publishing();
        let may_go = |waits: &Operation| !held || !matches!(waits, Operation::Publish(..));
        let first = self.waiting.iter().position(may_go)?;
        self.waiting.remove(first)
    }

    /// Does these before anything else that waits.
    fn repeat(&mut self, operations: Vec<Operation>) {
        for operation in operations.into_iter().rev() {
            self.waiting.push_front(operation);
        }
    }

    fn next_line(&mut self) -> Line {
        self.last_line += 1;
        Line::new(self.last_line, self.subprotocol)
    }

    fn on(&self, side: Side) -> Option<&Line> {
        match side {
            Side::Main => Some(&self.line),
            Side::Second => self.second.as_ref(),
        }
    }

    fn on_mut(&mut self, side: Side) -> Option<&mut Line> {
        on(&mut self.line, &mut self.second, side)
    }
}

// === impl Side ===

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Main => Self::Second,
            Self::Second => Self::Main,
        }
    }
}

fn on<'a>(main: &'a mut Line, second: &'a mut Option<Line>, side: Side) -> Option<&'a mut Line> {
    match side {
        Side::Main => Some(main),
        Side::Second => second.as_mut(),
    }
}
