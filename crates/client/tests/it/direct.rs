//! Direct messages.

use client::{DirectEvent, GapCause};
use futures_util::StreamExt;
use wire::client::{Ack, Direct, Limits, client_event, server_event::Event};

use crate::scripted::connected;

fn direct(previous: u64, offset: u64) -> Event {
    Event::Direct(Direct {
        offset,
        previous,
        payload: "d".into(),
        needs_ack: true,
        ack_id: 40,
    })
}

#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_reader_and_are_confirmed_by_offset() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    connection.send([direct(0, 3), direct(0, 0)]).await;
    let mut messages = client.direct();
    for (offset, ack) in [(3, 3), (0, 40)] {
        let Some(DirectEvent::Message(message)) = messages.next().await else {
            panic!("a message");
        };
        assert_eq!((message.offset, message.ack), (offset, Some(ack)));
        client.ack(ack).await.expect("open");
        let confirmed = connection.expect().await;
        assert_eq!(confirmed, client_event::Event::Ack(Ack { up_to: ack }));
    }
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
