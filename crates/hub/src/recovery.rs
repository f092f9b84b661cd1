//! Subscriptions that are behind: those of clients that come back, and of slow
//! ones. Both are the same: a cursor, and what follows it is given as far as the
//! outbox takes it, from what is kept here or from the log, until the cursor is
//! where the channel is. Then the subscription is live.
//!
//! ```text
//!            since --> Verdict --recovered--> Room --all given--> live
//!                         \--lost--> (Room, where the channel is)
//!            live --does not fit--> Room
//!            Room --not here--> Page --read--> Room
//!            Room --not come yet--> Publication --comes--> Room
//! ```
//!
//! One read at a time is made of a channel, for all who wait in it.

use std::sync::Arc;

use wire::{
    Channel,
    client::{Gap, GapCause},
};

use crate::{
    backlog::{Await, Judgement, Passage, Taken},
    class::Class,
    hub::Hub,
    log_read::{LogRead, ReadOutcome},
    member::{Fallen, MemberId},
    place::Place,
    publication::EncodedPublication,
    verdict::{Answer, Entrance, Start, Verdict},
};

// === impl Hub ===

impl Hub {
    /// The newest publication of a channel; absent if nobody listens or it keeps
    /// no log.
    pub fn place(&self, channel: &Channel) -> Option<Place> {
        let key = self.channels.by_name(channel)?;
        Some(self.channels.get(key)?.log.as_ref()?.place())
    }

    /// The next read of a log that is wanted. It must be ended by
    /// [`Self::end_read`].
    pub fn next_read(&mut self) -> Option<LogRead> {
        while let Some(key) = self.unread.pop_front() {
            let Some(entry) = self.channels.get_mut(key) else {
                continue;
            };
            let Some(log) = &mut entry.log else { continue };
            self.next_token += 1;
            if let Some(after) = log.begin_read(self.next_token) {
                return Some(LogRead {
                    token: self.next_token,
                    channel: entry.name.clone(),
                    alias: entry.alias,
                    life: log.place().life,
                    after,
                    limit: self.backlog.page_publications,
                    max_bytes: self.backlog.page_bytes,
                });
            }
        }
        None
    }

    /// Ends a read. Those who waited for their verdict must be told before
    /// anything else happens to the hub.
    pub fn end_read(&mut self, read: &LogRead, outcome: ReadOutcome) -> Vec<Answer> {
        let Some(key) = self.channels.by_alias(read.alias) else {
            return Vec::new();
        };
        let Some(log) = self.channels.log_mut(key) else {
            return Vec::new();
        };
        let Some(begun) = log.end_read(read.token) else {
            return Vec::new();
        };
        let mut torn = false;
        let taken = match &outcome {
            ReadOutcome::Gone => {
                torn = log.give_up();
                Some(None)
            }
            ReadOutcome::Page(page) => log.take_page(begun, page).map(Some),
            ReadOutcome::Failed => None,
        };
        let Some(taken) = taken else {
            log.pause_reads();
            return self.refuse(key);
        };
        if let ReadOutcome::Page(page) = &outcome {
            let bytes = page.publications.iter().map(|it| it.encoded_len());
            self.kept += bytes.sum::<usize>();
        }
        if let Some(taken) = taken {
            self.tell_broken(key, taken);
        }
        if torn {
            self.tell_torn(key);
        }
        let answers = self.judge(key, taken);
        self.wake(key);
        self.want_read(key);
        answers
    }

    /// Tells those who are behind that something is missing up to here, and that
    /// nobody can say what.
    fn tell_torn(&mut self, key: u32) {
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        let (alias, priority) = (entry.alias, entry.policy.priority);
        let Some(log) = &mut entry.log else { return };
        let gap = Gap {
            alias,
            cause: GapCause::Bus.into(),
            ..Gap::default()
        };
        let here = log.place().offset;
        for index in 0..log.behind().len() {
            let behind = log.behind()[index];
            if behind.cursor <= here && !matches!(behind.awaits, Await::Verdict(_)) {
                self.members.tell_gap(behind.member, gap, priority, None);
                log.put(index, here, Await::Room);
                self.members.make_hungry(behind.member);
            }
        }
    }

    /// A log that could not be read may be read again.
    pub fn retry(&mut self, alias: u32) {
        if let Some(key) = self.channels.by_alias(alias)
            && let Some(log) = self.channels.log_mut(key)
        {
            log.resume_reads();
            self.want_read(key);
        }
    }

    /// Begins a subscription to a channel with a log.
    pub(crate) fn enter(
        &mut self,
        key: u32,
        member: MemberId,
        start: Start,
        class: Class,
    ) -> Entrance {
        let Some(log) = self.channels.log_mut(key) else {
            self.listen(key, member, class);
            return Entrance::Now;
        };
        let head = log.place().offset;
        let (entrance, cursor, awaits) = match start {
            Start::Now => (Entrance::Now, head, Await::Room),
            Start::Since { offset, ticket } => match log.judge(offset, None) {
                Judgement::Recovered => (Entrance::Recovered, offset, Await::Room),
                Judgement::Lost => (Entrance::Lost, head, Await::Room),
                Judgement::Open => (Entrance::Unknown, offset, Await::Verdict(ticket)),
            },
        };
        if log.is_live(cursor) {
            self.listen(key, member, class);
        } else {
            self.lag(key, member, cursor, awaits, class);
        }
        entrance
    }

    /// Makes those fall behind whom the log will give what did not fit.
    pub(crate) fn settle(&mut self) {
        for fallen in self.members.take_fallen() {
            self.fall(fallen);
        }
    }

    #[cold]
    fn fall(&mut self, fallen: Fallen) {
        let Fallen {
            member,
            alias,
            cursor,
        } = fallen;
        let Some(key) = self.channels.by_alias(alias) else {
            return;
        };
        let subscriptions = self.members.get(member);
        let Some(place) = subscriptions.and_then(|member| member.subscription(key)) else {
            return;
        };
        let Some(log) = self.channels.log_mut(key) else {
            return;
        };
        if place.follows() {
            return;
        }
        if place.is_behind() {
            log.put(place.index(), cursor, Await::Room);
            self.members.make_hungry(member);
        } else {
            self.fallen += 1;
            self.unlist(place);
            self.lag(key, member, cursor, Await::Room, Class::All);
        }
    }

    /// Makes all listeners of a channel continue from the log: what comes next
    /// is not what follows.
    pub(crate) fn fall_all(&mut self, key: u32) {
        self.flush(key);
        let Some(entry) = self.channels.get(key) else {
            return;
        };
        let Some(log) = &entry.log else { return };
        let (alias, cursor) = (entry.alias, log.place().offset);
        for member in entry.listeners.clone() {
            self.fall(Fallen {
                member,
                alias,
                cursor,
            });
        }
    }

    /// Notes that publications are missing behind the newest one: those up to
    /// `to`, or nobody knows which.
    pub(crate) fn tear(&mut self, key: u32, to: Option<Place>) {
        if let Some(log) = self.channels.log_mut(key) {
            log.tear(to);
            if log.is_awaited() {
                self.wake(key);
            }
        }
    }

    /// Looks where a publication belongs; `false`: nowhere.
    pub(crate) fn let_pass(&mut self, key: u32, publication: &EncodedPublication) -> bool {
        let Some(log) = self.channels.log_mut(key) else {
            return true;
        };
        let (place, previous) = (Place::of(publication), publication.previous());
        match log.passage(place, previous) {
            Passage::Stopped => return false,
            Passage::Free => {}
            Passage::Broken => self.lose(key, 0, GapCause::Bus),
            Passage::Anew => self.begin_anew(
                key,
                Place {
                    offset: previous,
                    ..place
                },
            ),
        }
        true
    }

    /// Tells everybody that the log has begun anew: whoever was behind in the old
    /// one misses what was left of it. Those who wait for a verdict go on waiting.
    pub(crate) fn begin_anew(&mut self, key: u32, place: Place) {
        self.flush(key);
        self.push_gap(key, 0, GapCause::Bus);
        // Alone, so that it is told even if what follows is put off.
        self.flush(key);
        let Some(entry) = self.channels.get(key) else {
            return;
        };
        let Some(log) = &entry.log else { return };
        let gap = Gap {
            alias: entry.alias,
            cause: GapCause::Bus.into(),
            ..Gap::default()
        };
        let priority = entry.policy.priority;
        let behind = log.behind().iter();
        let behind = behind.filter(|behind| !matches!(behind.awaits, Await::Verdict(_)));
        let behind: Vec<MemberId> = behind.map(|behind| behind.member).collect();
        for member in behind {
            self.members.tell_gap(member, gap, priority, None);
            self.go_live(key, member);
        }
        if let Some(log) = self.channels.log_mut(key) {
            log.begin_anew(place);
        }
        self.want_read(key);
    }

    /// Takes a publication into what is kept; returns the offset of the one
    /// before it.
    pub(crate) fn keep(&mut self, key: u32, publication: &Arc<EncodedPublication>) -> u64 {
        let Some(log) = self.channels.log_mut(key) else {
            return 0;
        };
        let before = log.advance(publication, &self.backlog);
        if log.is_awaited() {
            self.wake(key);
        }
        self.kept += publication.encoded_len();
        before
    }

    /// Puts a member among those who are behind.
    fn lag(&mut self, key: u32, id: MemberId, cursor: u64, awaits: Await, class: Class) {
        let place = self.channels.add_behind(key, id, cursor, awaits, class);
        let member = self.members.get_mut(id);
        member.expect("only members subscribe").enlist(place);
        self.lagging += 1;
        match awaits {
            Await::Room => self.members.make_hungry(id),
            _ => self.want_read(key),
        }
    }

    /// Puts a member that is behind, and has all there is, among the listeners.
    pub(crate) fn go_live(&mut self, key: u32, member: MemberId) {
        // What waits was given to it already, and is for the others.
        self.flush(key);
        let subscriptions = self.members.get(member);
        let Some(place) = subscriptions.and_then(|member| member.subscription(key)) else {
            return;
        };
        let log = self.channels.get(key).and_then(|entry| entry.log.as_ref());
        let class = match log {
            Some(log) if !place.follows() => log.behind()[place.index()].class,
            _ => Class::All,
        };
        self.unlist(place);
        self.listen(key, member, class);
    }

    /// Notes that somebody waits for a read of the log, if so.
    pub(crate) fn want_read(&mut self, key: u32) {
        if let Some(log) = self.channels.log_mut(key)
            && log.is_read_awaited()
            && log.want_read()
        {
            self.unread.push_back(key);
        }
    }

    /// Lets those go on who waited for what has come.
    fn wake(&mut self, key: u32) {
        if let Some(log) = self.channels.log_mut(key) {
            for member in log.wake() {
                self.members.make_hungry(member);
            }
        }
    }

    /// Tells those who asked for what the log has no more.
    fn tell_broken(&mut self, key: u32, taken: Taken) {
        let Some(entry) = self.channels.get_mut(key) else {
            return;
        };
        let priority = entry.policy.priority;
        let (alias, Some(log)) = (entry.alias, &mut entry.log) else {
            return;
        };
        let Some(to) = taken.gap_to else { return };
        for index in 0..log.behind().len() {
            let behind = log.behind()[index];
            if behind.awaits == Await::Page && behind.cursor == taken.after {
                let gap = missed(alias, behind.cursor, to);
                self.members
                    .tell_gap(behind.member, gap, priority, Some(behind.cursor));
                log.put(index, to, Await::Room);
                self.members.make_hungry(behind.member);
            }
        }
    }

    /// Answers those whose verdict is known now.
    fn judge(&mut self, key: u32, taken: Option<Taken>) -> Vec<Answer> {
        let mut answers = Vec::new();
        let Some(log) = self.channels.log_mut(key) else {
            return answers;
        };
        let here = log.place();
        for index in 0..log.behind().len() {
            let behind = log.behind()[index];
            let Await::Verdict(ticket) = behind.awaits else {
                continue;
            };
            let (verdict, cursor) = match log.judge_again(&behind, taken) {
                Judgement::Open => continue,
                Judgement::Recovered => (
                    Verdict::Recovered(Place {
                        offset: behind.cursor,
                        ..here
                    }),
                    behind.cursor,
                ),
                Judgement::Lost => (Verdict::Lost(here), here.offset),
            };
            log.put(index, cursor, Await::Room);
            self.members.make_hungry(behind.member);
            answers.push(Answer {
                member: behind.member,
                ticket,
                verdict,
            });
        }
        answers
    }

    /// Ends the subscriptions that wait for a verdict.
    fn refuse(&mut self, key: u32) -> Vec<Answer> {
        let Some(log) = self.channels.log_mut(key) else {
            return Vec::new();
        };
        let waiting = log
            .behind()
            .iter()
            .filter_map(|behind| match behind.awaits {
                Await::Verdict(ticket) => Some((behind.member, ticket)),
                _ => None,
            });
        let waiting: Vec<_> = waiting.collect();
        let verdict = Verdict::Unavailable;
        for &(member, _) in &waiting {
            self.end(member, key);
        }
        let answers = waiting.into_iter();
        let answers = answers.map(|(member, ticket)| Answer {
            member,
            ticket,
            verdict,
        });
        answers.collect()
    }

    /// Forgets what nobody used lately if too much is kept, or everything if that
    /// is not enough: the logs have it. Not before those were fed who waited for
    /// it, or they might wait for ever.
    pub(crate) fn tidy(&mut self) {
        if self.kept <= self.backlog.total_bytes / 2 {
            return;
        }
        let mut kept: usize = self.channels.logs_mut().map(|log| log.bytes()).sum();
        // As much again may come before the next look.
        let budget = self.backlog.total_bytes / 2;
        for everything in [false, true] {
            if kept <= budget {
                break;
            }
            for log in self.channels.logs_mut() {
                if !log.was_used() || everything {
                    kept -= log.bytes();
                    log.clear();
                }
            }
        }
        self.kept = 0;
    }
}

/// A gap that covers what is behind `cursor`, up to `to`.
pub(crate) fn missed(alias: u32, cursor: u64, to: u64) -> Gap {
    Gap {
        alias,
        from: cursor + 1,
        to,
        cause: GapCause::SlowConnection.into(),
        ..Gap::default()
    }
}
