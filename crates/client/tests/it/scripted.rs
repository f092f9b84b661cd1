//! A gateway that does what the test says.

use std::{collections::VecDeque, time::Duration};

use client::{Builder, Client, State, Subscription, SubscriptionEvent};
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use tokio::{
    io::DuplexStream,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        protocol::CloseFrame,
    },
};
use wire::{
    CloseCause, Subprotocol,
    client::{
        Accepted, Closing, Hello, Limits, Ping, Pong, Position, Publication, ServerEvent,
        ServerMessage, Subscribed, Verdict, Welcome, client_event, response::Outcome,
        server_event::Event,
    },
};

/// Where clients dial.
pub(crate) struct Gateway {
    dialled: mpsc::Receiver<DuplexStream>,
    /// Connections so far.
    welcomed: u32,
}

/// One connection.
pub(crate) struct Connection {
    stream: WebSocketStream<DuplexStream>,
    subprotocol: Subprotocol,
    events: VecDeque<client_event::Event>,
}

/// A gateway, and the description of a client that dials it.
pub(crate) fn gateway() -> (Gateway, Builder) {
    let (dial, dialled) = mpsc::channel(1);
    let builder = Client::builder("ws://gateway/v1/ws").dial(move || {
        let dial = dial.clone();
        async move {
            let (near, far) = tokio::io::duplex(1 << 20);
            dial.send(far).await.map_err(std::io::Error::other)?;
            Ok(near)
        }
    });
    let gateway = Gateway {
        dialled,
        welcomed: 0,
    };
    (gateway, builder.token("t"))
}

/// A client, connected with these limits.
pub(crate) async fn connected(limits: Limits) -> (Gateway, Connection, Client) {
    let (gateway, builder) = gateway();
    connect(gateway, builder, limits).await
}

pub(crate) async fn connect(
    mut gateway: Gateway,
    builder: Builder,
    limits: Limits,
) -> (Gateway, Connection, Client) {
    let (connection, client) = tokio::join!(gateway.welcome(limits), builder.connect());
    (gateway, connection, client.expect("connects"))
}

/// A client with a subscription to `market.a` at offset 5, alias 7.
pub(crate) async fn subscribed(
    builder: impl FnOnce(Builder) -> Builder,
) -> (Gateway, Connection, Client, Subscription) {
    let (gateway, plain) = gateway();
    let (gateway, mut connection, client) =
        connect(gateway, builder(plain), Limits::default()).await;
    let (subscription, ()) = tokio::join!(client.subscribe("market.a"), async {
        connection.agree(Verdict::Fresh, 5).await;
    });
    (gateway, connection, client, subscription.expect("agreed"))
}

/// The same for a channel without a log.
pub(crate) async fn subscribed_without_log() -> (Gateway, Connection, Client, Subscription) {
    let (gateway, mut connection, client) = connected(Limits::default()).await;
    let (subscription, ()) =
        tokio::join!(client.subscribe("market.a"), connection.agree_without_log());
    (gateway, connection, client, subscription.expect("agreed"))
}

/// The state once it fits.
pub(crate) async fn state_that(
    state: &mut watch::Receiver<State>,
    fits: impl Fn(&State) -> bool,
) -> State {
    let state = state.wait_for(fits).await.expect("the client lives");
    state.clone()
}

/// The next thing a subscription says.
pub(crate) async fn next(subscription: &mut Subscription) -> SubscriptionEvent {
    subscription.next().await.expect("has not ended")
}

/// A publication with alias 7.
pub(crate) fn publication(previous: u64, offset: u64) -> Event {
    Event::Publication(Publication {
        alias: 7,
        offset,
        previous,
        payload: "p".into(),
        ..Publication::default()
    })
}

/// A publication with alias 7 on a channel without a log.
pub(crate) fn tick(at: i64) -> Event {
    Event::Publication(Publication {
        alias: 7,
        payload: "tick".into(),
        published_at_us: at,
        ..Publication::default()
    })
}

pub(crate) fn response(id: u32, payload: &'static str) -> Event {
    let outcome = Some(Outcome::Payload(payload.into()));
    Event::Response(wire::client::Response { id, outcome })
}

pub(crate) fn accepted(id: u32, offset: u64) -> Event {
    Event::Accepted(Accepted {
        id,
        offset,
        ..Default::default()
    })
}

pub(crate) fn refusal(id: u32, code: wire::client::ErrorCode) -> Event {
    let failure = Some(wire::failure(code, ""));
    Event::Error(wire::client::Error { id, failure })
}

// === impl Gateway ===

impl Gateway {
    /// The byte stream of the next client to dial.
    pub(crate) async fn dialled(&mut self) -> DuplexStream {
        self.dialled.recv().await.expect("a client dials")
    }

    /// Whether nobody dials, however long one waits.
    pub(crate) async fn is_left_alone(&mut self) -> bool {
        let dialled = timeout(Duration::from_secs(3600), self.dialled.recv()).await;
        !matches!(dialled, Ok(Some(_)))
    }

    /// Upgrades the next client to dial.
    pub(crate) async fn accept(&mut self) -> Connection {
        let mut name = String::new();
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let choose = |request: &Request, mut response: Response| {
            let offered = request.headers()["sec-websocket-protocol"].clone();
            name = offered.to_str().expect("ASCII").to_owned();
            response
                .headers_mut()
                .insert("sec-websocket-protocol", offered);
            Ok(response)
        };
        let stream = accept_hdr_async(self.dialled().await, choose).await;
        Connection {
            stream: stream.expect("an upgrade request"),
            subprotocol: Subprotocol::from_name(&name).expect("one of ours"),
            events: VecDeque::new(),
        }
    }

    /// Upgrades the next client, takes its Hello and says Welcome.
    pub(crate) async fn welcome(&mut self, limits: Limits) -> Connection {
        self.hello(limits).await.0
    }

    /// The same, with the Hello.
    pub(crate) async fn hello(&mut self, limits: Limits) -> (Connection, Hello) {
        let mut connection = self.accept().await;
        let client_event::Event::Hello(hello) = connection.expect().await else {
            panic!("the first event is Hello");
        };
        let welcome = self.says_welcome(limits);
        connection.send([welcome]).await;
        (connection, *hello)
    }

    /// The next connection's Welcome.
    pub(crate) fn says_welcome(&mut self, limits: Limits) -> Event {
        let welcome = Welcome {
            connection_id: format!("gw.0.0.{}", self.welcomed),
            session_id: "s".into(),
            session_ticket: "ticket".into(),
            limits: Some(limits),
            ..Welcome::default()
        };
        self.welcomed += 1;
        Event::Welcome(welcome)
    }
}

// === impl Connection ===

impl Connection {
    /// The events of the next message.
    pub(crate) async fn message(&mut self) -> Vec<client_event::Event> {
        let message = self.stream.next().await.expect("not lost").expect("valid");
        assert_eq!(message.is_text(), self.subprotocol.is_text(), "{message:?}");
        let message = self.subprotocol.decode(&message.into_data());
        let events = message.expect("a client message").events.into_iter();
        events.filter_map(|event| event.event).collect()
    }

    /// The next event.
    pub(crate) async fn expect(&mut self) -> client_event::Event {
        while self.events.is_empty() {
            self.events = self.message().await.into();
        }
        self.events.pop_front().expect("just filled")
    }

    /// The next event, which must be a request: its id.
    pub(crate) async fn request(&mut self) -> u32 {
        match self.expect().await {
            client_event::Event::Request(request) => request.id,
            other => panic!("not a request: {other:?}"),
        }
    }

    /// The next event, which must be a publish: its id.
    pub(crate) async fn publish(&mut self) -> u32 {
        match self.expect().await {
            client_event::Event::Publish(publish) => publish.id,
            other => panic!("not a publish: {other:?}"),
        }
    }

    /// The next event, which must be a Subscribe.
    pub(crate) async fn subscribe(&mut self) -> wire::client::Subscribe {
        match self.expect().await {
            client_event::Event::Subscribe(subscribe) => subscribe,
            other => panic!("not a subscribe: {other:?}"),
        }
    }

    /// Whether nothing comes, however long one waits.
    pub(crate) async fn is_quiet(&mut self) -> bool {
        timeout(Duration::from_secs(3600), self.expect())
            .await
            .is_err()
    }

    /// The next event, which must be a publish: its id and that of the publication.
    pub(crate) async fn publication_id(&mut self) -> (u32, String) {
        match self.expect().await {
            client_event::Event::Publish(publish) => (publish.id, publish.publication_id),
            other => panic!("not a publish: {other:?}"),
        }
    }

    /// Takes a Subscribe and agrees, with alias 7. Returns the position asked for.
    pub(crate) async fn agree(&mut self, verdict: Verdict, offset: u64) -> Option<Position> {
        let (since, agreement) = self.agreement(verdict, offset).await;
        self.send([agreement]).await;
        since
    }

    /// The same, but that it is left to be sent.
    pub(crate) async fn agreement(
        &mut self,
        verdict: Verdict,
        offset: u64,
    ) -> (Option<Position>, Event) {
        let subscribe = self.subscribe().await;
        let subscribed = Subscribed {
            id: subscribe.id,
            channel: subscribe.channel,
            verdict: verdict.into(),
            position: Some(Position {
                epoch: "e".into(),
                offset,
            }),
            alias: 7,
            conflates: false,
        };
        (subscribe.since, Event::Subscribed(subscribed))
    }

    /// Takes a Subscribe and agrees, with alias 7, to a channel without a log.
    pub(crate) async fn agree_without_log(&mut self) {
        let subscribe = self.subscribe().await;
        let subscribed = Subscribed {
            id: subscribe.id,
            channel: subscribe.channel,
            verdict: Verdict::Fresh.into(),
            alias: 7,
            ..Subscribed::default()
        };
        self.send([Event::Subscribed(subscribed)]).await;
    }

    /// The next event, which must be a Ping, answered.
    pub(crate) async fn pong(&mut self) {
        let client_event::Event::Ping(Ping { nonce }) = self.expect().await else {
            panic!("a ping");
        };
        self.send([Event::Pong(Pong { nonce })]).await;
    }

    /// Sends one message.
    pub(crate) async fn send(&mut self, events: impl IntoIterator<Item = Event>) {
        let events = events
            .into_iter()
            .map(|event| ServerEvent { event: Some(event) });
        let message = ServerMessage {
            events: events.collect(),
        };
        let message = match self.subprotocol {
            Subprotocol::Protobuf => Message::Binary(message.encode_to_vec().into()),
            Subprotocol::Json => {
                let bytes = Subprotocol::Json.encode(&message).to_vec();
                Message::Text(bytes.try_into().expect("UTF-8"))
            }
        };
        self.stream.send(message).await.expect("not lost");
    }

    /// Says Closing and closes.
    pub(crate) async fn close(mut self, cause: CloseCause, retry_after_ms: u32) {
        let closing = Closing {
            close_code: cause.code().into(),
            cause: cause.label().into(),
            message: cause.message().into(),
            retry_after_ms,
            resumable: false,
        };
        self.send([Event::Closing(closing)]).await;
        let frame = CloseFrame {
            code: cause.code().into(),
            reason: "".into(),
        };
        self.stream.close(Some(frame)).await.expect("not lost");
    }

    /// The code of the close frame that comes next.
    pub(crate) async fn closed(&mut self) -> u16 {
        match timeout(Duration::from_secs(3600), self.stream.next()).await {
            Ok(Some(Ok(Message::Close(Some(frame))))) => frame.code.into(),
            other => panic!("not a close frame: {other:?}"),
        }
    }
}
