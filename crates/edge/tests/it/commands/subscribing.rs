//! Subscribe and Unsubscribe: what the control plane does to subscriptions.

use testkit::{ping, subscribe, unsubscribe};
use wire::{
    client::{ErrorCode, Verdict, server_event::Event},
    gateway::{Changed, Subscribe, Unsubscribe},
};

use super::*;

async fn begin(gateway: &Gateway, target: Option<Target>, channel: &str) -> Reply {
    let channel = channel.to_owned();
    let subscribe = Command::Subscribe(Subscribe { target, channel });
    gateway.command(subscribe).await
}

async fn end(gateway: &Gateway, target: Option<Target>, channel: &str) -> Reply {
    let channel = channel.to_owned();
    let unsubscribe = Command::Unsubscribe(Unsubscribe { target, channel });
    gateway.command(unsubscribe).await
}

fn changed(count: u64, refused: u64) -> Reply {
    Reply::Changed(Changed { count, refused })
}

#[tokio::test]
async fn clients_are_subscribed_and_unsubscribed_without_asking() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(gateway.client("alice").await);
    }
    // No token of theirs allows it.
    clients[0].send(subscribe(1, "vip.1")).await;
    assert_eq!(clients[0].error().await.1, ErrorCode::PermissionDenied);
    let everybody = || to(target::Target::Everybody(true));
    assert_eq!(begin(&gateway, everybody(), "vip.1").await, changed(4, 0));
    for client in &mut clients {
        let subscribed = client.subscribed().await;
        assert_eq!((subscribed.id, &*subscribed.channel), (0, "vip.1"));
        assert_eq!(subscribed.verdict(), Verdict::Fresh);
    }
    // Once more is no more.
    assert_eq!(begin(&gateway, everybody(), "vip.1").await, changed(4, 0));
    gateway.publish("vip.1", "hello").await;
    for client in &mut clients {
        assert_eq!(client.publication().await.payload, "hello");
    }
    assert_eq!(
        end(&gateway, to_user("alice"), "vip.1").await,
        changed(4, 0)
    );
    gateway.publish("vip.1", "nobody").await;
    for client in &mut clients {
        let ended = client.unsubscribed().await;
        assert_eq!((ended.id, &*ended.channel), (0, "vip.1"));
        assert_eq!(ended.code(), ErrorCode::UnsubscribedByServer);
        client.send(ping(1)).await;
        assert_eq!(client.pong().await.nonce, 1);
    }
    // Nothing is there to end.
    assert_eq!(
        end(&gateway, to_user("alice"), "vip.1").await,
        changed(4, 0)
    );
    clients[0].send(ping(2)).await;
    assert_eq!(clients[0].pong().await.nonce, 2);
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_may_leave_what_the_control_plane_subscribed_it_to() {
    let gateway = Gateway::start(|_| {}).await;
    let mut alice = gateway.client("alice").await;
    assert_eq!(
        begin(&gateway, to_user("alice"), "room.1").await,
        changed(1, 0)
    );
    alice.subscribed().await;
    alice.send(subscribe(1, "room.1")).await;
    assert_eq!(alice.error().await, (1, ErrorCode::AlreadySubscribed));
    alice.send(unsubscribe(2, "room.1")).await;
    assert_eq!(alice.unsubscribed().await.id, 2);
    assert_eq!(
        begin(&gateway, to_user("alice"), "room.1").await,
        changed(1, 0)
    );
    assert_eq!(alice.subscribed().await.id, 0);
    gateway.finish().await;
}

#[tokio::test]
async fn the_limit_of_subscriptions_refuses_the_control_plane_too() {
    let gateway = Gateway::start(|config| config.session.max_subscriptions = 2).await;
    let mut full = gateway.client("alice").await;
    full.subscribe(1, "room.1").await;
    full.subscribe(2, "room.2").await;
    let mut free = gateway.client("alice").await;
    assert_eq!(
        begin(&gateway, to_user("alice"), "room.3").await,
        changed(1, 1)
    );
    assert_eq!(free.subscribed().await.channel, "room.3");
    // What it has already counts as done, however full it is.
    assert_eq!(
        begin(&gateway, to_user("alice"), "room.1").await,
        changed(2, 0)
    );
    full.send(ping(1)).await;
    assert_eq!(full.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn channels_that_cannot_be_are_refused() {
    let gateway = Gateway::start(|config| config.session.max_channel_bytes = 10).await;
    let _alice = gateway.client("alice").await;
    for channel in ["nowhere.1", "room.*", "", "room.12345678"] {
        let begun = begin(&gateway, to_user("alice"), channel).await;
        assert!(matches!(begun, Reply::Failure(_)), "{channel}: {begun:?}");
        let ended = end(&gateway, to_user("alice"), channel).await;
        assert!(matches!(ended, Reply::Failure(_)), "{channel}: {ended:?}");
    }
    assert_eq!(
        begin(&gateway, to_user("nobody"), "room.1").await,
        changed(0, 0)
    );
    gateway.finish().await;
}

#[tokio::test]
async fn who_waits_for_a_channel_gets_it_though_others_leave_it_meanwhile() {
    let gateway = Gateway::start(|_| {}).await;
    let mut fickle = gateway.client("fickle").await;
    let mut steady = gateway.client("steady").await;
    for round in 0..200 {
        let channel = format!("room.{round}");
        let batch = [subscribe(1, &channel), unsubscribe(2, &channel)];
        let (begun, ..) = tokio::join!(
            begin(&gateway, to_user("steady"), &channel),
            fickle.send_events(&batch),
        );
        assert_eq!(begun, changed(1, 0));
        assert_eq!(steady.subscribed().await.channel, channel);
        let came = [fickle.next_event().await, fickle.next_event().await];
        assert!(
            matches!(came, [Event::Subscribed(_), Event::Unsubscribed(_)]),
            "{came:?}"
        );
        end(&gateway, to_user("steady"), &channel).await;
        steady.unsubscribed().await;
    }
    gateway.finish().await;
}
