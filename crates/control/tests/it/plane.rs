//! The plane under test, its gateways and its listeners.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use auth::{KeyConfig, KeySet, SigningKeys, Verifier, VerifierConfig};
use bus::{Bus, BusError, BusExt, Handler, Incoming, MemoryBus, Message, Pattern, Sink, Subject};
use control::{Control, ControlConfig, ControlDeps, Directory};
use keyring::Keyring;
use lifecycle::{DrainOutcome, Scope};
use parking_lot::Mutex;
use prost::Message as _;
use registry::Reader;
use tonic::transport::Channel;
use wire::{
    GatewayId, SessionId, UserId,
    control::NewPublication,
    gateway::{Command, CommandReply, RegisteredGateway, command, command_reply::Reply},
};

/// A control plane that runs.
pub(crate) struct Plane {
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) directory: Arc<Script>,
    pub(crate) address: SocketAddr,
    pub(crate) scope: Scope,
}

/// A directory that says what it is told.
#[derive(Debug, Default)]
pub(crate) struct Script(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    gateways: Vec<(GatewayId, RegisteredGateway)>,
    /// By `user`, `session` or `name=value`; of all others anybody may hold some.
    holders: HashMap<String, Vec<GatewayId>>,
    failure: Option<BusError>,
}

/// What a gateway was asked, in order.
pub(crate) type Asked = Arc<Mutex<Vec<command::Command>>>;

/// Collects what is published.
#[derive(Default)]
pub(crate) struct Listener(Mutex<Vec<(String, String)>>);

/// Answers commands with a function; `None` is never answered.
struct Gateway<F> {
    answer: F,
    asked: Asked,
    unanswered: Mutex<Vec<Incoming>>,
}

// === impl Plane ===

impl Plane {
    /// A plane with the gateways `a` and `b`, which nobody serves yet.
    pub(crate) async fn start() -> Self {
        Self::start_with(config(), None, None).await
    }

    /// A plane that publishes to `bus`, if there is one, and may sign tokens.
    pub(crate) async fn start_with(
        config: ControlConfig,
        bus: Option<Arc<dyn Bus>>,
        signer: Option<KeyConfig>,
    ) -> Self {
        Self::start_signing(config, bus, signer.map(signing)).await
    }

    /// The same with keys that may change.
    pub(crate) async fn start_signing(
        config: ControlConfig,
        bus: Option<Arc<dyn Bus>>,
        signing: Option<Arc<SigningKeys>>,
    ) -> Self {
        let memory = Arc::new(MemoryBus::new());
        let script = Arc::new(Script::default());
        script.knows(&["b", "a"]);
        let deps = ControlDeps {
            bus: bus.unwrap_or_else(|| memory.clone()),
            signing,
            keyring: keyring(),
            directory: script.clone(),
        };
        Self::run(config, deps, memory, script).await
    }

    /// A plane that knows what gateways register.
    pub(crate) async fn start_registered() -> Self {
        let memory = Arc::new(MemoryBus::new());
        registry::declare(&*memory).await.expect("in memory");
        let deps = ControlDeps {
            bus: memory.clone(),
            signing: None,
            keyring: keyring(),
            directory: Arc::new(Reader::new(memory.clone())),
        };
        Self::run(config(), deps, memory, Arc::default()).await
    }

    async fn run(
        config: ControlConfig,
        deps: ControlDeps,
        bus: Arc<MemoryBus>,
        directory: Arc<Script>,
    ) -> Self {
        let scope = Scope::root();
        let control = Control::bind(config, deps).await.expect("a free port");
        let address = control.local_addr();
        scope.spawn("control", control.run(scope.clone()));
        Self {
            bus,
            directory,
            address,
            scope,
        }
    }

    pub(crate) async fn connect(&self) -> Channel {
        control::client::connect(&self.address.to_string())
            .await
            .expect("the plane listens")
    }

    /// Serves the commands to a gateway with `answer`; gives what it was asked.
    pub(crate) fn serve_gateway(
        &self,
        name: &str,
        answer: impl Fn(command::Command) -> Option<Reply> + Send + Sync + 'static,
    ) -> Asked {
        let asked = Asked::default();
        let handler = Arc::new(Gateway {
            answer,
            asked: asked.clone(),
            unanswered: Mutex::default(),
        });
        self.bus.serve(Subject::of_gateway(&gateway(name)), handler);
        asked
    }

    /// Listens to all channels.
    pub(crate) async fn listen(&self) -> Arc<Listener> {
        let listener = Arc::new(Listener::default());
        let everything = Pattern::new("tg.ch.>").expect("valid");
        let listening = self.bus.listen(everything, listener.clone());
        listening.await.expect("in memory");
        listener
    }

    /// Ends the plane, which must leave nothing behind.
    pub(crate) async fn stop(self) {
        let outcome = self.scope.drain(Duration::from_secs(30)).await;
        assert_eq!(outcome, DrainOutcome::Finished);
    }
}

/// Takes no token.
pub(crate) fn keyring() -> Arc<Keyring> {
    let verifier = Verifier::new(KeySet::default(), VerifierConfig::default());
    Arc::new(Keyring::fixed(Arc::new(verifier)))
}

/// One key that signs at once.
pub(crate) fn signing(key: KeyConfig) -> Arc<SigningKeys> {
    Arc::new(SigningKeys::fixed(&key).expect("it can sign"))
}

/// Of a plane for tests: any port, one namespace, a short drain.
pub(crate) fn config() -> ControlConfig {
    ControlConfig {
        listen: (std::net::Ipv4Addr::LOCALHOST, 0).into(),
        namespaces: vec!["room".into()],
        drain_timeout: Duration::from_millis(50),
        ..ControlConfig::default()
    }
}

pub(crate) fn publication(channel: &str, payload: &str) -> NewPublication {
    NewPublication {
        channel: channel.into(),
        payload: payload.as_bytes().to_vec().into(),
        ..NewPublication::default()
    }
}

/// A call whose caller waits for a moment only.
pub(crate) fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(Duration::from_millis(200));
    request
}

pub(crate) fn gateway(name: &str) -> GatewayId {
    GatewayId::new(name).expect("valid")
}

// === impl Script ===

impl Script {
    /// These are all gateways from now on.
    pub(crate) fn knows(&self, gateways: &[&str]) {
        let unknown = RegisteredGateway::default;
        let gateways = gateways.iter().map(|name| (gateway(name), unknown()));
        self.0.lock().gateways = gateways.collect();
    }

    /// A gateway says so of itself.
    pub(crate) fn describe(&self, name: &str, registered: RegisteredGateway) {
        self.0.lock().gateways.push((gateway(name), registered));
    }

    /// Only these hold the user, the session or the label.
    pub(crate) fn holders(&self, of: &str, gateways: &[&str]) {
        let gateways = gateways.iter().map(|name| gateway(name)).collect();
        self.0.lock().holders.insert(of.to_owned(), gateways);
    }

    /// Every look-up fails from now on.
    pub(crate) fn fails(&self, error: BusError) {
        self.0.lock().failure = Some(error);
    }

    fn of(&self, key: &str) -> Result<Vec<GatewayId>, BusError> {
        let known = self.0.lock();
        let everywhere = || known.gateways.iter().map(|(id, _)| id.clone()).collect();
        match &known.failure {
            Some(error) => Err(error.clone()),
            None => Ok(known.holders.get(key).cloned().unwrap_or_else(everywhere)),
        }
    }
}

#[tonic::async_trait]
impl Directory for Script {
    async fn gateways(&self) -> Result<Vec<(GatewayId, RegisteredGateway)>, BusError> {
        let known = self.0.lock();
        known
            .failure
            .clone()
            .map_or(Ok(known.gateways.clone()), Err)
    }

    async fn of_user(&self, user: &UserId) -> Result<Vec<GatewayId>, BusError> {
        self.of(user.as_str())
    }

    async fn of_session(&self, session: SessionId) -> Result<Vec<GatewayId>, BusError> {
        self.of(&session.to_string())
    }

    async fn of_label(&self, name: &str, value: &str) -> Result<Vec<GatewayId>, BusError> {
        self.of(&format!("{name}={value}"))
    }
}

// === impl Listener ===

impl Listener {
    /// Payloads of one channel, in the order they came.
    pub(crate) fn payloads(&self, channel: &str) -> Vec<String> {
        let subject = format!("tg.ch.{channel}");
        let heard = self.0.lock();
        let of_channel = heard.iter().filter(|(to, _)| *to == subject);
        of_channel.map(|(_, payload)| payload.clone()).collect()
    }
}

impl Sink for Listener {
    fn deliver(&self, message: &Message) {
        let payload = String::from_utf8_lossy(&message.payload).into_owned();
        self.0.lock().push((message.subject.to_string(), payload));
    }

    fn lost(&self, _dropped: u64) {}
}

// === impl Gateway ===

impl<F> Handler for Gateway<F>
where
    F: Fn(command::Command) -> Option<Reply> + Send + Sync,
{
    fn handle(&self, request: Incoming) {
        let command = Command::decode(&*request.payload).expect("a command");
        let command = command.command.expect("of a known kind");
        self.asked.lock().push(command.clone());
        match (self.answer)(command) {
            Some(reply) => {
                let reply = CommandReply { reply: Some(reply) };
                request.responder.reply(Ok(reply.encode_to_vec().into()));
            }
            None => self.unanswered.lock().push(request),
        }
    }
}
