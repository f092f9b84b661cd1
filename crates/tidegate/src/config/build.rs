//! From the configuration to what each crate is told.

use std::{sync::Arc, thread, time::Duration};

use anyhow::Result;
use bus::{Log, LogLimits, NatsCredentials, NatsOptions, NatsTls, Pattern, Subject};
use control::ControlConfig;
use edge::{
    BreakerPolicy, DrainPlan, EdgeConfig, FanoutMode, NamespacePolicy, Policies, Proxies,
    RoutePolicy, SessionLimits, UserLimit, WhenFull,
};
use hub::{Account, Class, DeliveryPolicy, OutboxLimits, Rate};
use telemetry::TracesConfig;
use wills::KeeperConfig;
use wire::{GatewayId, Subprotocol, websocket::ReaderLimits};

use super::{
    Access, BreakerConfig, Config, ControlTlsConfig, Delivery, Fanout, GatewayConfig,
    GatewayTlsConfig, HookConfig, LogFormat, NamespaceConfig, Overflow, ProxyProtocol, Redelivery,
    RouteConfig, UserOverflow,
};

/// How long gateways stay in channels that nobody listens to any more: clients
/// that lost their connection are back within seconds.
const LINGER: Duration = Duration::from_secs(5);

/// The subject that a route's workers serve.
pub(super) fn route_subject(route: &RouteConfig) -> String {
    route
        .subject
        .clone()
        .unwrap_or_else(|| format!("tg.rq.{}", route.name))
}

// === impl Config ===

impl Config {
    /// What the edge is told. Validated configurations only.
    ///
    /// # Errors
    /// If a ticket secret can't be read.
    pub fn edge(&self) -> Result<EdgeConfig> {
        let gateway = &self.gateway;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let default_subprotocol = gateway.default_subprotocol.then_some(Subprotocol::Protobuf);
        Ok(EdgeConfig {
            gateway: self.gateway_id(),
            listen: gateway.listen,
            tls: gateway.tls.as_ref().map(GatewayTlsConfig::server),
            shards: match gateway.shards {
                0 => cores.min(64),
                shards => shards,
            },
            max_connections: gateway.max_connections,
            max_handshakes: gateway.max_handshakes,
            unfinished_percent: gateway.unfinished_percent,
            proxies: gateway.proxies(),
            admission: gateway.admission.limits(),
            reserved_descriptors: gateway.reserved_descriptors,
            handshake_timeout: gateway.handshake_timeout,
            token_notice: gateway.token_notice,
            close_timeout: gateway.close_timeout,
            heartbeat: gateway.heartbeat,
            send_buffer_bytes: gateway.send_buffer.bytes(),
            unsent_bytes: u32::try_from(gateway.unsent.bytes()).unwrap_or(u32::MAX),
            allowed_origins: gateway.allowed_origins.clone(),
            fallbacks: gateway.fallbacks,
            poll: gateway.poll,
            default_subprotocol,
            websocket: ReaderLimits {
                max_message_bytes: gateway.max_message.bytes(),
                max_fragments: gateway.max_fragments,
            },
            outbox: OutboxLimits {
                bytes: gateway.outbox_bytes.bytes(),
                items: gateway.outbox_items,
            },
            outbox_budget: gateway.outbox_budget.bytes() as u64,
            upstream: gateway.upstream.rates(),
            rate_classes: gateway.upstream.classes(),
            user_upstream: gateway.upstream.user_rates(),
            address_upstream: gateway.upstream.address_rates(),
            session: SessionLimits {
                max_subscriptions: gateway.max_subscriptions,
                max_in_flight: gateway.max_in_flight,
                max_channel_bytes: gateway.max_channel_bytes,
                max_deadline: gateway.max_deadline,
            },
            tickets: Arc::new(self.auth.tickets()?),
            drain: DrainPlan {
                settle: gateway.drain.settle,
                rate: gateway.drain.rate,
                window: gateway.drain.window,
            },
            linger: LINGER,
            presence: self.presence.settings(),
            journal: journal::Settings {
                late: gateway.idempotency.late,
                max_under_way: gateway.idempotency.max_under_way,
                ..journal::Settings::default()
            },
            anonymous: self.auth.anonymous.enabled,
            hook: self.auth.hook.as_ref().map(HookConfig::policy),
            policies: self.policies(),
            user_limit: gateway.user_limit(),
            wills: gateway.wills.limits(),
            mailboxes: self.mailbox.enabled,
            traces: self.telemetry.traces.is_on(),
            echo: gateway.echo,
        })
    }

    /// What the control plane is told.
    pub fn control(&self) -> ControlConfig {
        ControlConfig {
            listen: self.control.listen,
            credentials: self.control.credentials().expect("validated"),
            tls: self.control.tls.as_ref().map(ControlTlsConfig::files),
            allow_plaintext: self.control.allow_plaintext,
            token_lifetimes: self.control.tokens.lifetimes(),
            max_message_bytes: self.control.max_message.bytes(),
            in_flight_batches: self.control.in_flight_batches,
            max_channel_bytes: self.gateway.max_channel_bytes as usize,
            namespaces: self
                .namespace
                .iter()
                .map(|entry| entry.name.clone())
                .collect(),
            presence: self
                .namespace
                .iter()
                .filter(|entry| entry.presence)
                .map(|entry| entry.name.clone())
                .collect(),
            token_issuer: self.auth.issuer.clone(),
            token_audience: self.auth.audience.clone(),
            mailboxes: self.mailbox.enabled,
            traces: self.telemetry.traces.is_on(),
            ..ControlConfig::default()
        }
    }

    /// How much mailboxes keep; absent: there are none.
    pub fn mailboxes(&self) -> Option<LogLimits> {
        self.mailbox.enabled.then(|| self.mailbox.limits())
    }

    /// How wills are fired.
    pub fn keeper(&self) -> KeeperConfig {
        self.control.wills.keeper()
    }

    /// Where traces go; absent: none are recorded.
    pub fn traces(&self, role: &str, instance: &str) -> Option<TracesConfig> {
        self.telemetry.traces.exporter(role, instance)
    }

    /// How NATS is reached.
    pub fn nats_options(&self) -> NatsOptions {
        let nats = &self.nats;
        let credentials = match (
            &nats.credentials_file,
            &nats.nkey_file,
            &nats.token,
            &nats.user,
        ) {
            (Some(file), ..) => NatsCredentials::File(file.clone()),
            (_, Some(file), ..) => NatsCredentials::NkeyFile(file.clone()),
            (_, _, Some(token), _) => NatsCredentials::Token(token.expose().to_owned()),
            (.., Some(user)) => NatsCredentials::User {
                user: user.clone(),
                password: nats
                    .password
                    .as_ref()
                    .map_or_else(String::new, |text| text.expose().to_owned()),
            },
            (None, None, None, None) => NatsCredentials::None,
        };
        let tls = &nats.tls;
        NatsOptions {
            servers: nats.servers.clone(),
            name: format!("tidegate {}", self.gateway.id),
            replicas: nats.replicas,
            publish_connections: nats.publish_connections,
            credentials,
            tls: NatsTls {
                required: tls.required,
                ca_file: tls.ca_file.clone(),
                identity_files: tls.certificate_file.clone().zip(tls.key_file.clone()),
            },
            skip_chain_repair: nats.skip_chain_repair,
        }
    }

    /// The gateway's name.
    pub fn gateway_id(&self) -> GatewayId {
        GatewayId::new(&self.gateway.id).expect("validated")
    }

    /// The logs to keep, and how much of each.
    pub fn logs(&self) -> Vec<Log> {
        let logs = self.namespace.iter().filter_map(|namespace| {
            let history = namespace.history?;
            let limits = LogLimits {
                messages: history.messages,
                age: history.age,
            };
            let patterns = Pattern::of_namespace(&namespace.name).expect("validated");
            Some(Log {
                name: format!("ch_{}", namespace.name).into(),
                patterns: patterns.into(),
                limits,
            })
        });
        logs.collect()
    }

    fn policies(&self) -> Policies {
        let mut accounts = (0..).map_while(Account::new);
        let namespace = |entry: &NamespaceConfig| {
            let account = entry.metrics.then(|| accounts.next()).flatten();
            (entry.name.as_str().into(), entry.policy(account))
        };
        let route = |entry: &RouteConfig| {
            let subject = Subject::new(&route_subject(entry)).expect("validated");
            (
                entry.name.as_str().into(),
                RoutePolicy {
                    anonymous: entry.anonymous,
                    subject,
                    deadline: entry.deadline,
                    max_in_flight: entry.max_in_flight,
                    breaker: entry.breaker.map(Into::into),
                    redelivery: entry.redelivery.into(),
                },
            )
        };
        Policies {
            namespaces: self.namespace.iter().map(namespace).collect(),
            routes: self.route.iter().map(route).collect(),
        }
    }
}

// === impl GatewayConfig ===

impl GatewayConfig {
    fn user_limit(&self) -> Option<UserLimit> {
        (self.max_connections_per_user > 0).then_some(UserLimit {
            max: self.max_connections_per_user,
            when_full: match self.user_overflow {
                UserOverflow::RefuseNew => WhenFull::RefuseNew,
                UserOverflow::CloseOldest => WhenFull::CloseOldest,
            },
        })
    }

    fn proxies(&self) -> Proxies {
        Proxies {
            trusted: self.trusted_proxies.clone(),
            header_required: self.proxy_protocol == ProxyProtocol::Required,
        }
    }
}

// === impl NamespaceConfig ===

impl NamespaceConfig {
    fn policy(&self, account: Option<Account>) -> NamespacePolicy {
        let overflow = match self.overflow {
            Overflow::DropOldest => hub::Overflow::DropOldest,
            Overflow::CatchUp => hub::Overflow::CatchUp,
            Overflow::Conflate => hub::Overflow::Conflate,
            Overflow::Disconnect => hub::Overflow::Disconnect,
        };
        let rate = self.max_per_second.and_then(Rate::new);
        let class = match self.delivery {
            Delivery::All => Class::All,
            Delivery::Latest => Class::Latest,
            Delivery::Sampled => Class::Sampled(rate.unwrap_or(Rate::MAX)),
        };
        NamespacePolicy {
            publish: self.publish.into(),
            subscribe: self.subscribe.into(),
            delivery: DeliveryPolicy {
                class,
                overflow,
                priority: self.priority,
                account,
            },
            fanout: self.fanout.into(),
            presence: self.presence,
            signals: self.signals,
        }
    }
}

impl From<Fanout> for FanoutMode {
    fn from(fanout: Fanout) -> Self {
        match fanout {
            Fanout::Interest => Self::Interest,
            Fanout::Namespace => Self::Namespace,
        }
    }
}

impl From<BreakerConfig> for BreakerPolicy {
    fn from(breaker: BreakerConfig) -> Self {
        Self {
            failures: breaker.failures,
            pause: breaker.pause,
        }
    }
}

impl From<Redelivery> for journal::Redelivery {
    fn from(redelivery: Redelivery) -> Self {
        match redelivery {
            Redelivery::Never => Self::Never,
            Redelivery::WorkerDeduplicates => Self::WorkerDeduplicates,
        }
    }
}

impl From<LogFormat> for telemetry::LogFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Pretty => Self::Pretty,
            LogFormat::Json => Self::Json,
        }
    }
}

impl From<Access> for edge::Access {
    fn from(access: Access) -> Self {
        match access {
            Access::Server => Self::Server,
            Access::Token => Self::Token,
            Access::Anyone => Self::Anyone,
            Access::Anonymous => Self::Anonymous,
        }
    }
}
