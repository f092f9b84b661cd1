//! What a gateway says of itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use client::{GapCause, State, SubscriptionEvent};
use wire::client::{
    Error, ErrorCode, Gap, GapCause as WireGapCause, Limits, Notice, Refreshed,
    client_event::Event as Received, server_event::Event,
};

use crate::scripted::{connect, connected, gateway, next, state_that, subscribed_without_log};

fn notice(kind: &str, in_ms: u32) -> Event {
    Event::Notice(Notice {
        kind: kind.into(),
        message: String::new(),
        in_ms,
    })
}

fn is_degraded(state: &State) -> bool {
    matches!(state, State::Connected { degraded: true, .. })
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_its_bus_shows_in_the_state() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let mut state = client.state();
    connection.send([notice("degraded", 0)]).await;
    state_that(&mut state, is_degraded).await;
    connection.send([notice("recovered", 0)]).await;
    state_that(&mut state, |state| !is_degraded(state)).await;
}

#[tokio::test(start_paused = true)]
async fn notices_reach_whoever_listens_until_the_end() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let (mut one, mut other) = (client.notices(), client.notices());
    connection.send([notice("token_expiring", 60_000)]).await;
    for notices in [&mut one, &mut other] {
        let notice = notices.next().await.expect("open");
        assert_eq!(notice.kind, "token_expiring");
        assert_eq!(notice.takes_effect_in, Duration::from_secs(60));
    }
    client.close().await;
    assert_eq!(one.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_is_refreshed_until_the_gateway_takes_one() {
    let (gateway, builder) = gateway();
    let tokens = Arc::new(AtomicU32::new(0));
    let made = tokens.clone();
    let builder = builder.token_source(move || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        async move { Ok::<_, std::io::Error>(format!("t{number}")) }
    });
    let (_gateway, mut connection, _client) = connect(gateway, builder, Limits::default()).await;
    connection.send([notice("token_expiring", 60_000)]).await;
    let Received::Refresh(first) = connection.expect().await else {
        panic!("not a Refresh");
    };
    assert_eq!(first.token, "t1");
    let failure = Some(wire::failure(ErrorCode::Unavailable, ""));
    let refused = Event::Error(Error {
        id: first.id,
        failure,
    });
    connection.send([refused]).await;
    let Received::Refresh(second) = connection.expect().await else {
        panic!("not a Refresh");
    };
    assert_eq!(second.token, "t2");
    let refreshed = Event::Refreshed(Refreshed {
        id: second.id,
        token_expires_at_ms: 0,
    });
    connection.send([refreshed]).await;
    // Only the next notice asks for another one.
    connection.send([notice("token_revoked", 60_000)]).await;
    let Received::Refresh(third) = connection.expect().await else {
        panic!("not a Refresh");
    };
    assert_eq!(third.token, "t3");
}

#[tokio::test(start_paused = true)]
async fn what_the_bus_may_have_lost_is_told_uncounted() {
    let (_gateway, mut connection, _client, mut ticks) = subscribed_without_log().await;
    let gap = Event::Gap(Gap {
        alias: 7,
        cause: WireGapCause::Bus.into(),
        ..Gap::default()
    });
    connection.send([gap]).await;
    let event = next(&mut ticks).await;
    assert!(
        matches!(event, SubscriptionEvent::Gap(gap)
            if (gap.cause, gap.dropped, gap.to) == (GapCause::Bus, 0, 0)),
        "{event:?}"
    );
}
