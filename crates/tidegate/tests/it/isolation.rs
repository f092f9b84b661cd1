//! Hostile texts in every place where a client's or a backend's text may come near the
//! bus. A foreign program listens to everything on a real nats-server: no text becomes a
//! subject that was not given, a wildcard, a header or a line of the protocol.

use control::client::PublishServiceClient;
use testkit::{Cluster, Dial, Layout, RawClient, RawMessage, RawNats, hello, publish, request};
use tonic::metadata::MetadataValue;
use wire::{
    client::{ClientEvent, client_event::Event},
    control::{NewPublication, PublishRequest},
};

const CONFIG: &str = r#"
# One user comes hundreds of times.
[gateway.admission.flapping]
forgiven = 0

[[namespace]]
name = "room"
history = { messages = 100, age = "1h" }
publish = "anyone"
subscribe = "anyone"

[[route]]
name = "shop.buy"
deadline = "1s"
"#;

/// What nobody may get into a subject or a header but where it was given.
const CANARY: &str = "canary";

/// The last thing that is published.
const END: &str = "end.of.test";

/// Where a hostile text stands.
const PLACES: [&str; 9] = [
    "user",
    "client_name",
    "channel",
    "publication_channel",
    "publication_key",
    "publication_id",
    "route",
    "idempotency_key",
    "traceparent",
];

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "canary",
        "canary.a",
        "*",
        ">",
        "canary.*",
        "*.canary",
        ".canary",
        "canary.",
        "a..canary",
        "$SYS.canary",
        "tg.gw.canary",
        "$JS.API.STREAM.DELETE.canary",
        "../canary",
        "canary canary",
        "canary\0",
        "\tcanary",
        "caf\u{e9}.\u{202e}canary",
        "x\r\nCanary: 1",
        "x\nCanary: 1",
        "x\r\n\r\nPUB canary.a 4\r\nfake\r\n",
        "x 0\r\n\r\nPUB canary.a 4\r\nfake\r\n",
        "",
    ]
    .map(str::to_owned)
    .into();
    texts.push("canary.".repeat(2_000));
    texts
}

/// Sends what has `text` in that place, and waits until the gateway has handled it.
async fn try_client(cluster: &Cluster, place: &str, text: &str) {
    let address = cluster.process("gw1").address("client_url");
    let user = match (place, wire::UserId::new(text)) {
        ("user", Some(_)) => text,
        // No such user can have a token.
        ("user", None) => return,
        _ => "alice",
    };
    let mut greeting = hello(&cluster.tokens.token(user));
    if let ("client_name", Some(Event::Hello(hello))) = (place, &mut greeting.event) {
        text.clone_into(&mut hello.client_name);
    }
    let mut client = Dial::to(address).connect().await;
    client.send(greeting).await;
    if !matches!(place, "user" | "client_name") {
        client.welcome().await;
    }
    let in_room = format!("room.{text}");
    for mut event in events(match place {
        "channel" => text,
        "publication_channel" => &in_room,
        _ => "room.good",
    }) {
        change(&mut event, place, text);
        send(&mut client, event).await;
    }
    end(client).await;
}

fn events(channel: &str) -> [ClientEvent; 3] {
    [
        testkit::subscribe(1, channel),
        publish(2, channel, "x"),
        request(3, "shop.buy", "x"),
    ]
}

fn change(event: &mut ClientEvent, place: &str, text: &str) {
    let field = match (&mut event.event, place) {
        (Some(Event::Publish(publish)), "publication_key") => &mut publish.key,
        (Some(Event::Publish(publish)), "publication_id") => &mut publish.publication_id,
        (Some(Event::Request(request)), "route") => &mut request.route,
        (Some(Event::Request(request)), "idempotency_key") => &mut request.idempotency_key,
        (Some(Event::Request(request)), "traceparent") => &mut request.traceparent,
        _ => return,
    };
    text.clone_into(field);
}

/// The gateway may have closed.
async fn send(client: &mut RawClient, event: ClientEvent) {
    let message = wire::client::ClientMessage {
        events: vec![event],
    };
    let mut frame = Vec::new();
    let bytes = prost::Message::encode_to_vec(&message);
    let opcode = wire::websocket::OpCode::Binary;
    wire::websocket::client_frame(opcode, [1, 2, 3, 4], &bytes, &mut frame);
    let _ = client.try_send_bytes(&frame).await;
}

/// Behind everything that was sent.
async fn end(mut client: RawClient) {
    let mut close = Vec::new();
    let (opcode, code) = (wire::websocket::OpCode::Close, 1000_u16.to_be_bytes());
    wire::websocket::client_frame(opcode, [1, 2, 3, 4], &code, &mut close);
    let _ = client.try_send_bytes(&close).await;
    while client.next_frame_or_end().await.is_some() {}
}

/// The same by a backend; whatever is answered.
async fn try_backend(cluster: &Cluster, text: &str) {
    let channel = control::client::connect(&cluster.grpc_url("control1")).await;
    let mut publisher = PublishServiceClient::new(channel.expect("it listens"));
    let good = NewPublication {
        channel: "room.good".to_owned(),
        payload: "x".into(),
        ..NewPublication::default()
    };
    let text = || text.to_owned();
    for publication in [
        NewPublication {
            channel: text(),
            ..good.clone()
        },
        NewPublication {
            channel: format!("room.{}", text()),
            ..good.clone()
        },
        NewPublication {
            key: text(),
            ..good.clone()
        },
        NewPublication {
            publication_id: text(),
            ..good
        },
    ] {
        let mut request = tonic::Request::new(PublishRequest {
            publication: Some(publication),
        });
        if let Ok(value) = MetadataValue::try_from(text()) {
            request.metadata_mut().insert("traceparent", value);
        }
        let _ = publisher.publish(request).await;
    }
}

/// Why the message should not be there.
fn wrong(message: &RawMessage) -> Option<&'static str> {
    let RawMessage {
        subject, headers, ..
    } = message;
    let injected = |line: &str| line.to_ascii_lowercase().starts_with("canary");
    if headers.lines().any(injected) {
        return Some("a header was injected");
    }
    // Publications in channels that were given, and what JetStream does with them.
    let given = ["tg.ch.room.", "tg.log.room."];
    if given.iter().any(|prefix| subject.starts_with(prefix)) {
        return (subject.contains(['*', '>', '$'])).then_some("a channel that is none");
    }
    if subject.starts_with("tg.rq.") && subject != "tg.rq.shop.buy" {
        return Some("a route that is none");
    }
    // A user may be called so: the keys of its connections begin with it.
    let key = subject.split_once("$KV.tg_registry.canary.");
    if key.is_some_and(|(_, rest)| !rest.contains(CANARY)) {
        return None;
    }
    let of_room = subject.contains(".tg.ch.room.");
    (!of_room
        && subject
            .to_ascii_lowercase()
            .split('.')
            .any(|it| it == CANARY))
    .then_some("a subject that nobody was given")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_reaches_a_subject_or_a_header_that_it_was_not_given() {
    let cluster = Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1"],
        controls: &["control1"],
        config: CONFIG,
    })
    .await;
    let servers = cluster.nats.urls();
    let address = servers[0].trim_start_matches("nats://").to_owned();
    let mut everything = RawNats::connect(&address).await;
    everything.subscribe(">", "").await;
    let listening = async {
        let mut seen = Vec::new();
        loop {
            let message = everything.next().await;
            if message.subject == END {
                return seen;
            }
            seen.push(message);
        }
    };
    let trying = async {
        for text in texts() {
            for place in PLACES {
                try_client(&cluster, place, &text).await;
            }
            try_backend(&cluster, &text).await;
        }
        RawNats::connect(&address).await.publish(END, b"").await;
    };
    let (seen, ()) = tokio::join!(listening, trying);
    for message in &seen {
        assert_eq!(wrong(message), None, "{message:?}");
    }
    // The listener would have seen it.
    for given in ["tg.ch.room.good", "tg.ch.room.canary.a"] {
        assert!(seen.iter().any(|it| it.subject == given), "{given}");
    }
    // The gateway still serves.
    let address = cluster.process("gw1").address("client_url");
    RawClient::greeted(address, &cluster.tokens.token("alice")).await;
}
