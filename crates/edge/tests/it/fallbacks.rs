//! Clients that can have no WebSocket.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{HttpAnswer, Plain, eventually, hello, publish, server_events, subscribe, within};
use wire::client::{ClientEvent, server_event::Event};

use crate::{
    gateway::{Gateway, Site},
    tickets::{connections, shared_keys},
};

/// A connection that polls.
struct Poller {
    handle: String,
    cursor: u64,
    /// What the first answer had.
    events: Vec<Event>,
}

fn json(answer: &HttpAnswer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).expect("JSON")
}

fn events(answer: &Value) -> Vec<Event> {
    let messages = answer["messages"].as_array().expect("a list");
    let texts = messages.iter().filter_map(Value::as_str);
    texts.flat_map(server_events).collect()
}

impl Poller {
    async fn open(gateway: &Gateway, first: Vec<ClientEvent>) -> Self {
        let answer = Plain::post(gateway.address, "/v1/poll", first);
        let answer = json(&answer.answer().await);
        Self {
            handle: answer["handle"].as_str().expect("a handle").to_owned(),
            cursor: answer["cursor"].as_u64().expect("a number"),
            events: events(&answer),
        }
    }

    /// Polls at any gateway, and holds what comes.
    async fn poll(&mut self, gateway: &Gateway) -> Vec<Event> {
        let answer = json(&self.ask(gateway, self.cursor).await);
        self.cursor = answer["cursor"].as_u64().expect("a number");
        events(&answer)
    }

    async fn ask(&self, gateway: &Gateway, cursor: u64) -> HttpAnswer {
        Plain::post(gateway.address, "/v1/poll", Vec::new())
            .header("Tidegate-Handle", &self.handle)
            .header("Tidegate-Cursor", &cursor.to_string())
            .answer()
            .await
    }
}

async fn send(gateway: &Gateway, handle: &str, sequence: u64, event: ClientEvent) -> HttpAnswer {
    Plain::post(gateway.address, "/v1/send", vec![event])
        .header("Tidegate-Handle", handle)
        .header("Tidegate-Sequence", &sequence.to_string())
        .answer()
        .await
}

fn payloads(events: &[Event]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    for event in events {
        if let Event::Publication(publication) = event {
            payloads.push(&publication.payload[..]);
        }
    }
    payloads
}

#[tokio::test]
async fn channels_can_be_watched_by_whoever_reads_lines() {
    let gateway = Gateway::start(|config| config.drain.settle = Duration::ZERO).await;
    let token = gateway.tokens.token("alice");
    let target = format!("/v1/sse?access_token={token}&channel=log.a&channel=room.b");
    let watch = || Plain::new(gateway.address, "GET", &target);
    let mut stream = watch().events().await.expect("it is served");
    for channel in ["log.a", "room.b"] {
        let subscribed = stream.expect("subscribed").await.json();
        assert_eq!(subscribed["channel"], channel);
        assert_eq!(subscribed["verdict"], "VERDICT_FRESH");
    }
    let mut publisher = gateway.client("bob").await;
    publisher.send(publish(1, "log.a", "hello")).await;
    let event = stream.expect("publication").await;
    let data = event.json();
    assert_eq!(
        (&data["channel"], &data["text"]),
        (&json!("log.a"), &json!("hello"))
    );
    publisher.send(publish(2, "room.b", vec![0xff, 0])).await;
    let data = stream.expect("publication").await.json();
    assert_eq!(
        (&data["channel"], &data["base64"]),
        (&json!("room.b"), &json!("/wA="))
    );
    drop(stream);

    publisher.send(publish(3, "log.a", "meanwhile")).await;
    let again = watch().header("Last-Event-ID", &event.id).events().await;
    let mut again = again.expect("it is served");
    let (mut verdicts, mut texts) = (Vec::new(), Vec::new());
    while texts.is_empty() || verdicts.len() < 2 {
        let data = again.next().await.expect("it goes on").json();
        let text = |name: &str| data[name].as_str().map(str::to_owned);
        verdicts.extend(text("verdict").map(|verdict| (text("channel"), verdict)));
        texts.extend(text("text"));
    }
    let recovered = (Some("log.a".to_owned()), "VERDICT_RECOVERED".to_owned());
    assert!(verdicts.contains(&recovered), "{verdicts:?}");
    assert_eq!(texts, ["meanwhile"]);

    gateway.drain.begin();
    let closing = again.expect("closing").await;
    assert!(closing.retry.is_some());
    assert_eq!(again.next().await, None);
    gateway.drain().await;
}

#[tokio::test]
async fn who_need_not_come_back_is_told_so_and_finds_the_end() {
    let gateway = Gateway::start(|_| {}).await;
    let target = "/v1/sse?access_token=nonsense&channel=log.a";
    let watch = || Plain::new(gateway.address, "GET", target);
    let mut stream = watch().events().await.expect("it is served");
    let closing = stream.expect("closing").await;
    assert_eq!(closing.json()["cause"], "invalid_token");
    assert_eq!(stream.next().await, None);
    let again = watch().header("Last-Event-ID", &closing.id).answer().await;
    assert_eq!(again.status, 204);
    for id in ["nonsense", "log.a:e:x"] {
        let refused = watch().header("Last-Event-ID", id).answer().await;
        assert_eq!(
            (refused.status, refused.code()),
            (400, "invalid_last_event_id".into())
        );
    }
    for target in ["/v1/sse", "/v1/sse?channel=", "/v1/sse?channel=a%20b"] {
        let refused = Plain::new(gateway.address, "GET", target).answer().await;
        assert_eq!(refused.code(), "invalid_channels", "{target}");
    }
    gateway.drain().await;
}

#[tokio::test]
async fn the_protocol_goes_down_by_events_and_up_by_sends() {
    let gateway = Gateway::start(|_| {}).await;
    let token = gateway.tokens.token("alice");
    let first = vec![hello(&token), subscribe(1, "log.a")];
    let opening = Plain::post(gateway.address, "/v1/sse", first);
    let mut stream = opening.events().await.expect("it is served");
    let handle = stream.expect("open").await.data;
    let events = stream.messages().await;
    assert!(matches!(events[0], Event::Welcome(_)), "{events:?}");

    let ahead = send(&gateway, &handle, 2, publish(7, "log.a", "x")).await;
    assert_eq!((ahead.status, ahead.code()), (409, "sequence".into()));
    assert!(ahead.body.contains("\"expected\":1"), "{ahead:?}");
    for _ in 0..3 {
        let sent = send(&gateway, &handle, 1, publish(7, "log.a", "once")).await;
        assert_eq!(sent.status, 204, "{sent:?}");
    }
    let sent = send(&gateway, &handle, 2, publish(8, "log.a", "twice")).await;
    assert_eq!(sent.status, 204);
    let mut seen = Vec::new();
    while payloads(&seen).len() < 2 {
        seen.extend(stream.messages().await);
    }
    assert_eq!(payloads(&seen), [&b"once"[..], b"twice"]);

    assert_eq!(connections(&gateway).await[0].transport, "sse");
    drop(stream);
    eventually("it is noticed", async || {
        connections(&gateway).await.is_empty()
    })
    .await;
    let late = send(&gateway, &handle, 3, publish(9, "log.a", "late")).await;
    assert_eq!((late.status, late.code()), (410, "gone".into()));
    gateway.drain().await;
}

#[tokio::test]
async fn a_poll_whose_answer_was_lost_gets_it_again() {
    let gateway = Gateway::start(|_| {}).await;
    let token = gateway.tokens.token("alice");
    let first = vec![hello(&token), subscribe(1, "log.a")];
    let mut poller = Poller::open(&gateway, first).await;
    assert!(matches!(poller.events[0], Event::Welcome(_)));
    let mut events = poller.events.clone();
    while !events
        .iter()
        .any(|event| matches!(event, Event::Subscribed(_)))
    {
        events.extend(poller.poll(&gateway).await);
    }
    let sent = send(&gateway, &poller.handle, 1, publish(7, "log.a", "a")).await;
    assert_eq!(sent.status, 204);
    let lost = poller.ask(&gateway, poller.cursor).await;
    let again = poller.ask(&gateway, poller.cursor).await;
    assert_eq!(again.body, lost.body, "byte for byte");
    let early = poller.ask(&gateway, poller.cursor + 5).await;
    assert_eq!((early.status, early.code()), (409, "cursor".into()));
    let mut seen = poller.poll(&gateway).await;
    let sent = send(&gateway, &poller.handle, 2, publish(8, "log.a", "b")).await;
    assert_eq!(sent.status, 204);
    while payloads(&seen).len() < 2 {
        seen.extend(poller.poll(&gateway).await);
    }
    assert_eq!(payloads(&seen), [&b"a"[..], b"b"]);
    assert_eq!(connections(&gateway).await[0].transport, "long_polling");

    // Who asks anew ends the poll before.
    let mut waiting = Vec::new();
    for _ in 0..2 {
        waiting.push(poller.ask(&gateway, poller.cursor));
    }
    let [one, two] = <[_; 2]>::try_from(waiting).ok().expect("two");
    let word = async {
        let sent = send(&gateway, &poller.handle, 3, publish(9, "log.a", "c")).await;
        assert_eq!(sent.status, 204);
    };
    let (one, two, ()) = within("answers", async { tokio::join!(one, two, word) }).await;
    let counts = [&one, &two].map(events_of);
    assert!(counts.contains(&0), "{counts:?}");
    gateway.drain().await;
}

fn events_of(answer: &HttpAnswer) -> usize {
    events(&json(answer)).len()
}

#[tokio::test]
async fn any_gateway_takes_sends_and_polls() {
    let site = Site::new().await;
    let open = |name: &str| site.register(name, |config| config.tickets = shared_keys());
    let (here, there) = (open("gw-here"), open("gw-there"));
    let token = here.tokens.token("alice");
    let first = vec![hello(&token), subscribe(1, "log.a")];
    let mut poller = Poller::open(&here, first).await;
    for sequence in 1..=3 {
        let event = publish(10 + sequence as u32, "log.a", sequence.to_string());
        for gateway in [&there, &here] {
            let sent = send(gateway, &poller.handle, sequence, event.clone()).await;
            assert_eq!(sent.status, 204, "{sent:?}");
        }
    }
    let mut seen = Vec::new();
    while payloads(&seen).len() < 3 {
        seen.extend(poller.poll(&there).await);
    }
    assert_eq!(payloads(&seen), [&b"1"[..], b"2", b"3"]);
    here.drain().await;
    // Nobody serves its subject any more.
    let late = send(&there, &poller.handle, 4, publish(9, "log.a", "late")).await;
    assert_eq!((late.status, late.code()), (410, "gone".into()));
    there.drain().await;
}

#[tokio::test]
async fn strangers_and_nonsense_are_refused() {
    let gateway = Gateway::start(|config| {
        config.allowed_origins = vec!["https://game.example".to_owned()];
    })
    .await;
    let post = |target: &str| Plain::post(gateway.address, target, vec![hello("x")]);
    let forged = "AgAAAAAAAAAA";
    let handled = |request: Plain| request.header("Tidegate-Handle", forged);
    let numbered = |request: Plain| handled(request).header("Tidegate-Sequence", "1");
    let huge = vec![0; 70 << 10];
    let cases = [
        (post("/v1/send"), 400, "missing_header"),
        (handled(post("/v1/send")), 403, "invalid_handle"),
        (numbered(post("/v1/send")), 403, "invalid_handle"),
        (handled(post("/v1/poll")), 403, "invalid_handle"),
        (post("/v1/sse").body(huge), 413, "message_too_large"),
        (
            Plain::new(gateway.address, "POST", "/v1/poll"),
            415,
            "unsupported_content_type",
        ),
        (
            Plain::new(gateway.address, "PUT", "/v1/send"),
            405,
            "method_not_allowed",
        ),
        (
            post("/v1/poll").header("Origin", "https://evil.example"),
            403,
            "origin_not_allowed",
        ),
    ];
    for (request, status, code) in cases {
        let what = format!("{request:?}").chars().take(200).collect::<String>();
        let answer = request.answer().await;
        assert_eq!(
            (answer.status, answer.code()),
            (status, code.into()),
            "{what}"
        );
    }
    let preflight = Plain::new(gateway.address, "OPTIONS", "/v1/send")
        .header("Origin", "https://game.example")
        .header("Access-Control-Request-Method", "POST");
    let preflight = preflight.answer().await;
    assert_eq!(preflight.status, 204);
    let allowed = preflight.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://game.example"));
    assert!(
        preflight
            .header("access-control-allow-credentials")
            .is_none()
    );
    let allowed = preflight.header("access-control-allow-headers");
    assert!(allowed.is_some_and(|names| names.contains("tidegate-handle")));
    gateway.drain().await;
}
