//! What belongs to one connection: its ids in flight, its aliases, and what waits
//! to be sent on it and on no other.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use wire::{
    Subprotocol,
    client::{
        ArmWill, ClientEvent, DisarmWill, History, Limits, Presence, Publish, Refresh, Request,
        SetSubscription, Signal, Subscribe, Unsubscribe,
        client_event::{self, Event},
    },
};

use crate::{
    batch::Batch,
    in_flight::{InFlight, Operation, Pending, Setting, Subscribing, WillOrder},
    subscriptions::Subscriptions,
};

/// Bytes of Subscribes behind a Hello. Gateways look at 16 KiB for a whole first
/// message, and a token may take up half of them.
const BYTES_AHEAD: usize = 6 << 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Line {
    /// Grows from connection to connection.
    pub(crate) id: u32,
    pub(crate) in_flight: InFlight,
    /// What means something on this connection only. Bounded by the subscriptions.
    pub(crate) waiting: VecDeque<Operation>,
    /// Subscriptions that the gateway cannot renew at the moment.
    pub(crate) postponed: Vec<Subscribing>,
    pub(crate) aliases: HashMap<u32, Arc<str>>,
    /// The gateway has said Welcome.
    pub(crate) is_open: bool,
    batch: Batch,
}

// === impl Line ===

impl Line {
    pub(crate) fn new(id: u32, subprotocol: Subprotocol) -> Self {
        Self {
            id,
            in_flight: InFlight::new(),
            waiting: VecDeque::new(),
            postponed: Vec::new(),
            aliases: HashMap::new(),
            is_open: false,
            batch: Batch::new(subprotocol),
        }
    }

    pub(crate) fn open(&mut self, limits: &Limits) {
        self.is_open = true;
        self.limit(limits);
    }

    /// Keeps to these limits from now on.
    pub(crate) fn limit(&mut self, limits: &Limits) {
        self.in_flight.set_window(limits.max_in_flight);
        self.batch.limit(limits.max_message_bytes);
    }

    /// The subscriptions to ask for before Welcome: as many as the window has room
    /// for and a gateway reads before it knows who is there.
    pub(crate) fn subscribe_ahead(&mut self, subscriptions: &Subscriptions) -> Vec<ClientEvent> {
        let (mut events, mut left) = (Vec::new(), BYTES_AHEAD);
        while self.in_flight.room() > 0 {
            let Some(Operation::Subscribe(subscribing)) = self.waiting.front() else {
                break;
            };
            let id = self.in_flight.next_id();
            let event = client_event(subscribe(id, subscribing, subscriptions));
            match self.batch.size_of(&event) {
                Ok(size) if size <= left => left -= size,
                _ => break,
            }
            let Some(Operation::Subscribe(subscribing)) = self.waiting.pop_front() else {
                break;
            };
            if !subscribing.queue.is_abandoned() {
                self.in_flight.begin(id, Pending::Subscribe(subscribing));
                events.push(event);
            }
        }
        events
    }

    /// Asks for these subscriptions, which the client holds.
    pub(crate) fn subscribe_to(&mut self, subscriptions: Vec<Subscribing>) {
        self.waiting
            .extend(subscriptions.into_iter().map(Operation::Subscribe));
    }

    /// Asks again for what the gateway could not renew.
    pub(crate) fn ask_again(&mut self) {
        let postponed = std::mem::take(&mut self.postponed);
        self.subscribe_to(postponed);
    }

    /// Asks for other options of a subscription.
    pub(crate) fn set(&mut self, setting: Setting) {
        self.waiting.push_back(Operation::Set(setting));
    }

    pub(crate) fn unsubscribe(&mut self, channel: Arc<str>) {
        self.waiting.push_back(Operation::Unsubscribe(channel));
    }

    /// Whether the channel is subscribed here, or going to be.
    pub(crate) fn has(&self, channel: &str) -> bool {
        let is_it = |subscribing: &Subscribing| &*subscribing.channel == channel;
        let waits = |operation: &Operation| matches!(operation, Operation::Subscribe(subscribing) if is_it(subscribing));
        self.aliases.values().any(|one| &**one == channel)
            || self.waiting.iter().any(waits)
            || self.postponed.iter().any(is_it)
            || self.in_flight.subscribing().any(is_it)
    }

    /// Publications of the channel that still come are no longer wanted.
    pub(crate) fn forget(&mut self, channel: &str) {
        self.aliases.retain(|_, one| &**one != channel);
    }

    /// Whether every subscription asked for has been granted or refused for good.
    pub(crate) fn is_subscribed(&self) -> bool {
        let is_subscribing = |operation: &Operation| matches!(operation, Operation::Subscribe(_));
        self.postponed.is_empty()
            && !self.waiting.iter().any(is_subscribing)
            && self.in_flight.subscribing().next().is_none()
    }

    /// Sends an operation. One that is larger than the gateway accepts comes back.
    pub(crate) fn start(
        &mut self,
        operation: Operation,
        subscriptions: &Subscriptions,
    ) -> Result<(), Pending> {
        let id = self.in_flight.next_id();
        let (event, pending) = match operation {
            Operation::Unsubscribe(channel) => {
                let channel = channel.to_string();
                let event = Event::Unsubscribe(Unsubscribe { id, channel });
                (event, Pending::Unsubscribe)
            }
            Operation::Set(setting) => {
                let channel = setting.channel.to_string();
                let options = setting.options;
                let event = Event::SetSubscription(SetSubscription {
                    id,
                    channel,
                    options,
                });
                (event, Pending::Set(setting))
            }
            Operation::Subscribe(subscribing) => {
                let event = subscribe(id, &subscribing, subscriptions);
                (event, Pending::Subscribe(subscribing))
            }
            Operation::Publish(publish, reply) => {
                let may_repeat = !publish.publication_id.is_empty();
                let retry = may_repeat.then(|| Box::new(publish.clone()));
                let event = Event::Publish(Publish { id, ..publish });
                (event, Pending::Publish(retry, reply))
            }
            Operation::Request(request, reply) => {
                let may_repeat = !request.idempotency_key.is_empty();
                let retry = may_repeat.then(|| Box::new(request.clone()));
                let event = Event::Request(Request { id, ..request });
                (event, Pending::Request(retry, reply))
            }
            Operation::History(read, reply) => {
                let event = Event::History(History { id, ..read.clone() });
                (event, Pending::History(read, reply))
            }
            Operation::Presence(ask, reply) => {
                let event = Event::Presence(Presence { id, ..ask.clone() });
                (event, Pending::Presence(ask, reply))
            }
            Operation::Signal(signal, reply) => {
                let event = Event::Signal(Signal { id, ..signal });
                (event, Pending::Signal(reply))
            }
            Operation::Will(order, reply) => {
                let event = match &order {
                    WillOrder::Arm(will) => Event::ArmWill(ArmWill { id, ..will.clone() }),
                    WillOrder::Disarm => Event::DisarmWill(DisarmWill { id }),
                };
                (event, Pending::Will(order, reply))
            }
            Operation::Refresh(token, reply) => {
                let event = Event::Refresh(Refresh { id, token });
                (event, Pending::Refresh(reply))
            }
        };
        if self.batch.push(client_event(event)).is_err() {
            return Err(pending);
        }
        self.in_flight.begin(id, pending);
        Ok(())
    }

    /// Sends an event that nothing in flight stands for.
    pub(crate) fn send(&mut self, event: client_event::Event) {
        let pushed = self.batch.push(client_event(event));
        if pushed.is_err() {
            tracing::debug!("the gateway accepts no message large enough for this event");
        }
    }

    pub(crate) fn take_messages(&mut self) -> Vec<Vec<u8>> {
        self.batch.take()
    }

    /// The connection is gone: what to do again on another, in the order it was
    /// sent. Callers of what can't be repeated are told.
    pub(crate) fn end(&mut self) -> Vec<Operation> {
        let pending = self.in_flight.take_all().into_iter();
        let retries = pending.filter_map(Pending::into_retry);
        // A subscription that is made again is in the order of the next connection.
        retries
            .filter(|retry| !matches!(retry, Operation::Subscribe(Subscribing { reply: None, .. })))
            .collect()
    }
}

fn subscribe(id: u32, subscribing: &Subscribing, subscriptions: &Subscriptions) -> Event {
    Event::Subscribe(Subscribe {
        id,
        channel: subscribing.channel.to_string(),
        since: subscriptions.position(&subscribing.channel),
        options: subscriptions.options(subscribing),
    })
}

fn client_event(event: Event) -> ClientEvent {
    ClientEvent { event: Some(event) }
}
