//! What a client may do while it stays: tokens that are refreshed, expire or are
//! revoked.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use auth::{NewToken, Patterns, VerifierConfig};
use revocations::{Revocation, Whom};
use testkit::{RawClient, Tokens, hello_again, ping, publish, refresh, subscribe};
use wire::{
    UserId,
    client::ErrorCode,
    gateway::{self, Changed, Revoke, Target, command::Command, command_reply::Reply, target},
};

use crate::{
    gateway::{Gateway, Site},
    tickets::shared_keys,
};

const HOUR: Duration = Duration::from_secs(3600);

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_millis()).expect("in range")
}

/// A token of alice's for these channels.
fn for_channels(tokens: &Tokens, channels: &[&str], lifetime: Duration) -> String {
    tokens.issue(&NewToken {
        subscribe: Some(Patterns::parse(channels).expect("valid")),
        ..NewToken::new(UserId::new("alice").expect("valid"), lifetime)
    })
}

fn of_alice(issued_before_ms: i64, grace_ms: u32) -> Revocation {
    of(
        Whom::User(UserId::new("alice").expect("valid")),
        issued_before_ms,
        grace_ms,
    )
}

fn of(whom: Whom, issued_before_ms: i64, grace_ms: u32) -> Revocation {
    Revocation {
        whom,
        issued_before_ms,
        until_ms: now_ms() + 3_600_000,
        grace_ms,
    }
}

async fn revoke(gateway: &Gateway, revocation: &Revocation) -> u64 {
    let revocation = Some(revocation.message());
    match gateway
        .command(Command::Revoke(Revoke { revocation }))
        .await
    {
        Reply::Changed(Changed { count, .. }) => count,
        other => panic!("unexpected {other:?}"),
    }
}

async fn assert_closed(mut client: RawClient, code: u16, cause: &str) {
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (code, cause));
}

async fn assert_refused(gateway: &Gateway, token: &str) {
    let mut client = gateway.dial().connect().await;
    client.send(testkit::hello(token)).await;
    assert_closed(client, 4008, "revoked").await;
}

#[tokio::test]
async fn a_newer_token_takes_away_what_it_does_not_permit_and_no_more() {
    let gateway = Gateway::start(|_| {}).await;
    let all = for_channels(&gateway.tokens, &["vip.*", "room.*"], HOUR);
    let mut client = RawClient::greeted(gateway.address, &all).await;
    client.subscribe(1, "vip.a").await;
    let lost = client.subscribe(2, "vip.b").await;
    client.subscribe(3, "room.c").await;
    let given = Command::Subscribe(gateway::Subscribe {
        target: Some(Target {
            target: Some(target::Target::User("alice".into())),
        }),
        channel: "news.given".into(),
    });
    gateway.command(given).await;
    assert_eq!(client.subscribed().await.channel, "news.given");

    let less = for_channels(&gateway.tokens, &["vip.a", "room.*"], HOUR);
    client.send(refresh(4, &less)).await;
    let ended = client.unsubscribed().await;
    assert_eq!((ended.id, ended.alias), (0, lost.alias));
    assert_eq!(ended.channel, "vip.b");
    assert_eq!(ended.code(), ErrorCode::PermissionDenied);
    let refreshed = client.refreshed().await;
    assert_eq!(refreshed.id, 4);
    assert!(refreshed.token_expires_at_ms > now_ms());

    client.send(subscribe(5, "vip.b")).await;
    assert_eq!(client.error().await, (5, ErrorCode::PermissionDenied));
    for channel in ["vip.b", "vip.a", "room.c", "news.given"] {
        gateway.publish(channel, channel).await;
    }
    let mut came: Vec<_> = client.publications(3).await;
    came.sort_by_key(|publication| publication.payload.clone());
    let came: Vec<_> = came.iter().map(|it| &it.payload[..]).collect();
    assert_eq!(came, [&b"news.given"[..], b"room.c", b"vip.a"]);
    gateway.finish().await;
}

#[tokio::test]
async fn a_token_that_is_refused_changes_nothing() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    client.subscribe(1, "room.a").await;
    for (id, token, code) in [
        (2, gateway.tokens.token("bob"), ErrorCode::PermissionDenied),
        (3, gateway.tokens.expired("alice"), ErrorCode::InvalidToken),
        (4, "no.token.atall".into(), ErrorCode::InvalidToken),
        (5, String::new(), ErrorCode::MalformedMessage),
    ] {
        client.send(refresh(id, &token)).await;
        assert_eq!(client.error().await, (id, code));
    }
    gateway.publish("room.a", "still").await;
    assert_eq!(client.publication().await.payload, "still");
    gateway.finish().await;
}

#[tokio::test]
async fn who_is_told_in_time_and_refreshes_stays_and_who_does_not_is_closed() {
    let tokens = Arc::new(Tokens::with(VerifierConfig {
        leeway: Duration::ZERO,
        ..VerifierConfig::default()
    }));
    let gateway = Gateway::start_with(tokens, |_| {}).await;
    let short = for_channels(&gateway.tokens, &["vip.*"], Duration::from_secs(3));
    let mut stays = RawClient::greeted(gateway.address, &short).await;
    let mut leaves = RawClient::greeted(gateway.address, &short).await;
    for client in [&mut stays, &mut leaves] {
        let notice = client.notice().await;
        assert_eq!(notice.kind, "token_expiring");
        assert!((1..3_000).contains(&notice.in_ms), "{}", notice.in_ms);
    }
    stays.send(refresh(1, &gateway.tokens.token("alice"))).await;
    stays.refreshed().await;
    assert_closed(leaves, 4007, "token_expired").await;
    stays.send(ping(7)).await;
    assert_eq!(stays.pong().await.nonce, 7);
    gateway.finish().await;
}

#[tokio::test]
async fn a_revoked_user_is_closed_and_comes_back_only_with_a_newer_token() {
    let gateway = Gateway::start(|_| {}).await;
    let old = gateway.tokens.older("alice", 2 * HOUR / 3);
    let first = RawClient::greeted(gateway.address, &old).await;
    let second = RawClient::greeted(gateway.address, &old).await;
    let mut newer = gateway.client("alice").await;
    let mut bob = gateway.client("bob").await;
    let revocation = of_alice(now_ms() - 60_000, 0);
    assert_eq!(revoke(&gateway, &revocation).await, 2);
    assert_eq!(revoke(&gateway, &revocation).await, 0);
    assert_closed(first, 4008, "revoked").await;
    assert_closed(second, 4008, "revoked").await;
    assert_refused(&gateway, &old).await;
    for client in [&mut newer, &mut bob] {
        client.send(ping(7)).await;
        assert_eq!(client.pong().await.nonce, 7);
    }
    newer.send(refresh(1, &old)).await;
    assert_eq!(newer.error().await, (1, ErrorCode::InvalidToken));
    gateway.client("alice").await.leave().await;
    gateway.finish().await;
}

#[tokio::test]
async fn within_the_grace_a_revoked_client_may_do_nothing_until_it_refreshes() {
    let gateway = Gateway::start(|_| {}).await;
    let mut tokens = [HOUR / 2, HOUR / 3].map(|age| gateway.tokens.older("alice", age));
    tokens.sort();
    let mut clients = Vec::new();
    for token in &tokens {
        let mut client = RawClient::greeted(gateway.address, token).await;
        client.subscribe(1, "room.a").await;
        clients.push(client);
    }
    assert_eq!(revoke(&gateway, &of_alice(now_ms() - 60_000, 500)).await, 2);
    for client in &mut clients {
        let notice = client.notice().await;
        assert_eq!(notice.kind, "token_revoked");
        assert!((1..=500).contains(&notice.in_ms), "{}", notice.in_ms);
        assert_eq!(
            client.unsubscribed().await.code(),
            ErrorCode::PermissionDenied
        );
    }
    let mut stays = clients.remove(0);
    stays.send(publish(2, "room.a", "no")).await;
    assert_eq!(stays.error().await, (2, ErrorCode::PermissionDenied));
    stays.send(refresh(3, &gateway.tokens.token("alice"))).await;
    stays.refreshed().await;
    assert_closed(clients.remove(0), 4008, "revoked").await;
    stays.subscribe(4, "room.a").await;
    gateway.publish("room.a", "again").await;
    assert_eq!(stays.publication().await.payload, "again");
    gateway.finish().await;
}

#[tokio::test]
async fn a_revoked_token_is_of_no_use_and_its_users_others_are() {
    let gateway = Gateway::start(|_| {}).await;
    let (lost, kept) = (gateway.tokens.token("alice"), gateway.tokens.token("alice"));
    let client = RawClient::greeted(gateway.address, &lost).await;
    let mut other = RawClient::greeted(gateway.address, &kept).await;
    let verified = gateway.tokens.verifier().verify(&lost, SystemTime::now());
    let id = verified.expect("valid").token_id.expect("it has one");
    assert_eq!(revoke(&gateway, &of(Whom::Token(id), 0, 0)).await, 1);
    assert_closed(client, 4008, "revoked").await;
    assert_refused(&gateway, &lost).await;
    other.send(ping(7)).await;
    assert_eq!(other.pong().await.nonce, 7);
    gateway.finish().await;
}

#[tokio::test]
async fn tickets_of_a_revoked_session_are_refused_at_every_gateway() {
    let site = Site::new().await;
    let first = site.register("first", |config| config.tickets = shared_keys());
    let mut client = first.dial().connect().await;
    let welcome = client.hello(&first.tokens.token("alice")).await;
    let session = welcome.session_id.parse().expect("a session id");
    client.leave().await;
    let revocation = of(Whom::Session(session), 0, 0);
    let stored = revocations::store(&*first.bus, &revocation).await;
    stored.expect("the bus has room");
    // It was not told: it reads the table at its start.
    let second = site.register("second", |config| config.tickets = shared_keys());
    let token = second.tokens.token("alice");
    let mut replay = second.dial().connect().await;
    let ticket = welcome.session_ticket.clone();
    replay.send(hello_again(&token, ticket)).await;
    assert_closed(replay, 4008, "revoked").await;
    second.client("alice").await.leave().await;
    first.drain().await;
    second.drain().await;
}
