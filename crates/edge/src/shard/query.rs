//! Answers the control plane's commands from what this shard holds.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Instant};

use foldhash::HashMap;
use wire::{
    CloseCause, ConnectionId, UserId,
    client::{Direct, ServerEvent, server_event::Event},
    gateway::{
        self, Deliver, Level, ListConnections, Receipt, Target, command::Command,
        target::Target as Kind,
    },
};

use super::{
    Shard,
    connection::{Connection, Phase},
    member,
};
use crate::command::{Answer, Query, page_size};

/// Deliveries whose sender waits until sockets took the bytes.
#[derive(Default)]
pub(super) struct Deliveries {
    next_receipt: u64,
    waiting: HashMap<u64, Awaited>,
}

/// One connection's part of a delivery.
struct Awaited {
    slot: u32,
    id: ConnectionId,
    pending: Rc<Pending>,
}

/// A delivery that is answered when its last connection has an outcome; shared
/// by [`Awaited`] entries of one shard only.
struct Pending {
    query: Arc<Query>,
    receipts: RefCell<(usize, Vec<Receipt>)>,
}

impl Shard {
    /// Answers a command now, or for `await_written` when the sockets have.
    pub(super) fn answer(&mut self, query: &Arc<Query>) {
        match &query.command {
            Command::Deliver(deliver) => self.deliver(deliver, query),
            Command::Disconnect(disconnect) => {
                let slots = self.targets(disconnect.target.as_ref());
                let cause = match disconnect.may_reconnect {
                    true => CloseCause::ReconnectRequested,
                    false => CloseCause::DisconnectedByServer,
                };
                let message = if disconnect.reason.is_empty() {
                    cause.message()
                } else {
                    &disconnect.reason
                };
                for &slot in &slots {
                    self.close_with(slot, cause, message);
                }
                query.answer(Answer::Disconnected(slots.len() as u64));
            }
            Command::ListConnections(list) => {
                query.answer(self.page(list, page_size(&query.command)))
            }
            // Refused before they get here.
            Command::Subscribe(_)
            | Command::Unsubscribe(_)
            | Command::Drain(_)
            | Command::Status(_) => {}
            Command::CountConnections(count) => query.answer(self.count(count.target.as_ref())),
        }
    }

    fn deliver(&mut self, deliver: &Deliver, query: &Arc<Query>) {
        let slots = self.targets(deliver.target.as_ref());
        let direct = Direct {
            payload: deliver.payload.clone(),
            ..Direct::default()
        };
        let event = ServerEvent {
            event: Some(Event::Direct(direct)),
        };
        let fits = self.core.can_hold(deliver.payload.len());
        let await_written = deliver.await_level() == Level::Written && fits && !slots.is_empty();
        let pending = Rc::new(Pending {
            query: query.clone(),
            receipts: RefCell::new((slots.len(), Vec::with_capacity(slots.len()))),
        });
        let mut receipts = Vec::new();
        for slot in slots {
            let id = self
                .core
                .connection_id(slot, self.connections[slot].generation);
            if await_written {
                let receipt = self.core.deliveries.expect(slot, id, &pending);
                if !self.direct(slot, &event, Some(receipt)) {
                    self.core.deliveries.settle(receipt, Level::Refused);
                }
            } else {
                // What no outbox can hold must not cost the connection.
                let taken = fits && self.direct(slot, &event, None);
                let level = if taken {
                    Level::Enqueued
                } else {
                    Level::Refused
                };
                receipts.push(receipt_of(&id, level));
            }
        }
        if !await_written {
            query.answer(Answer::Delivered(receipts));
        }
    }

    /// Queues an event for a connection; `false` if its outbox refused it, and
    /// the connection is being closed.
    fn direct(&mut self, slot: usize, event: &ServerEvent, receipt: Option<hub::Receipt>) -> bool {
        let Self {
            connections, core, ..
        } = self;
        core.hub.send(member(slot), event, receipt);
        let room = core.make_room(slot, &mut connections[slot]);
        room.map_err(|ending| self.end(slot, ending)).is_ok()
    }

    /// Slots of the established connections that are meant.
    fn targets(&self, target: Option<&Target>) -> Vec<usize> {
        let Some(kind) = target.and_then(|target| target.target.as_ref()) else {
            return Vec::new();
        };
        let meant: Vec<usize> = match kind {
            Kind::User(user) => match UserId::new(user) {
                Some(user) => self
                    .core
                    .users
                    .slots(&user)
                    .iter()
                    .map(|&slot| slot as usize)
                    .collect(),
                None => Vec::new(),
            },
            Kind::ConnectionId(id) => self.find(id).into_iter().collect(),
            Kind::SessionId(id) => self
                .connections
                .iter()
                .filter(|(_, connection)| connection.profile.session.to_string() == *id)
                .map(|(slot, _)| slot)
                .collect(),
            Kind::Label(_) => Vec::new(),
            Kind::Everybody(_) => self.connections.iter().map(|(slot, _)| slot).collect(),
        };
        let established = |&slot: &usize| {
            self.connections
                .get(slot)
                .is_some_and(|found| matches!(found.phase, Phase::Established(_)))
        };
        meant.into_iter().filter(established).collect()
    }

    fn find(&self, id: &str) -> Option<usize> {
        let id: ConnectionId = id.parse().ok()?;
        let slot = id.slot as usize;
        let here = id.gateway == self.core.gateway.config.gateway
            && usize::from(id.shard) == self.core.index;
        let connection = self.connections.get(slot).filter(|_| here)?;
        (connection.generation == id.generation).then_some(slot)
    }

    fn page(&self, list: &ListConnections, size: usize) -> Answer {
        let after: Option<ConnectionId> = list.after_connection_id.parse().ok();
        let everybody = Target {
            target: Some(Kind::Everybody(true)),
        };
        let mut slots = self.targets(Some(list.target.as_ref().unwrap_or(&everybody)));
        slots.sort_unstable();
        let ids = slots.into_iter().map(|slot| {
            (
                self.core
                    .connection_id(slot, self.connections[slot].generation),
                slot,
            )
        });
        let mut rest = ids.filter(|(id, _)| after.as_ref().is_none_or(|after| id > after));
        let connections = rest
            .by_ref()
            .take(size)
            .map(|(id, slot)| {
                let entry = self.describe(slot, &id, list.with_channels);
                (id, entry)
            })
            .collect();
        Answer::Page {
            connections,
            more: rest.next().is_some(),
        }
    }

    fn describe(&self, slot: usize, id: &ConnectionId, with_channels: bool) -> gateway::Connection {
        let Connection { profile, .. } = &self.connections[slot];
        let hub = &self.core.hub;
        let channels = if with_channels {
            hub.channels_of(member(slot))
                .map(ToString::to_string)
                .collect()
        } else {
            Vec::new()
        };
        gateway::Connection {
            connection_id: id.to_string(),
            session_id: profile.session.to_string(),
            user: profile
                .identity
                .as_ref()
                .map(|identity| identity.user.to_string())
                .unwrap_or_default(),
            remote_address: profile.peer.to_string(),
            transport: "websocket".to_owned(),
            subprotocol: profile.subprotocol.name().to_owned(),
            client_name: profile.client_name.to_string(),
            client_version: profile.client_version.to_string(),
            connected_at_ms: profile.connected_at_ms,
            subscriptions: u32::try_from(hub.subscription_count(member(slot))).unwrap_or(u32::MAX),
            channels,
            outbox_bytes: hub.outbox(member(slot)).bytes() as u64,
            ..gateway::Connection::default()
        }
    }

    fn count(&self, target: Option<&Target>) -> Answer {
        match target.and_then(|target| target.target.as_ref()) {
            None | Some(Kind::Everybody(_)) => {
                let established = self
                    .connections
                    .iter()
                    .filter(|(_, found)| matches!(found.phase, Phase::Established(_)));
                Answer::Count {
                    connections: established.count() as u64,
                    users: self.core.users.fingerprints(),
                }
            }
            Some(_) => {
                let connections = self.targets(target).len() as u64;
                Answer::Count {
                    connections,
                    users: if connections > 0 { vec![0] } else { Vec::new() },
                }
            }
        }
    }
}

// === impl Deliveries ===

impl Deliveries {
    fn expect(&mut self, slot: usize, id: ConnectionId, pending: &Rc<Pending>) -> hub::Receipt {
        self.next_receipt += 1;
        let slot = super::connection::slot_number(slot);
        self.waiting.insert(
            self.next_receipt,
            Awaited {
                slot,
                id,
                pending: pending.clone(),
            },
        );
        self.next_receipt
    }

    /// A socket took the last byte.
    pub(super) fn written(&mut self, receipt: hub::Receipt) {
        self.settle(receipt, Level::Written);
    }

    fn settle(&mut self, receipt: hub::Receipt, level: Level) {
        if let Some(awaited) = self.waiting.remove(&receipt) {
            awaited.settle(level);
        }
    }

    /// Answers deliveries that have waited long enough: what is still in an
    /// outbox is enqueued, no more.
    pub(super) fn expire(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let now = Instant::now();
        let late = |_: &u64, awaited: &mut Awaited| awaited.pending.query.answer_by <= now;
        for (_, awaited) in self.waiting.extract_if(late) {
            awaited.settle(Level::Enqueued);
        }
    }

    /// A connection ended; what it had not written will never be.
    pub(super) fn gone(&mut self, slot: u32) {
        if self.waiting.is_empty() {
            return;
        }
        let ended = |_: &u64, awaited: &mut Awaited| awaited.slot == slot;
        for (_, awaited) in self.waiting.extract_if(ended) {
            awaited.settle(Level::Gone);
        }
    }
}

// === impl Awaited ===

impl Awaited {
    fn settle(self, level: Level) {
        let mut receipts = self.pending.receipts.borrow_mut();
        receipts.0 -= 1;
        receipts.1.push(receipt_of(&self.id, level));
        if receipts.0 == 0 {
            let all = std::mem::take(&mut receipts.1);
            drop(receipts);
            self.pending.query.answer(Answer::Delivered(all));
        }
    }
}

fn receipt_of(id: &ConnectionId, level: Level) -> Receipt {
    Receipt {
        connection_id: id.to_string(),
        level: level.into(),
    }
}
