//! Tokens that a worker reads: who asks it, how often, and what becomes of clients
//! whose worker says no or nothing.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{Incoming, Subject};
use edge::{BreakerPolicy, EdgeConfig, HookPolicy, RoutePolicy};
use futures_util::future::join_all;
use prost::Message;
use testkit::{DEADLINE, RawClient, Tokens, eventually, hello, request, subscribe};
use wire::{
    client::{ClientEvent, ErrorCode, Hello, client_event, response::Outcome, server_event::Event},
    worker::{AuthAccepted, AuthDenied, AuthRequest, AuthResult, PatternList, auth_result},
};

use crate::gateway::Gateway;

const HOUR: Duration = Duration::from_secs(3600);
const ROUTE: &str = "auth.verify";

fn hooked(config: &mut EdgeConfig) {
    let breaker = BreakerPolicy {
        failures: 2,
        pause: HOUR,
    };
    config.hook = Some(HookPolicy {
        name: ROUTE.into(),
        route: RoutePolicy {
            anonymous: false,
            subject: Subject::of_route(ROUTE).expect("valid"),
            deadline: DEADLINE,
            max_in_flight: 100,
            breaker: Some(breaker),
            redelivery: Default::default(),
        },
        kept: 100,
        valid_for: HOUR,
        denied_for: HOUR,
    });
}

fn accept(user: &str) -> AuthAccepted {
    AuthAccepted {
        user: user.into(),
        ..AuthAccepted::default()
    }
}

fn answer(request: Incoming, result: auth_result::Result) {
    let result = AuthResult {
        result: Some(result),
    };
    request.responder.reply(Ok(result.encode_to_vec().into()));
}

/// Lets everybody in as what the token says, but `bad-…`; gives the requests.
fn serve(gateway: &Gateway) -> Arc<Mutex<Vec<AuthRequest>>> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let into = asked.clone();
    gateway.serve(ROUTE, move |incoming| {
        let request = AuthRequest::decode(incoming.payload.clone()).expect("a request");
        let result = match request.token.strip_prefix("bad-") {
            Some(_) => auth_result::Result::Denied(AuthDenied::default()),
            None => auth_result::Result::Accepted(AuthAccepted {
                subscribe: Some(PatternList {
                    patterns: vec!["room.$user".into()],
                }),
                ..accept(&request.token)
            }),
        };
        into.lock().expect("no panics").push(request);
        answer(incoming, result);
    });
    asked
}

async fn assert_closed(client: &mut RawClient, code: u16, cause: &str) {
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (code, cause));
}

#[tokio::test]
async fn a_worker_says_who_shows_an_opaque_token_and_is_asked_once() {
    let origin = "https://games.example".to_owned();
    let gateway = Gateway::start(|config| {
        hooked(config);
        config.allowed_origins = vec![origin.clone()];
    })
    .await;
    let asked = serve(&gateway);
    let mut client = gateway.dial().header("Origin", &origin).connect().await;
    let event = client_event::Event::Hello(Box::new(Hello {
        token: "opaque".into(),
        client_name: "game".into(),
        ..Hello::default()
    }));
    client.send(ClientEvent { event: Some(event) }).await;
    match client.next_event().await {
        Event::Welcome(welcome) => assert_eq!(welcome.user, "opaque"),
        other => panic!("unexpected {other:?}"),
    }
    client.subscribe(1, "room.opaque").await;
    client.send(subscribe(2, "room.other")).await;
    match client.next_event().await {
        Event::Error(error) => assert_eq!(error.id, 2),
        other => panic!("unexpected {other:?}"),
    }
    for _ in 0..3 {
        RawClient::greeted(gateway.address, "opaque").await;
    }
    let expected = AuthRequest {
        token: "opaque".into(),
        peer_address: "127.0.0.1".into(),
        origin,
        client_name: "game".into(),
    };
    assert_eq!(*asked.lock().expect("no panics"), [expected]);
    gateway.finish().await;
}

#[tokio::test]
async fn a_denied_token_is_not_valid_and_remembered_as_such() {
    let gateway = Gateway::start(hooked).await;
    let asked = serve(&gateway);
    for _ in 0..3 {
        let mut client = gateway.dial().query_token("bad-token").connect().await;
        assert_closed(&mut client, 4002, "invalid_token").await;
    }
    assert_eq!(asked.lock().expect("no panics").len(), 1);
    gateway.finish().await;
}

#[tokio::test]
async fn clients_come_back_later_when_no_worker_answers_and_the_breaker_opens() {
    let gateway = Gateway::start(hooked).await;
    for _ in 0..2 {
        let mut client = gateway.dial().bearer("opaque").connect().await;
        assert_closed(&mut client, 4106, "upstream_unavailable").await;
    }
    // A worker that comes now is left alone for an hour.
    let asked = serve(&gateway);
    let mut client = gateway.dial().connect().await;
    client.send(hello("opaque")).await;
    assert_closed(&mut client, 4106, "upstream_unavailable").await;
    assert_eq!(asked.lock().expect("no panics").len(), 0);
    // Whoever has a token of a known key notices nothing.
    gateway.client("alice").await;
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_lets_nobody_in() {
    for result in [
        Some(accept("")),
        Some(AuthAccepted {
            expires_at_ms: 1,
            ..accept("alice")
        }),
        Some(AuthAccepted {
            publish: Some(PatternList {
                patterns: vec!["a..b".into()],
            }),
            ..accept("alice")
        }),
        None,
    ] {
        let gateway = Gateway::start(hooked).await;
        gateway.serve(ROUTE, move |incoming| match result.clone() {
            Some(accepted) => answer(incoming, auth_result::Result::Accepted(accepted)),
            None => incoming.responder.reply(Ok("\u{ff}".into())),
        });
        let mut client = gateway.dial().bearer("opaque").connect().await;
        assert_closed(&mut client, 4106, "upstream_unavailable").await;
        gateway.finish().await;
    }
}

#[tokio::test]
async fn all_who_show_the_same_token_at_once_wait_for_one_request() {
    let gateway = Gateway::start(hooked).await;
    let held = Arc::new(Mutex::new(Vec::new()));
    let into = held.clone();
    gateway.serve(ROUTE, move |incoming| {
        into.lock().expect("no panics").push(incoming);
    });
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = gateway.dial().connect().await;
        client.send(hello("shared")).await;
        clients.push(client);
    }
    eventually("a worker is asked", async || {
        !held.lock().expect("no panics").is_empty()
    })
    .await;
    let mut requests = std::mem::take(&mut *held.lock().expect("no panics"));
    assert_eq!(requests.len(), 1);
    answer(
        requests.remove(0),
        auth_result::Result::Accepted(accept("team")),
    );
    let welcomes = join_all(clients.iter_mut().map(RawClient::next_event)).await;
    assert_eq!(welcomes.len(), 8);
    assert!(held.lock().expect("no panics").is_empty());
    gateway.finish().await;
}

#[tokio::test]
async fn no_worker_sees_what_our_own_keys_decide_and_no_client_calls_the_hook() {
    let gateway = Gateway::start(hooked).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    gateway.serve(ROUTE, move |incoming| {
        counted.fetch_add(1, Ordering::SeqCst);
        answer(incoming, auth_result::Result::Accepted(accept("mallory")));
    });
    for token in [
        Tokens::new().token("alice"),
        gateway.tokens.expired("alice"),
    ] {
        let mut client = gateway.dial().bearer(&token).connect().await;
        assert_closed(&mut client, 4002, "invalid_token").await;
    }
    let mut alice = gateway.client("alice").await;
    alice.send(request(1, ROUTE, "")).await;
    match alice.response().await.outcome {
        Some(Outcome::Failure(failure)) => assert_eq!(failure.code(), ErrorCode::UnknownRoute),
        other => panic!("unexpected {other:?}"),
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    gateway.finish().await;
}
