//! How a member stands, for people who ask. Made when it is asked for: nothing is
//! kept for it.

use foldhash::{HashMap, HashMapExt};
use wire::Channel;

use crate::{
    backlog::Await,
    class::{Account, Class, Share},
    hub::Hub,
    item::Item,
    losses::Loss,
    member::MemberId,
    outbox::Outbox,
    policy::{DeliveryPolicy, Overflow},
    subscription::Subscription,
};

/// One subscription, and how far it has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// Its number.
    pub alias: u32,
    /// What of its publications the member gets.
    pub class: Class,
    /// What is done when the member is slow.
    pub overflow: Overflow,
    /// It is given what is newer than what is in its outbox when there is room.
    pub is_behind: bool,
    /// Offset of the last publication put into its outbox; zero: the channel keeps
    /// no log, or the member does not get all.
    pub position: u64,
    /// Offset of the channel's newest publication; zero: it keeps no log.
    pub head: u64,
    /// What was not put into its outbox yet, as far as it is known here.
    pub lag: Lot,
    /// What is in its outbox.
    pub queued: Lot,
    /// What it waits for; absent: it is not behind.
    pub waits_for: Option<WaitsFor>,
}

/// So many publications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lot {
    /// How many.
    pub publications: u64,
    /// Their bytes, as protobuf, or in an outbox with their frames.
    pub bytes: u64,
}

/// What a subscription that is behind waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// What comes next, from the channel's log.
    Log,
    /// The next publication.
    Publication,
    /// Room in the outbox, or its turn.
    Room,
}

/// Frames in an outbox that do not wait for those of lower lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Which: `control`, or the channels of a priority.
    pub name: &'static str,
    /// How many.
    pub frames: u64,
    /// Their bytes, with [`crate::ITEM_OVERHEAD`] for each.
    pub bytes: u64,
}

/// A frame that is about to be written entirely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure<'a> {
    /// What it holds.
    pub kind: DepartureKind,
    /// The whole frame.
    pub frame: &'a [u8],
    /// What it is about; absent if that is no channel, or nobody listens to it any
    /// more.
    pub channel: Option<&'a Channel>,
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepartureKind {
    /// So many publications.
    Publications(u64),
    /// The report that so many were withheld.
    Gap(u64),
    /// An event for this member alone, or a frame of WebSocket's own.
    Control,
}

/// The lanes of an outbox, what leaves first before the others.
const LANES: [&str; DeliveryPolicy::MAX_PRIORITY as usize + 2] = [
    "control",
    "priority 9",
    "priority 8",
    "priority 7",
    "priority 6",
    "priority 5",
    "priority 4",
    "priority 3",
    "priority 2",
    "priority 1",
    "priority 0",
];

// === impl Hub ===

impl Hub {
    /// A member's subscriptions, in no order.
    ///
    /// Time grows with its subscriptions and its outbox, and with what is kept of
    /// the channels that it is behind in.
    pub fn explain(&self, member: MemberId) -> Vec<Listening<'_>> {
        let Some(found) = self.members.get(member) else {
            return Vec::new();
        };
        let queued = found.outbox.publications();
        let places = found.subscriptions.iter();
        let listening = places.filter_map(|&place| self.explain_place(place, &queued));
        listening.collect()
    }

    fn explain_place(
        &self,
        place: Subscription,
        queued: &HashMap<u32, Lot>,
    ) -> Option<Listening<'_>> {
        let entry = self.channels.get(place.channel)?;
        let head = entry.log.as_ref().map_or(0, |log| log.place().offset);
        let live = Listening {
            channel: &entry.name,
            alias: entry.alias,
            class: Class::All,
            overflow: entry.policy.overflow,
            is_behind: false,
            position: head,
            head,
            lag: Lot::default(),
            queued: queued.get(&entry.alias).copied().unwrap_or_default(),
            waits_for: None,
        };
        if place.follows() {
            let (class, lag) = entry.following.as_ref()?.lag(place.index());
            return Some(Listening {
                class,
                is_behind: lag.publications > 0,
                position: 0,
                lag,
                waits_for: (lag.publications > 0).then_some(WaitsFor::Room),
                ..live
            });
        }
        if !place.is_behind() {
            return Some(live);
        }
        let log = entry.log.as_ref()?;
        let behind = log.behind()[place.index()];
        Some(Listening {
            class: behind.class,
            is_behind: true,
            position: behind.cursor,
            lag: log.kept_behind(behind.cursor),
            waits_for: Some(match behind.awaits {
                Await::Verdict(_) | Await::Page => WaitsFor::Log,
                Await::Publication => WaitsFor::Publication,
                Await::Room => WaitsFor::Room,
            }),
            ..live
        })
    }

    /// What became of the publications of an account's channels so far.
    pub fn share(&self, account: Account) -> Share {
        self.members.ledger().share(account)
    }

    /// What a member was not given so far.
    pub fn loss(&self, member: MemberId) -> Loss {
        self.members.loss(member)
    }

    /// The frames of a member that are written entirely once so many more bytes of
    /// its outbox are.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn departures(
        &self,
        member: MemberId,
        bytes: usize,
    ) -> impl Iterator<Item = Departure<'_>> {
        let outbox = self.outbox(member);
        let mut left = outbox.written() + bytes;
        let leaving = outbox.queued().take_while(move |item| {
            let rest = left.checked_sub(item.frame().len());
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        leaving.map(|item| self.departure(item))
    }

    fn departure<'a>(&'a self, item: &'a Item) -> Departure<'a> {
        let kind = match item {
            Item::Publications { chunk, .. } => {
                DepartureKind::Publications(u64::from(chunk.publications()))
            }
            Item::Gap { gap, .. } => DepartureKind::Gap(gap.withheld()),
            Item::Control { .. } => DepartureKind::Control,
        };
        let key = self.channels.by_alias(item.alias());
        let entry = key.and_then(|key| self.channels.get(key));
        Departure {
            kind,
            frame: item.frame(),
            channel: entry.map(|entry| &entry.name),
        }
    }
}

// === impl Outbox ===

impl Outbox {
    /// What is in it, by lane, in the order in which they go before each other.
    pub fn lanes(&self) -> Vec<Lane> {
        let mut lanes = LANES.map(|name| Lane {
            name,
            frames: 0,
            bytes: 0,
        });
        for item in self.queued() {
            let lane = match item {
                Item::Control { .. } => 0,
                _ => 1 + usize::from(DeliveryPolicy::MAX_PRIORITY - item.priority()),
            };
            lanes[lane].frames += 1;
            lanes[lane].bytes += item.charge() as u64;
        }
        lanes.into_iter().filter(|lane| lane.frames > 0).collect()
    }

    /// The publications in it, by their channel's number.
    fn publications(&self) -> HashMap<u32, Lot> {
        let mut lots = HashMap::<u32, Lot>::new();
        for item in self.queued() {
            if let Item::Publications { chunk, .. } = item {
                let lot = lots.entry(chunk.alias()).or_default();
                lot.publications += u64::from(chunk.publications());
                lot.bytes += chunk.frame().len() as u64;
            }
        }
        lots
    }
}

// === impl WaitsFor ===

impl WaitsFor {
    /// As people read it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Publication => "publication",
            Self::Room => "room",
        }
    }
}
