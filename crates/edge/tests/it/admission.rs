//! Who has to wait, how long, and how they learn.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use edge::{AdmissionLimits, FlappingLimits};
use testkit::{DEADLINE, Dial, HttpAnswer, eventually, hello, within};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
};
use wire::client::server_event::Event;

use crate::gateway::Gateway;

/// One connection, and one more each second.
async fn narrow() -> Gateway {
    Gateway::start(|config| {
        config.allowed_origins = vec!["*".to_owned()];
        config.admission = AdmissionLimits {
            rate: 1,
            ..AdmissionLimits::default()
        };
    })
    .await
}

fn wait_ms(answer: &HttpAnswer) -> u64 {
    let header = answer.header("retry-after-ms").expect("a time to return");
    header.parse().expect("a number")
}

/// The next refusal, however many get in before.
async fn refused(dial: impl Fn() -> Dial) -> HttpAnswer {
    let mut refused = None;
    eventually("a refusal", async || {
        refused = dial().try_connect().await.err();
        refused.is_some()
    })
    .await;
    refused.expect("just refused")
}

#[tokio::test]
async fn beyond_the_rate_each_client_gets_a_time_of_its_own_to_return() {
    let gateway = narrow().await;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let answer = refused(|| gateway.dial()).await;
        assert_eq!(
            (answer.status, answer.code()),
            (503, "admission_rate".into())
        );
        let ms = wait_ms(&answer);
        let seconds = ms.div_ceil(1000).to_string();
        assert_eq!(answer.header("retry-after"), Some(&*seconds));
        waits.push(ms);
    }
    assert!(waits.is_sorted_by(|one, next| one < next), "{waits:?}");
    gateway.drain().await;
}

#[tokio::test]
async fn who_has_a_ticket_of_a_session_waits_less_than_new_clients() {
    let gateway = narrow().await;
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&gateway.tokens.token("alice")).await;
    let ticket = URL_SAFE_NO_PAD.encode(&welcome.session_ticket);
    let mut new = 0;
    for _ in 0..8 {
        new = wait_ms(&refused(|| gateway.dial()).await);
    }
    let forged = ticket.to_lowercase();
    for worthless in ["", "!", &forged] {
        let dial = || gateway.dial().header("Tidegate-Ticket", worthless);
        let wait = wait_ms(&refused(dial).await);
        assert!(wait > new, "{worthless:?}: {wait} <= {new}");
        new = wait;
    }
    let parameter = format!("/v1/ws?session_ticket={ticket}");
    let by_parameter = wait_ms(&refused(|| gateway.dial().target(&parameter)).await);
    let by_header = || gateway.dial().header("Tidegate-Ticket", &ticket);
    let by_header = wait_ms(&refused(by_header).await);
    assert!(by_parameter < new / 2, "{by_parameter}, new ones {new}");
    assert!(by_header < new / 2, "{by_header}, new ones {new}");
    gateway.drain().await;
}

#[tokio::test]
async fn browsers_are_told_by_closing() {
    let gateway = narrow().await;
    for json in [false, true] {
        refused(|| gateway.dial()).await;
        let dial = gateway.dial().header("Origin", "https://game.example");
        let dial = if json { dial.json() } else { dial };
        let mut client = dial.connect().await;
        let close = client.expect_close().await;
        assert_eq!((close.code, close.cause()), (4107, "admission_rate"));
        assert!(
            close
                .closing
                .is_some_and(|closing| closing.retry_after_ms > 0)
        );
    }
    gateway.drain().await;
}

#[tokio::test]
async fn one_address_beyond_its_rate_leaves_the_others_alone() {
    let gateway = Gateway::start(|config| {
        config.admission = AdmissionLimits {
            address_rate: 1,
            ..AdmissionLimits::default()
        };
    })
    .await;
    let answer = refused(|| gateway.dial()).await;
    assert_eq!((answer.status, answer.code()), (503, "address_rate".into()));
    assert!(wait_ms(&answer) > 0);
    let mut other = from(&gateway, "127.0.0.2").await;
    let request = gateway.dial().text();
    other.write_all(request.as_bytes()).await.expect("room");
    let mut status = [0; 12];
    let read = tokio::io::AsyncReadExt::read_exact(&mut other, &mut status);
    within("an answer", read).await.expect("an answer");
    assert_eq!(&status, b"HTTP/1.1 101");
    gateway.drain().await;
}

/// A socket from another address of the loopback network.
async fn from(gateway: &Gateway, address: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("the system has a socket left");
    let address = format!("{address}:0").parse().expect("an address");
    socket.bind(address).expect("all of 127.0.0.0/8 is here");
    let connecting = socket.connect(gateway.address);
    within("a TCP connection", connecting)
        .await
        .expect("the gateway listens")
}

#[tokio::test]
async fn slow_requests_from_one_address_do_not_hold_up_the_others() {
    let gateway = Gateway::start(|config| {
        config.handshake_timeout = 10 * DEADLINE;
        config.max_handshakes = 3;
        config.admission.handshakes_per_address = 2;
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..10 {
        let mut stream = from(&gateway, "127.0.0.2").await;
        stream.write_all(b"GET /v1/ws HT").await.expect("room");
        slow.push(stream);
    }
    for _ in 0..5 {
        gateway.serves().await;
    }
    // Those who were first leave, and the others get their turns.
    for mut stream in slow {
        let rest = gateway.dial().text().replacen("GET /v1/ws HT", "", 1);
        stream.write_all(rest.as_bytes()).await.expect("room");
        let mut status = [0; 12];
        let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut status);
        within("an answer", read).await.expect("an answer");
        assert_eq!(&status, b"HTTP/1.1 101");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn who_comes_and_goes_all_the_time_is_kept_away_and_others_are_not() {
    let gateway = Gateway::start(|config| {
        config.admission.flapping = FlappingLimits {
            forgiven: 3,
            shorter_than: 10 * DEADLINE,
            penalty: Duration::from_secs(20),
        };
    })
    .await;
    let token = gateway.tokens.token("moth");
    let mut visits = 0;
    let mut closed = None;
    eventually("the user is kept away", async || {
        let mut client = gateway.dial().connect().await;
        client.send(hello(&token)).await;
        match client.next_event().await {
            Event::Welcome(_) => {
                visits += 1;
                client.leave().await;
            }
            Event::Closing(closing) => closed = Some((closing, client.expect_close().await.code)),
            other => panic!("unexpected {other:?}"),
        }
        closed.is_some()
    })
    .await;
    assert!(visits > 3, "{visits} visits");
    let (closing, code) = closed.expect("just closed");
    assert_eq!((code, &*closing.cause), (4108, "flapping"));
    let first = closing.retry_after_ms;
    assert!(first > 0);
    // With the token in the request too; impatience costs.
    let mut again = gateway.dial().bearer(&token).connect().await;
    let close = again.expect_close().await;
    assert_eq!(close.cause(), "flapping");
    let second = close.closing.map(|closing| closing.retry_after_ms);
    assert!(second > Some(first), "{second:?}");
    gateway.serves().await;
    gateway.finish().await;
}
