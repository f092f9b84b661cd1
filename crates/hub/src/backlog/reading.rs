//! Which read of a log is to be made next, and what it shows.
//!
//! There is one at a time, for all who wait.

use std::mem;

use super::{Backlog, Begun, Behind, MAX_PAGES, Reading, Taken};
use crate::{log_read::LogPage, run::Run};

// === impl Backlog ===

impl Backlog {
    /// Notes that somebody waits for a read; `true` if one is to be made for it.
    pub(crate) fn want_read(&mut self) -> bool {
        let idle = self.reading == Reading::Idle;
        if idle {
            self.reading = Reading::Wanted;
        }
        idle
    }

    /// Begins the read that is wanted, behind the offset returned. Absent: nobody
    /// wants it any more.
    pub(crate) fn begin_read(&mut self, token: u64) -> Option<u64> {
        if self.reading != Reading::Wanted {
            return None;
        }
        self.reading = Reading::Idle;
        let after = match mem::take(&mut self.look_back) {
            true => 0,
            false => self.wanted()?,
        };
        for behind in &mut self.behind {
            behind.is_read_for = behind.waits_for_read() && behind.cursor == after;
        }
        let begun = Begun {
            after,
            head: self.place.offset,
            torn: false,
        };
        self.reading = Reading::UnderWay { token, begun };
        Some(after)
    }

    /// Reads go through the log from its beginning to its end, again and again:
    /// everybody's turn comes, and who is met on the way is taken along.
    fn wanted(&self) -> Option<u64> {
        let waiting = self.behind.iter().filter(|behind| behind.waits_for_read());
        let cursors = || waiting.clone().map(|behind| behind.cursor);
        let ahead = cursors().filter(|&cursor| cursor >= self.sweep).min();
        ahead.or_else(|| cursors().min())
    }

    /// Whether somebody waits for a read.
    pub(crate) fn is_read_awaited(&self) -> bool {
        self.behind.iter().any(Behind::waits_for_read)
    }

    /// Ends the read with this token. Absent if it is of an earlier life, or an
    /// earlier time that this shard listened.
    pub(crate) fn end_read(&mut self, token: u64) -> Option<Begun> {
        match self.reading {
            Reading::UnderWay { token: of, begun } if of == token => {
                self.reading = Reading::Idle;
                Some(begun)
            }
            _ => None,
        }
    }

    /// No read will help for a while.
    pub(crate) fn pause_reads(&mut self) {
        self.reading = Reading::Paused;
    }

    /// Reads may help again.
    pub(crate) fn resume_reads(&mut self) {
        if self.reading == Reading::Paused {
            self.reading = Reading::Idle;
        }
    }

    /// Takes in a part of the log, which reached up to `tip`. `None`: it can't be
    /// as the read says, as that has seen less of the log than we.
    pub(crate) fn take_page(&mut self, begun: Begun, page: &LogPage) -> Option<Taken> {
        let after = begun.after;
        let Some(first) = page.publications.first() else {
            return self.take_end(begun, page.tip);
        };
        let mut run = Run::behind(after);
        for publication in &page.publications {
            run.push(publication);
        }
        self.sweep = run.end();
        self.tip = self.tip.max(page.tip).max(run.end());
        if self.pages.len() == MAX_PAGES {
            self.pages.pop_front();
        }
        self.pages.push_back(run);
        self.in_use = true;
        let from = first.previous();
        let broken = from > after;
        if broken && after == 0 {
            self.floor = self.floor.max(from);
        } else if broken {
            // It may be only this offset that the log never had.
            let mut others = self.behind.iter().filter(|it| it.waits_for_read());
            self.look_back = others.any(|it| it.cursor < from && it.cursor != after);
        }
        let gap_to = broken.then_some(from);
        Some(Taken { after, gap_to })
    }

    /// Nothing stands behind the offset that was read from.
    fn take_end(&mut self, begun: Begun, tip: u64) -> Option<Taken> {
        let Begun { after, head, torn } = begun;
        if tip < head {
            return None;
        }
        self.tip = self.tip.max(tip);
        self.sweep = 0;
        if after < head {
            self.floor = self.floor.max(head);
        } else if after == self.place.offset && !torn {
            // Nothing is missing, or nobody will ever know: all it had is gone.
            match tip == after {
                true => self.torn = false,
                false => self.floor = self.floor.max(tip),
            }
        }
        let gap_to = None;
        Some(Taken { after, gap_to })
    }

    /// Notes that nothing published so far can be had; whether something is missing
    /// behind the newest one.
    pub(crate) fn give_up(&mut self) -> bool {
        self.floor = self.place.offset;
        self.pages.clear();
        mem::take(&mut self.torn)
    }
}
