//! The states themselves: read, kept for those who come, and as frames.

use std::{cell::OnceCell, collections::VecDeque, mem, rc::Rc, sync::Arc, time::Duration};

use bus::{BusError, HistoryPage};
use foldhash::HashMap;
use hub::{EncodedPublication, ITEM_OVERHEAD, Place};
use wire::{Channel, Epoch, Offset, Subprotocol, client::ErrorCode};

use super::super::{channels::Waiting, mail::ConnectionKey, post::code_of};
use crate::{clock::Tick, fanout::encode};

/// Keys in a state.
const MAX_KEYS: usize = 10_000;

/// How long a state is given to those who come.
const AGE: Duration = Duration::from_secs(2);

/// Bytes of states that are kept for those who come; beyond, each goes with the
/// last one who waits for it.
const MAX_KEPT: usize = 16 << 20;

/// The states that a shard has, or reads.
#[derive(Default)]
pub(crate) struct States {
    pub(super) by_channel: HashMap<Channel, State>,
    /// Channels whose logs are to be read on. Each is there once at most.
    pub(super) unread: VecDeque<Channel>,
    pub(super) under_way: usize,
    pub(super) last_token: u64,
    /// Of subscriptions, by slot, whose verdict the hub has yet to give.
    pub(super) expected: HashMap<u32, Vec<Expected>>,
}

/// What becomes of a subscription with the hub's verdict.
pub(super) struct Expected {
    pub(super) waiting: Waiting,
    /// What it gets; absent: it asked to go on from where it was, and wants the
    /// state if that can't be.
    pub(super) state: Option<Rc<Whole>>,
}

pub(super) struct State {
    /// Names it in mail.
    pub(super) token: u64,
    pub(super) alias: u32,
    pub(super) stage: Stage,
    pub(super) waiting: Vec<Waiting>,
}

pub(super) enum Stage {
    Reading(Gathered),
    Whole(Rc<Whole>),
}

/// A part of a state.
#[derive(Default)]
pub(super) struct Gathered {
    newest: HashMap<Box<str>, Arc<EncodedPublication>>,
    bytes: usize,
    /// Up to where the log was read.
    pub(super) end: Offset,
}

/// A state.
pub(super) struct Whole {
    pub(super) place: Place,
    pub(super) until: Tick,
    bytes: usize,
    /// In order of offset.
    publications: Vec<Arc<EncodedPublication>>,
    frames: [OnceCell<Frames>; Subprotocol::ALL.len()],
}

/// WebSocket messages that those who get them share.
type Frames = Rc<[Rc<[u8]>]>;

/// A page of a log that was read for a state.
pub(crate) struct StateRead {
    pub(super) channel: Channel,
    pub(super) token: u64,
    pub(super) outcome: Result<Page, BusError>,
}

pub(super) struct Page {
    epoch: Epoch,
    tip: Offset,
    more: bool,
    publications: Vec<(Box<str>, Arc<EncodedPublication>)>,
}

/// A channel as it flows to a shard now.
pub(super) struct Flow {
    pub(super) alias: u32,
    pub(super) life: u32,
    pub(super) epoch: Option<Epoch>,
}

/// What becomes of those who wait.
pub(super) enum Ready {
    /// They get it.
    Whole,
    /// There is none that could be given.
    Impossible,
    /// They begin anew: the shard has left the channel meanwhile.
    Anew,
    Failed(ErrorCode),
}

// === impl States ===

impl States {
    /// Whether somebody waits for the channel's state.
    pub(crate) fn is_wanted(&self, channel: &Channel) -> bool {
        let state = self.by_channel.get(channel);
        state.is_some_and(|state| !state.waiting.is_empty())
    }

    /// Notes that a subscription that waits for its verdict wants the state if it
    /// can't go on from where it was.
    pub(crate) fn expect_fallback(&mut self, waiting: Waiting) {
        self.expect(waiting, None);
    }

    pub(super) fn expect(&mut self, waiting: Waiting, state: Option<Rc<Whole>>) {
        let slot = waiting.connection.slot;
        let expected = self.expected.entry(slot).or_default();
        expected.push(Expected { waiting, state });
    }

    /// Takes what the verdict of a subscription was awaited for.
    pub(super) fn take_expected(&mut self, key: ConnectionKey, id: u32) -> Option<Expected> {
        let of_slot = self.expected.get_mut(&key.slot)?;
        let is_it = |it: &Expected| it.waiting.connection == key && it.waiting.id == id;
        let index = of_slot.iter().position(is_it)?;
        let expected = of_slot.swap_remove(index);
        if of_slot.is_empty() {
            self.expected.remove(&key.slot);
        }
        Some(expected)
    }

    /// What the states will take up in an outbox whose subscriptions await their
    /// verdict.
    pub(super) fn promised(&self, key: ConnectionKey, subprotocol: Subprotocol) -> usize {
        let of_slot = self.expected.get(&key.slot).into_iter().flatten();
        let own = of_slot.filter(|expected| expected.waiting.connection == key);
        let states = own.filter_map(|expected| expected.state.as_ref());
        states.map(|whole| whole.charge(subprotocol)).sum()
    }

    /// Lets go of what connections were promised that have gone.
    pub(super) fn forget_gone(&mut self, lives: impl Fn(ConnectionKey) -> bool) {
        self.expected.retain(|_, of_slot| {
            of_slot.retain(|expected| lives(expected.waiting.connection));
            !of_slot.is_empty()
        });
    }

    /// Has the log of the channel read from its beginning. Those who wait already
    /// go on waiting.
    pub(super) fn begin(&mut self, channel: &Channel, state: State) {
        let earlier = self.by_channel.insert(channel.clone(), state);
        let Some(earlier) = earlier else {
            return self.unread.push_back(channel.clone());
        };
        if let Some(state) = self.by_channel.get_mut(channel) {
            state.waiting.extend(earlier.waiting);
        }
        if !self.unread.contains(channel) {
            self.unread.push_back(channel.clone());
        }
    }

    fn kept_bytes(&self) -> usize {
        let bytes = |state: &State| match &state.stage {
            Stage::Whole(whole) => whole.bytes,
            Stage::Reading(_) => 0,
        };
        self.by_channel.values().map(bytes).sum()
    }

    /// Takes in what was read; absent if the channel is to be read on, or nobody
    /// wants it any more.
    pub(super) fn take_page(
        &mut self,
        read: StateRead,
        flow: Option<Flow>,
        max_bytes: usize,
        now: Tick,
    ) -> Option<Ready> {
        let kept = self.kept_bytes();
        let state = self.by_channel.get_mut(&read.channel)?;
        let Stage::Reading(gathered) = &mut state.stage else {
            return None;
        };
        if state.token != read.token {
            return None;
        }
        let Some(flow) = flow.filter(|flow| flow.alias == state.alias) else {
            return Some(Ready::Anew);
        };
        let page = match read.outcome {
            Ok(page) if flow.epoch.as_ref() == Some(&page.epoch) => page,
            Ok(_) | Err(BusError::NoLog) => return Some(Ready::Impossible),
            Err(error) => return Some(Ready::Failed(code_of(&error))),
        };
        let (tip, more) = (page.tip, page.more && !page.publications.is_empty());
        gathered.take(page);
        if gathered.bytes > max_bytes || gathered.newest.len() > MAX_KEYS {
            return Some(Ready::Impossible);
        }
        if more {
            self.unread.push_back(read.channel);
            return None;
        }
        let until = match kept + gathered.bytes <= MAX_KEPT {
            true => now.after(AGE),
            false => now,
        };
        let place = Place {
            life: flow.life,
            offset: tip.max(gathered.end).0,
        };
        let whole = mem::take(gathered).whole(place, until);
        state.stage = Stage::Whole(Rc::new(whole));
        Some(Ready::Whole)
    }
}

// === impl Gathered ===

impl Gathered {
    fn take(&mut self, page: Page) {
        for (key, publication) in page.publications {
            self.end = Offset(publication.offset());
            self.bytes += publication.encoded_len();
            if let Some(older) = self.newest.insert(key, publication) {
                self.bytes -= older.encoded_len();
            }
        }
    }

    fn whole(self, place: Place, until: Tick) -> Whole {
        let mut publications: Vec<_> = self.newest.into_values().collect();
        publications.sort_unstable_by_key(|publication| publication.offset());
        Whole {
            place,
            until,
            bytes: self.bytes,
            publications,
            frames: [const { OnceCell::new() }; Subprotocol::ALL.len()],
        }
    }
}

// === impl Whole ===

impl Whole {
    pub(super) fn frames(&self, subprotocol: Subprotocol) -> &Frames {
        let frames = || hub::frames(&self.publications, subprotocol);
        self.frames[subprotocol as usize].get_or_init(frames)
    }

    /// What it takes up in an outbox, with what comes before it.
    pub(super) fn charge(&self, subprotocol: Subprotocol) -> usize {
        let charge = |frame: &Rc<[u8]>| frame.len() + ITEM_OVERHEAD;
        let frames = self.frames(subprotocol).iter().map(charge);
        frames.sum::<usize>() + 4 * ITEM_OVERHEAD
    }
}

// === impl Page ===

impl Page {
    pub(super) fn new(page: HistoryPage, alias: u32, life: u32) -> Self {
        let encoded = page.messages.iter().map(|message| {
            let publication = Arc::new(encode(message, alias, life));
            (message.key.clone(), publication)
        });
        Self {
            publications: encoded.collect(),
            epoch: page.position.epoch,
            tip: page.position.offset,
            more: page.more,
        }
    }
}
