//! What a gateway says of itself.

use std::time::Duration;

use client::{GapCause, State, SubscriptionEvent};
use wire::client::{Gap, GapCause as WireGapCause, Limits, Notice, server_event::Event};

use crate::scripted::{connected, next, state_that, subscribed_without_log};

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
