//! What subscribers see on one connection.

use client::{Error, ErrorCode, GapCause, SubscribeOptions, SubscriptionEvent};
use futures_util::StreamExt;
use wire::client::{
    Gap, GapCause as WireGapCause, Limits, Subscribed, Unsubscribed, Verdict, client_event,
    server_event::Event,
};

use crate::scripted::{
    Connection, accepted, connected, next, publication, refusal, response, subscribed,
};

/// Returns when the client has taken in everything sent before.
async fn settle(client: &client::Client, connection: &mut Connection) {
    let (answer, ()) = tokio::join!(client.request("echo", ""), async {
        let id = connection.request().await;
        connection.send([response(id, "")]).await;
    });
    answer.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn publications_come_in_order_with_their_offsets() {
    let (_gateway, mut connection, _client, mut ticks) = subscribed(|builder| builder).await;
    connection
        .send([publication(5, 6), publication(6, 9)])
        .await;
    for offset in [6, 9] {
        let publication = ticks.next_publication().await.expect("published");
        assert_eq!(
            (publication.offset, &*publication.payload),
            (offset, &b"p"[..])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_an_error_and_may_be_tried_again() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let (refused, ()) = tokio::join!(client.subscribe("secret.a"), async {
        let id = connection.subscribe().await.id;
        let refusal = refusal(id, ErrorCode::PermissionDenied);
        connection.send([refusal]).await;
    });
    let code = refused.expect_err("refused").code();
    assert_eq!(code, Some(ErrorCode::PermissionDenied));
    let again = client.subscribe("secret.a");
    tokio::select! {
        result = again => panic!("nobody answered: {result:?}"),
        subscribe = connection.subscribe() => assert_eq!(subscribe.channel, "secret.a"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_subscription_to_a_channel_is_refused_here() {
    let (_gateway, mut connection, client, _ticks) = subscribed(|builder| builder).await;
    let code = client
        .subscribe("market.a")
        .await
        .expect_err("taken")
        .code();
    assert_eq!(code, Some(ErrorCode::AlreadySubscribed));
    assert!(connection.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_subscription_unsubscribes_and_frees_the_channel() {
    let (_gateway, mut connection, client, ticks) = subscribed(|builder| builder).await;
    drop(ticks);
    let (again, ()) = tokio::join!(client.subscribe("market.a"), async {
        let client_event::Event::Unsubscribe(gone) = connection.expect().await else {
            panic!("an unsubscribe");
        };
        assert_eq!(gone.channel, "market.a");
        let unsubscribed = Unsubscribed {
            id: gone.id,
            channel: gone.channel,
            alias: 7,
            ..Unsubscribed::default()
        };
        connection
            .send([publication(5, 6), Event::Unsubscribed(unsubscribed)])
            .await;
        let since = connection.agree(Verdict::Fresh, 6).await;
        assert_eq!(since, None);
        connection.send([publication(6, 7)]).await;
    });
    let mut again = again.expect("agreed");
    assert_eq!(again.next_publication().await.expect("live").offset, 7);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_dropped_subscription_is_not_taken_for_that_of_the_next() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let first = {
        let dropped = client.subscribe("market.a");
        tokio::select! {
            result = dropped => panic!("nobody answered: {result:?}"),
            subscribe = connection.subscribe() => subscribe,
        }
    };
    let (second, ()) = tokio::join!(client.subscribe("market.a"), async {
        let unsubscribe = connection.expect().await;
        assert!(matches!(unsubscribe, client_event::Event::Unsubscribe(_)));
        let late = Event::Subscribed(Subscribed {
            id: first.id,
            channel: first.channel,
            alias: 7,
            ..Subscribed::default()
        });
        connection.send([late, publication(4, 5)]).await;
        connection.agree(Verdict::Fresh, 5).await;
        connection.send([publication(5, 6)]).await;
    });
    let event = next(&mut second.expect("agreed")).await;
    assert!(
        matches!(&event, SubscriptionEvent::Publication(one) if one.offset == 6),
        "{event:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_chain_is_reported_where_it_breaks() {
    let (_gateway, mut connection, _client, mut ticks) = subscribed(|builder| builder).await;
    connection.send([publication(8, 9)]).await;
    let SubscriptionEvent::Gap(gap) = next(&mut ticks).await else {
        panic!("a gap comes first");
    };
    assert_eq!((gap.from, gap.to, gap.cause), (6, 8, GapCause::BrokenChain));
    assert_eq!(ticks.next_publication().await.expect("live").offset, 9);
}

#[tokio::test(start_paused = true)]
async fn a_gap_that_the_gateway_reports_is_reported_once() {
    let (_gateway, mut connection, _client, mut ticks) = subscribed(|builder| builder).await;
    let gap = Event::Gap(Gap {
        alias: 7,
        dropped: 3,
        from: 6,
        to: 8,
        cause: WireGapCause::SlowConnection.into(),
        ..Gap::default()
    });
    connection.send([gap, publication(8, 9)]).await;
    let SubscriptionEvent::Gap(gap) = next(&mut ticks).await else {
        panic!("a gap comes first");
    };
    assert_eq!((gap.dropped, gap.cause), (3, GapCause::SlowConnection));
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Publication(one) if one.offset == 9));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_loses_the_oldest_and_is_told_in_their_place() {
    let (_gateway, mut connection, client, mut ticks) =
        subscribed(|builder| builder.queue(2, usize::MAX)).await;
    connection
        .send((5..10).map(|offset| publication(offset, offset + 1)))
        .await;
    settle(&client, &mut connection).await;
    let SubscriptionEvent::Gap(gap) = next(&mut ticks).await else {
        panic!("a gap comes first");
    };
    assert_eq!((gap.dropped, gap.from, gap.to), (3, 6, 8));
    assert_eq!(gap.cause, GapCause::SlowReader);
    for offset in [9, 10] {
        let event = next(&mut ticks).await;
        assert!(matches!(event, SubscriptionEvent::Publication(one) if one.offset == offset));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_bounded_in_bytes_too_but_always_holds_the_newest() {
    let (_gateway, mut connection, client, mut ticks) =
        subscribed(|builder| builder.queue(100, 0)).await;
    connection
        .send([publication(5, 6), publication(6, 7)])
        .await;
    settle(&client, &mut connection).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Gap(gap) if gap.dropped == 1));
    assert_eq!(ticks.next_publication().await.expect("kept").offset, 7);
}

#[tokio::test(start_paused = true)]
async fn the_gateway_may_end_a_subscription() {
    let (_gateway, mut connection, _client, mut ticks) = subscribed(|builder| builder).await;
    let ended = Unsubscribed {
        channel: "market.a".into(),
        code: ErrorCode::PermissionDenied.into(),
        alias: 7,
        ..Unsubscribed::default()
    };
    connection.send([Event::Unsubscribed(ended)]).await;
    let event = next(&mut ticks).await;
    let SubscriptionEvent::Ended(Error::Failed { code, .. }) = event else {
        panic!("the end comes: {event:?}");
    };
    assert_eq!(code, ErrorCode::PermissionDenied);
    assert!(ticks.next().await.is_none());
}

#[tokio::test]
async fn a_state_that_can_not_be_given_is_told() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let options = SubscribeOptions {
        latest: true,
        ..SubscribeOptions::default()
    };
    let (subscription, ()) = tokio::join!(client.subscribe_with("market.a", options), async {
        connection.agree(Verdict::Lost, 5).await;
    });
    let told = next(&mut subscription.expect("agreed")).await;
    let SubscriptionEvent::Resubscribed { verdict } = told else {
        panic!("unexpected {told:?}");
    };
    assert_eq!(verdict, client::Verdict::Lost);
}

/// The client asks for `options`, which the gateway takes.
async fn set(ticks: &client::Subscription, connection: &mut Connection, options: SubscribeOptions) {
    let (done, ()) = tokio::join!(ticks.set(options), async {
        let client_event::Event::SetSubscription(set) = connection.expect().await else {
            panic!("a SetSubscription");
        };
        assert_eq!(set.channel, "market.a");
        let asked = set.options.unwrap_or_default();
        assert_eq!(asked.max_per_second, options.max_per_second);
        connection.send([accepted(set.id, 0)]).await;
    });
    done.expect("agreed");
}

#[tokio::test(start_paused = true)]
async fn what_is_sampled_need_not_join_until_all_is_asked_for_again() {
    let (mut gateway, mut connection, _client, mut ticks) = subscribed(|builder| builder).await;
    let rarely = SubscribeOptions {
        max_per_second: 2,
        ..SubscribeOptions::default()
    };
    set(&ticks, &mut connection, rarely).await;
    let gap = Event::Gap(Gap {
        alias: 7,
        conflated: 3,
        cause: WireGapCause::Sampled.into(),
        ..Gap::default()
    });
    connection.send([gap, publication(8, 9)]).await;
    let SubscriptionEvent::Gap(gap) = next(&mut ticks).await else {
        panic!("a gap");
    };
    assert_eq!((gap.conflated, gap.cause), (3, GapCause::Sampled));
    assert_eq!(ticks.next_publication().await.expect("a sample").offset, 9);
    set(&ticks, &mut connection, SubscribeOptions::default()).await;
    connection
        .send([publication(9, 10), publication(12, 13)])
        .await;
    assert_eq!(ticks.next_publication().await.expect("joins").offset, 10);
    let SubscriptionEvent::Gap(gap) = next(&mut ticks).await else {
        panic!("a gap");
    };
    assert_eq!(
        (gap.from, gap.to, gap.cause),
        (11, 12, GapCause::BrokenChain)
    );
    // It is what the next connection is asked for, too.
    set(&ticks, &mut connection, rarely).await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    let asked = connection.subscribe().await.options.unwrap_or_default();
    assert_eq!(asked.max_per_second, 2);
}
