//! Gives those who are behind what comes next for them.

use std::cmp::Reverse;

use foldhash::{HashMap, HashMapExt};
use smallvec::SmallVec;

use crate::{
    backlog::{Await, Next},
    chunk::Chunks,
    following::Helping,
    hub::Hub,
    member::MemberId,
    newest::Version,
    recovery::missed,
};

/// Bytes given in one turn, so that live publications do not wait for long.
const MEAL_BYTES: usize = 4 << 20;

/// Members looked at in one turn.
const MEAL_MEMBERS: usize = 1024;

/// What is given in one turn. Who stands at the same place gets the same chunk.
pub(crate) struct Meal {
    /// By channel and cursor, with the cursor behind it.
    chunks: HashMap<(u32, u64), (Chunks, u64)>,
    /// The same for those who don't get all.
    pub(crate) helpings: HashMap<(u32, usize, Version, usize), Helping>,
    pub(crate) bytes: usize,
    members: usize,
}

// === impl Hub ===

impl Hub {
    /// Gives members that are behind what follows, as far as their outboxes have
    /// room, a bounded part of it at a time; `true` if more can be given now.
    pub fn feed(&mut self) -> bool {
        if self.members.anybody_hungry() {
            let mut meal = Meal::new();
            while !meal.is_over()
                && let Some(member) = self.members.next_hungry()
            {
                self.feed_member(member, &mut meal);
            }
        }
        self.tidy();
        self.members.anybody_hungry()
    }

    /// Gives one member a chunk of each channel in turn.
    fn feed_member(&mut self, id: MemberId, meal: &mut Meal) {
        meal.members += 1;
        let Some(member) = self.members.get(id) else {
            return;
        };
        let behind = member.subscriptions.iter().filter(|it| it.is_behind());
        let mut keys: SmallVec<[u32; 4]> = behind.map(|place| place.channel).collect();
        let priority = |key: &u32| self.channels.get(*key).map(|entry| entry.policy.priority);
        keys.sort_by_key(|key| Reverse(priority(key)));
        while !keys.is_empty() && self.members.has_room(id) {
            if meal.is_over() {
                return self.members.make_hungry(id);
            }
            keys.retain(|key| self.members.has_room(id) && self.feed_from(*key, id, meal));
        }
    }

    /// Gives a member the next chunk of a channel; `false` if there is no more
    /// for it now.
    fn feed_from(&mut self, key: u32, id: MemberId, meal: &mut Meal) -> bool {
        let Some(place) = self.members.get(id).and_then(|it| it.subscription(key)) else {
            return false;
        };
        if place.follows() {
            return self.help(place, id, meal);
        }
        let Some(entry) = self.channels.get_mut(key) else {
            return false;
        };
        let (alias, policy, Some(log)) = (entry.alias, entry.policy, &mut entry.log) else {
            return false;
        };
        let index = place.index();
        let behind = log.behind()[index];
        if let Await::Verdict(_) = behind.awaits {
            return false;
        }
        let cursor = behind.cursor;
        match log.next(cursor) {
            Next::In(run) => {
                let portion = self.members.portion();
                let scale = self.members.scale().clone();
                let (chunks, end) = meal.chunks.entry((key, cursor)).or_insert_with(|| {
                    let (batch, end) = run.batch(cursor, portion);
                    (Chunks::new(batch, alias, policy, &scale), end)
                });
                let taken = self.members.feed(id, chunks);
                if let Some(bytes) = taken {
                    meal.bytes += bytes;
                    log.put(index, *end, Await::Room);
                }
                return taken.is_some();
            }
            Next::Gone(to) => {
                let gap = missed(alias, cursor, to);
                self.members
                    .tell_gap(id, gap, policy.priority, Some(cursor));
                log.put(index, to, Await::Room);
                return true;
            }
            Next::Nothing => self.go_live(key, id),
            Next::Later => {
                log.wake_at(cursor);
                log.put(index, cursor, Await::Publication);
            }
            Next::Unknown => {
                log.put(index, cursor, Await::Page);
                self.want_read(key);
            }
        }
        false
    }
}

// === impl Meal ===

impl Meal {
    fn new() -> Self {
        Self {
            chunks: HashMap::new(),
            helpings: HashMap::new(),
            bytes: 0,
            members: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.bytes >= MEAL_BYTES || self.members >= MEAL_MEMBERS
    }
}
