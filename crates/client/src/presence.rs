//! Who is in a channel.

use tokio::sync::watch;
use wire::client as proto;

use crate::{client::Client, error::Error, in_flight::Operation};

/// Who is in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// Who is there, in no order; some of them if `sampled`.
    pub members: Vec<Member>,
    /// How many sessions there are.
    pub sessions: u64,
    /// How many users.
    pub users: u64,
    /// There are more than are named.
    pub sampled: bool,
}

/// A member of a channel: a session, whichever connection it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whose session it is.
    pub user: String,
    /// The session, the same as long as the client lives.
    pub session_id: String,
    /// Its connection when it was last heard of.
    pub connection_id: String,
}

/// A subscription's presence in the connection's task.
#[derive(Debug)]
pub(crate) struct Tracked {
    now: watch::Sender<Presence>,
    /// The connection that the last snapshot came by: changes count from that one.
    line: watch::Sender<u32>,
}

// === impl Client ===

impl Client {
    /// Asks who is in a channel; one need not be subscribed to it. Waits while there is no
    /// connection; asks again after a reconnect. To be told what changes, subscribe with
    /// [`SubscribeOptions::presence`](crate::SubscribeOptions::presence).
    ///
    /// # Errors
    /// The gateway's refusal: [`ErrorCode::NoPresence`](crate::ErrorCode) where the
    /// namespace keeps none; or [`Error::Closed`].
    pub async fn presence(&self, channel: &str) -> Result<Presence, Error> {
        let ask = proto::Presence {
            id: 0,
            channel: channel.to_owned(),
        };
        let result = self
            .perform(|reply| Operation::Presence(ask, reply))
            .await?;
        Ok(Presence {
            members: result.members.into_iter().map(Member::from).collect(),
            sessions: result.sessions,
            users: result.users,
            sampled: result.sampled,
        })
    }
}

// === impl Member ===

impl From<proto::Member> for Member {
    fn from(member: proto::Member) -> Self {
        Self {
            user: member.user,
            session_id: member.session_id,
            connection_id: member.connection_id,
        }
    }
}

// === impl Tracked ===

impl Tracked {
    pub(crate) fn new() -> Self {
        Self {
            now: watch::Sender::new(Presence::default()),
            line: watch::Sender::new(0),
        }
    }

    pub(crate) fn follow(&self) -> watch::Receiver<Presence> {
        self.now.subscribe()
    }

    /// Takes in what came by connection `line`.
    pub(crate) fn change(&self, line: u32, change: proto::PresenceChange) {
        if change.snapshot {
            self.line.send_replace(line);
        } else if *self.line.borrow() != line {
            // Of the connection that is being left, or before the first snapshot.
            return;
        }
        self.now.send_modify(|now| now.apply(change));
    }
}

// === impl Presence ===

impl Presence {
    fn apply(&mut self, change: proto::PresenceChange) {
        if change.snapshot {
            self.members.clear();
        }
        let is_gone = |member: &Member| {
            let others = change.left.iter().chain(&change.joined);
            others
                .into_iter()
                .any(|it| it.session_id == member.session_id)
        };
        self.members.retain(|member| !is_gone(member));
        self.members
            .extend(change.joined.into_iter().map(Member::from));
        self.sessions = change.sessions;
        self.users = change.users;
        self.sampled = change.sampled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[&str]) -> Vec<proto::Member> {
        let member = |name: &&str| proto::Member {
            user: (*name).to_owned(),
            session_id: format!("session of {name}"),
            connection_id: String::new(),
        };
        names.iter().map(member).collect()
    }

    fn change(joined: &[&str], left: &[&str], snapshot: bool) -> proto::PresenceChange {
        proto::PresenceChange {
            joined: members(joined),
            left: members(left),
            snapshot,
            sessions: 7,
            ..proto::PresenceChange::default()
        }
    }

    fn users(tracked: &Tracked) -> Vec<String> {
        let now = tracked.follow();
        let now = now.borrow();
        now.members.iter().map(|it| it.user.clone()).collect()
    }

    #[test]
    fn changes_count_from_a_snapshot_of_the_same_connection() {
        let tracked = Tracked::new();
        tracked.change(1, change(&["nobody"], &[], false));
        assert!(users(&tracked).is_empty());
        tracked.change(1, change(&["ann", "bob"], &[], true));
        tracked.change(1, change(&["carol"], &["ann"], false));
        assert_eq!(users(&tracked), ["bob", "carol"]);
        // The client moves: the new connection's word counts from its snapshot on.
        tracked.change(2, change(&["dave"], &[], false));
        assert_eq!(users(&tracked), ["bob", "carol"]);
        tracked.change(2, change(&["bob", "dave"], &[], true));
        tracked.change(1, change(&["carol"], &[], false));
        assert_eq!(users(&tracked), ["bob", "dave"]);
        assert_eq!(tracked.follow().borrow().sessions, 7);
    }
}
