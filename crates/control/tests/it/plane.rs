//! The plane under test, its gateways and its listeners.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth::Signer;
use bus::{Bus, BusExt, Handler, Incoming, MemoryBus, Message, Pattern, Sink, Subject};
use control::{Control, ControlConfig, ControlDeps};
use lifecycle::{DrainOutcome, Scope};
use parking_lot::Mutex;
use prost::Message as _;
use tonic::transport::Channel;
use wire::{
    GatewayId,
    control::NewPublication,
    gateway::{Command, CommandReply, command, command_reply::Reply},
};

/// A control plane that runs.
pub(crate) struct Plane {
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) address: SocketAddr,
    pub(crate) scope: Scope,
}

/// Collects what is published.
#[derive(Default)]
pub(crate) struct Listener(Mutex<Vec<(String, String)>>);

/// Answers commands with a function; `None` is never answered.
struct Gateway<F> {
    answer: F,
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
        signer: Option<Signer>,
    ) -> Self {
        let memory = Arc::new(MemoryBus::new());
        let deps = ControlDeps {
            bus: bus.unwrap_or_else(|| memory.clone()),
            signer: signer.map(Arc::new),
            directory: Arc::new(vec![gateway("b"), gateway("a")]),
        };
        let scope = Scope::root();
        let control = Control::bind(config, deps).await.expect("a free port");
        let address = control.local_addr();
        scope.spawn("control", control.run(scope.clone()));
        Self {
            bus: memory,
            address,
            scope,
        }
    }

    pub(crate) async fn connect(&self) -> Channel {
        control::client::connect(&self.address.to_string())
            .await
            .expect("the plane listens")
    }

    /// Serves the commands to a gateway with `answer`.
    pub(crate) fn serve_gateway(
        &self,
        name: &str,
        answer: impl Fn(command::Command) -> Option<Reply> + Send + Sync + 'static,
    ) {
        let unanswered = Mutex::default();
        let handler = Arc::new(Gateway { answer, unanswered });
        self.bus.serve(Subject::of_gateway(&gateway(name)), handler);
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

pub(crate) fn gateway(name: &str) -> GatewayId {
    GatewayId::new(name).expect("valid")
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
        match (self.answer)(command.command.expect("of a known kind")) {
            Some(reply) => {
                let reply = CommandReply { reply: Some(reply) };
                request.responder.reply(Ok(reply.encode_to_vec().into()));
            }
            None => self.unanswered.lock().push(request),
        }
    }
}
