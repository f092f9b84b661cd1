//! Taking a session up again: what goes out with Hello, and what comes of it.

use client::{Client, PublishOptions, State, Subscription, SubscriptionEvent};
use futures_util::StreamExt;
use wire::{
    CloseCause,
    client::{Gap, GapCause, Limits, Verdict, client_event::Event as Asked, server_event::Event},
};

use crate::scripted::{
    Connection, Gateway, accepted, connected, next, publication, state_that, subscribed,
};

/// A client with so many subscriptions.
async fn with_subscriptions(
    limits: Limits,
    count: usize,
) -> (Gateway, Connection, Client, Vec<Subscription>) {
    let (gateway, mut connection, client) = connected(limits).await;
    let mut subscriptions = Vec::new();
    for nth in 0..count {
        let channel = format!("market.{nth:0>50}");
        let (subscription, _) = tokio::join!(
            client.subscribe(&channel),
            connection.agree(Verdict::Fresh, 5)
        );
        subscriptions.push(subscription.expect("agreed"));
    }
    (gateway, connection, client, subscriptions)
}

fn subscribes(events: &[Asked]) -> usize {
    let asks = |event: &&Asked| matches!(event, Asked::Subscribe(_));
    events.iter().filter(asks).count()
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_asked_for_in_the_message_of_hello() {
    let (mut gateway, connection, _client, _subscriptions) =
        with_subscriptions(Limits::default(), 3).await;
    drop(connection);
    let mut connection = gateway.accept().await;
    let events = connection.message().await;
    assert!(matches!(&events[0], Asked::Hello(hello) if hello.session_ticket == "ticket"));
    assert_eq!((events.len(), subscribes(&events)), (4, 3));
    let welcome = gateway.says_welcome(Limits::default());
    connection.send([welcome]).await;
    assert!(connection.is_quiet().await, "nothing is said twice");
}

#[tokio::test(start_paused = true)]
async fn the_message_of_hello_stays_small_and_the_rest_follows_welcome() {
    let limits = Limits {
        max_message_bytes: 64 << 10,
        ..Limits::default()
    };
    let (mut gateway, connection, _client, _subscriptions) = with_subscriptions(limits, 200).await;
    drop(connection);
    let mut connection = gateway.accept().await;
    let first = subscribes(&connection.message().await);
    assert!((20..150).contains(&first), "{first}");
    let welcome = gateway.says_welcome(limits);
    connection.send([welcome]).await;
    let rest = subscribes(&connection.message().await);
    assert_eq!(first + rest, 200);
}

#[tokio::test(start_paused = true)]
async fn the_last_welcomes_limit_holds_for_the_message_of_hello() {
    let limits = Limits {
        max_message_bytes: 200,
        ..Limits::default()
    };
    let (mut gateway, connection, _client, _subscriptions) = with_subscriptions(limits, 5).await;
    drop(connection);
    let mut connection = gateway.accept().await;
    let mut asked = 0;
    let mut messages = 0;
    while asked < 5 {
        asked += subscribes(&connection.message().await);
        messages += 1;
    }
    assert!(messages > 1, "200 bytes do not hold all of it");
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_message_of_welcome_counts() {
    let (mut gateway, connection, client, mut ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.accept().await;
    connection.expect().await;
    let (_, agreed) = connection.agreement(Verdict::Recovered, 5).await;
    let welcome = gateway.says_welcome(Limits::default());
    connection.send([welcome, agreed, publication(5, 6)]).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Resubscribed { .. }));
    assert_eq!(ticks.next_publication().await.expect("live").offset, 6);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_dropped_while_hello_is_under_way_is_ended_again() {
    let (mut gateway, connection, client, ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.accept().await;
    connection.expect().await;
    drop(ticks);
    let (_, agreed) = connection.agreement(Verdict::Recovered, 5).await;
    let welcome = gateway.says_welcome(Limits::default());
    connection.send([welcome, agreed]).await;
    let ended = connection.expect().await;
    assert!(
        matches!(&ended, Asked::Unsubscribe(it) if it.channel == "market.a"),
        "{ended:?}"
    );
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn the_state_that_a_subscription_begins_with_is_told_from_news() {
    let (mut gateway, connection, _client, mut ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    connection.agree(Verdict::Resnapshot, 20).await;
    connection
        .send([publication(12, 15), publication(19, 20)])
        .await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Resubscribed { .. }));
    for expected in [15, 20] {
        let state = ticks.next_publication().await.expect("comes");
        assert_eq!((state.offset, state.is_snapshot), (expected, true));
    }
    connection.send([publication(20, 21)]).await;
    let news = ticks.next_publication().await.expect("comes");
    assert_eq!((news.offset, news.is_snapshot), (21, false));
}

#[tokio::test(start_paused = true)]
async fn half_a_state_is_asked_for_again() {
    let (mut gateway, connection, _client, mut ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    connection.agree(Verdict::Resnapshot, 20).await;
    connection.send([publication(12, 15)]).await;
    ticks.next_publication().await.expect("the first half");
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    assert_eq!(connection.subscribe().await.since, None);
}

#[tokio::test(start_paused = true)]
async fn what_a_gap_told_is_not_asked_for_again() {
    let (mut gateway, mut connection, _client, mut ticks) = subscribed(|builder| builder).await;
    let gap = Gap {
        alias: 7,
        dropped: 2,
        from: 6,
        to: 8,
        cause: GapCause::SlowConnection.into(),
        ..Gap::default()
    };
    connection.send([Event::Gap(gap)]).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Gap(gap) if gap.to == 8));
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    let since = connection.agree(Verdict::Recovered, 8).await;
    assert_eq!(since.map(|since| since.offset), Some(8));
    connection.send([publication(8, 9)]).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Resubscribed { .. }));
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Publication(one) if one.offset == 9));
}

#[tokio::test(start_paused = true)]
async fn a_publication_to_be_retried_keeps_the_id_that_the_client_made() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let retry = || PublishOptions {
        retry: true,
        ..PublishOptions::default()
    };
    let (first, second, ()) = tokio::join!(
        client.publish_with("log.a", "1", retry()),
        client.publish_with("log.a", "2", retry()),
        async {
            let ids = [
                connection.publication_id().await.1,
                connection.publication_id().await.1,
            ];
            assert!(!ids[0].is_empty() && ids[0] != ids[1]);
            drop(connection);
            let mut connection = gateway.welcome(Limits::default()).await;
            for (expected, offset) in ids.into_iter().zip(1..) {
                let (id, again) = connection.publication_id().await;
                assert_eq!(again, expected);
                connection.send([accepted(id, offset)]).await;
            }
        }
    );
    assert_eq!(first.expect("accepted").offset, 1);
    assert_eq!(second.expect("accepted").offset, 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_session_was_taken_over_does_not_take_it_back() {
    let (mut gateway, connection, client, mut ticks) = subscribed(|builder| builder).await;
    connection.close(CloseCause::SessionReplaced, 0).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Ended(_)), "{event:?}");
    assert!(ticks.next().await.is_none());
    let ended = |state: &State| matches!(state, State::Closed { .. });
    let State::Closed { cause } = state_that(&mut client.state(), ended).await else {
        unreachable!("waited for");
    };
    assert_eq!((cause.code(), cause.cause()), (4009, "session_replaced"));
    assert!(gateway.is_left_alone().await);
}
