//! Who is in a channel, told to those who ask, at whatever gateway they are.

use std::{collections::BTreeSet, time::Duration};

use auth::{NewToken, Patterns};
use edge::EdgeConfig;
use testkit::{
    RawClient, hello_again, ping, presence, publish, refresh, set_subscription, subscribe_told,
    unsubscribe,
};
use wire::{
    UserId,
    client::{ErrorCode, Member, PresenceChange, SubscribeOptions, Welcome, server_event::Event},
};

use crate::{
    gateway::{Gateway, Site},
    tickets::shared_keys,
};

/// Somebody who has asked for a channel's presence, and what it knows by now.
pub(crate) struct Watcher {
    pub(crate) client: RawClient,
    pub(crate) there: BTreeSet<String>,
    pub(crate) last: PresenceChange,
}

pub(crate) fn quick(config: &mut EdgeConfig) {
    config.tickets = shared_keys();
    config.shards = 2;
    config.presence = presence::Settings {
        tick: Duration::from_millis(20),
        linger: Duration::from_millis(500),
        ..presence::Settings::default()
    };
}

pub(crate) async fn pair(adjust: fn(&mut EdgeConfig)) -> [Gateway; 2] {
    let site = Site::new().await;
    ["gw-a", "gw-b"].map(|name| {
        site.register(name, |config| {
            quick(config);
            adjust(config);
        })
    })
}

pub(crate) async fn finish(gateways: [Gateway; 2]) {
    for gateway in gateways {
        gateway.drain().await;
    }
}

fn users(members: &[Member]) -> BTreeSet<String> {
    members.iter().map(|it| it.user.clone()).collect()
}

fn set(users: &[&str]) -> BTreeSet<String> {
    users.iter().map(|&it| it.to_owned()).collect()
}

// === impl Watcher ===

impl Watcher {
    pub(crate) async fn new(gateway: &Gateway, user: &str, channel: &str) -> Self {
        Self::of(gateway.client(user).await, channel).await
    }

    pub(crate) async fn of(mut client: RawClient, channel: &str) -> Self {
        client.send(subscribe_told(1, channel)).await;
        client.subscribed().await;
        let mut watcher = Self {
            client,
            there: BTreeSet::new(),
            last: PresenceChange::default(),
        };
        watcher.next().await;
        assert!(watcher.last.snapshot, "the first is a snapshot");
        watcher
    }

    /// The next change.
    pub(crate) async fn next(&mut self) {
        self.last = self.client.presence_change().await;
        if self.last.snapshot {
            self.there.clear();
        }
        let (joined, left) = (users(&self.last.joined), users(&self.last.left));
        assert!(left.is_subset(&self.there), "left without having joined");
        assert!(joined.is_disjoint(&self.there), "joined twice");
        self.there.retain(|user| !left.contains(user));
        self.there.extend(joined);
    }

    pub(crate) async fn until(&mut self, users: &[&str]) {
        while self.there != set(users) {
            self.next().await;
        }
    }
}

/// Whom another client finds there.
async fn seen(client: &mut RawClient, channel: &str) -> (BTreeSet<String>, u64, u64) {
    client.send(presence(7, channel)).await;
    let result = client.presence_result().await;
    assert_eq!((result.id, result.sampled), (7, false));
    (users(&result.members), result.sessions, result.users)
}

#[tokio::test]
async fn members_of_all_gateways_are_told_as_they_come_and_go() {
    let gateways = pair(|_| {}).await;
    let [one, other] = &gateways;
    let mut ann = Watcher::new(one, "ann", "room.1").await;
    assert_eq!(ann.there, set(&["ann"]));
    let mut bob = Watcher::of(other.json_client("bob").await, "room.1").await;
    bob.until(&["ann", "bob"]).await;
    ann.until(&["ann", "bob"]).await;
    assert_eq!((ann.last.sessions, ann.last.users), (2, 2));
    // A second session of a user, who did not ask to be told.
    let mut second = other.client("ann").await;
    second.subscribe(1, "room.1").await;
    ann.last = ann.client.presence_change().await;
    assert_eq!((ann.last.sessions, ann.last.users), (3, 2));
    bob.client.send(unsubscribe(2, "room.1")).await;
    // He may be told of the newcomer before.
    while !matches!(bob.client.next_event().await, Event::Unsubscribed(_)) {}
    while ann.last.sessions != 2 {
        ann.last = ann.client.presence_change().await;
    }
    assert_eq!(ann.last.users, 1);
    second.leave().await;
    finish(gateways).await;
}

#[tokio::test]
async fn anybody_permitted_can_ask_who_is_there() {
    let gateways = pair(|_| {}).await;
    let [one, other] = &gateways;
    let mut asker = other.client("eve").await;
    assert_eq!(seen(&mut asker, "room.1").await, (set(&[]), 0, 0));
    let mut ann = Watcher::new(one, "ann", "room.1").await;
    let mut bob = Watcher::new(one, "bob", "room.1").await;
    bob.until(&["ann", "bob"]).await;
    ann.until(&["ann", "bob"]).await;
    // Of a gateway that has no members there, and of one that has.
    for gateway in [other, one] {
        let mut asker = gateway.client("eve").await;
        let found = seen(&mut asker, "room.1").await;
        assert_eq!(found, (set(&["ann", "bob"]), 2, 2));
    }
    finish(gateways).await;
}

#[tokio::test]
async fn who_may_not_see_is_not_told() {
    let gateway = Gateway::start(quick).await;
    let mut ann = gateway.client("ann").await;
    for (channel, code) in [
        ("strict.1", ErrorCode::NoPresence),
        ("nowhere.1", ErrorCode::UnknownNamespace),
        ("room.*", ErrorCode::InvalidChannel),
    ] {
        ann.send(presence(3, channel)).await;
        assert_eq!(ann.error().await, (3, code), "{channel}");
        ann.send(subscribe_told(4, channel)).await;
        assert_eq!(ann.error().await, (4, code), "{channel}");
    }
    let eve = UserId::new("eve").expect("valid");
    let token = gateway.tokens.issue(&NewToken {
        subscribe: Some(Patterns::parse(&["room.>"]).expect("valid")),
        presence: Some(Patterns::default()),
        ..NewToken::new(eve, Duration::from_secs(60))
    });
    let mut eve = RawClient::greeted(gateway.address, &token).await;
    eve.send(presence(3, "room.1")).await;
    assert_eq!(eve.error().await, (3, ErrorCode::PermissionDenied));
    eve.send(subscribe_told(4, "room.1")).await;
    assert_eq!(eve.error().await, (4, ErrorCode::PermissionDenied));
    eve.subscribe(5, "room.1").await;
    // She is seen all the same.
    let mut bob = Watcher::new(&gateway, "bob", "room.1").await;
    bob.until(&["bob", "eve"]).await;
    gateway.drain().await;
}

#[tokio::test]
async fn a_session_that_goes_on_elsewhere_was_never_away() {
    let gateways = pair(|_| {}).await;
    let [one, other] = &gateways;
    let mut ann = Watcher::new(one, "ann", "room.1").await;
    let (mut bob, welcome) = greet(other, b"").await;
    bob.subscribe(1, "room.1").await;
    ann.until(&["ann", "bob"]).await;
    // Without a word, and then back at each gateway.
    drop(bob);
    let (mut bob, again) = greet(one, &welcome.session_ticket).await;
    assert_eq!(again.session_id, welcome.session_id);
    bob.subscribe(1, "room.1").await;
    drop(bob);
    let (mut bob, _) = greet(other, &again.session_ticket).await;
    bob.subscribe(1, "room.1").await;
    let mut carol = one.client("carol").await;
    carol.subscribe(1, "room.1").await;
    ann.next().await;
    assert_eq!(users(&ann.last.joined), set(&["carol"]));
    assert!(ann.last.left.is_empty());
    // And now he stays away.
    drop(bob);
    ann.next().await;
    assert_eq!(users(&ann.last.left), set(&["bob"]));
    finish(gateways).await;
}

async fn greet(gateway: &Gateway, ticket: &[u8]) -> (RawClient, Welcome) {
    let mut client = gateway.dial().connect().await;
    let token = gateway.tokens.token("bob");
    client.send(hello_again(&token, ticket.to_vec())).await;
    let welcome = client.welcome().await;
    (client, welcome)
}

#[tokio::test]
async fn telling_begins_and_ends_with_the_options() {
    let gateway = Gateway::start(quick).await;
    let mut ann = gateway.client("ann").await;
    ann.subscribe(1, "room.1").await;
    let told = |presence| SubscribeOptions {
        presence,
        ..SubscribeOptions::default()
    };
    ann.send(set_subscription(2, "room.1", told(true))).await;
    assert_eq!(ann.accepted().await.id, 2);
    let first = ann.presence_change().await;
    assert!(first.snapshot);
    assert_eq!(users(&first.joined), set(&["ann"]));
    ann.send(set_subscription(3, "room.1", told(false))).await;
    assert_eq!(ann.accepted().await.id, 3);
    let mut bob = Watcher::new(&gateway, "bob", "room.1").await;
    bob.until(&["ann", "bob"]).await;
    ann.send(ping(5)).await;
    assert_eq!(ann.pong().await.nonce, 5);
    gateway.drain().await;
}

#[tokio::test]
async fn of_many_only_the_number_is_told() {
    let gateways = pair(|config| config.presence.named = 4).await;
    let [one, other] = &gateways;
    let mut ann = Watcher::new(one, "ann", "room.1").await;
    let mut others = Vec::new();
    for number in 0..10 {
        let gateway = if number % 2 == 0 { one } else { other };
        let mut client = gateway.client(&format!("user{number}")).await;
        client.subscribe(1, "room.1").await;
        others.push(client);
    }
    while ann.last.sessions != 11 {
        ann.last = ann.client.presence_change().await;
    }
    assert!(ann.last.sampled);
    for client in others.drain(2..) {
        client.leave().await;
    }
    loop {
        ann.next().await;
        if ann.last.snapshot && !ann.last.sampled && ann.there.len() == 3 {
            break;
        }
    }
    assert_eq!(ann.there, set(&["ann", "user0", "user1"]));
    finish(gateways).await;
}

#[tokio::test]
async fn who_reads_slowly_gets_a_snapshot_when_there_is_room() {
    let gateway = Gateway::start(|config| {
        quick(config);
        config.outbox.bytes = 64 << 10;
    })
    .await;
    let mut ann = Watcher::of(
        {
            let mut client = gateway.dial().receive_buffer(4 << 10).connect().await;
            client.hello(&gateway.tokens.token("ann")).await;
            client
        },
        "room.1",
    )
    .await;
    let mut bob = gateway.client("bob").await;
    for _ in 0..200 {
        bob.send(publish(0, "room.1", vec![7; 8 << 10])).await;
    }
    bob.subscribe(2, "room.2").await;
    let mut carol = Watcher::new(&gateway, "carol", "room.1").await;
    carol.until(&["ann", "carol"]).await;
    // She has not read anything meanwhile.
    loop {
        match ann.client.next_event().await {
            Event::PresenceChange(change) => {
                let is_there = users(&change.joined).contains("carol");
                assert!(is_there, "{change:?}");
                break;
            }
            Event::Publication(_) | Event::Gap(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    gateway.drain().await;
}

#[tokio::test]
async fn a_token_that_permits_less_ends_the_telling() {
    let gateway = Gateway::start(quick).await;
    let mut ann = Watcher::new(&gateway, "ann", "room.1").await;
    let token = gateway.tokens.issue(&NewToken {
        subscribe: Some(Patterns::parse(&["room.>"]).expect("valid")),
        presence: Some(Patterns::default()),
        ..NewToken::new(UserId::new("ann").expect("valid"), Duration::from_secs(60))
    });
    ann.client.send(refresh(3, &token)).await;
    assert_eq!(ann.client.refreshed().await.id, 3);
    let mut bob = Watcher::new(&gateway, "bob", "room.1").await;
    bob.until(&["ann", "bob"]).await;
    ann.client.send(ping(4)).await;
    assert_eq!(ann.client.pong().await.nonce, 4);
    gateway.drain().await;
}
