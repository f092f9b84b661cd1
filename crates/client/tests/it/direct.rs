//! Direct messages.

use client::{DirectEvent, GapCause};
use futures_util::StreamExt;
use wire::client::{Ack, Direct, Limits, client_event, server_event::Event};

use crate::scripted::{Connection, connect, connected, gateway};

fn direct(previous: u64, offset: u64) -> Event {
    Event::Direct(Direct {
        offset,
        previous,
        payload: "d".into(),
        needs_ack: true,
        ack_id: 40,
    })
}

/// The next event, which must be an Ack: up to which offset, and number.
async fn acked(connection: &mut Connection) -> (u64, u64) {
    match connection.expect().await {
        client_event::Event::Ack(Ack { up_to, ack_id }) => (up_to, ack_id),
        other => panic!("not an ack: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_reader_and_are_confirmed_when_it_takes_them() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    connection.send([direct(0, 3), direct(0, 0)]).await;
    assert!(connection.is_quiet().await);
    let mut messages = client.direct();
    for (offset, ack) in [(3, (3, 0)), (0, (0, 40))] {
        let Some(DirectEvent::Message(message)) = messages.next().await else {
            panic!("a message");
        };
        assert_eq!(message.offset, offset);
        assert_eq!(acked(&mut connection).await, ack);
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_may_confirm_by_itself() {
    let (gateway, builder) = gateway();
    let (_gateway, mut connection, client) =
        connect(gateway, builder.manual_acks(), Limits::default()).await;
    connection.send([direct(0, 3), direct(3, 4)]).await;
    let mut messages = client.direct();
    let mut last = None;
    for _ in 0..2 {
        match messages.next().await {
            Some(DirectEvent::Message(message)) => last = message.ack,
            other => panic!("not a message: {other:?}"),
        }
    }
    assert!(connection.is_quiet().await);
    client.ack(last.expect("its sender waits"));
    assert_eq!(acked(&mut connection).await, (4, 0));
}

#[tokio::test(start_paused = true)]
async fn another_connection_is_not_told_what_the_last_one_asked() {
    let (gateway, builder) = gateway();
    let (mut gateway, mut connection, client) =
        connect(gateway, builder.manual_acks(), Limits::default()).await;
    let mut messages = client.direct();
    connection.send([direct(0, 3), direct(0, 0)]).await;
    messages.next().await;
    let Some(DirectEvent::Message(last)) = messages.next().await else {
        panic!("a message");
    };
    drop(connection);
    let mut connection = gateway.welcome(Limits::default()).await;
    client.ack(last.ack.expect("its sender waits"));
    // The offset holds everywhere; number 40 was the lost connection's own.
    assert_eq!(acked(&mut connection).await, (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_the_mailbox_is_reported_and_a_repetition_is_not_delivered() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let events = [direct(0, 3), direct(0, 3), direct(5, 6)];
    connection.send(events).await;
    let mut messages = client.direct();
    let first = messages.next().await;
    assert!(matches!(first, Some(DirectEvent::Message(one)) if one.offset == 3));
    let Some(DirectEvent::Gap(gap)) = messages.next().await else {
        panic!("a gap");
    };
    assert_eq!((gap.from, gap.to, gap.cause), (4, 5, GapCause::BrokenChain));
    let last = messages.next().await;
    assert!(matches!(last, Some(DirectEvent::Message(one)) if one.offset == 6));
}
