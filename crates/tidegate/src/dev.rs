//! `tidegate dev`: everything in one process on the in-memory bus, with demo
//! namespaces, a demo token and an echo worker. Needs nothing but the binary.

mod announce;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use auth::NewToken;
use lifecycle::Signals;
use serde::Serialize;
use wire::UserId;
use worker::{Request, Worker};

use crate::{
    config::{
        Access, AuthConfig, Config, Delivery, Fanout, HistoryConfig, LogFormat, NamespaceConfig,
        Overflow, Redelivery, RouteConfig, Secret, load,
    },
    node::{Node, Role},
};

/// How long the demo token lasts.
const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// Who the demo token speaks for.
const DEMO_USER: &str = "demo";

/// What `tidegate dev` can be told.
#[derive(Clone, Debug, Default)]
pub struct DevOptions {
    /// Port for clients; 0 takes a free one, absent: as configured (7400).
    pub client_port: Option<u16>,
    /// Port for gRPC, likewise (7410).
    pub grpc_port: Option<u16>,
    /// Port for metrics and health, likewise (7420).
    pub admin_port: Option<u16>,
    /// Print one line of JSON instead of text.
    pub json: bool,
    /// Serve `/v1/echo` for conformance suites.
    pub echo: bool,
    /// A configuration to start from; its namespaces and routes come on top of
    /// the demo's.
    pub config: Option<PathBuf>,
}

/// A running development node.
#[derive(Debug)]
pub struct DevNode {
    /// The node itself.
    pub node: Node,
    /// A token that may do everything the demo namespaces allow.
    pub token: String,
}

/// Runs until SIGTERM or Ctrl-C; a second signal ends at once.
pub async fn run(options: DevOptions) -> Result<()> {
    let mut signals = Signals::listen()?;
    let config = configuration(&options)?;
    telemetry::init_tracing(config.log.format.into(), &config.log.filter)?;
    let DevNode { node, token } = start_with(&config).await?;
    if options.json {
        announce::json(&node, &token)?;
    } else {
        announce::text(&node, &token)?;
    }
    tokio::select! {
        signal = signals.next() => tracing::info!(%signal, "stopping"),
        () = node.scope().cancelled() => tracing::error!("a part of the node failed"),
    }
    tokio::select! {
        stopped = node.stop() => stopped,
        signal = signals.next() => anyhow::bail!("{signal} again: ended without draining"),
    }
}

/// Starts a development node in this process; for examples and tests.
pub async fn start(options: &DevOptions) -> Result<DevNode> {
    start_with(&configuration(options)?).await
}

async fn start_with(config: &Config) -> Result<DevNode> {
    let node = Node::start(config, Role::Everything).await?;
    let echo =
        Worker::new("demo").on_sync("echo", |request: &Request| Ok(request.payload().clone()));
    let scope = node.scope().clone();
    let stop = scope.clone();
    scope.spawn(
        "echo-worker",
        echo.run(node.bus().clone(), async move { stop.cancelled().await }),
    );
    let token = demo_token(config)?;
    Ok(DevNode { node, token })
}

/// The configuration file, if any, with everything the demo needs on top.
fn configuration(options: &DevOptions) -> Result<Config> {
    let mut config = load(options.config.as_deref())?;
    let local = |listen: &mut SocketAddr, port: Option<u16>| {
        listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        listen.set_port(port.unwrap_or(listen.port()));
    };
    local(&mut config.gateway.listen, options.client_port);
    local(&mut config.control.listen, options.grpc_port);
    local(&mut config.admin.listen, options.admin_port);
    config.gateway.echo |= options.echo;
    if options.config.is_none() {
        // Pages of any local web server may try it.
        config.gateway.allowed_origins.push("*".to_owned());
        config.log.format = LogFormat::Pretty;
        if std::env::var_os("TIDEGATE_LOG__FILTER").is_none() {
            config.log.filter = "warn".to_owned();
        }
    }
    config.auth.add_generated_key();
    for namespace in demo_namespaces() {
        if config
            .namespace
            .iter()
            .all(|own| own.name != namespace.name)
        {
            config.namespace.push(namespace);
        }
    }
    for route in demo_routes() {
        if config.route.iter().all(|own| own.name != route.name) {
            config.route.push(route);
        }
    }
    Ok(config)
}

/// The demo's namespaces and routes as a configuration file, for processes of a
/// development cluster.
pub(crate) fn demo_toml() -> Result<String> {
    #[derive(Serialize)]
    struct Demo {
        gateway: toml::Table,
        namespace: [NamespaceConfig; 3],
        route: [RouteConfig; 2],
    }
    let anywhere = toml::Value::Array(vec!["*".into()]);
    // Ctrl-C ends all gateways together: clients have nowhere to move.
    let drain = [("settle", "1s"), ("window", "5s")];
    let drain = drain.map(|(key, value)| (key.to_owned(), value.into()));
    let drain = toml::Table::from_iter(drain);
    let gateway = toml::Table::from_iter([
        ("allowed_origins".to_owned(), anywhere),
        ("drain".to_owned(), drain.into()),
    ]);
    let demo = Demo {
        gateway,
        namespace: demo_namespaces(),
        route: demo_routes(),
    };
    Ok(toml::to_string(&demo)?)
}

/// Keys that nobody else has, as environment variables for the same processes.
pub(crate) fn demo_secrets() -> Result<Vec<(String, String)>> {
    let mut auth = AuthConfig::default();
    auth.add_generated_key();
    let key = &auth.key[0];
    let id = key.id.as_deref().unwrap_or_default();
    let private = key.private_key.as_ref().map(Secret::expose);
    let private = private.unwrap_or_default();
    let key = format!("[{{id={id:?},algorithm=\"EdDSA\",private_key={private:?}}}]");
    // The seed of another key: 32 bytes that nobody knows.
    auth.key.clear();
    auth.add_generated_key();
    let ticket = auth.key[0].private_key.as_ref().map(Secret::expose);
    let tickets = format!("[{:?}]", ticket.unwrap_or_default());
    Ok(vec![
        ("TIDEGATE_AUTH__KEY".to_owned(), key),
        ("TIDEGATE_AUTH__TICKET_SECRETS".to_owned(), tickets),
    ])
}

/// `echo` for the built-in worker, `orders.place` for the example.
fn demo_routes() -> [RouteConfig; 2] {
    let route = |name: &str, subject: &str| RouteConfig {
        anonymous: false,
        name: name.to_owned(),
        subject: Some(subject.to_owned()),
        deadline: Duration::from_secs(5),
        max_in_flight: 0,
        breaker: None,
        redelivery: Redelivery::default(),
    };
    [
        route("echo", "tg.rq.demo.echo"),
        route("orders.place", "tg.rq.orders.place"),
    ]
}

/// `demo` for anything, `chat` with a little history, `market` for backends.
fn demo_namespaces() -> [NamespaceConfig; 3] {
    let namespace = |name: &str, history, publish| NamespaceConfig {
        name: name.to_owned(),
        history,
        delivery: Delivery::All,
        max_per_second: None,
        overflow: Overflow::DropOldest,
        priority: 0,
        metrics: true,
        fanout: Fanout::default(),
        presence: true,
        signals: true,
        publish,
        subscribe: Access::Anyone,
    };
    let history = Some(HistoryConfig {
        messages: 100,
        age: Duration::from_secs(3600),
    });
    [
        namespace("demo", None, Access::Anyone),
        namespace("chat", history, Access::Anyone),
        namespace("market", history, Access::Server),
    ]
}

fn demo_token(config: &Config) -> Result<String> {
    let now = SystemTime::now();
    let signer = config.signing()?.and_then(|keys| keys.signer(now));
    let signer = signer.context("none of control.signing_key may sign yet")?;
    let user = UserId::new(DEMO_USER).expect("valid");
    let token = NewToken {
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
        ..NewToken::new(user, TOKEN_LIFETIME)
    };
    let (token, _expires_at) = signer.issue(&token, now);
    Ok(token)
}
