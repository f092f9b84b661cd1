//! The client's side of the protocol, without I/O: what waits to be sent, what is
//! in flight, what is subscribed. Fed with operations and with server events;
//! gives messages to send.
//!
//! The rule it keeps: every operation is answered exactly once, whatever becomes
//! of its connection, and no more are in flight than `Welcome` allows.

use std::{collections::VecDeque, sync::Arc};

use wire::{
    Subprotocol,
    client::{
        Ack, Cancel, ClientEvent, ErrorCode, Publish, Request, Subscribe, Unsubscribe, Welcome,
        client_event, response::Outcome, server_event::Event,
    },
};

use crate::{
    batch::Batch,
    client::Accepted,
    direct::{self, Mailbox},
    error::Error,
    in_flight::{InFlight, Operation, Pending, Subscribing},
    subscriptions::Subscriptions,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Exchange {
    in_flight: InFlight,
    /// What could not be sent yet. Bounded by the subscriptions, the window and
    /// one batch of operations.
    waiting: VecDeque<Operation>,
    /// Subscriptions that the gateway cannot renew at the moment.
    postponed: Vec<Subscribing>,
    subscriptions: Subscriptions,
    mailbox: Mailbox,
    batch: Batch,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn new(subprotocol: Subprotocol, direct: Arc<direct::Queue>) -> Self {
        Self {
            in_flight: InFlight::new(),
            waiting: VecDeque::new(),
            postponed: Vec::new(),
            subscriptions: Subscriptions::default(),
            mailbox: Mailbox::new(direct),
            batch: Batch::new(subprotocol),
        }
    }

    /// Offset of the last durable direct message; zero: none.
    pub(crate) fn mailbox_offset(&self) -> u64 {
        self.mailbox.offset()
    }

    /// How many more operations could be sent now.
    pub(crate) fn room(&self) -> usize {
        self.in_flight.room().saturating_sub(self.waiting.len())
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
        self.waiting.push_back(operation);
    }

    /// Gives up what callers have dropped.
    pub(crate) fn sweep(&mut self) {
        for id in self.in_flight.cancel_abandoned() {
            self.send(client_event::Event::Cancel(Cancel { id }));
        }
        let abandoned = self.subscriptions.take_abandoned();
        self.waiting
            .extend(abandoned.into_iter().map(Operation::Unsubscribe));
    }

    /// A new connection: sends again what may be, in order.
    pub(crate) fn connected(&mut self, welcome: &Welcome) {
        let limits = welcome.limits.unwrap_or_default();
        self.in_flight.set_window(limits.max_in_flight);
        self.batch.limit(limits.max_message_bytes);
    }

    /// Whether [`Self::ask_again`] has something to ask for.
    pub(crate) fn has_postponed(&self) -> bool {
        !self.postponed.is_empty()
    }

    /// Asks again for what the gateway could not renew.
    pub(crate) fn ask_again(&mut self) {
        let postponed = self.postponed.drain(..).map(Operation::Subscribe);
        self.waiting.extend(postponed);
    }

    /// The connection is gone.
    pub(crate) fn disconnected(&mut self) {
        self.batch.clear();
        self.postponed.clear();
        let again = self.subscriptions.start_over();
        let retries = self.in_flight.take_all();
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting
            .extend(again.into_iter().map(Operation::Subscribe));
        self.waiting.extend(
            retries
                .into_iter()
                .filter_map(Pending::into_retry)
                .chain(waiting)
                .filter(|operation| !is_of_connection(operation)),
        );
    }

    /// The end: nothing will be sent any more.
    pub(crate) fn end(&mut self, error: &Error) {
        for pending in self.in_flight.take_all() {
            pending.fail(error.clone());
        }
        for operation in self.waiting.drain(..) {
            operation.fail(error.clone());
        }
        self.subscriptions.end(error);
        self.mailbox.end();
    }

    /// The messages to send now.
    pub(crate) fn take_messages(&mut self) -> Vec<Vec<u8>> {
        while self.in_flight.room() > 0 {
            let Some(operation) = self.waiting.pop_front() else {
                break;
            };
            if !operation.is_abandoned() {
                self.start(operation);
            }
        }
        self.batch.take()
    }

    /// Takes what the gateway said.
    pub(crate) fn handle(&mut self, event: Event) {
        match event {
            Event::Publication(publication) => self.subscriptions.publication(publication),
            Event::Gap(gap) => self.subscriptions.gap(gap),
            Event::Direct(direct) => self.mailbox.deliver(direct),
            Event::Response(response) => {
                let result = match response.outcome {
                    Some(Outcome::Payload(payload)) => Ok(payload),
                    Some(Outcome::Failure(failure)) => Err(failure.into()),
                    // The empty payload has no bytes in some encoders.
                    None => Ok(bytes::Bytes::new()),
                };
                if let Some(Pending::Request(_, reply)) = self.in_flight.end(response.id) {
                    drop(reply.send(result));
                }
            }
            Event::Accepted(accepted) => {
                if let Some(Pending::Publish(_, reply)) = self.in_flight.end(accepted.id) {
                    let offset = accepted.offset;
                    drop(reply.send(Ok(Accepted { offset })));
                }
            }
            Event::Subscribed(subscribed) => {
                if let Some(Pending::Subscribe(asked)) = self.in_flight.end(subscribed.id) {
                    self.subscriptions.subscribed(asked, subscribed);
                }
            }
            Event::Unsubscribed(ended) if ended.id == 0 => self.subscriptions.unsubscribed(&ended),
            Event::Unsubscribed(answer) => drop(self.in_flight.end(answer.id)),
            Event::Error(error) => {
                let failure = error.failure.unwrap_or_default();
                self.refused(error.id, failure.into());
            }
            // What this version has no use for, and what answers nothing of ours.
            other => tracing::trace!(?other, "event ignored"),
        }
    }

    fn refused(&mut self, id: u32, error: Error) {
        match self.in_flight.end(id) {
            Some(Pending::Subscribe(asked)) => {
                self.postponed
                    .extend(self.subscriptions.refused(asked, error));
            }
            Some(pending) => pending.fail(error),
            None => tracing::debug!(%error, "the gateway reports an error"),
        }
    }

    fn start(&mut self, operation: Operation) {
        let id = self.in_flight.next_id();
        match operation {
            Operation::Ack(up_to) => self.send(client_event::Event::Ack(Ack { up_to })),
            Operation::Unsubscribe(channel) => {
                let channel = channel.to_string();
                let event = client_event::Event::Unsubscribe(Unsubscribe { id, channel });
                self.send_pending(id, event, Pending::Unsubscribe);
            }
            Operation::Subscribe(subscribing) => {
                let event = client_event::Event::Subscribe(Subscribe {
                    id,
                    channel: subscribing.channel.to_string(),
                    since: self.subscriptions.position(&subscribing.channel),
                    options: subscribing.options,
                });
                self.send_pending(id, event, Pending::Subscribe(subscribing));
            }
            Operation::Publish(publish, reply) => {
                let may_repeat = !publish.publication_id.is_empty();
                let retry = may_repeat.then(|| Box::new(publish.clone()));
                let event = client_event::Event::Publish(Publish { id, ..publish });
                self.send_pending(id, event, Pending::Publish(retry, reply));
            }
            Operation::Request(request, reply) => {
                let may_repeat = !request.idempotency_key.is_empty();
                let retry = may_repeat.then(|| Box::new(request.clone()));
                let event = client_event::Event::Request(Request { id, ..request });
                self.send_pending(id, event, Pending::Request(retry, reply));
            }
        }
    }

    fn send_pending(&mut self, id: u32, event: client_event::Event, pending: Pending) {
        self.in_flight.begin(id, pending);
        if self.batch.push(ClientEvent { event: Some(event) }).is_err() {
            self.refused(id, Error::of_code(ErrorCode::MessageTooLarge));
        }
    }

    /// Sends an event that nothing answers.
    fn send(&mut self, event: client_event::Event) {
        let pushed = self.batch.push(ClientEvent { event: Some(event) });
        if pushed.is_err() {
            tracing::debug!("the gateway accepts no message large enough for this event");
        }
    }
}

/// Whether the operation means nothing on another connection: a subscription that
/// is made again has a newer order to do so.
fn is_of_connection(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Unsubscribe(_) | Operation::Subscribe(Subscribing { reply: None, .. })
    )
}
