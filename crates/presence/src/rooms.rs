//! All channels with members at this gateway, and what is to be done about them.
//!
//! No I/O and no clock: facts go in, a tick gives what to do.

use std::collections::VecDeque;

use bus::SubscriptionToken;
use foldhash::{HashMap, HashSet};
use tokio::time::Instant;
use wire::{Channel, GatewayId, SessionId, gateway::PresencePart};

use crate::{
    line::Line,
    member::Member,
    neighbours::Neighbours,
    own::{Departed, Entered},
    part::Heard,
    room::{Room, Stage, Tokens},
    settings::Settings,
    told::Told,
};

/// Within so many ticks every room tells its version to the others once.
const HEADS_WITHIN: usize = 75;

/// Parts of other gateways that may be asked for at the same time.
const MAX_ASKS: usize = 64;

/// Ticks after its call until a room knows the others.
const SETTLING: u64 = 4;

/// Rooms that have something for the others in one tick; more wait for the next one, so
/// that a gateway that was away does not say everything at once.
const MAX_TURNS: usize = 4_000;

/// The rooms.
#[derive(Debug)]
pub(crate) struct Rooms {
    gateway: GatewayId,
    settings: Settings,
    rooms: HashMap<Channel, Open>,
    /// Greater than all versions that rooms have had.
    version: u64,
    /// Sessions that have some time left to come back, in order of time.
    away: VecDeque<Away>,
    /// Rooms with something for the others, or the bus.
    dirty: Line,
    /// Rooms with something for clients.
    stirred: HashSet<Channel>,
    /// Rooms that have called the others, and the tick with which they settle.
    settling: VecDeque<(u64, Channel, u64)>,
    ticks: u64,
    /// Parts that have to be asked for.
    missing: HashSet<(Channel, GatewayId)>,
    asks: usize,
    neighbours: Neighbours,
    /// Rooms in the order in which they tell their version.
    ring: VecDeque<(Channel, u64)>,
    /// Grows with each tick by the number of rooms; of so many as there are ticks in a
    /// round, one is due.
    ring_due: usize,
}

#[derive(Debug)]
struct Open {
    room: Room,
    tokens: Tokens,
    /// Tells it from an earlier room of the channel.
    born: u64,
}

#[derive(Debug)]
struct Away {
    until: Instant,
    channel: Channel,
    session: SessionId,
    departure: u32,
}

/// Something to do, with no lock held.
#[derive(Debug)]
pub(crate) enum Work {
    /// Subscribe to what is said about the channel.
    Open(Channel),
    /// Answer questions about it.
    Serve(Channel),
    /// Let go of it.
    Close(Tokens),
    /// Say this.
    Say(Channel, PresencePart),
    /// Ask for a gateway's part.
    Ask(Channel, GatewayId),
    /// Tell clients.
    Tell(Channel, Told),
}

// === impl Rooms ===

impl Rooms {
    pub(crate) fn new(gateway: GatewayId, settings: Settings) -> Self {
        Self {
            gateway,
            settings,
            rooms: HashMap::default(),
            version: 0,
            away: VecDeque::new(),
            dirty: Line::default(),
            stirred: HashSet::default(),
            settling: VecDeque::new(),
            ticks: 0,
            missing: HashSet::default(),
            asks: 0,
            neighbours: Neighbours::default(),
            ring: VecDeque::new(),
            ring_due: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn members(&self) -> usize {
        self.rooms.values().map(|open| open.room.own.len()).sum()
    }

    pub(crate) fn get(&self, channel: &Channel) -> Option<&Room> {
        self.rooms.get(channel).map(|open| &open.room)
    }

    /// A connection here has subscribed.
    pub(crate) fn enter(&mut self, channel: &Channel, member: Member) {
        if !self.rooms.contains_key(channel) {
            self.version += 1;
            let born = self.version;
            let room = Room::new(born);
            let tokens = Tokens::default();
            let open = Open { room, tokens, born };
            self.rooms.insert(channel.clone(), open);
            self.ring.push_back((channel.clone(), born));
        }
        let Some(Open { room, .. }) = self.rooms.get_mut(channel) else {
            return;
        };
        match room.own.enter(member.clone()) {
            Entered::New => room.crowd.add(member),
            Entered::Known => room.crowd.update(member),
        }
        self.dirty.push(channel);
        self.stirred.insert(channel.clone());
    }

    /// A connection here has unsubscribed, or has gone. `until`: how long its
    /// session may come back.
    pub(crate) fn leave(&mut self, channel: &Channel, session: SessionId, until: Option<Instant>) {
        let Some(open) = self.rooms.get_mut(channel) else {
            return;
        };
        let Departed::Alone(departure) = open.room.own.depart(session) else {
            return;
        };
        let channel = channel.clone();
        match until {
            Some(until) => self.away.push_back(Away {
                until,
                channel,
                session,
                departure,
            }),
            None => self.forget(&channel, session, departure),
        }
    }

    /// A connection here wants to be told what happens.
    pub(crate) fn watch(&mut self, channel: &Channel) {
        if let Some(open) = self.rooms.get_mut(channel) {
            open.room.watchers += 1;
            self.welcome(channel);
        }
    }

    /// A connection here wants to be told everything anew.
    pub(crate) fn welcome(&mut self, channel: &Channel) {
        if let Some(open) = self.rooms.get_mut(channel) {
            open.room.newcomers = true;
            self.stirred.insert(channel.clone());
        }
    }

    /// A connection here does not want to be told any more.
    pub(crate) fn unwatch(&mut self, channel: &Channel) {
        if let Some(open) = self.rooms.get_mut(channel) {
            open.room.watchers = open.room.watchers.saturating_sub(1);
        }
    }

    /// The bus was asked for the channel.
    pub(crate) fn asked(&mut self, channel: &Channel, token: SubscriptionToken) {
        if let Some(open) = self.rooms.get_mut(channel) {
            open.tokens.words = Some(token);
        }
    }

    /// The bus delivers what is said about the channel, or not.
    pub(crate) fn opened(&mut self, channel: &Channel, succeeded: bool) {
        let Some(Open { room, born, .. }) = self.rooms.get_mut(channel) else {
            return;
        };
        match succeeded {
            true => {
                room.opened();
                let due = self.ticks + SETTLING;
                self.settling.push_back((due, channel.clone(), *born));
            }
            false => room.stage = Stage::New,
        }
        self.dirty.push(channel);
    }

    /// Questions about the channel are answered.
    pub(crate) fn served(&mut self, channel: &Channel, token: SubscriptionToken) {
        if let Some(open) = self.rooms.get_mut(channel) {
            open.tokens.questions = Some(token);
        }
    }

    /// Another gateway said something.
    pub(crate) fn hear(&mut self, channel: &Channel, word: &PresencePart) {
        let Some(gateway) = GatewayId::new(&word.gateway).filter(|it| *it != self.gateway) else {
            return;
        };
        let Some(Open { room, .. }) = self.rooms.get_mut(channel) else {
            return;
        };
        let had_lapsed = self.neighbours.hear(gateway.clone());
        match room.hear(&gateway, word) {
            Heard::Nothing => {}
            Heard::Changed => drop(self.stirred.insert(channel.clone())),
            Heard::Missing => drop(self.missing.insert((channel.clone(), gateway))),
        }
        if room.head_due {
            self.dirty.push(channel);
        }
        if had_lapsed {
            self.call_all();
        }
    }

    /// Another gateway says that it has no members there.
    pub(crate) fn has_none(&mut self, channel: &Channel, gateway: &GatewayId) {
        if let Some(open) = self.rooms.get_mut(channel)
            && open.room.bury(gateway)
        {
            self.stirred.insert(channel.clone());
        }
    }

    /// A question for a part has its outcome.
    pub(crate) fn answered(&mut self) {
        self.asks = self.asks.saturating_sub(1);
    }

    /// Something may have been missed: the others are to tell their versions.
    pub(crate) fn call(&mut self, channel: &Channel) {
        if let Some(open) = self.rooms.get_mut(channel) {
            open.room.call();
            self.dirty.push(channel);
        }
    }

    /// This gateway was away, or stood still: it calls in all rooms, and who thought
    /// that it was gone hears of it. Others may have been away as well, and have some
    /// time to be heard again.
    pub(crate) fn resync(&mut self) {
        self.neighbours.begin_anew();
        self.call_all();
    }

    fn call_all(&mut self) {
        for (channel, open) in &mut self.rooms {
            open.room.call();
            self.dirty.push(channel);
        }
    }

    /// The part of this gateway.
    pub(crate) fn whole(&self, channel: &Channel) -> PresencePart {
        match self.rooms.get(channel) {
            Some(open) => open.room.own.whole(&self.gateway),
            None => PresencePart {
                gateway: self.gateway.to_string(),
                version: self.version,
                whole: true,
                ..PresencePart::default()
            },
        }
    }

    /// A gateway lives, or says that it ends.
    pub(crate) fn beat(&mut self, gateway: GatewayId, ends: bool) {
        if gateway == self.gateway {
            return;
        }
        if ends {
            self.neighbours.end(&gateway);
            self.bury(&gateway);
        } else if self.neighbours.hear(gateway) {
            self.call_all();
        }
    }

    /// One of our own beats has passed. Gateways that have been silent for more than
    /// so many are gone; those of them that had members are returned.
    pub(crate) fn own_beat(&mut self, patience: u32) -> Vec<GatewayId> {
        let mut silent = self.neighbours.own_beat(patience);
        // Who has no members here is not missed.
        silent.retain(|gateway| self.bury(gateway));
        for gateway in &silent {
            self.neighbours.lapsed(gateway);
        }
        silent
    }

    /// What is to be done now. `online`: the bus carries messages.
    pub(crate) fn tick(&mut self, now: Instant, online: bool) -> Vec<Work> {
        let mut work = Vec::new();
        while self.away.front().is_some_and(|away| away.until <= now) {
            let Some(away) = self.away.pop_front() else {
                break;
            };
            self.forget(&away.channel, away.session, away.departure);
        }
        if online {
            self.ticks += 1;
            self.settle(&mut work);
            self.next_heads();
            // Who is put into the line again has its next turn with a later tick.
            for _ in 0..self.dirty.len().min(MAX_TURNS) {
                if let Some(channel) = self.dirty.pop() {
                    self.attend(channel, &mut work);
                }
            }
            self.next_asks(&mut work);
        }
        for channel in std::mem::take(&mut self.stirred) {
            let Some(open) = self.rooms.get_mut(&channel) else {
                continue;
            };
            let (told, later) = open.room.tell(&self.settings);
            let tell = |it| Work::Tell(channel.clone(), it);
            work.extend(told.into_iter().map(tell));
            if later {
                self.stirred.insert(channel);
            }
        }
        work
    }

    fn forget(&mut self, channel: &Channel, session: SessionId, departure: u32) {
        let Some(Open { room, .. }) = self.rooms.get_mut(channel) else {
            return;
        };
        if room.own.forget(session, departure) {
            room.crowd.remove(session);
            self.dirty.push(channel);
            self.stirred.insert(channel.clone());
        }
    }

    /// Whether it had members anywhere.
    fn bury(&mut self, gateway: &GatewayId) -> bool {
        let mut found = false;
        for (channel, open) in &mut self.rooms {
            if open.room.bury(gateway) {
                self.stirred.insert(channel.clone());
                found = true;
            }
        }
        found
    }

    /// Does what one room needs of the others and of the bus.
    fn attend(&mut self, channel: Channel, work: &mut Vec<Work>) {
        let Some(Open { room, tokens, .. }) = self.rooms.get_mut(&channel) else {
            return;
        };
        match room.stage {
            Stage::New if room.own.is_empty() => {
                self.close(&channel, work);
                return;
            }
            Stage::New => {
                room.stage = Stage::Asked;
                // Of an attempt that failed, if there are any.
                work.push(Work::Close(std::mem::take(tokens)));
                return work.push(Work::Open(channel));
            }
            Stage::Asked => return,
            Stage::Settling | Stage::Settled => {}
        }
        let word = room.own.next_word(&self.gateway);
        let due = std::mem::take(&mut room.head_due) || room.calls;
        let word = word.or_else(|| due.then(|| room.own.head(&self.gateway)));
        if let Some(mut word) = word {
            word.calls = std::mem::take(&mut room.calls);
            work.push(Work::Say(channel.clone(), word));
        }
        self.version = self.version.max(room.own.version());
        if room.own.is_empty() {
            self.close(&channel, work);
        }
    }

    /// Lets rooms settle whose time has come.
    fn settle(&mut self, work: &mut Vec<Work>) {
        while self
            .settling
            .front()
            .is_some_and(|(due, ..)| *due <= self.ticks)
        {
            let Some((_, channel, born)) = self.settling.pop_front() else {
                return;
            };
            let open = self.rooms.get_mut(&channel);
            if let Some(open) = open.filter(|open| open.born == born)
                && open.room.settle()
            {
                work.push(Work::Serve(channel.clone()));
                self.dirty.push(&channel);
                self.stirred.insert(channel);
            }
        }
    }

    fn close(&mut self, channel: &Channel, work: &mut Vec<Work>) {
        if let Some(open) = self.rooms.remove(channel) {
            work.push(Work::Close(open.tokens));
        }
    }

    /// Has some rooms tell their version, so that each does now and then.
    fn next_heads(&mut self) {
        self.ring_due += self.ring.len();
        while self.ring_due >= HEADS_WITHIN {
            self.ring_due -= HEADS_WITHIN;
            let Some((channel, born)) = self.ring.pop_front() else {
                return;
            };
            let open = self.rooms.get_mut(&channel);
            let Some(open) = open.filter(|open| open.born == born) else {
                continue;
            };
            open.room.head_due |= open.room.stage == Stage::Settled;
            let doubtful = open.room.doubtful().into_iter();
            let missing = doubtful.map(|gateway| (channel.clone(), gateway));
            self.missing.extend(missing);
            self.dirty.push(&channel);
            self.ring.push_back((channel, born));
        }
    }

    fn next_asks(&mut self, work: &mut Vec<Work>) {
        let room = MAX_ASKS.saturating_sub(self.asks);
        let asked: Vec<_> = self.missing.iter().take(room).cloned().collect();
        self.asks += asked.len();
        for missing in asked {
            self.missing.remove(&missing);
            work.push(Work::Ask(missing.0, missing.1));
        }
    }

    /// A part could not be had: it is asked for again.
    pub(crate) fn still_missing(&mut self, channel: Channel, gateway: GatewayId) {
        if self.rooms.contains_key(&channel) {
            self.missing.insert((channel, gateway));
        }
    }
}

#[cfg(test)]
mod tests;
