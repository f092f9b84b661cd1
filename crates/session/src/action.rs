//! What a session asks of the owner of its socket.

use std::collections::VecDeque;

use bytes::Bytes;
use wire::{
    Channel, CloseCause, ConnectionId, SessionId, UserId,
    client::{Position, ServerEvent, SubscribeOptions},
};

use crate::{hidden::Hidden, introduction::Introduction, reply};

/// One thing to do, in the order the session asked for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send this event to the client.
    Send(ServerEvent),
    /// Send the client what [`crate::welcome`] makes. Not a [`Action::Send`]
    /// because it holds the gateway's clock, which a session never reads.
    Welcome,
    /// Verify the token, then call [`crate::Verifying::authenticated`] or
    /// [`crate::Verifying::rejected`].
    Authenticate {
        /// As the client sent it; not empty.
        token: Hidden<String>,
        /// Who it comes from.
        introduction: Introduction,
    },
    /// Take down who the client is: its token came in the upgrade request, and
    /// this Hello after it. It has its session already.
    Introduce(Introduction),
    /// Subscribe; answer by [`crate::Established::subscribed`] or
    /// [`crate::Established::subscribe_failed`], once.
    Subscribe {
        /// Names the operation; zero: the control plane wants it.
        id: u32,
        /// What to subscribe to; permitted.
        channel: Channel,
        /// Position that the client holds, if any.
        since: Option<Position>,
        /// What the client asked for, if anything.
        options: Option<SubscribeOptions>,
    },
    /// Unsubscribe; answer by [`crate::Established::unsubscribed`] or
    /// [`crate::Established::unsubscribe_failed`], once.
    Unsubscribe {
        /// Names the operation; zero: the control plane wants it.
        id: u32,
        /// What to unsubscribe from. The client need not be subscribed to it.
        channel: Channel,
    },
    /// Publish; unless `id` is zero answer by [`crate::Established::published`],
    /// once.
    Publish {
        /// Names the operation; zero: no answer is wanted.
        id: u32,
        /// Where to; permitted.
        channel: Channel,
        /// What to publish.
        payload: Bytes,
        /// Key for "latest value of each key"; empty: none.
        key: String,
        /// For deduplication by the log; empty: none.
        publication_id: String,
    },
    /// Change what a subscription gets; answer by
    /// [`crate::Established::subscription_set`], once.
    SetSubscription {
        /// Names the operation; never zero.
        id: u32,
        /// Which; there may be no such subscription.
        channel: Channel,
        /// What it shall get from here on; absent: all.
        options: Option<SubscribeOptions>,
    },
    /// Forward a request; answer by [`crate::Established::replied`], once, and
    /// also when the request was cancelled.
    Request {
        /// Names the operation; never zero.
        id: u32,
        /// Which route; permitted.
        route: String,
        /// What the worker gets.
        payload: Bytes,
        /// How long the client is interested, in milliseconds, within the
        /// limits. Zero only if the settings have no default.
        deadline_ms: u32,
        /// Key under which the first reply is kept; empty: none.
        idempotency_key: String,
        /// W3C trace context of the client; empty: none.
        traceparent: String,
    },
    /// Lose interest in a request. The client has its answer; the one call of
    /// [`crate::Established::replied`] still owed frees the id.
    CancelRequest {
        /// Names the request.
        id: u32,
    },
    /// The client confirms `Direct` events.
    Acked {
        /// All durable ones up to this offset; zero: none.
        up_to: u64,
        /// All others up to this `ack_id`; zero: none.
        ack_id: u64,
    },
    /// Read a log; answer by [`crate::Established::history`], once.
    History {
        /// Names the operation; never zero.
        id: u32,
        /// Whose log; permitted.
        channel: Channel,
        /// From where.
        start: HistoryStart,
        /// At most so many publications; zero: as many as may be.
        limit: u32,
    },
    /// Find out who is in a channel; answer by [`crate::Established::presence`], once.
    Presence {
        /// Names the operation; never zero.
        id: u32,
        /// Which; permitted.
        channel: Channel,
    },
    /// Send something to other members of a channel; answer by
    /// [`crate::Established::signalled`], once. Whether the client is a member
    /// itself is the owner's to check.
    Signal {
        /// Names the operation; never zero.
        id: u32,
        /// Of which both are members; permitted.
        channel: Channel,
        /// Whom it is for.
        to: Addressee,
        /// What they get.
        payload: Bytes,
    },
    /// Keep a will for the session; answer by
    /// [`crate::Established::will_settled`], once.
    ArmWill {
        /// Names the operation; never zero.
        id: u32,
        /// What to call; permitted.
        route: String,
        /// What with.
        payload: Bytes,
        /// For how long the session may be without a connection, in
        /// milliseconds.
        grace_ms: u32,
    },
    /// Take back the session's will; answer by
    /// [`crate::Established::will_settled`], once.
    DisarmWill {
        /// Names the operation; never zero.
        id: u32,
    },
    /// Verify the token, then call [`crate::Established::refreshed`], once.
    Refresh {
        /// Names the operation; never zero.
        id: u32,
        /// As the client sent it; not empty.
        token: Hidden<String>,
    },
    /// Close the connection. The `Closing` event is the [`Action::Send`] just
    /// before; no action comes after.
    Close(CloseCause),
}

/// Where a read of a log begins.
#[derive(Clone, Debug, PartialEq)]
pub enum HistoryStart {
    /// With the oldest publication kept.
    Oldest,
    /// Behind a position.
    After(Position),
    /// With the first publication since then, Unix time in milliseconds.
    Time(i64),
}

/// Whom a signal is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// All sessions of a user.
    User(UserId),
    /// One session.
    Session(SessionId),
    /// One connection.
    Connection(ConnectionId),
}

/// A queue of actions; one for each shard is enough, as it keeps its memory
/// and is emptied after every event.
///
/// One event or answer adds at most three actions, so it is bounded by what the
/// owner handles before it empties it.
#[derive(Debug, Default)]
pub struct Actions(VecDeque<Action>);

// === impl Actions ===

impl Actions {
    /// Makes an empty queue, which holds no memory yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the newest action.
    pub fn push(&mut self, action: Action) {
        self.0.push_back(action);
    }

    /// Takes the oldest action.
    pub fn pop(&mut self) -> Option<Action> {
        self.0.pop_front()
    }

    /// Forgets what is left to do.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether nothing is left to do.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says why, then closes.
    pub(crate) fn close(&mut self, cause: CloseCause) {
        self.push(Action::Send(reply::closing(cause, 0, false)));
        self.push(Action::Close(cause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_leave_in_the_order_they_came() {
        let mut actions = Actions::new();
        actions.push(Action::Welcome);
        actions.push(Action::Acked {
            up_to: 1,
            ack_id: 0,
        });
        assert!(!actions.is_empty());
        assert_eq!(actions.pop(), Some(Action::Welcome));
        assert_eq!(
            actions.pop(),
            Some(Action::Acked {
                up_to: 1,
                ack_id: 0
            })
        );
        assert!(actions.is_empty());
    }
}
