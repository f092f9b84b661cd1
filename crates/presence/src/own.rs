//! This gateway's part of a channel, and what of it the others have yet to be told.

use foldhash::{HashMap, HashSet};
use wire::{GatewayId, SessionId, gateway::PresencePart};

use crate::member::Member;

/// From so many bytes on a part is only counted; it must fit into one message.
const COUNTED_FROM: usize = 512 << 10;

/// Below so many bytes it is named again.
const NAMED_BELOW: usize = 384 << 10;

/// Members in the word of a part that is counted.
const SAMPLE: usize = 50;

/// The members that this gateway has in a channel.
#[derive(Debug, Default)]
pub(crate) struct Own {
    members: HashMap<SessionId, Present>,
    /// Sessions of each user.
    users: HashMap<Box<str>, u32>,
    /// What naming all of them takes, in bytes.
    cost: usize,
    counted: bool,
    version: u64,
    /// What of it was told last.
    told: u64,
    /// Nobody was there when it was told last, or it has to be told anew.
    untold: bool,
    /// Sessions that changed since.
    unsent: HashSet<SessionId>,
}

#[derive(Debug)]
struct Present {
    member: Member,
    /// Its connections here; zero: it has some time left to come back.
    connections: u32,
    /// Grows with each departure.
    departures: u32,
}

/// What became of a session whose connection left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departed {
    /// It has another one here, or is not known.
    Stays,
    /// It has none; this names the departure.
    Alone(u32),
}

/// What a change of this gateway's members means for the union.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entered {
    New,
    Known,
}

// === impl Own ===

impl Own {
    /// A part whose versions go on from `version`: those of an earlier part of this
    /// gateway in the same channel are smaller.
    pub(crate) fn new(version: u64) -> Self {
        Self {
            version,
            told: version,
            untold: true,
            ..Self::default()
        }
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// A connection of the member has come.
    pub(crate) fn enter(&mut self, member: Member) -> Entered {
        self.unsent.insert(member.session);
        if let Some(present) = self.members.get_mut(&member.session) {
            present.connections += 1;
            present.member = member;
            return Entered::Known;
        }
        self.cost += member.cost();
        *self.users.entry(member.user.as_str().into()).or_default() += 1;
        let present = Present {
            member,
            connections: 1,
            departures: 0,
        };
        self.members.insert(present.member.session, present);
        Entered::New
    }

    /// A connection of the session has gone.
    pub(crate) fn depart(&mut self, session: SessionId) -> Departed {
        let Some(present) = self.members.get_mut(&session) else {
            return Departed::Stays;
        };
        present.connections = present.connections.saturating_sub(1);
        if present.connections > 0 {
            return Departed::Stays;
        }
        present.departures = present.departures.wrapping_add(1);
        Departed::Alone(present.departures)
    }

    /// Forgets the session unless it has come back since that departure. Whether it
    /// was forgotten.
    pub(crate) fn forget(&mut self, session: SessionId, departure: u32) -> bool {
        let gone = |it: &&Present| it.connections == 0 && it.departures == departure;
        if self.members.get(&session).filter(gone).is_none() {
            return false;
        }
        let Some(Present { member, .. }) = self.members.remove(&session) else {
            return false;
        };
        self.cost -= member.cost();
        if let Some(sessions) = self.users.get_mut(member.user.as_str()) {
            *sessions -= 1;
            if *sessions == 0 {
                self.users.remove(member.user.as_str());
            }
        }
        self.unsent.insert(session);
        true
    }

    /// What the others have yet to be told, and is told with this; `None`: nothing.
    pub(crate) fn next_word(&mut self, gateway: &GatewayId) -> Option<PresencePart> {
        if self.unsent.is_empty() {
            return None;
        }
        self.version += 1;
        let was_counted = self.counted;
        let limit = if was_counted {
            NAMED_BELOW
        } else {
            COUNTED_FROM
        };
        self.counted = self.cost > limit;
        let mut word = self.head(gateway);
        word.since = self.told;
        if self.counted || was_counted || self.untold {
            self.unsent.clear();
            self.put_all(&mut word);
        } else {
            for session in std::mem::take(&mut self.unsent) {
                match self.members.get(&session) {
                    Some(present) => word.members.push(present.member.message()),
                    None => word.left.push(session.to_string()),
                }
            }
        }
        self.told = self.version;
        // The next one begins anew, as the others forget a part without members.
        self.untold = self.members.is_empty();
        Some(word)
    }

    /// The version and the numbers.
    pub(crate) fn head(&self, gateway: &GatewayId) -> PresencePart {
        PresencePart {
            gateway: gateway.to_string(),
            version: self.version,
            since: self.version,
            sessions: self.members.len() as u64,
            users: self.users.len() as u64,
            counted: self.counted,
            ..PresencePart::default()
        }
    }

    /// All that was told so far, with what was not: the next word changes nothing of
    /// it.
    pub(crate) fn whole(&self, gateway: &GatewayId) -> PresencePart {
        let mut word = self.head(gateway);
        self.put_all(&mut word);
        word
    }

    fn put_all(&self, word: &mut PresencePart) {
        let most = if self.counted { SAMPLE } else { usize::MAX };
        word.whole = true;
        let members = self.members.values().take(most);
        word.members = members.map(|it| it.member.message()).collect();
    }
}
