//! What a shard holds of one channel's log, and who is behind in it.
//!
//! **Invariant:** a member that is behind is no listener. So what is published
//! meanwhile comes to it when its cursor gets there, from here or from the log:
//! after what it missed, once, and without a buffer of its own.

mod reading;

use std::{collections::VecDeque, mem, sync::Arc};

use crate::{
    class::Class, explain::Lot, member::MemberId, place::Place, policy::BacklogLimits,
    publication::EncodedPublication, run::Run, verdict::Ticket,
};

/// A channel with a log. What it keeps is bounded by the limits of a ring and of
/// a few pages, and for all channels of a hub by a budget.
#[derive(Debug)]
pub(crate) struct Backlog {
    /// The newest publication that passed.
    place: Place,
    /// Publications may be missing behind it; the next one will tell.
    torn: bool,
    /// What is up to here can't be had any more, whoever asks.
    floor: u64,
    /// The newest offset that the log was seen to have.
    tip: u64,
    /// The last publications that passed.
    ring: Run,
    /// What was read from the log lately; the newest last.
    pages: VecDeque<Run>,
    /// Something was added to it since it was last asked.
    in_use: bool,
    behind: Vec<Behind>,
    /// Publications from this offset on are waited for by those behind.
    wake_at: u64,
    reading: Reading,
    /// Where the reads have got to on their way through the log.
    sweep: u64,
    /// How far the log reaches back is to be found out.
    look_back: bool,
}

/// A subscription that is behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    pub(crate) member: MemberId,
    /// The life that the cursor is of.
    life: u32,
    /// Offset of the last publication that it was given.
    pub(crate) cursor: u64,
    /// The read under way was begun for it, behind its cursor.
    is_read_for: bool,
    pub(crate) awaits: Await,
    /// What it gets when it is not behind any more.
    pub(crate) class: Class,
}

/// What keeps a subscription behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Await {
    /// To be known whether the log reaches back to where it was.
    Verdict(Ticket),
    /// What comes next, from the log.
    Page,
    /// The next publication.
    Publication,
    /// Its turn, and room in the outbox.
    Room,
}

/// What a read of the log is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Idle,
    /// One is to be made.
    Wanted,
    /// One is being made.
    UnderWay {
        token: u64,
        begun: Begun,
    },
    /// The last one failed; not before somebody says so.
    Paused,
}

/// How things were when a read began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) after: u64,
    /// The newest publication.
    head: u64,
    /// Publications went missing since.
    torn: bool,
}

/// What to do with a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It has passed already.
    Stopped,
    /// It follows the one before.
    Free,
    /// Others are missing before it, which nobody was told yet.
    Broken,
    /// The log has begun anew.
    Anew,
}

/// What a read of the log has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// It was read behind this offset.
    pub(crate) after: u64,
    /// What stood between that and this offset can't be had any more.
    pub(crate) gap_to: Option<u64>,
}

/// What comes next for a subscription that is behind.
pub(crate) enum Next<'a> {
    /// This has it.
    In(&'a Run),
    /// Nobody here has it: it must be read.
    Unknown,
    /// Nothing up to this offset can be had any more.
    Gone(u64),
    /// It has not been published yet, or not come.
    Later,
    /// Nothing: it has all there is.
    Nothing,
}

/// What became of the question whether a client's position can be continued from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Recovered,
    Lost,
    /// The log must be read first.
    Open,
}

/// Pages kept of one channel: those who lag at about the same place share them.
const MAX_PAGES: usize = 4;

/// What nobody waits for.
const NEVER: u64 = u64::MAX;

// === impl Backlog ===

impl Backlog {
    /// Of a channel whose next publication comes after `place`; with others
    /// missing between if it is torn there.
    pub(crate) fn new(place: Place, torn: bool) -> Self {
        Self {
            place,
            torn,
            floor: 0,
            tip: place.offset,
            ring: Run::behind(place.offset),
            pages: VecDeque::new(),
            in_use: false,
            behind: Vec::new(),
            wake_at: NEVER,
            reading: Reading::Idle,
            sweep: 0,
            look_back: false,
        }
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Whether who has everything up to `offset` gets the rest by listening.
    pub(crate) fn is_live(&self, offset: u64) -> bool {
        offset == self.place.offset && !self.torn
    }

    /// What to do with a publication whose log had the one at `previous` before it.
    pub(crate) fn passage(&self, place: Place, previous: u64) -> Passage {
        if place <= self.place {
            Passage::Stopped
        } else if place.life != self.place.life {
            Passage::Anew
        } else if previous > self.place.offset && !self.torn {
            // A smaller one is no sign: the log may have let go of all it had.
            Passage::Broken
        } else {
            Passage::Free
        }
    }

    /// Takes in the next publication; returns the offset of the one before it.
    pub(crate) fn advance(
        &mut self,
        publication: &Arc<EncodedPublication>,
        limits: &BacklogLimits,
    ) -> u64 {
        let before = self.place.offset;
        let follows = publication.previous() == before && before > 0;
        if self.torn && !follows {
            // The log has let go of all it had, perhaps also of what went missing.
            self.ring = Run::behind(publication.offset() - 1);
        }
        self.ring.push(publication);
        self.ring.trim(limits.ring_publications, limits.ring_bytes);
        self.in_use = true;
        self.reach(publication.offset());
        before
    }

    /// Notes that publications are missing behind the newest one: those up to
    /// `to`, or nobody knows which.
    pub(crate) fn tear(&mut self, to: Option<Place>) {
        match to {
            Some(to) => {
                self.ring = Run::behind(to.offset);
                self.reach(to.offset);
            }
            None => self.torn = true,
        }
        if let Reading::UnderWay { begun, .. } = &mut self.reading {
            begun.torn = true;
        }
    }

    fn reach(&mut self, offset: u64) {
        self.place.offset = offset;
        self.tip = self.tip.max(offset);
        self.torn = false;
    }

    /// Notes that the log has begun anew, and the next publication comes after
    /// `place`. Nobody may be behind but those who wait for their verdict.
    pub(crate) fn begin_anew(&mut self, place: Place) {
        // Whether it had others before that, nobody has told.
        let behind = mem::take(&mut self.behind);
        *self = Self {
            behind,
            ..Self::new(place, true)
        };
    }

    /// Whether those who wait for publications can go on now.
    pub(crate) fn is_awaited(&self) -> bool {
        self.place.offset >= self.wake_at
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.ring.bytes() + self.pages.iter().map(Run::bytes).sum::<usize>()
    }

    /// Whether it was used since it was last asked.
    pub(crate) fn was_used(&mut self) -> bool {
        mem::take(&mut self.in_use)
    }

    /// Gives back what it keeps: the log has it.
    pub(crate) fn clear(&mut self) {
        self.ring.clear();
        self.pages.clear();
    }

    // --- who is behind ---

    pub(crate) fn behind(&self) -> &[Behind] {
        &self.behind
    }

    /// What is known here to come behind `cursor`: the log may have more.
    pub(crate) fn kept_behind(&self, cursor: u64) -> Lot {
        let runs = self.pages.iter().chain([&self.ring]);
        let lots = runs.map(|run| run.lot_behind(cursor));
        lots.max_by_key(|lot| lot.publications).unwrap_or_default()
    }

    /// Adds a subscription that has everything up to `cursor`; returns its index.
    pub(crate) fn add(
        &mut self,
        member: MemberId,
        cursor: u64,
        awaits: Await,
        class: Class,
    ) -> usize {
        self.behind.push(Behind {
            member,
            class,
            life: self.place.life,
            cursor,
            is_read_for: false,
            awaits,
        });
        self.behind.len() - 1
    }

    /// Removes a subscription; returns who has its index now.
    pub(crate) fn remove(&mut self, index: usize) -> Option<MemberId> {
        self.behind.swap_remove(index);
        self.behind.get(index).map(|behind| behind.member)
    }

    /// What comes next behind `cursor`.
    pub(crate) fn next(&self, cursor: u64) -> Next<'_> {
        if cursor < self.floor {
            return Next::Gone(self.floor);
        }
        if self.is_live(cursor) {
            return Next::Nothing;
        }
        let mut runs = std::iter::once(&self.ring).chain(&self.pages);
        match runs.find(|run| run.continues(cursor)) {
            Some(run) => Next::In(run),
            None if cursor > self.place.offset => Next::Later,
            None => Next::Unknown,
        }
    }

    /// Notes that somebody waits for the publication at `offset`.
    pub(crate) fn wake_at(&mut self, offset: u64) {
        self.wake_at = self.wake_at.min(offset);
    }

    /// Those who wait for publications, or for what has become known, and may
    /// go on now.
    pub(crate) fn wake(&mut self) -> Vec<MemberId> {
        self.wake_at = NEVER;
        let mut awake = Vec::new();
        for index in 0..self.behind.len() {
            let Behind {
                member,
                cursor,
                awaits,
                ..
            } = self.behind[index];
            let waits = match awaits {
                Await::Verdict(_) | Await::Room => continue,
                Await::Page => matches!(self.next(cursor), Next::Unknown),
                Await::Publication if matches!(self.next(cursor), Next::Later) => {
                    self.wake_at(cursor);
                    true
                }
                Await::Publication => false,
            };
            if !waits {
                self.behind[index].awaits = Await::Room;
                awake.push(member);
            }
        }
        awake
    }

    /// Whether a client that has everything up to `offset` can be given the rest.
    /// `own_read`: what was just read from the log behind it, for its sake.
    pub(crate) fn judge(&self, offset: u64, own_read: Option<Taken>) -> Judgement {
        if own_read.is_some_and(|read| read.gap_to.is_some()) {
            return Judgement::Lost;
        }
        match self.next(offset) {
            Next::Gone(_) => Judgement::Lost,
            Next::Nothing | Next::In(_) => Judgement::Recovered,
            // Its gateway was ahead of this one.
            Next::Later if offset <= self.tip => Judgement::Recovered,
            Next::Later if own_read.is_some() => Judgement::Lost,
            Next::Later | Next::Unknown => Judgement::Open,
        }
    }

    /// The same for one that waits for its verdict.
    pub(crate) fn judge_again(&self, behind: &Behind, read: Option<Taken>) -> Judgement {
        match read {
            Some(_) if behind.life == self.place.life => {
                self.judge(behind.cursor, read.filter(|_| behind.is_read_for))
            }
            _ => Judgement::Lost,
        }
    }

    /// Changes what one that is behind will get when it is not.
    pub(crate) fn set_class(&mut self, index: usize, class: Class) {
        self.behind[index].class = class;
    }

    /// Moves one that is behind.
    pub(crate) fn put(&mut self, index: usize, cursor: u64, awaits: Await) {
        let behind = &mut self.behind[index];
        behind.life = self.place.life;
        behind.cursor = cursor;
        behind.awaits = awaits;
    }
}

// === impl Behind ===

impl Behind {
    fn waits_for_read(&self) -> bool {
        matches!(self.awaits, Await::Verdict(_) | Await::Page)
    }
}
