//! What an adapter can be told.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use async_nats::ConnectOptions;

use super::NatsError;

/// How NATS is reached. Built by the binary from its configuration.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// Servers, e.g. `nats://127.0.0.1:4222` or `tls://…`; more of the cluster
    /// are found by themselves.
    pub servers: Vec<String>,
    /// How the servers' monitoring names our connections.
    pub name: String,
    /// Copies of each stream and table.
    pub replicas: usize,
    /// Connections that carry publications.
    pub publish_connections: usize,
    /// Who we are.
    pub credentials: NatsCredentials,
    /// TLS to the servers.
    pub tls: NatsTls,
    /// Breaks in a log's chain are neither repaired nor told: a defect on demand,
    /// by which checkers show that they see. Never for anything else.
    pub skip_chain_repair: bool,
}

/// Who we are to the servers.
#[derive(Clone, Default)]
pub enum NatsCredentials {
    /// Nobody in particular.
    #[default]
    None,
    /// A file with a JWT and an nkey seed.
    File(PathBuf),
    /// A file with an nkey seed.
    NkeyFile(PathBuf),
    /// A token.
    Token(String),
    /// A user and a password.
    User {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
}

/// TLS to the servers.
#[derive(Clone, Debug, Default)]
pub struct NatsTls {
    /// Refuse servers without TLS.
    pub required: bool,
    /// Certificates of authorities to trust, PEM; absent: the system's.
    pub ca_file: Option<PathBuf>,
    /// Our certificate and its private key, PEM.
    pub identity_files: Option<(PathBuf, PathBuf)>,
}

/// A peer that is silent for so long is pinged; after two more it is dead. The
/// library's 60 s would leave a dead server unnoticed for minutes.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Commands that wait in the library: what it may hold on to over an outage, so
/// few; enough that its writer does not wait for us.
const LIBRARY_QUEUE: usize = 512;

/// Shortest pause before an attempt: subscriptions deliver what they hold first.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);

/// Longest pause between attempts to reconnect.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Messages that one subscription may be behind before the library drops some.
pub(super) const SUBSCRIPTION_CAPACITY: usize = 65_536;

// === impl NatsOptions ===

impl NatsOptions {
    /// One server on this machine, without credentials.
    pub fn local(url: &str) -> Self {
        Self {
            servers: vec![url.to_owned()],
            name: "tidegate".to_owned(),
            replicas: 1,
            publish_connections: 1,
            credentials: NatsCredentials::None,
            tls: NatsTls::default(),
            skip_chain_repair: false,
        }
    }

    /// Options of the client library for one connection.
    pub(super) fn connect_options(&self, kind: &str) -> Result<ConnectOptions, NatsError> {
        // One provider of cryptography, whatever features others turn on. It is
        // refused if somebody has installed one before: the same.
        let provider = async_nats::rustls::crypto::aws_lc_rs::default_provider();
        drop(provider.install_default());
        let options = ConnectOptions::new()
            .name(format!("{} {kind}", self.name))
            .ping_interval(PING_INTERVAL)
            .connection_timeout(CONNECT_TIMEOUT)
            .subscription_capacity(SUBSCRIPTION_CAPACITY)
            .client_capacity(LIBRARY_QUEUE)
            .reconnect_delay_callback(pause)
            .max_reconnects(None)
            // Our subjects were checked when they were made.
            .skip_subject_validation(true);
        let options = self.authenticated(options)?;
        Ok(self.secured(options))
    }

    fn authenticated(&self, options: ConnectOptions) -> Result<ConnectOptions, NatsError> {
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path);
            text.map_err(|source| NatsError::Credentials {
                path: path.clone(),
                source: Arc::new(source),
            })
        };
        Ok(match &self.credentials {
            NatsCredentials::None => options,
            NatsCredentials::File(path) => {
                let text = read(path)?;
                let with = options.credentials(&text);
                with.map_err(|source| NatsError::Credentials {
                    path: path.clone(),
                    source: Arc::new(source),
                })?
            }
            NatsCredentials::NkeyFile(path) => options.nkey(read(path)?.trim().to_owned()),
            NatsCredentials::Token(token) => options.token(token.clone()),
            NatsCredentials::User { user, password } => {
                options.user_and_password(user.clone(), password.clone())
            }
        })
    }

    fn secured(&self, options: ConnectOptions) -> ConnectOptions {
        let mut options = options;
        if let Some(ca_file) = &self.tls.ca_file {
            options = options.add_root_certificates(ca_file.clone());
        }
        if let Some((certificate, key)) = &self.tls.identity_files {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        if self.tls.required {
            options = options.require_tls(true);
        }
        options
    }
}

impl std::fmt::Debug for NatsCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::File(_) => "File",
            Self::NkeyFile(_) => "NkeyFile",
            Self::Token(_) => "Token",
            Self::User { .. } => "User",
        })
    }
}

/// Full jitter: a fleet that lost its server must not come back all at once.
fn pause(attempts: usize) -> Duration {
    let doubled = Duration::from_millis(50).saturating_mul(1 << attempts.min(10));
    let pause = doubled.min(LONGEST_PAUSE).mul_f64(fastrand::f64());
    pause.max(SHORTEST_PAUSE)
}
