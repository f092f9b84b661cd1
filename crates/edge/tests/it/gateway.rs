//! The gateway under test.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth::TicketKeys;
use bus::{
    Bus, BusError, BusExt, Handler, Incoming, Log, LogLimits, MemoryBus, Outgoing, Pattern,
    Published, Request, RequestContext, Subject,
};
use bytes::Bytes;
use edge::{
    Access, AdmissionLimits, Drain, DrainPlan, Edge, EdgeConfig, FanoutMode, NamespacePolicy,
    Policies, Proxies, RoutePolicy, SessionLimits, UpstreamRates, WillLimits,
};
use hub::{Class, DeliveryPolicy, OutboxLimits, Overflow};
use journal::Redelivery;
use keyring::Keyring;
use lifecycle::{DrainOutcome, Scope};
use prost::Message;
use registry::{ConnectionRecord, Registrar};
use testkit::{DEADLINE, Dial, RawClient, Tokens, publish};
use wire::{
    Channel, ConnectionId, GatewayId, SessionId, Subprotocol, UserId,
    client::{Accepted, server_event::Event},
    gateway::{Command, CommandReply, RegisteredConnection, command, command_reply::Reply},
    websocket::ReaderLimits,
};

/// No limit of what is sent.
const ANY_RATE: UpstreamRates = UpstreamRates {
    messages: 0,
    bytes: 0,
    burst: Duration::from_secs(1),
    patience: DEADLINE,
};

/// A gateway on a bus and a port of its own. Every test ends with
/// [`Gateway::finish`] or [`Gateway::drain`].
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) drain: Drain,
    scope: Scope,
}

/// What gateways of one cluster share.
pub(crate) struct Site {
    pub(crate) bus: Arc<MemoryBus>,
    tokens: Arc<Tokens>,
    scope: Scope,
}

/// A worker that is a function.
struct Worker<F>(F);

// === impl Site ===

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(Arc::new(Tokens::new())).await
    }

    async fn with(tokens: Arc<Tokens>) -> Self {
        let bus = Arc::new(MemoryBus::new());
        let scope = Scope::root();
        let running = bus.clone();
        scope.spawn_cancellable("bus", async move { running.run().await });
        let limits = LogLimits {
            messages: 10_000,
            age: Duration::from_secs(3600),
        };
        let log = Log {
            name: "log".into(),
            patterns: vec![Pattern::new("tg.ch.log.>").expect("valid")],
            limits,
        };
        bus.keep_log(log).await.expect("memory keeps logs");
        registry::declare(&*bus).await.expect("memory has tables");
        let kept = Duration::from_secs(600);
        journal::declare(&*bus, kept)
            .await
            .expect("memory has tables");
        wills::declare(&*bus).await.expect("memory has tables");
        mailboxes::declare(&*bus, limits)
            .await
            .expect("memory has both");
        Self { bus, tokens, scope }
    }

    /// A gateway that nobody else knows of.
    pub(crate) fn open(&self, adjust: impl FnOnce(&mut EdgeConfig)) -> Gateway {
        let mut config = config();
        adjust(&mut config);
        self.start(config, self.bus.clone(), None)
    }

    /// A gateway that reaches the bus by `bus`.
    pub(crate) fn open_on(
        &self,
        bus: Arc<dyn Bus>,
        adjust: impl FnOnce(&mut EdgeConfig),
    ) -> Gateway {
        let mut config = config();
        adjust(&mut config);
        self.start(config, bus, None)
    }

    /// A gateway of this name that registers its connections.
    pub(crate) fn register(&self, name: &str, adjust: impl FnOnce(&mut EdgeConfig)) -> Gateway {
        self.register_on(self.bus.clone(), name, adjust)
    }

    /// The same, but that it reaches the bus by `bus`; its registrar does not.
    pub(crate) fn register_on(
        &self,
        bus: Arc<dyn Bus>,
        name: &str,
        adjust: impl FnOnce(&mut EdgeConfig),
    ) -> Gateway {
        let mut config = config();
        config.gateway = GatewayId::new(name).expect("valid");
        adjust(&mut config);
        let id = config.gateway.clone();
        let registrar = Registrar::new(self.bus.clone(), id, "test", 0);
        self.start(config, bus, Some(Arc::new(registrar)))
    }

    /// Registers a connection of a gateway that is not there.
    pub(crate) async fn leave_behind(&self, gateway: &str, user: &str) {
        self.leave_behind_of(gateway, user, SessionId(7), 1).await;
    }

    /// The same, of a session that was taken up so often.
    pub(crate) async fn leave_behind_of(
        &self,
        gateway: &str,
        user: &str,
        session: SessionId,
        session_epoch: u64,
    ) {
        let id = ConnectionId {
            gateway: GatewayId::new(gateway).expect("valid"),
            shard: 0,
            slot: 0,
            // No connection of a gateway that lives is called so.
            generation: u32::MAX,
        };
        let record = ConnectionRecord {
            id: id.clone(),
            session,
            user: UserId::new(user).expect("valid"),
            entry: RegisteredConnection {
                connection_id: id.to_string(),
                session_id: session.to_string(),
                user: user.to_owned(),
                connected_at_ms: 1,
                session_epoch,
                ..RegisteredConnection::default()
            },
        };
        let registrar = Registrar::new(self.bus.clone(), id.gateway, "test", 0);
        let (done, written) = tokio::sync::oneshot::channel();
        registrar.opened(
            record,
            Some(Box::new(move || {
                let _ = done.send(());
            })),
        );
        tokio::select! {
            () = registrar.run(|| {}) => {}
            written = written => written.expect("it is written"),
        }
    }

    fn start(
        &self,
        config: EdgeConfig,
        bus: Arc<dyn Bus>,
        registrar: Option<Arc<Registrar>>,
    ) -> Gateway {
        let scope = self.scope.child("gateway");
        let keyring = Arc::new(Keyring::fixed(self.tokens.verifier()));
        let edge = Edge::bind(config, bus, keyring, registrar).expect("a free port");
        let address = edge.local_addr();
        let drain = edge.start(&scope).expect("threads");
        Gateway {
            address,
            bus: self.bus.clone(),
            tokens: self.tokens.clone(),
            drain,
            scope,
        }
    }
}

// === impl Gateway ===

impl Gateway {
    /// Starts one; `adjust` changes what a test is about.
    pub(crate) async fn start(adjust: impl FnOnce(&mut EdgeConfig)) -> Self {
        Site::new().await.open(adjust)
    }

    /// Starts one that takes the tokens of others, too; on a bus of its own.
    pub(crate) async fn start_with(
        tokens: Arc<Tokens>,
        adjust: impl FnOnce(&mut EdgeConfig),
    ) -> Self {
        Site::with(tokens).await.open(adjust)
    }

    pub(crate) fn dial(&self) -> Dial {
        Dial::to(self.address)
    }

    /// A welcomed client.
    pub(crate) async fn client(&self, user: &str) -> RawClient {
        RawClient::greeted(self.address, &self.tokens.token(user)).await
    }

    /// A welcomed client that speaks JSON.
    pub(crate) async fn json_client(&self, user: &str) -> RawClient {
        let mut client = self.dial().json().connect().await;
        client.hello(&self.tokens.token(user)).await;
        client
    }

    /// Publishes as a backend does.
    pub(crate) async fn publish(&self, channel: &str, payload: impl Into<Bytes>) -> Published {
        let channel = Channel::parse(channel, 255).expect("valid");
        let outgoing = Outgoing {
            subject: Subject::of_channel(&channel),
            payload: payload.into(),
            key: Box::default(),
            published_at_us: 0,
            message_id: Box::default(),
            traceparent: Box::default(),
        };
        self.bus.send(outgoing).await.expect("the bus has room")
    }

    /// Publishes with a key.
    pub(crate) async fn put(&self, channel: &str, key: &str, payload: impl Into<Bytes>) -> u64 {
        let channel = Channel::parse(channel, 255).expect("valid");
        let outgoing = Outgoing {
            subject: Subject::of_channel(&channel),
            payload: payload.into(),
            key: key.into(),
            published_at_us: 0,
            message_id: Box::default(),
            traceparent: Box::default(),
        };
        let published = self.bus.send(outgoing).await;
        published.expect("the bus has room").offset.0
    }

    /// Serves a route.
    pub(crate) fn serve(&self, route: &str, handler: impl Fn(Incoming) + Send + Sync + 'static) {
        let subject = Subject::of_route(route).expect("valid");
        self.bus.serve(subject, Arc::new(Worker(handler)));
    }

    /// Gives a command as the control plane does.
    pub(crate) async fn command(&self, command: command::Command) -> Reply {
        self.command_within(command, DEADLINE).await
    }

    /// Gives a command and listens so long for its reply.
    pub(crate) async fn command_within(
        &self,
        command: command::Command,
        deadline: Duration,
    ) -> Reply {
        let reply = self.try_command_within(command, deadline).await;
        reply.expect("the gateway answers")
    }

    /// Gives a command that may not be taken.
    pub(crate) async fn try_command(&self, command: command::Command) -> Result<Reply, BusError> {
        self.try_command_within(command, DEADLINE).await
    }

    /// Likewise, and listens so long for its reply.
    pub(crate) async fn try_command_within(
        &self,
        command: command::Command,
        deadline: Duration,
    ) -> Result<Reply, BusError> {
        let command = Command {
            command: Some(command),
        };
        let reply = self.ask(command.encode_to_vec(), deadline).await?;
        let reply = CommandReply::decode(reply).expect("a reply");
        Ok(reply.reply.expect("a reply is never empty"))
    }

    /// Sends anything where commands go.
    pub(crate) async fn command_bytes(&self, payload: impl Into<Bytes>) -> Bytes {
        let reply = self.ask(payload, DEADLINE).await;
        reply.expect("the gateway answers")
    }

    async fn ask(&self, payload: impl Into<Bytes>, deadline: Duration) -> Result<Bytes, BusError> {
        let request = Request {
            subject: Subject::of_gateway(&gateway_id()),
            payload: payload.into(),
            deadline,
            context: RequestContext::default(),
        };
        let reply = self.bus.ask(request).await?;
        Ok(reply.payload)
    }

    /// Asserts that a good client is served in every way.
    pub(crate) async fn serves(&self) {
        let mut client = self.client("good").await;
        client.subscribe(1, "room.good").await;
        client.send(publish(2, "room.good", "still here")).await;
        // The answer and the publication come from two sides, in any order.
        let (mut accepted, mut received) = (0, 0);
        for _ in 0..2 {
            match client.next_event().await {
                Event::Accepted(Accepted { id: 2, .. }) => accepted += 1,
                Event::Publication(it) if it.payload == "still here" => received += 1,
                other => panic!("unexpected {other:?}"),
            }
        }
        assert_eq!((accepted, received), (1, 1));
        client.leave().await;
    }

    /// Ends a test: whatever it did, good clients are served and the gateway
    /// stops in order.
    pub(crate) async fn finish(self) {
        self.serves().await;
        self.drain().await;
    }

    /// Stops the gateway and asserts that nothing of it is left.
    pub(crate) async fn drain(self) {
        assert_eq!(self.scope.drain(DEADLINE).await, DrainOutcome::Finished);
        assert_eq!(self.scope.panicked(), None);
    }

    /// Tells the gateway to stop, and does not wait.
    pub(crate) fn cancel(&self) {
        self.scope.cancel();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        assert!(
            self.scope.is_cancelled() || std::thread::panicking(),
            "a test must end with `finish` or `drain`"
        );
        // Lets the threads of a failed test go.
        self.scope.cancel();
    }
}

impl<F: Fn(Incoming) + Send + Sync> Handler for Worker<F> {
    fn handle(&self, request: Incoming) {
        (self.0)(request);
    }
}

pub(crate) fn gateway_id() -> GatewayId {
    GatewayId::new("gw-test").expect("valid")
}

fn config() -> EdgeConfig {
    EdgeConfig {
        token_notice: Duration::from_secs(60),
        tls: None,
        gateway: gateway_id(),
        listen: "127.0.0.1:0".parse().expect("valid"),
        shards: 1,
        admission: AdmissionLimits::default(),
        upstream: ANY_RATE,
        rate_classes: Vec::new(),
        user_upstream: ANY_RATE,
        address_upstream: ANY_RATE,
        max_connections: 2_000,
        max_handshakes: 1_000,
        unfinished_percent: 100,
        proxies: Proxies::default(),
        reserved_descriptors: 64,
        handshake_timeout: 2 * DEADLINE,
        // Many a test ends with clients that do not answer.
        close_timeout: Duration::from_millis(500),
        heartbeat: 2 * DEADLINE,
        send_buffer_bytes: 256 << 10,
        unsent_bytes: 16 << 10,
        allowed_origins: Vec::new(),
        fallbacks: true,
        poll: DEADLINE,
        default_subprotocol: Some(Subprotocol::Protobuf),
        websocket: ReaderLimits {
            max_message_bytes: 64 << 10,
            max_fragments: 16,
        },
        outbox: OutboxLimits {
            bytes: 1 << 20,
            items: 1_000,
        },
        outbox_budget: 0,
        session: SessionLimits {
            max_subscriptions: 8,
            max_in_flight: 4,
            max_channel_bytes: 64,
            max_deadline: DEADLINE,
        },
        tickets: Arc::new(TicketKeys::random()),
        drain: DrainPlan::default(),
        linger: Duration::from_secs(5),
        presence: presence::Settings::default(),
        journal: journal::Settings::default(),
        hook: None,
        anonymous: false,
        policies: policies(),
        user_limit: None,
        wills: WillLimits {
            min_grace: Duration::from_secs(1),
            max_grace: Duration::from_secs(60),
            max_payload_bytes: 1024,
        },
        mailboxes: false,
        traces: false,
        echo: false,
    }
}

fn policies() -> Policies {
    let mut policies = Policies::default();
    let namespaces = [
        ("room", Access::Anyone, Overflow::DropOldest),
        ("log", Access::Anyone, Overflow::DropOldest),
        ("strict", Access::Anyone, Overflow::Disconnect),
        ("news", Access::Server, Overflow::DropOldest),
        ("vip", Access::Token, Overflow::DropOldest),
    ];
    for (name, publish, overflow) in namespaces {
        let policy = NamespacePolicy {
            publish,
            subscribe: if publish == Access::Token {
                Access::Token
            } else {
                Access::Anyone
            },
            delivery: DeliveryPolicy {
                class: Class::All,
                overflow,
                priority: 0,
                account: None,
            },
            fanout: FanoutMode::default(),
            presence: name == "room",
            signals: name == "room",
        };
        policies.namespaces.insert(name.into(), policy);
    }
    for route in ["echo", "hold", "fail", "nobody"] {
        let policy = RoutePolicy {
            anonymous: route == "echo",
            subject: Subject::of_route(route).expect("valid"),
            deadline: DEADLINE,
            max_in_flight: 0,
            breaker: None,
            redelivery: Redelivery::default(),
        };
        policies.routes.insert(route.into(), policy);
    }
    policies
}
