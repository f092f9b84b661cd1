//! Random use of the hub against a naive model: for each member the list of all
//! that was meant for it. What it was written must be that list, with runs of
//! publications replaced by gaps that cover them exactly.

use std::{collections::BTreeSet, mem};

use hub::{Fact, Hub, MemberId, OutboxLimits, Start};
use proptest::prelude::*;
use wire::{
    Channel, Subprotocol,
    client::{Gap, GapCause, ServerEvent, Subscribed, Unsubscribed, server_event::Event},
};

use crate::support::{
    DISCONNECT, DROP_OLDEST, ROOMY, channel, decode, of_priority, pong, publication, source,
};

const MEMBERS: u32 = 4;
/// Aliases 1 and 2 drop the oldest, alias 2 goes before the others; alias 3 disconnects.
const ALIASES: u32 = 3;

#[derive(Clone, Debug)]
enum Operation {
    Join(u32),
    Leave(u32),
    Subscribe(u32, u32),
    Unsubscribe(u32, u32),
    Publish(u32, usize),
    Lose(u32, u64),
    Send(u32),
    FanOut,
    Write(u32, usize),
}

/// Something that a member was meant to get.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Pong(u32),
    Subscribed(u32),
    Unsubscribed(u32),
    Published(u32, u64),
    Lost(u32),
}

#[derive(Debug, Default)]
struct Connection {
    meant: Vec<Said>,
    subscribed: BTreeSet<u32>,
    read: Vec<Event>,
    /// The start of a frame that was not written to its end yet.
    tail: Vec<u8>,
    overflowed: bool,
}

struct Model {
    hub: Hub,
    limits: OutboxLimits,
    connections: [Option<Connection>; MEMBERS as usize],
    offsets: [u64; ALIASES as usize + 1],
    nonce: u32,
}

fn subprotocol(member: u32) -> Subprotocol {
    Subprotocol::ALL[member as usize % 2]
}

fn room(alias: u32) -> Channel {
    channel(&format!("room.{alias}"))
}

// === impl Said ===

impl Said {
    fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Pong(pong) => Some(Self::Pong(pong.nonce)),
            Event::Subscribed(subscribed) => Some(Self::Subscribed(subscribed.alias)),
            Event::Unsubscribed(unsubscribed) => Some(Self::Unsubscribed(unsubscribed.alias)),
            Event::Publication(publication) => {
                Some(Self::Published(publication.alias, publication.offset))
            }
            _ => None,
        }
    }

    fn alias(self) -> Option<u32> {
        match self {
            Self::Pong(_) => None,
            Self::Subscribed(alias) | Self::Unsubscribed(alias) => Some(alias),
            Self::Published(alias, _) | Self::Lost(alias) => Some(alias),
        }
    }

    fn is_pong(self) -> bool {
        matches!(self, Self::Pong(_))
    }

    fn is_of_a_subscription(self) -> bool {
        matches!(self, Self::Subscribed(_) | Self::Unsubscribed(_))
    }
}

// === impl Connection ===

impl Connection {
    /// Checks all that was read; `complete` if nothing waits any more.
    fn check(&self, complete: bool) {
        let said: Vec<_> = self.read.iter().filter_map(Said::of).collect();
        if self.overflowed {
            return self.check_overflowed(&said);
        }
        for kind in [Said::is_pong, Said::is_of_a_subscription] {
            let of_kind = |of: &[Said]| -> Vec<_> {
                let of = of.iter().copied();
                of.filter(|said| kind(*said)).collect()
            };
            let (read, meant) = (of_kind(&said), of_kind(&self.meant));
            assert!(
                meant.starts_with(&read) && (!complete || read == meant),
                "{read:?} of {meant:?}"
            );
        }
        self.check_pongs(&said);
        for alias in 1..=ALIASES {
            self.check_channel(alias, complete);
        }
    }

    /// A pong comes behind all that was meant before it.
    fn check_pongs(&self, said: &[Said]) {
        let before = |of: &[Said], pong| {
            let before = of.iter().take_while(|said| **said != pong);
            before.filter(|said| said.is_of_a_subscription()).count()
        };
        for pong in said.iter().filter(|said| said.is_pong()) {
            assert!(before(said, *pong) >= before(&self.meant, *pong));
        }
    }

    /// Once a member is to be disconnected, what it still gets is in order.
    fn check_overflowed(&self, said: &[Said]) {
        for kind in [Said::is_pong, Said::is_of_a_subscription] {
            let mut meant = self.meant.iter().filter(|said| kind(**said));
            let mut read = said.iter().filter(|said| kind(**said));
            assert!(read.all(|read| meant.any(|meant| meant == read)));
        }
        for alias in 1..=ALIASES {
            let of_channel = |said: &&Said| matches!(said, Said::Published(of, _) if *of == alias);
            let mut meant = self.meant.iter().filter(of_channel);
            assert!(
                said.iter()
                    .filter(of_channel)
                    .all(|read| meant.any(|meant| meant == read))
            );
        }
    }

    fn check_channel(&self, alias: u32, complete: bool) {
        let meant: Vec<_> = self
            .meant
            .iter()
            .copied()
            .filter(|said| said.alias() == Some(alias))
            .collect();
        let mut rest = meant.as_slice();
        for event in &self.read {
            match event {
                Event::Gap(gap) if gap.alias == alias => {
                    let (covered, after) = rest.split_at(gap.dropped as usize);
                    check_gap(gap, covered);
                    rest = after;
                }
                event if Said::of(event).and_then(Said::alias) == Some(alias) => {
                    assert_eq!(Said::of(event), rest.first().copied());
                    rest = &rest[1..];
                }
                _ => {}
            }
        }
        assert!(!complete || rest.is_empty(), "{rest:?} never came");
    }
}

fn check_gap(gap: &Gap, covered: &[Said]) {
    let offsets = covered.iter().filter_map(|said| match said {
        Said::Published(_, offset) => Some(*offset),
        Said::Lost(_) => None,
        other => panic!("{other:?} within {gap:?}"),
    });
    let offsets: Vec<_> = offsets.collect();
    let range = (
        offsets.first().copied().unwrap_or(0),
        offsets.last().copied().unwrap_or(0),
    );
    assert_eq!((gap.from, gap.to), range);
    let slow = gap.cause() == GapCause::SlowConnection;
    assert!(
        slow || offsets.is_empty(),
        "only slowness withholds what the hub had"
    );
}

// === impl Model ===

impl Model {
    fn new(limits: OutboxLimits) -> Self {
        let connections = [const { None }; MEMBERS as usize];
        let mut model = Self {
            hub: Hub::new(limits),
            limits,
            connections,
            offsets: [0; ALIASES as usize + 1],
            nonce: 0,
        };
        for member in 0..MEMBERS {
            model.apply(&Operation::Join(member));
        }
        model
    }

    fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Join(member) => self.join(member),
            Operation::Leave(member) => self.leave(member),
            Operation::Subscribe(member, alias) => self.subscribe(member, alias),
            Operation::Unsubscribe(member, alias) => self.unsubscribe(member, alias),
            Operation::Publish(alias, bytes) => self.publish(alias, bytes),
            Operation::Lose(alias, dropped) => {
                self.hub
                    .gap(alias, dropped, GapCause::GatewayOverloaded, None);
                self.offsets[alias as usize] += dropped;
                (0..dropped).for_each(|_| self.say_to_listeners(alias, Said::Lost(alias)));
            }
            Operation::Send(member) => {
                self.nonce += 1;
                self.send(member, Said::Pong(self.nonce), pong(self.nonce));
            }
            Operation::FanOut => self.hub.fan_out(),
            Operation::Write(member, bytes) => self.write(member, bytes),
        }
        while let Some(fact) = self.hub.next_fact() {
            let Fact::Overflowed { member } = fact else {
                panic!("no receipt was asked for")
            };
            let connection = self.connections[member.0 as usize]
                .as_mut()
                .expect("a member");
            assert!(!mem::replace(&mut connection.overflowed, true), "told once");
        }
        self.check_books();
    }

    fn join(&mut self, member: u32) {
        let slot = &mut self.connections[member as usize];
        if slot.is_none() {
            self.hub.join(MemberId(member), subprotocol(member));
            *slot = Some(Connection::default());
        }
    }

    fn leave(&mut self, member: u32) {
        let Some(connection) = self.connections[member as usize].take() else {
            return;
        };
        connection.check(false);
        let silent: BTreeSet<_> = self.hub.leave(MemberId(member)).into_iter().collect();
        let expected = connection
            .subscribed
            .iter()
            .filter(|&&alias| self.listeners(alias) == 0);
        assert_eq!(silent, expected.map(|&alias| room(alias)).collect());
    }

    fn subscribe(&mut self, member: u32, alias: u32) {
        let Some(connection) = self.connections[member as usize].as_mut() else {
            return;
        };
        let policy = if alias == ALIASES {
            DISCONNECT
        } else {
            of_priority(DROP_OLDEST, alias as u8 - 1)
        };
        let outcome = self.hub.subscribe(
            MemberId(member),
            &room(alias),
            source(alias, policy),
            Start::Now,
        );
        assert_eq!(outcome.is_ok(), connection.subscribed.insert(alias));
        if outcome.is_ok() {
            let event = Event::Subscribed(Subscribed {
                alias,
                ..Default::default()
            });
            self.send(
                member,
                Said::Subscribed(alias),
                ServerEvent { event: Some(event) },
            );
        }
    }

    fn unsubscribe(&mut self, member: u32, alias: u32) {
        let Some(connection) = self.connections[member as usize].as_mut() else {
            return;
        };
        let listened = connection.subscribed.remove(&alias);
        let left = self.hub.unsubscribe(MemberId(member), &room(alias));
        assert_eq!(
            left.map(|left| left.last),
            listened.then(|| self.listeners(alias) == 0)
        );
        if listened {
            let event = Event::Unsubscribed(Unsubscribed {
                alias,
                ..Default::default()
            });
            self.send(
                member,
                Said::Unsubscribed(alias),
                ServerEvent { event: Some(event) },
            );
        }
    }

    fn publish(&mut self, alias: u32, bytes: usize) {
        let offset = &mut self.offsets[alias as usize];
        *offset += 1;
        let said = Said::Published(alias, *offset);
        self.hub.publish(&publication(alias, *offset, bytes));
        self.say_to_listeners(alias, said);
    }

    fn send(&mut self, member: u32, said: Said, event: ServerEvent) {
        let Some(connection) = self.connections[member as usize].as_mut() else {
            return;
        };
        connection.meant.push(said);
        self.hub.send(MemberId(member), &event, None);
    }

    fn say_to_listeners(&mut self, alias: u32, said: Said) {
        for connection in self.connections.iter_mut().flatten() {
            if connection.subscribed.contains(&alias) {
                connection.meant.push(said);
            }
        }
    }

    fn listeners(&self, alias: u32) -> usize {
        let connections = self.connections.iter().flatten();
        connections
            .filter(|connection| connection.subscribed.contains(&alias))
            .count()
    }

    /// The socket takes at most so many bytes.
    fn write(&mut self, member: u32, bytes: usize) {
        let Some(connection) = self.connections[member as usize].as_mut() else {
            return;
        };
        let mut scratch = Vec::new();
        let gathered = self
            .hub
            .outbox(MemberId(member))
            .gather(&mut scratch, 2_000);
        let taken = gathered.len().min(bytes);
        let is_slow = taken < gathered.len();
        connection.tail.extend_from_slice(&gathered[..taken]);
        self.hub.wrote(MemberId(member), taken);
        if is_slow {
            self.hub.stalled(MemberId(member));
        }
        let (messages, rest) = decode(&connection.tail, subprotocol(member));
        connection.read.extend(messages.into_iter().flatten());
        connection.tail.drain(..connection.tail.len() - rest);
    }

    /// The charges are those of what is queued, and within the limits.
    fn check_books(&self) {
        let (mut bytes, mut items) = (0, 0);
        for (member, connection) in (0..).zip(&self.connections) {
            let Some(connection) = connection else {
                continue;
            };
            let outbox = self.hub.outbox(MemberId(member));
            bytes += outbox.bytes() as u64;
            items += outbox.items() as u64;
            let mut queued = connection.tail.clone();
            queued.extend_from_slice(outbox.gather(&mut Vec::new(), usize::MAX));
            assert_eq!(
                outbox.bytes(),
                queued.len() + hub::ITEM_OVERHEAD * outbox.items()
            );
            let (messages, rest) = decode(&queued, subprotocol(member));
            assert_eq!((messages.len(), rest), (outbox.items(), 0));
            let gap = |message: &&Vec<Event>| matches!(message.as_slice(), [Event::Gap(_)]);
            assert!(outbox.items() - messages.iter().filter(gap).count() <= self.limits.items);
        }
        let totals = self.hub.totals();
        assert_eq!((totals.queued_bytes, totals.queued_items), (bytes, items));
        let listeners = (1..=ALIASES).map(|alias| self.listeners(alias));
        assert_eq!(
            totals.channels,
            listeners.clone().filter(|&listeners| listeners > 0).count()
        );
        assert_eq!(totals.subscriptions, listeners.sum::<usize>());
    }

    /// Everybody reads to the end.
    fn finish(mut self) {
        self.apply(&Operation::FanOut);
        for member in 0..MEMBERS {
            while self.connections[member as usize].is_some()
                && !self.hub.outbox(MemberId(member)).is_empty()
            {
                self.apply(&Operation::Write(member, usize::MAX));
            }
        }
        self.connections
            .iter()
            .flatten()
            .for_each(|connection| connection.check(true));
        let totals = self.hub.totals();
        assert_eq!((totals.queued_bytes, totals.queued_items), (0, 0));
        if self.limits == ROOMY {
            assert_eq!((totals.dropped, totals.overflowed), (0, 0));
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let (member, alias) = (0..MEMBERS, 1..=ALIASES);
    let size = prop_oneof![8 => 0..300_usize, 1 => 0..20_000_usize];
    prop_oneof![
        2 => member.clone().prop_map(Operation::Join),
        1 => member.clone().prop_map(Operation::Leave),
        8 => (member.clone(), alias.clone()).prop_map(|(member, alias)| Operation::Subscribe(member, alias)),
        3 => (member.clone(), alias.clone()).prop_map(|(member, alias)| Operation::Unsubscribe(member, alias)),
        // Seldom to the channel that disconnects, so that members live a while.
        20 => (1..ALIASES, size.clone()).prop_map(|(alias, size)| Operation::Publish(alias, size)),
        2 => (alias.clone(), size).prop_map(|(alias, size)| Operation::Publish(alias, size)),
        2 => (alias, 1..5_u64).prop_map(|(alias, dropped)| Operation::Lose(alias, dropped)),
        4 => member.clone().prop_map(Operation::Send),
        14 => Just(Operation::FanOut),
        6 => (member, 1..2_000_usize).prop_map(|(member, bytes)| Operation::Write(member, bytes)),
    ]
}

fn limits() -> impl Strategy<Value = OutboxLimits> {
    let tight =
        (500..20_000_usize, 2..24_usize).prop_map(|(bytes, items)| OutboxLimits { bytes, items });
    prop_oneof![3 => tight, 1 => Just(ROOMY)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_are_written_what_was_meant_for_them(
        limits in limits(),
        operations in prop::collection::vec(operation(), 1..200),
    ) {
        let mut model = Model::new(limits);
        for operation in &operations {
            model.apply(operation);
        }
        model.finish();
    }
}
