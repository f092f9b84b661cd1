//! What another gateway says of its members in a channel.

use foldhash::{HashSet, HashSetExt};
use wire::{SessionId, gateway::PresencePart};

use crate::{crowd::Crowd, member::Member};

/// Another gateway's part, as far as it was heard.
#[derive(Debug)]
pub(crate) struct Part {
    version: u64,
    said: Said,
    /// How often it was wondered at since it was heard.
    quiet: u8,
}

#[derive(Debug)]
enum Said {
    /// Who is there; all of them are in the crowd.
    Named(HashSet<SessionId>),
    /// How many.
    Counted { sessions: u64, users: u64 },
}

/// What follows from a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing.
    Nothing,
    /// Something may be different.
    Changed,
    /// Something is missing: ask the gateway for all of its part.
    Missing,
}

// === impl Part ===

impl Part {
    /// Takes in a word about a part that is not known yet.
    pub(crate) fn begin(word: &PresencePart, crowd: &mut Crowd) -> (Option<Self>, Heard) {
        if word.sessions == 0 {
            return (None, Heard::Nothing);
        }
        if !word.whole && !word.counted {
            return (None, Heard::Missing);
        }
        let mut part = Self {
            version: word.version,
            said: Said::Named(HashSet::new()),
            quiet: 0,
        };
        part.replace(word, crowd);
        (Some(part), Heard::Changed)
    }

    /// Takes in a word about this part.
    pub(crate) fn hear(&mut self, word: &PresencePart, crowd: &mut Crowd) -> Heard {
        self.quiet = 0;
        if word.version < self.version {
            return Heard::Nothing;
        }
        if word.whole || word.counted {
            self.replace(word, crowd);
            return Heard::Changed;
        }
        let Said::Named(sessions) = &mut self.said else {
            return Heard::Missing;
        };
        if word.version == self.version {
            return Heard::Nothing;
        }
        if word.since != self.version {
            return Heard::Missing;
        }
        self.version = word.version;
        for member in word.members.iter().filter_map(Member::read) {
            match sessions.insert(member.session) {
                true => crowd.add(member),
                false => crowd.update(member),
            }
        }
        for session in word.left.iter().filter_map(|it| it.parse().ok()) {
            if sessions.remove(&session) {
                crowd.remove(session);
            }
        }
        Heard::Changed
    }

    /// Whether so little was heard of it that it may be gone without our knowing:
    /// wondered at for the second time.
    pub(crate) fn is_doubtful(&mut self) -> bool {
        self.quiet = self.quiet.saturating_add(1);
        self.quiet > 1
    }

    /// Nobody is there any more.
    pub(crate) fn end(self, crowd: &mut Crowd) {
        if let Said::Named(sessions) = self.said {
            for session in sessions {
                crowd.remove(session);
            }
        }
    }

    /// Sessions and users that are not in the crowd.
    pub(crate) fn counted(&self) -> Option<(u64, u64)> {
        match self.said {
            Said::Named(_) => None,
            Said::Counted { sessions, users } => Some((sessions, users)),
        }
    }

    fn replace(&mut self, word: &PresencePart, crowd: &mut Crowd) {
        self.version = word.version;
        let mut before = match &mut self.said {
            Said::Named(sessions) => std::mem::take(sessions),
            Said::Counted { .. } => HashSet::new(),
        };
        let mut now = HashSet::new();
        if !word.counted {
            for member in word.members.iter().filter_map(Member::read) {
                let session = member.session;
                if !now.insert(session) || before.remove(&session) {
                    crowd.update(member);
                } else {
                    crowd.add(member);
                }
            }
        }
        for session in before {
            crowd.remove(session);
        }
        self.said = match word.counted {
            false => Said::Named(now),
            true => Said::Counted {
                sessions: word.sessions,
                users: word.users,
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        own::{Departed, Own},
        testing::{gateway, member},
    };

    /// A gateway and another one that hears what it says, or not.
    struct Pair {
        own: Own,
        part: Option<Part>,
        crowd: Crowd,
    }

    impl Pair {
        fn new() -> Self {
            Self {
                own: Own::new(7),
                part: None,
                crowd: Crowd::default(),
            }
        }

        fn hear(&mut self, word: &PresencePart) -> Heard {
            let heard = match &mut self.part {
                Some(part) => part.hear(word, &mut self.crowd),
                None => {
                    let (part, heard) = Part::begin(word, &mut self.crowd);
                    self.part = part;
                    heard
                }
            };
            if word.sessions == 0
                && heard == Heard::Changed
                && let Some(part) = self.part.take()
            {
                part.end(&mut self.crowd);
            }
            heard
        }

        fn leave(&mut self, session: u128) {
            if let Departed::Alone(departure) = self.own.depart(SessionId(session)) {
                self.own.forget(SessionId(session), departure);
            }
        }

        /// Whether both are of one mind, after what is missing was asked for.
        fn agree(&mut self) {
            let head = self.own.head(&gateway("gw1"));
            if self.hear(&head) == Heard::Missing {
                let whole = self.own.whole(&gateway("gw1"));
                assert_ne!(self.hear(&whole), Heard::Missing);
            }
            assert_eq!(self.crowd.sessions(), self.own.len());
        }
    }

    proptest! {
        #[test]
        fn whatever_is_lost_both_agree_after_the_next_head(
            steps in prop::collection::vec((0..6_u128, 0..4_u8), 1..60),
        ) {
            let mut pair = Pair::new();
            for (session, step) in steps {
                match step {
                    0 => drop(pair.own.enter(member("alice", session, "gw1"))),
                    1 => pair.leave(session),
                    step => {
                        let word = pair.own.next_word(&gateway("gw1"));
                        if let Some(word) = word.filter(|_| step == 2) {
                            pair.hear(&word);
                        }
                    }
                }
            }
            if let Some(word) = pair.own.next_word(&gateway("gw1")) {
                pair.hear(&word);
            }
            pair.agree();
        }
    }

    #[test]
    fn a_part_that_is_too_large_is_counted_until_it_is_smaller() {
        let mut pair = Pair::new();
        for session in 0..10_000 {
            pair.own.enter(member("somebody", session, "gw1"));
        }
        let word = pair.own.next_word(&gateway("gw1")).expect("they came");
        assert!(word.counted && word.members.len() < 100);
        assert_eq!(pair.hear(&word), Heard::Changed);
        let part = pair.part.as_ref().expect("it is known");
        assert_eq!(part.counted(), Some((10_000, 1)));
        assert_eq!(pair.crowd.sessions(), 0);
        (1_000..10_000).for_each(|session| pair.leave(session));
        let word = pair.own.next_word(&gateway("gw1")).expect("they left");
        assert!(!word.counted);
        assert_eq!(pair.hear(&word), Heard::Changed);
        assert_eq!(pair.crowd.sessions(), 1_000);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let mut pair = Pair::new();
        pair.own.enter(member("alice", 1, "gw1"));
        let mut word = pair.own.next_word(&gateway("gw1")).expect("she came");
        let mut nonsense = word.members[0].clone();
        nonsense.session_id = "none".into();
        word.members.push(nonsense);
        word.members.push(word.members[0].clone());
        pair.hear(&word);
        assert_eq!(pair.crowd.sessions(), 1);
    }
}
