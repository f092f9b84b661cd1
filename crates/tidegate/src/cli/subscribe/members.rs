//! Who comes to channels and who leaves them.

use std::{collections::BTreeMap, sync::Arc};

use client::{Presence, Subscription};
use futures_util::{Stream, stream};
use tokio::sync::watch;

/// Who came to a channel and who left it.
#[derive(Debug, PartialEq)]
pub(super) struct Change {
    pub(super) channel: Arc<str>,
    pub(super) joined: Vec<String>,
    pub(super) left: Vec<String>,
    /// How many there are now.
    pub(super) sessions: u64,
    pub(super) users: u64,
    /// There are too many to be named.
    pub(super) sampled: bool,
}

/// What has been told of a channel.
struct Following {
    channel: Arc<str>,
    presence: watch::Receiver<Presence>,
    /// Users by session.
    known: BTreeMap<String, String>,
}

/// Follows a subscription's presence until the client is closed.
pub(super) fn follow(subscription: &Subscription) -> impl Stream<Item = Change> + use<> {
    let following = Following {
        channel: subscription.channel().into(),
        presence: subscription.presence(),
        known: BTreeMap::new(),
    };
    stream::unfold(following, async |mut following| {
        following.presence.changed().await.ok()?;
        Some((following.next(), following))
    })
}

// === impl Following ===

impl Following {
    fn next(&mut self) -> Change {
        let now = self.presence.borrow_and_update();
        let members = now.members.iter();
        let there: BTreeMap<_, _> = members
            .map(|it| (it.session_id.clone(), it.user.clone()))
            .collect();
        let news = |from: &BTreeMap<String, String>, to: &BTreeMap<String, String>| {
            let news = to
                .iter()
                .filter(|(session, _)| !from.contains_key(*session));
            news.map(|(_, user)| user.clone()).collect()
        };
        let change = Change {
            channel: self.channel.clone(),
            joined: news(&self.known, &there),
            left: news(&there, &self.known),
            sessions: now.sessions,
            users: now.users,
            sampled: now.sampled,
        };
        drop(now);
        self.known = there;
        change
    }
}
