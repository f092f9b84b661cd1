//! The server: its port, its limits, its services and its end.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use auth::SigningKeys;
use bus::Bus;
use keyring::Keyring;
use lifecycle::Scope;
use registry::Reaper;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    server::NamedService,
    transport::{Server, server::Router},
};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tower_layer::{Identity, Stack};

use crate::{
    auth::Issuing,
    callers::GuardLayer,
    channel_service::Looking,
    channels::Channels,
    config::ControlConfig,
    connections::Connections,
    directory::Directory,
    durable::Mailboxes,
    gateway_service::Operating,
    gateways::Gateways,
    generated::{
        DESCRIPTORS, auth_service_server::AuthServiceServer,
        channel_service_server::ChannelServiceServer,
        connection_service_server::ConnectionServiceServer,
        gateway_service_server::GatewayServiceServer, publish_service_server::PublishServiceServer,
        send_service_server::SendServiceServer, will_service_server::WillServiceServer,
    },
    publish::Publishing,
    revoking::Revoking,
    send::Sending,
    socket::incoming,
    tls::{Tls, TlsError},
    watch::Watching,
    will_service::Keeping,
};

/// A caller that is silent for so long is asked whether it lives.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// How long it may take to say so.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Unread bytes of one call: a batch or two of a PublishStream.
const STREAM_WINDOW: u32 = 1 << 20;

/// Unread bytes of one connection: one stalled call must not stop the others.
const CONNECTION_WINDOW: u32 = 8 << 20;

/// Largest headers of a call.
const MAX_HEADER_BYTES: u32 = 16 << 10;

/// A control plane whose port is bound.
pub struct Control {
    listener: TcpListener,
    local_addr: SocketAddr,
    config: ControlConfig,
    deps: ControlDeps,
    tls: Option<Tls>,
}

/// What a control plane works with.
pub struct ControlDeps {
    /// The way to gateways and channels, with the registry declared on it
    /// ([`registry::declare`]).
    pub bus: Arc<dyn Bus>,
    /// Sign tokens; absent: none are issued.
    pub signing: Option<Arc<SigningKeys>>,
    /// Says what tokens are worth.
    pub keyring: Arc<Keyring>,
    /// Knows who is where: a [`registry::Reader`] of the bus. A `Vec<GatewayId>`
    /// is one as well, for gateways that do not register.
    pub directory: Arc<dyn Directory>,
}

/// Why a control plane can't be made.
#[derive(Debug, Error)]
pub enum ControlError {
    /// Anybody who can reach the port can do everything.
    #[error(
        "refusing to listen on {0}: without credentials (control.key, control.client) only loopback \
         is allowed"
    )]
    NotLoopback(SocketAddr),
    /// Anybody who can listen in can take the keys.
    #[error(
        "refusing to listen on {0}: without TLS keys would cross the network as they are; configure \
         control.tls, or set control.allow_plaintext = true where a mesh encrypts"
    )]
    Plaintext(SocketAddr),
    /// The certificates can't be used.
    #[error("control.tls")]
    Tls(#[from] TlsError),
    /// The port can't be had.
    #[error("binding {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

// === impl Control ===

impl Control {
    /// Binds the port. Callers may connect from now on; they are served once
    /// [`Control::run`] runs.
    ///
    /// # Errors
    /// If others could do what they must not on this address, or it can't be bound.
    pub async fn bind(config: ControlConfig, deps: ControlDeps) -> Result<Self, ControlError> {
        let address = config.listen;
        if !address.ip().is_loopback() {
            if config.credentials.is_empty() {
                return Err(ControlError::NotLoopback(address));
            }
            if config.tls.is_none() && !config.allow_plaintext {
                return Err(ControlError::Plaintext(address));
            }
        }
        let tls = config.tls.clone().map(Tls::new).transpose()?;
        let failed = |source| ControlError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            local_addr,
            config,
            deps,
            tls,
        })
    }

    /// The address bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `scope` is cancelled. Then health says NOT_SERVING, streams
    /// end with UNAVAILABLE after the answers to what they took, calls under way
    /// get [`ControlConfig::drain_timeout`], and what is left is cut.
    ///
    /// All the while it clears away what dead gateways left in the registry.
    pub async fn run(self, scope: Scope) {
        let reaper = Reaper::new(self.deps.bus.clone());
        scope.spawn_cancellable("reaper", reaper.run());
        let health = HealthReporter::new();
        let (shutdown, cut) = (CancellationToken::new(), CancellationToken::new());
        let router = router(&self.config, self.deps, &health, shutdown.clone());
        report(&health, ServingStatus::Serving).await;

        // One caller's connection must not bring the process down.
        let callers = scope.contained_child("callers");
        if let Some(tls) = self.tls.clone() {
            scope.spawn_cancellable("grpc-certificates", tls.follow());
        }
        let incoming = Box::pin(incoming(self.listener, self.tls, callers, cut.clone()));
        let stop = async {
            scope.cancelled().await;
            report(&health, ServingStatus::NotServing).await;
            shutdown.cancel();
        };
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(self.config.drain_timeout).await;
            cut.cancel();
            std::future::pending().await
        };
        tokio::select! {
            result = router.serve_with_incoming_shutdown(incoming, stop) => {
                if let Err(error) = result {
                    tracing::error!(%error, "the control plane failed");
                }
            }
            () = overdue => {}
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("local_addr", &self.local_addr)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ControlDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlDeps")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// Every call passes the guard.
type Guarded = Stack<GuardLayer, Identity>;

/// All services behind one port.
fn router(
    config: &ControlConfig,
    deps: ControlDeps,
    health: &HealthReporter,
    shutdown: CancellationToken,
) -> Router<Guarded> {
    let ControlDeps {
        bus,
        signing,
        keyring,
        directory,
    } = deps;
    let gateways = Gateways::new(bus.clone(), directory);
    let revoked = bus.clone();
    let channels = Channels::new(config);
    let watching = Watching::new(bus.clone(), shutdown.clone());
    let looking = ChannelServiceServer::new(Looking::new(bus.clone(), channels.clone()));
    let keeping = WillServiceServer::new(Keeping::new(bus.clone()));
    let mailboxes = Mailboxes::new(bus.clone(), config.mailboxes);
    let publishing = Publishing::new(bus, channels.clone(), config, shutdown);
    let publishing = PublishServiceServer::new(publishing);
    let sending = SendServiceServer::new(Sending::new(gateways.clone(), mailboxes));
    let connections = Connections::new(gateways.clone(), channels, watching);
    let connections = ConnectionServiceServer::new(connections);
    let revoking = Revoking::new(revoked, gateways.clone(), keyring);
    let operating = GatewayServiceServer::new(Operating::new(gateways));
    let issuing = AuthServiceServer::new(Issuing::new(signing, config, revoking));
    let bytes = config.max_message_bytes;
    Server::builder()
        .max_concurrent_streams(config.max_concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .layer(GuardLayer::new(&config.credentials))
        .add_service(publishing.max_decoding_message_size(bytes))
        .add_service(sending.max_decoding_message_size(bytes))
        .add_service(connections.max_decoding_message_size(bytes))
        .add_service(looking.max_decoding_message_size(bytes))
        .add_service(issuing.max_decoding_message_size(bytes))
        .add_service(operating.max_decoding_message_size(bytes))
        .add_service(keeping.max_decoding_message_size(bytes))
        .add_service(HealthServer::new(HealthService::from_health_reporter(
            health.clone(),
        )))
        .add_service(reflection().build_v1().expect(VALID))
        .add_service(reflection().build_v1alpha().expect(VALID))
}

const VALID: &str = "the descriptors are generated and committed";

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Sets the health of every service, and of the whole.
async fn report(health: &HealthReporter, status: ServingStatus) {
    let services = [
        "",
        PublishServiceServer::<Publishing>::NAME,
        SendServiceServer::<Sending>::NAME,
        ConnectionServiceServer::<Connections>::NAME,
        AuthServiceServer::<Issuing>::NAME,
        ChannelServiceServer::<Looking>::NAME,
        GatewayServiceServer::<Operating>::NAME,
        WillServiceServer::<Keeping>::NAME,
    ];
    for service in services {
        health.set_service_status(service, status).await;
    }
}
