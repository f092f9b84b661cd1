//! Moving to another gateway: the second connection first.

use std::time::Duration;

use client::{
    Client, DirectEvent, Error, PublishOptions, State, SubscriptionEvent, Verdict as Recovery,
};
use futures_util::StreamExt;
use tokio::time::Instant;
use wire::{
    CloseCause,
    client::{Direct, Limits, Migrate, Position, Verdict, client_event, server_event::Event},
};

use crate::scripted::{
    Connection, Gateway, accepted, connected, next, publication, response, state_that, subscribed,
    subscribed_without_log, tick,
};

const DEADLINE: Duration = Duration::from_secs(60);

fn migrate() -> Event {
    Event::Migrate(Migrate {
        session_ticket: "migrating".into(),
        spread_ms: 1_000,
        deadline_ms: 60_000,
        hint: String::new(),
    })
}

/// Tells the client to move and welcomes it a second time.
async fn move_on(gateway: &mut Gateway, old: &mut Connection) -> Connection {
    old.send([migrate()]).await;
    let start = Instant::now();
    let (new, hello) = gateway.hello(Limits::default()).await;
    assert!(start.elapsed() <= Duration::from_secs(1));
    assert_eq!(hello.session_ticket, "migrating");
    assert_eq!(hello.capabilities, ["migrate"]);
    new
}

/// Asks for something, which must come over this connection.
async fn is_used(client: &Client, connection: &mut Connection) {
    let (answer, ()) = tokio::join!(client.request("echo", ""), async {
        let id = connection.request().await;
        connection.send([response(id, "here")]).await;
    });
    assert_eq!(answer.expect("answered"), "here");
}

/// Returns once the client's operations go over this connection.
async fn has_moved_to(client: &Client, nth: u32) {
    let expected = format!("gw.0.0.{nth}");
    let is_there = |state: &State| matches!(state, State::Connected { connection_id, .. } if **connection_id == expected);
    state_that(&mut client.state(), is_there).await;
}

fn offset(event: SubscriptionEvent) -> u64 {
    match event {
        SubscriptionEvent::Publication(publication) => publication.offset,
        other => panic!("not a publication: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_connection_takes_over_before_the_first_is_closed() {
    let (mut gateway, mut old, client, mut ticks) = subscribed(|builder| builder).await;
    old.send([publication(5, 6)]).await;
    let mut new = move_on(&mut gateway, &mut old).await;
    is_used(&client, &mut old).await;

    let since = new.agree(Verdict::Recovered, 6).await;
    assert_eq!(
        since.map(|Position { offset, .. }| offset),
        Some(6),
        "it goes on from what the old one brought"
    );
    has_moved_to(&client, 1).await;
    is_used(&client, &mut new).await;
    old.send([publication(6, 7)]).await;
    new.send([publication(6, 7), publication(7, 8)]).await;
    old.pong().await;
    assert_eq!(old.closed().await, 1000);
    new.send([publication(8, 9)]).await;
    for expected in 6..=9 {
        assert_eq!(offset(next(&mut ticks).await), expected);
    }
    assert!(gateway.is_left_alone().await);
}

#[tokio::test(start_paused = true)]
async fn what_both_connections_bring_without_a_log_comes_once_and_in_order() {
    let (mut gateway, mut old, client, mut ticks) = subscribed_without_log().await;
    old.send([migrate(), tick(1_000_000)]).await;
    let mut new = gateway.welcome(Limits::default()).await;
    new.agree_without_log().await;
    // Its gateway is ahead of the other one.
    new.send([tick(3_000_000), tick(4_000_000)]).await;
    has_moved_to(&client, 1).await;
    is_used(&client, &mut new).await;
    old.send((2..=4).map(|at| tick(at * 1_000_000))).await;
    old.pong().await;
    assert_eq!(old.closed().await, 1000);
    new.send([tick(5_000_000)]).await;
    for expected in 1..=5 {
        let SubscriptionEvent::Publication(tick) = next(&mut ticks).await else {
            panic!("nothing is missing");
        };
        assert_eq!(tick.published_at_us, expected * 1_000_000);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_is_not_closed_before_it_has_brought_what_the_second_lacks() {
    let (mut gateway, mut old, client, mut ticks) = subscribed(|builder| builder).await;
    let mut new = move_on(&mut gateway, &mut old).await;
    new.agree(Verdict::Lost, 8).await;
    new.send([publication(8, 9)]).await;
    has_moved_to(&client, 1).await;
    is_used(&client, &mut new).await;
    old.pong().await;
    old.send([publication(5, 7)]).await;
    assert_eq!(offset(next(&mut ticks).await), 7);
    tokio::time::sleep(DEADLINE / 2).await;
    old.send([publication(7, 8)]).await;
    assert_eq!(old.closed().await, 1000);
    for expected in 8..=9 {
        assert_eq!(offset(next(&mut ticks).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_flight_is_answered_over_the_first() {
    let (mut gateway, mut old, client) = connected(Limits::default()).await;
    let (answer, new) = tokio::join!(client.request("slow", ""), async {
        let id = old.request().await;
        let mut new = move_on(&mut gateway, &mut old).await;
        has_moved_to(&client, 1).await;
        is_used(&client, &mut new).await;
        old.pong().await;
        tokio::time::sleep(DEADLINE / 2).await;
        old.send([response(id, "late")]).await;
        new
    });
    assert_eq!(answer.expect("answered"), "late");
    assert_eq!(old.closed().await, 1000);
    drop(new);
}

#[tokio::test(start_paused = true)]
async fn a_publish_waits_for_those_that_the_first_has_not_answered() {
    let (mut gateway, mut old, client) = connected(Limits::default()).await;
    let publish = |payload: &'static str| {
        let retry = true;
        let options = PublishOptions {
            retry,
            ..PublishOptions::default()
        };
        client.publish_with("log.a", payload, options)
    };
    let second = async {
        let mut new = move_on(&mut gateway, &mut old).await;
        has_moved_to(&client, 1).await;
        let (accepted_second, _) = tokio::join!(publish("B"), async {
            // Anything else goes over the second one at once.
            is_used(&client, &mut new).await;
            drop(old);
            for (offset, expected) in [(1, "A"), (2, "B")] {
                let client_event::Event::Publish(publish) = new.expect().await else {
                    panic!("not a publish");
                };
                assert_eq!(publish.payload, expected);
                new.send([accepted(publish.id, offset)]).await;
            }
        });
        accepted_second
    };
    let (first, second) = tokio::join!(publish("A"), second);
    assert_eq!(first.expect("accepted").offset, 1);
    assert_eq!(second.expect("accepted").offset, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_by_the_deadline_fails() {
    let (mut gateway, mut old, client) = connected(Limits::default()).await;
    let (answer, _new) = tokio::join!(client.request("slow", ""), async {
        old.request().await;
        let start = Instant::now();
        let mut new = move_on(&mut gateway, &mut old).await;
        has_moved_to(&client, 1).await;
        is_used(&client, &mut new).await;
        old.pong().await;
        assert_eq!(old.closed().await, 1000);
        assert_eq!(start.elapsed().as_secs(), DEADLINE.as_secs());
        new
    });
    assert!(matches!(answer, Err(Error::ConnectionLost)), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_that_dies_too_early_is_told() {
    let (mut gateway, mut old, client, mut ticks) = subscribed_without_log().await;
    let mut new = move_on(&mut gateway, &mut old).await;
    drop(old);
    new.agree_without_log().await;
    new.send([tick(1)]).await;
    has_moved_to(&client, 1).await;
    is_used(&client, &mut new).await;
    let event = next(&mut ticks).await;
    assert!(
        matches!(event, SubscriptionEvent::Resubscribed { verdict } if verdict == Recovery::Fresh),
        "{event:?}"
    );
    assert!(matches!(
        next(&mut ticks).await,
        SubscriptionEvent::Publication(_)
    ));
    assert!(gateway.is_left_alone().await);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_first_between_agreement_and_overlap_is_told() {
    let (mut gateway, mut old, client, mut ticks) = subscribed_without_log().await;
    let mut new = move_on(&mut gateway, &mut old).await;
    new.agree_without_log().await;
    has_moved_to(&client, 1).await;
    is_used(&client, &mut new).await;
    drop(old);
    let event = next(&mut ticks).await;
    assert!(
        matches!(event, SubscriptionEvent::Resubscribed { .. }),
        "{event:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_second_is_tried_again_while_the_first_lives() {
    let (mut gateway, mut old, client, _ticks) = subscribed(|builder| builder).await;
    old.send([migrate()]).await;
    for _ in 0..3 {
        drop(gateway.dialled().await);
    }
    is_used(&client, &mut old).await;
    // One that gets further and is lost then.
    let mut new = gateway.welcome(Limits::default()).await;
    new.subscribe().await;
    drop(new);
    is_used(&client, &mut old).await;
    let mut new = gateway.welcome(Limits::default()).await;
    new.agree(Verdict::Recovered, 5).await;
    has_moved_to(&client, 2).await;
    is_used(&client, &mut new).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_second_the_end_of_the_first_is_a_usual_one() {
    let (mut gateway, mut old, client, mut ticks) = subscribed(|builder| builder).await;
    old.send([migrate()]).await;
    drop(gateway.dialled().await);
    old.close(CloseCause::Draining, 5_000).await;
    let start = Instant::now();
    let mut new = gateway.welcome(Limits::default()).await;
    assert!(start.elapsed() >= Duration::from_secs(5));
    new.agree(Verdict::Recovered, 5).await;
    let event = next(&mut ticks).await;
    assert!(
        matches!(event, SubscriptionEvent::Resubscribed { .. }),
        "{event:?}"
    );
    has_moved_to(&client, 1).await;
    is_used(&client, &mut new).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_made_meanwhile_moves_too() {
    let (mut gateway, mut old, client) = connected(Limits::default()).await;
    old.send([migrate()]).await;
    let (ticks, ()) = tokio::join!(client.subscribe("market.a"), async {
        old.agree(Verdict::Fresh, 5).await;
    });
    let mut ticks = ticks.expect("agreed");
    let mut new = gateway.welcome(Limits::default()).await;
    new.agree(Verdict::Recovered, 5).await;
    new.send([publication(5, 6)]).await;
    assert_eq!(offset(next(&mut ticks).await), 6);
    drop(ticks);
    for connection in [&mut old, &mut new] {
        loop {
            match connection.expect().await {
                client_event::Event::Unsubscribe(gone) => {
                    break assert_eq!(gone.channel, "market.a");
                }
                client_event::Event::Ping(_) => {}
                other => panic!("not expected: {other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_direct_message_over_both_is_delivered_once_and_confirmed_on_both() {
    let direct = |ack_id| {
        Event::Direct(Direct {
            payload: "d".into(),
            needs_ack: true,
            ack_id,
            ..Direct::default()
        })
    };
    let (mut gateway, mut old, client, _ticks) = subscribed_without_log().await;
    let mut new = move_on(&mut gateway, &mut old).await;
    let subscribe = new.subscribe().await;
    assert_eq!(subscribe.channel, "market.a");
    old.send([direct(40)]).await;
    new.send([direct(1)]).await;
    let mut messages = client.direct();
    let first = messages.next().await;
    assert!(matches!(first, Some(DirectEvent::Message(_))), "{first:?}");
    for (connection, ack_id) in [(&mut old, 40), (&mut new, 1)] {
        let ack = connection.expect().await;
        assert!(
            matches!(&ack, client_event::Event::Ack(ack) if ack.ack_id == ack_id),
            "{ack:?}"
        );
    }
    new.send([direct(2)]).await;
    tokio::select! {
        second = messages.next() => assert!(matches!(second, Some(DirectEvent::Message(_)))),
        () = tokio::time::sleep(DEADLINE / 4) => panic!("an equal message later is another one"),
    }
}
