//! Losing connections: when to come back, and with what.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use client::{
    Error, ErrorCode, PublishOptions, RequestOptions, State, SubscriptionEvent, Verdict as Recovery,
};
use futures_util::{StreamExt, future::join_all};
use tokio::time::Instant;
use wire::{
    CloseCause,
    client::{Direct, Limits, Position, Verdict, client_event, server_event::Event},
};

use crate::scripted::{
    accepted, connect, connected, gateway, next, publication, refusal, response, state_that,
    subscribed, subscribed_without_log,
};

fn is_disconnected(state: &State) -> bool {
    matches!(state, State::Disconnected { .. })
}

fn is_connected(state: &State) -> bool {
    matches!(state, State::Connected { .. })
}

#[tokio::test(start_paused = true)]
async fn the_gateways_retry_after_is_a_minimum() {
    let (mut gateway, connection, client) = connected(Limits::default()).await;
    let mut state = client.state();
    let start = Instant::now();
    connection.close(CloseCause::RateLimited, 5_000).await;
    let State::Disconnected { cause, retry_in } = state_that(&mut state, is_disconnected).await
    else {
        unreachable!("waited for");
    };
    assert_eq!(cause.cause(), "rate_limited");
    assert!(retry_in >= Duration::from_secs(5), "{retry_in:?}");
    let _connection = gateway.welcome(Limits::default()).await;
    assert!(start.elapsed() >= Duration::from_secs(5));
    state_that(&mut state, is_connected).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_in_the_gateways_line_is_kept_to_the_millisecond() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let mut state = client.state();
    // Again and again: no back-off of its own is put on top.
    for _ in 0..10 {
        let start = Instant::now();
        connection.close(CloseCause::AdmissionRate, 1_234).await;
        state_that(&mut state, is_disconnected).await;
        connection = gateway.welcome(Limits::default()).await;
        let waited = start.elapsed().as_millis();
        assert!((1_234..1_240).contains(&waited), "{waited} ms");
        state_that(&mut state, is_connected).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_gateway_is_left_at_once_and_the_session_taken_along() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let direct = Direct {
        offset: 12,
        ..Direct::default()
    };
    connection.send([Event::Direct(direct)]).await;
    let start = Instant::now();
    connection.close(CloseCause::Draining, 0).await;
    let (_connection, hello) = gateway.hello(Limits::default()).await;
    assert!(start.elapsed() < Duration::from_millis(10));
    assert_eq!(hello.session_ticket, "ticket");
    assert_eq!(hello.mailbox_offset, 12);
    state_that(&mut client.state(), is_connected).await;
}

#[tokio::test(start_paused = true)]
async fn terminal_codes_close_the_client_and_end_its_subscriptions() {
    let (mut gateway, connection, client, mut ticks) = subscribed(|builder| builder).await;
    connection.close(CloseCause::Revoked, 0).await;
    let event = next(&mut ticks).await;
    let SubscriptionEvent::Ended(Error::Closed(cause)) = event else {
        panic!("the end comes: {event:?}");
    };
    assert_eq!(cause.code(), CloseCause::Revoked.code());
    assert!(ticks.next().await.is_none());
    assert!(matches!(*client.state().borrow(), State::Closed { .. }));
    assert!(gateway.is_left_alone().await);
}

#[tokio::test(start_paused = true)]
async fn a_silent_link_is_given_up_after_two_and_a_half_heartbeats() {
    let limits = Limits {
        heartbeat_ms: 1_000,
        ..Limits::default()
    };
    let (mut gateway, _silent, client) = connected(limits).await;
    let start = Instant::now();
    state_that(&mut client.state(), is_disconnected).await;
    assert_eq!(start.elapsed().as_millis(), 2_500);
    let _connection = gateway.welcome(limits).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_token_is_replaced_from_its_source() {
    let (mut gateway, builder) = gateway();
    let builder = builder.token_source({
        let asked = AtomicU32::new(0);
        move || {
            let nth = asked.fetch_add(1, Ordering::Relaxed) + 1;
            async move { Ok::<_, std::io::Error>(format!("token {nth}")) }
        }
    });
    let ((connection, hello), client) =
        tokio::join!(gateway.hello(Limits::default()), builder.connect());
    let _client = client.expect("connects");
    assert_eq!(hello.token, "token 1");
    connection.close(CloseCause::TokenExpired, 0).await;
    let (_connection, hello) = gateway.hello(Limits::default()).await;
    assert_eq!(hello.token, "token 2");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_go_on_from_the_position_held() {
    let (mut gateway, mut connection, _client, mut ticks) = subscribed(|builder| builder).await;
    connection.send([publication(5, 6)]).await;
    assert_eq!(ticks.next_publication().await.expect("live").offset, 6);
    drop(connection);

    let mut connection = gateway.welcome(Limits::default()).await;
    let since = connection.agree(Verdict::Recovered, 6).await;
    let held = Position {
        epoch: "e".into(),
        offset: 6,
    };
    assert_eq!(since, Some(held));
    connection
        .send([publication(6, 9), publication(9, 10)])
        .await;
    let event = next(&mut ticks).await;
    assert!(matches!(
        event,
        SubscriptionEvent::Resubscribed {
            verdict: Recovery::Recovered
        }
    ));
    for offset in [9, 10] {
        let event = next(&mut ticks).await;
        assert!(matches!(event, SubscriptionEvent::Publication(one) if one.offset == offset));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_while_subscribing_again_leaves_nothing_behind() {
    let (mut gateway, connection, _client, mut ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    connection.subscribe().await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    // The alias of another connection means nothing on this one.
    connection.send([publication(5, 6)]).await;
    connection.agree(Verdict::Recovered, 7).await;
    connection.send([publication(5, 7)]).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Resubscribed { .. }));
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Publication(one) if one.offset == 7));
    assert!(connection.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn subscribing_again_keeps_to_the_window() {
    let limits = Limits {
        max_in_flight: 1,
        ..Limits::default()
    };
    let (mut gateway, mut connection, client) = connected(limits).await;
    let (first, second, ()) = tokio::join!(
        client.subscribe("market.a"),
        client.subscribe("market.b"),
        async {
            connection.agree(Verdict::Fresh, 5).await;
            connection.agree(Verdict::Fresh, 5).await;
        }
    );
    let _both = (first.expect("agreed"), second.expect("agreed"));
    drop(connection);
    let mut connection = gateway.welcome(limits).await;
    let id = connection.subscribe().await.id;
    assert!(connection.is_quiet().await);
    connection
        .send([refusal(id, ErrorCode::PermissionDenied)])
        .await;
    connection.subscribe().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_be_renewed_now_is_asked_for_again() {
    let (mut gateway, connection, _client, mut ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    let id = connection.subscribe().await.id;
    connection.send([refusal(id, ErrorCode::Overloaded)]).await;
    connection.agree(Verdict::Recovered, 5).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Resubscribed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_for_good_ends() {
    let (mut gateway, connection, _client, mut ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    let id = connection.subscribe().await.id;
    connection
        .send([refusal(id, ErrorCode::PermissionDenied)])
        .await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Ended(_)), "{event:?}");
    assert!(connection.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_is_not_complete_is_found_out() {
    let (mut gateway, connection, _client, mut ticks) = subscribed(|builder| builder).await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    connection.agree(Verdict::Recovered, 9).await;
    connection.send([publication(8, 9)]).await;
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Resubscribed { .. }));
    let event = next(&mut ticks).await;
    assert!(matches!(event, SubscriptionEvent::Gap(gap) if (gap.from, gap.to) == (6, 8)));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_dropped_without_a_connection_is_not_made_again() {
    let (mut gateway, connection, client, ticks) = subscribed(|builder| builder).await;
    drop(connection);
    state_that(&mut client.state(), is_disconnected).await;
    drop(ticks);
    let mut connection = gateway.welcome(Limits::default()).await;
    let (_answer, ()) = tokio::join!(client.request("echo", ""), async {
        loop {
            match connection.expect().await {
                client_event::Event::Request(request) => {
                    return connection.send([response(request.id, "")]).await;
                }
                client_event::Event::Subscribe(again) => panic!("not wanted: {again:?}"),
                _ => {}
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_executed_fails_and_what_may_be_repeated_is() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let request = RequestOptions {
        idempotency_key: "k".into(),
        ..RequestOptions::default()
    };
    let publish = PublishOptions {
        publication_id: "p".into(),
        ..PublishOptions::default()
    };
    let (once, again, sent_once, sent_again, ()) = tokio::join!(
        client.request("a", ""),
        client.request_with("b", "", request),
        client.publish("chat.a", ""),
        client.publish_with("chat.b", "", publish),
        async {
            assert_eq!(connection.message().await.len(), 4);
            drop(connection);
            let mut connection = gateway.welcome(Limits::default()).await;
            let (request, publish) = (connection.request().await, connection.publish().await);
            connection
                .send([response(request, "second"), accepted(publish, 8)])
                .await;
        }
    );
    assert!(matches!(once, Err(Error::ConnectionLost)), "{once:?}");
    assert!(matches!(sent_once, Err(Error::ConnectionLost)));
    assert_eq!(again.expect("repeated"), "second");
    assert_eq!(sent_again.expect("repeated").offset, 8);
}

#[tokio::test(start_paused = true)]
async fn what_is_repeated_keeps_its_order() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let publishes = (0..10).map(|nth: u32| {
        let options = PublishOptions {
            publication_id: nth.to_string(),
            ..PublishOptions::default()
        };
        client.publish_with("chat.a", "", options)
    });
    let ids = async {
        connection.message().await;
        drop(connection);
        let mut connection = gateway.welcome(Limits::default()).await;
        let events = connection.message().await.into_iter();
        let ids = events.map(|event| match event {
            client_event::Event::Publish(publish) => publish.publication_id,
            other => panic!("not a publish: {other:?}"),
        });
        ids.collect::<Vec<_>>()
    };
    tokio::select! {
        results = join_all(publishes) => panic!("nobody answered: {results:?}"),
        ids = ids => {
            let expected: Vec<_> = (0..10).map(|nth: u32| nth.to_string()).collect();
            assert_eq!(ids, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn operations_wait_for_the_next_connection() {
    let (gateway, builder) = gateway();
    let (mut gateway, connection, client) = connect(gateway, builder, Limits::default()).await;
    drop(connection);
    state_that(&mut client.state(), is_disconnected).await;
    let (published, ()) = tokio::join!(client.publish("chat.a", ""), async {
        let mut connection = gateway.welcome(Limits::default()).await;
        let id = connection.publish().await;
        connection.send([accepted(id, 1)]).await;
    });
    assert_eq!(published.expect("accepted").offset, 1);
}

#[tokio::test(start_paused = true)]
async fn a_channel_without_a_log_is_told_of_every_reconnect() {
    let (mut gateway, connection, _client, mut ticks) = subscribed_without_log().await;
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    connection.agree_without_log().await;
    let event = next(&mut ticks).await;
    assert!(
        matches!(event, SubscriptionEvent::Resubscribed { verdict } if verdict == Recovery::Fresh),
        "{event:?}"
    );
}
