//! Options that several commands share.

use std::{fs, path::PathBuf, time::Duration};

use client::Client;
use control::client::{AuthServiceClient, CallerChannel, CallerOptions};
use wire::control::{IssueTokenRequest, IssueTokenResponse, Label};

use super::Failure;

/// How gateways know the command line.
const CLIENT_NAME: &str = "tidegate-cli";

/// Where the control plane is, and who we are to it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GrpcArgs {
    /// Address of the control plane
    #[arg(
        long,
        value_name = "URL",
        env = "TIDEGATE_GRPC",
        default_value = "http://127.0.0.1:7410"
    )]
    grpc: String,

    /// File with our key for the control plane [env: TIDEGATE_API_KEY has the key itself]
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// Certificates of the authorities to trust, PEM, for https:// and wss:// [default: the system's for wss://]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CA")]
    ca: Option<PathBuf>,

    /// Our certificate for the control plane, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDEGATE_CLIENT_CERT",
        requires = "client_key"
    )]
    client_cert: Option<PathBuf>,

    /// Its private key, PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "TIDEGATE_CLIENT_KEY",
        requires = "client_cert"
    )]
    client_key: Option<PathBuf>,
}

/// Where the gateway is, and who connects.
#[derive(Debug, clap::Args)]
pub(super) struct ClientArgs {
    /// Address of the gateway
    #[arg(
        long,
        env = "TIDEGATE_URL",
        default_value = "ws://127.0.0.1:7400/v1/ws"
    )]
    url: String,

    /// Token to connect with; otherwise the control plane is asked for one
    #[arg(long, env = "TIDEGATE_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Connect as this user, with a token from the control plane [default: $USER, or cli]
    #[arg(long)]
    user: Option<String>,

    #[command(flatten)]
    grpc: GrpcArgs,
}

/// Whose connections are meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct TargetArgs {
    /// All connections of this user
    #[arg(long)]
    pub(super) user: Option<String>,

    /// This connection
    #[arg(long, value_name = "ID")]
    pub(super) connection: Option<String>,

    /// All connections of this session
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<String>,
}

/// The same, or connections with a label.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct WideTargetArgs {
    /// All connections of this user
    #[arg(long)]
    pub(super) user: Option<String>,

    /// This connection
    #[arg(long, value_name = "ID")]
    pub(super) connection: Option<String>,

    /// All connections of this session
    #[arg(long, value_name = "ID")]
    pub(super) session: Option<String>,

    /// All connections whose tokens gave them this label
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub(super) label: Option<Label>,
}

/// Reads `name=value`; the server says what is wrong with either.
pub(super) fn label(text: &str) -> Result<Label, &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok(Label {
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// Reads `90s`, `5m` or `1h 30m`.
pub(super) fn duration(text: &str) -> Result<Duration, humantime::DurationError> {
    humantime::parse_duration(text)
}

// === impl GrpcArgs ===

impl GrpcArgs {
    /// Connects to the control plane.
    pub(super) async fn connect(&self) -> Result<CallerChannel, Failure> {
        Ok(control::client::connect_as(&self.grpc, &self.caller()?).await?)
    }

    /// Who we are. A key is never an argument, which every process may read.
    fn caller(&self) -> Result<CallerOptions, Failure> {
        let read = |file: &PathBuf| fs::read(file).map_err(|error| Failure::file(file, &error));
        let key = match &self.api_key_file {
            Some(file) => {
                let text = fs::read_to_string(file);
                Some(text.map_err(|error| Failure::file(file, &error))?)
            }
            None => CallerOptions::from_environment().key,
        };
        let identity = match self.client_cert.as_ref().zip(self.client_key.as_ref()) {
            Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
            None => None,
        };
        let ca = self.ca.as_ref().map(read).transpose()?;
        Ok(CallerOptions { key, ca, identity })
    }

    /// Asks for a token.
    pub(super) async fn issue_token(
        &self,
        request: IssueTokenRequest,
    ) -> Result<IssueTokenResponse, Failure> {
        let mut auth = AuthServiceClient::new(self.connect().await?);
        Ok(auth.issue_token(request).await?.into_inner())
    }
}

// === impl ClientArgs ===

impl ClientArgs {
    /// Connects to the gateway. A user that is named goes before the token, which
    /// may well come from the environment.
    pub(super) async fn connect(&self) -> Result<Client, Failure> {
        let builder = Client::builder(&self.url).client_name(CLIENT_NAME);
        let builder = match &self.grpc.ca {
            None => builder,
            Some(file) => {
                let roots = fs::read(file).map_err(|error| Failure::file(file, &error))?;
                builder.root_certificates(roots)
            }
        };
        let builder = match (&self.user, &self.token) {
            (None, Some(token)) => builder.token(token),
            (user, _) => {
                let user = user.clone().unwrap_or_else(default_user);
                let request = IssueTokenRequest {
                    user,
                    ..IssueTokenRequest::default()
                };
                // Once in vain: what goes wrong here is worth a sentence of its
                // own, while inside of the client it is one more failed try.
                self.grpc.issue_token(request.clone()).await?;
                let grpc = self.grpc.clone();
                // A fresh one for each connection outlives the expiry of any,
                // and a development node that comes back with another key.
                builder.token_source(move || {
                    let (grpc, request) = (grpc.clone(), request.clone());
                    async move { Ok::<_, Failure>(grpc.issue_token(request).await?.token) }
                })
            }
        };
        builder
            .connect()
            .await
            .map_err(|error| self.failure(&error))
    }

    /// What an error of the connected client means.
    pub(super) fn failure(&self, error: &client::Error) -> Failure {
        Failure::of_client(error, &self.url)
    }
}

/// Who works here.
fn default_user() -> String {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty());
    user.unwrap_or_else(|| "cli".to_owned())
}
