//! Clients that send faster than they may.

use std::time::Duration;

use edge::UpstreamRates;
use testkit::{DEADLINE, RawClient, ping, within};
use wire::client::server_event::Event;

use crate::gateway::Gateway;

/// So much at once, and as much again in a second.
const MESSAGES: u32 = 20;

/// So much at once of all of a user, or of an address; then they wait for seconds.
const TOGETHER: UpstreamRates = UpstreamRates {
    messages: MESSAGES / 5,
    bytes: 0,
    burst: Duration::from_secs(5),
    patience: Duration::from_secs(3_600),
};

async fn strict(patience: Duration) -> Gateway {
    Gateway::start(|config| {
        config.upstream = UpstreamRates {
            messages: MESSAGES,
            bytes: 10_000,
            burst: Duration::from_secs(1),
            patience,
        };
    })
    .await
}

#[tokio::test]
async fn welcome_tells_the_rates() {
    let gateway = strict(DEADLINE).await;
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&gateway.tokens.token("alice")).await;
    let limits = welcome.limits.expect("always there");
    assert_eq!(limits.messages_per_second, MESSAGES);
    assert_eq!(limits.bytes_per_second, 10_000);
    gateway.finish().await;
}

#[tokio::test]
async fn who_sends_too_fast_is_read_more_slowly_and_loses_nothing() {
    let gateway = strict(10 * DEADLINE).await;
    let (mut fast, mut other) = (gateway.client("fast").await, gateway.client("other").await);
    // Each event counts, in a message of its own or not.
    for number in 0..MESSAGES {
        fast.send(ping(number)).await;
    }
    let batch: Vec<_> = (MESSAGES..4 * MESSAGES).map(ping).collect();
    fast.send_events(&batch).await;
    // Three seconds' worth were too many, in which others are served.
    let mut answered = 0;
    loop {
        other.send(ping(7)).await;
        assert_eq!(other.pong().await.nonce, 7);
        let event = tokio::time::timeout(Duration::ZERO, fast.next_event()).await;
        match event {
            Err(_) if answered == 4 * MESSAGES => break,
            Err(_) => {}
            Ok(Event::Pong(pong)) => {
                assert_eq!(pong.nonce, answered, "the last one has to wait");
                answered += 1;
                if answered == 4 * MESSAGES {
                    fast.send(ping(u32::MAX)).await;
                }
            }
            Ok(other) => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(fast.pong().await.nonce, u32::MAX);
    gateway.finish().await;
}

/// Sends so many at once, and reads what is answered of them at once.
async fn burst(client: &mut RawClient, count: u32) {
    let batch: Vec<_> = (0..count).map(ping).collect();
    client.send_events(&batch).await;
    for number in 0..count {
        assert_eq!(client.pong().await.nonce, number);
    }
}

/// Whether a client is answered while another one waits.
async fn waits_for(patient: &mut RawClient, other: &mut RawClient) {
    patient.send(ping(1)).await;
    for _ in 0..3 {
        other.send(ping(2)).await;
        assert_eq!(other.pong().await.nonce, 2);
        let answer = tokio::time::timeout(Duration::ZERO, patient.next_event()).await;
        assert!(answer.is_err(), "it was not left unread: {answer:?}");
    }
    assert_eq!(patient.pong().await.nonce, 1, "it is read again");
}

#[tokio::test]
async fn connections_of_a_user_share_his_rate() {
    // On two shards.
    let gateway = Gateway::start(|config| {
        config.user_upstream = TOGETHER;
        config.shards = 2;
    });
    let gateway = gateway.await;
    let mut one = gateway.client("ann").await;
    let mut two = gateway.client("ann").await;
    let mut other = gateway.client("bob").await;
    burst(&mut one, MESSAGES / 2).await;
    burst(&mut two, MESSAGES).await;
    waits_for(&mut two, &mut other).await;
    gateway.finish().await;
}

#[tokio::test]
async fn connections_from_an_address_share_its_rate() {
    let gateway = Gateway::start(|config| config.address_upstream = TOGETHER).await;
    let mut one = gateway.client("ann").await;
    let mut two = gateway.client("bob").await;
    let mut elsewhere = gateway.dial().from([127, 0, 0, 2]).connect().await;
    elsewhere.hello(&gateway.tokens.token("ann")).await;
    burst(&mut one, MESSAGES / 2).await;
    burst(&mut two, MESSAGES).await;
    waits_for(&mut two, &mut elsewhere).await;
    gateway.finish().await;
}

#[tokio::test]
async fn who_floods_for_long_is_closed_with_a_cause_of_its_own() {
    let gateway = strict(Duration::from_millis(500)).await;
    let mut flood = gateway.client("flood").await;
    let batch: Vec<_> = (0..100).map(ping).collect();
    let closing = async {
        loop {
            // Until the socket takes no more, or is closed.
            let send = tokio::time::timeout(Duration::from_millis(1), flood.send_events(&batch));
            let _ = send.await;
            let event = tokio::time::timeout(Duration::ZERO, flood.next_event()).await;
            if let Ok(Event::Closing(closing)) = event {
                break closing;
            }
        }
    };
    let closing = within("the end of the flood", closing).await;
    assert_eq!(
        (closing.close_code, &*closing.cause),
        (4103, "rate_limited")
    );
    assert!(closing.retry_after_ms > 0);
    gateway.finish().await;
}
