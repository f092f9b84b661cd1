//! Subscriptions that don't get all of a channel: they follow its newest
//! publications.
//!
//! A follower is a version: everything up to it was given, or counted as withheld.
//! One that keeps up gets what the listeners get. One that does not, or that gets
//! samples, is given the newest publication of each key behind its version when
//! there is room in its outbox, or when its sample is due, behind a `Gap` that
//! counts what was withheld. So a slow client costs a number, whatever flows.

use wire::client::{Gap, GapCause};

use crate::{
    chunk::{Batch, Chunks},
    class::Class,
    explain::Lot,
    feeding::Meal,
    gap,
    hub::{Hub, NotSubscribed},
    member::{MemberId, Members},
    newest::{Newest, Version},
    policy::{BacklogLimits, DeliveryPolicy, Overflow},
    pressure::Scale,
    subscription::Subscription,
};

/// What of a channel is given at a time to who is slow: it shall be new when it
/// has left.
const PORTION_BYTES: usize = 4 << 10;

/// The followers of a channel, and what they may yet be given.
#[derive(Debug)]
pub(crate) struct Following {
    followers: Vec<Follower>,
    /// The channel's.
    policy: DeliveryPolicy,
    newest: Newest,
    /// Of the newest publication.
    head: Version,
    /// Followers that have not been given all up to there.
    waiting: usize,
    /// When the next sample is due, in milliseconds.
    due_ms: u64,
}

/// One subscription.
#[derive(Clone, Copy, Debug)]
struct Follower {
    member: MemberId,
    class: Class,
    cursor: Version,
    /// It has not been given all that there is.
    waits: bool,
    /// It is to be given that now; its place says so, too.
    is_behind: bool,
    /// [`Newest::evicted`] when it last had everything.
    evicted: u64,
    /// When its next sample is due.
    due_ms: u64,
    /// What the bus lost behind the cursor.
    lost: Option<Gap>,
}

/// What a follower is given, and everybody else who is where it is.
pub(crate) struct Helping {
    chunks: Chunks,
    end: Version,
    withheld: Withheld,
}

#[derive(Clone, Copy, Debug, Default)]
struct Withheld {
    dropped: u64,
    conflated: u64,
}

/// Nothing is due.
pub(crate) const NEVER: u64 = u64::MAX;

// === impl Following ===

impl Following {
    pub(crate) fn new(policy: DeliveryPolicy) -> Self {
        Self {
            followers: Vec::new(),
            newest: Newest::new(),
            head: 0,
            waiting: 0,
            due_ms: NEVER,
            policy,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.followers.len()
    }

    /// Adds a follower from here on; returns its index.
    pub(crate) fn add(&mut self, member: MemberId, class: Class) -> usize {
        self.followers.push(Follower {
            member,
            class,
            cursor: self.head,
            waits: false,
            is_behind: false,
            evicted: 0,
            due_ms: 0,
            lost: None,
        });
        self.due_ms = 0;
        self.followers.len() - 1
    }

    /// Removes a follower; returns who has its index now, and whether that one is
    /// behind.
    pub(crate) fn remove(&mut self, index: usize) -> Option<(MemberId, bool)> {
        let removed = self.followers.swap_remove(index);
        if removed.waits {
            self.ends_waiting();
        }
        let moved = self.followers.get(index)?;
        Some((moved.member, moved.is_behind))
    }

    /// What a follower gets, and what it has not been given.
    pub(crate) fn lag(&self, index: usize) -> (Class, Lot) {
        let follower = &self.followers[index];
        if !follower.waits {
            return (follower.class, Lot::default());
        }
        let lag = Lot {
            publications: self.head - follower.cursor,
            bytes: self.newest.bytes_behind(follower.cursor),
        };
        (follower.class, lag)
    }

    fn ends_waiting(&mut self) {
        self.waiting -= 1;
        if self.waiting == 0 {
            self.newest.clear();
        }
    }

    /// Takes in what has come, and gives it to those who keep up.
    fn pass(&mut self, batch: &Batch, alias: u32, members: &mut Members, limits: &BacklogLimits) {
        let before = self.head;
        self.head += batch.publications().count() as u64;
        // Who gets samples is given none of this.
        let policy = self.policy.of_follower(Class::Latest);
        let mut chunks = Chunks::new(batch.clone(), alias, policy, members.scale());
        for follower in &mut self.followers {
            if !follower.waits && follower.takes_live(members) {
                members.append(follower.member, &mut chunks);
                follower.cursor = self.head;
                continue;
            }
            if !follower.waits {
                follower.waits = true;
                follower.cursor = before;
                follower.evicted = self.newest.evicted();
                self.waiting += 1;
            }
            for lost in batch.gaps() {
                follower.lose(lost);
            }
        }
        if self.waiting > 0 {
            for (version, publication) in (before + 1..).zip(batch.publications()) {
                self.newest.put(version, publication, limits);
            }
        }
    }

    /// Followers that wait for something other than their next sample, by index.
    fn fallen(&self) -> impl Iterator<Item = usize> {
        let followers = self.followers.iter().enumerate();
        let fallen = followers.filter(|(_, one)| {
            one.waits && !one.is_behind && !matches!(one.class, Class::Sampled(_))
        });
        fallen.map(|(index, _)| index)
    }

    /// Followers whose samples are due and that wait for them.
    fn due(&mut self, now_ms: u64) -> Vec<usize> {
        let mut due = Vec::new();
        if now_ms < self.due_ms {
            return due;
        }
        self.due_ms = NEVER;
        for (index, follower) in self.followers.iter_mut().enumerate() {
            let Class::Sampled(rate) = follower.class else {
                continue;
            };
            if follower.due_ms <= now_ms {
                follower.due_ms = rate.next_ms(now_ms);
                if follower.waits && !follower.is_behind {
                    due.push(index);
                }
            }
            self.due_ms = self.due_ms.min(follower.due_ms);
        }
        due
    }

    /// What comes next for a follower, about `bytes` of it.
    fn next(&self, alias: u32, index: usize, bytes: usize, scale: &Scale) -> Helping {
        let follower = &self.followers[index];
        let portion = self.newest.next(follower.cursor, self.head, bytes);
        let evicted = self.newest.evicted() - follower.evicted;
        let dropped = evicted.min(portion.withheld);
        let withheld = Withheld {
            dropped,
            conflated: portion.withheld - dropped,
        };
        let mut batch = portion.batch;
        if let Some(gap) = follower.told(alias, withheld) {
            batch.put_gap_first(gap);
        }
        let policy = self.policy.of_follower(follower.class);
        Helping {
            chunks: Chunks::new(batch, alias, policy, scale),
            end: portion.end,
            withheld,
        }
    }
}

// === impl Follower ===

impl Follower {
    fn takes_live(&self, members: &Members) -> bool {
        match self.class {
            Class::All => members.has_room(self.member),
            Class::Latest => members.keeps_up(self.member) && members.has_room(self.member),
            Class::Sampled(_) => false,
        }
    }

    fn lose(&mut self, lost: &Gap) {
        match &mut self.lost {
            Some(before) => gap::absorb(before, lost),
            none => *none = Some(*lost),
        }
    }

    /// The gap that tells what is withheld from it, if anything is.
    fn told(&self, alias: u32, withheld: Withheld) -> Option<Gap> {
        let Withheld { dropped, conflated } = withheld;
        let cause = match self.class {
            _ if dropped > 0 => GapCause::SlowConnection,
            Class::Sampled(_) => GapCause::Sampled,
            Class::All | Class::Latest => GapCause::SlowConnection,
        };
        let own = (dropped + conflated > 0).then(|| Gap {
            alias,
            dropped,
            conflated,
            cause: cause.into(),
            ..Gap::default()
        });
        match (own, self.lost) {
            (Some(mut own), Some(lost)) => {
                gap::absorb(&mut own, &lost);
                Some(own)
            }
            (own, lost) => own.or(lost),
        }
    }
}

// === impl Hub ===

impl Hub {
    /// Changes what a member gets of a channel from here on; `class` is what the
    /// channel gives at most. What it was to be given of the newest publications
    /// still comes.
    ///
    /// # Errors
    /// [`NotSubscribed`].
    pub fn set_class(
        &mut self,
        member: MemberId,
        channel: &wire::Channel,
        class: Class,
    ) -> Result<(), NotSubscribed> {
        let key = self.channels.by_name(channel).ok_or(NotSubscribed)?;
        self.flush(key);
        let place = self.members.get(member).and_then(|it| it.subscription(key));
        let place = place.ok_or(NotSubscribed)?;
        let entry = self.channels.get_mut(key).ok_or(NotSubscribed)?;
        if place.follows() {
            let following = entry.following.as_mut().expect("it is one of them");
            let follower = &mut following.followers[place.index()];
            follower.class = class;
            follower.due_ms = 0;
            following.due_ms = 0;
            let has_all = !follower.waits;
            self.note_sampled(key, class);
            if has_all && !self.is_follower(key, class) {
                self.unlist(place);
                self.listen(key, member, class);
            } else {
                self.await_fallen(key);
            }
        } else if place.is_behind() {
            let log = entry.log.as_mut().expect("it is behind in it");
            log.set_class(place.index(), class);
        } else if self.is_follower(key, class) {
            self.unlist(place);
            self.listen(key, member, class);
        }
        Ok(())
    }

    /// Whether a member may get newer publications of a channel in place of others.
    pub fn conflates(&self, member: MemberId, channel: &wire::Channel) -> bool {
        let find = || {
            let key = self.channels.by_name(channel)?;
            let place = self.members.get(member)?.subscription(key)?;
            if place.follows() || !place.is_behind() {
                return Some(place.follows());
            }
            let log = self.channels.get(key)?.log.as_ref()?;
            Some(self.is_follower(key, log.behind()[place.index()].class))
        };
        find().unwrap_or(false)
    }

    /// Lets those have their samples whose time has come. Returns when that is
    /// again: `now_ms` runs on from call to call, in milliseconds; [`u64::MAX`]:
    /// nobody gets samples.
    pub fn sample(&mut self, now_ms: u64) -> u64 {
        if now_ms < self.sample_ms {
            return self.sample_ms;
        }
        let mut next = NEVER;
        for key in std::mem::take(&mut self.sampled) {
            let following = self.channels.get_mut(key).map(|it| &mut it.following);
            let Some(Some(following)) = following else {
                continue;
            };
            let due = following.due(now_ms);
            if following.due_ms == NEVER {
                continue;
            }
            next = next.min(following.due_ms);
            self.sampled.push(key);
            for index in due {
                self.await_help(key, index);
            }
        }
        self.sample_ms = next;
        next
    }

    /// Whether a subscription of this class is no listener.
    pub(crate) fn is_follower(&self, key: u32, class: Class) -> bool {
        let entry = self.channels.get(key);
        let conflates = entry.is_some_and(|it| it.policy.overflow == Overflow::Conflate);
        conflates || class != Class::All
    }

    /// Remembers that a channel's followers may get samples.
    pub(crate) fn note_sampled(&mut self, key: u32, class: Class) {
        if !matches!(class, Class::Sampled(_)) {
            return;
        }
        self.sample_ms = 0;
        if !self.sampled.contains(&key) {
            self.sampled.push(key);
        }
    }

    /// Takes what a channel has for its followers.
    pub(crate) fn pass(&mut self, key: u32, batch: &Batch) {
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        let (alias, Some(following)) = (entry.alias, &mut entry.following) else {
            return;
        };
        following.pass(batch, alias, &mut self.members, &self.backlog);
        self.await_fallen(key);
    }

    /// Tells the followers of a channel that publications are missing.
    pub(crate) fn tell_followers(&mut self, key: u32, dropped: u64, cause: GapCause) {
        let mut lost = Batch::default();
        lost.push_gap(Gap {
            dropped,
            cause: cause.into(),
            alias: self.channels.get(key).map_or(0, |entry| entry.alias),
            ..Gap::default()
        });
        self.pass(key, &lost);
    }

    fn await_fallen(&mut self, key: u32) {
        let entry = self.channels.get(key);
        let following = entry.and_then(|entry| entry.following.as_ref());
        let Some(following) = following.filter(|it| it.waiting > 0) else {
            return;
        };
        for index in following.fallen().collect::<Vec<_>>() {
            self.fallen += 1;
            self.await_help(key, index);
        }
    }

    /// Lets a follower be given what there is, when it has room.
    fn await_help(&mut self, key: u32, index: usize) {
        let id = self.mark(key, index, true);
        self.members.make_hungry(id);
    }

    /// Notes whether a follower is behind, with it and with its member.
    fn mark(&mut self, key: u32, index: usize, is_behind: bool) -> MemberId {
        let entry = self.channels.get_mut(key);
        let following = entry.and_then(|entry| entry.following.as_mut());
        let follower = &mut following.expect("it is one of them").followers[index];
        follower.is_behind = is_behind;
        let member = follower.member;
        let enlisted = self.members.get_mut(member);
        let place = Subscription::following(key, index, is_behind);
        enlisted.expect("only members subscribe").enlist(place);
        match is_behind {
            true => self.lagging += 1,
            false => self.lagging -= 1,
        }
        member
    }

    /// Gives a follower a portion of what there is for it; `false` if there is no
    /// more for it now.
    pub(crate) fn help(&mut self, place: Subscription, id: MemberId, meal: &mut Meal) -> bool {
        let (key, index) = (place.channel, place.index());
        if !place.is_behind() {
            return false;
        }
        let bytes = match self.members.keeps_up(id) {
            true => self.members.portion(),
            false if self.members.holds_less(id, PORTION_BYTES / 8) => PORTION_BYTES,
            false => return false,
        };
        let Some(entry) = self.channels.get_mut(key) else {
            return false;
        };
        let (alias, Some(following)) = (entry.alias, &mut entry.following) else {
            return false;
        };
        let follower = following.followers[index];
        let scale = self.members.scale();
        let policy = following.policy.of_follower(follower.class);
        let mut own;
        let helping = if follower.lost.is_some() || follower.evicted != following.newest.evicted() {
            own = following.next(alias, index, bytes, scale);
            &mut own
        } else {
            let kind = policy.class.index();
            let at = (key, kind, follower.cursor, bytes);
            let made = || following.next(alias, index, bytes, scale);
            meal.helpings.entry(at).or_insert_with(made)
        };
        let Some(taken) = self.members.feed(id, &mut helping.chunks) else {
            return false;
        };
        meal.bytes += taken;
        let Withheld { dropped, conflated } = helping.withheld;
        self.members.withheld(id, policy, dropped, conflated);
        let follower = &mut following.followers[index];
        follower.cursor = helping.end;
        follower.lost = None;
        follower.evicted = following.newest.evicted();
        self.members.pass_turn(id, key);
        if follower.cursor < following.head {
            return true;
        }
        follower.waits = false;
        let class = follower.class;
        following.ends_waiting();
        self.mark(key, index, false);
        if !self.is_follower(key, class) {
            self.go_live(key, id);
        }
        false
    }
}
