//! What a client is made of.

use std::{error::Error as StdError, fmt, future::Future, io, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::http::Uri;
use wire::Subprotocol;

use crate::{
    client::Client,
    error::Error,
    queue::Limits,
    socket::{Dial, Transport},
    tls::Tls,
};

const DEFAULT_QUEUE: Limits = Limits {
    items: 1024,
    bytes: 8 << 20,
};

/// Covers the token, the socket, the upgrade and Welcome.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Describes a client; [`Builder::connect`] starts it.
#[must_use]
pub struct Builder {
    url: String,
    token: Token,
    subprotocol: Subprotocol,
    queue: Limits,
    connect_timeout: Duration,
    client_name: String,
    manual_acks: bool,
    roots: Option<Vec<u8>>,
    dial: Option<Dial>,
}

/// A description, checked.
pub(crate) struct Config {
    pub(crate) uri: Uri,
    pub(crate) token: Token,
    pub(crate) subprotocol: Subprotocol,
    pub(crate) queue: Limits,
    pub(crate) connect_timeout: Duration,
    pub(crate) client_name: String,
    pub(crate) manual_acks: bool,
    /// For `wss`.
    tls: Option<Tls>,
    /// `None`: by TCP.
    dial: Option<Dial>,
}

/// Where tokens come from.
pub(crate) enum Token {
    /// The same for every connection; empty: the upgrade carries it.
    Fixed(String),
    /// Asked before each connection.
    Source(TokenSource),
}

type AnyError = Box<dyn StdError + Send + Sync>;
type TokenSource = Box<dyn Fn() -> BoxFuture<'static, Result<String, AnyError>> + Send + Sync>;

// === impl Builder ===

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.into(),
            token: Token::Fixed(String::new()),
            subprotocol: Subprotocol::Protobuf,
            queue: DEFAULT_QUEUE,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            client_name: "tidegate-rust".into(),
            manual_acks: false,
            roots: None,
            dial: None,
        }
    }

    /// The JWT that names the user, for every connection.
    pub fn token(self, token: impl Into<String>) -> Self {
        Self {
            token: Token::Fixed(token.into()),
            ..self
        }
    }

    /// Asks for a token before each connection, which outlives the expiry of any
    /// one of them. A failure counts as a failed connection.
    pub fn token_source<F, T, E>(self, source: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<AnyError>,
    {
        let source: TokenSource = Box::new(move || {
            let token = source();
            Box::pin(async { token.await.map_err(Into::into) })
        });
        Self {
            token: Token::Source(source),
            ..self
        }
    }

    /// Speaks JSON in place of protobuf, to be read on the way.
    pub fn json(self) -> Self {
        Self {
            subprotocol: Subprotocol::Json,
            ..self
        }
    }

    /// How much each subscription, and the stream of direct messages, holds for its
    /// reader: publications and bytes of payload. Default: 1024 and 8 MiB. What
    /// does not fit pushes out the oldest, and a [`Gap`](crate::Gap) says so. One
    /// publication always fits.
    pub fn queue(self, publications: usize, bytes: usize) -> Self {
        let queue = Limits {
            items: publications.max(1),
            bytes,
        };
        Self { queue, ..self }
    }

    /// How long one try to connect may take, from the token to Welcome. Default:
    /// ten seconds.
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self {
            connect_timeout,
            ..self
        }
    }

    /// The name by which gateways know this program, at most 64 bytes.
    pub fn client_name(self, name: impl Into<String>) -> Self {
        Self {
            client_name: name.into(),
            ..self
        }
    }

    /// Leaves it to [`Client::ack`] to confirm direct messages, for programs that
    /// confirm when they have dealt with a message rather than when they get it.
    pub fn manual_acks(self) -> Self {
        Self {
            manual_acks: true,
            ..self
        }
    }

    /// Trusts gateways with certificates of these authorities (PEM), and no others;
    /// for `wss://`. Otherwise those that the system trusts.
    pub fn root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        Self {
            roots: Some(pem.into()),
            ..self
        }
    }

    /// Brings its own way to a gateway, asked before each connection: through a
    /// proxy, with TLS, or to a scripted gateway in memory. The URL then only says
    /// what stands in the upgrade request.
    pub fn dial<F, T, S>(self, dial: F) -> Self
    where
        F: Fn() -> T + Send + Sync + 'static,
        T: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let dial: Dial = Box::new(move || {
            let stream = dial();
            Box::pin(async { Ok(Box::new(stream.await?) as Box<dyn Transport>) })
        });
        Self {
            dial: Some(dial),
            ..self
        }
    }

    /// Connects, and returns once the gateway has said Welcome. From then on the
    /// client reconnects by itself. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`], [`Error::Tls`], or [`Error::Connect`] if
    /// the first try fails: that one is not repeated, because the usual reason is a
    /// wrong address or token. Where the gateway lets in others first, that is no
    /// failure: it waits.
    pub async fn connect(self) -> Result<Client, Error> {
        let config = self.check()?;
        Client::start(config).connected().await
    }

    fn check(self) -> Result<Config, Error> {
        let url = self.url;
        let uri: Uri = url
            .parse()
            .map_err(|_| Error::InvalidUrl { url: url.clone() })?;
        let (Some(scheme), Some(_)) = (uri.scheme_str(), uri.authority()) else {
            return Err(Error::InvalidUrl { url });
        };
        let tls = match (&self.dial, scheme) {
            (Some(_), "ws" | "wss") | (None, "ws") => None,
            (None, "wss") => Some(Tls::new(self.roots.as_deref())?),
            _ => return Err(Error::InvalidUrl { url }),
        };
        Ok(Config {
            uri,
            token: self.token,
            subprotocol: self.subprotocol,
            queue: self.queue,
            connect_timeout: self.connect_timeout,
            client_name: self.client_name,
            manual_acks: self.manual_acks,
            tls,
            dial: self.dial,
        })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token.
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("subprotocol", &self.subprotocol)
            .finish_non_exhaustive()
    }
}

async fn dial(host: String, port: u16, tls: Option<Tls>) -> io::Result<Box<dyn Transport>> {
    let stream = TcpStream::connect(format!("{host}:{port}")).await?;
    // Batches are whole when they are written: waiting for more only delays.
    stream.set_nodelay(true)?;
    match tls {
        None => Ok(Box::new(stream)),
        Some(tls) => Ok(Box::new(tls.connect(&host, stream).await?)),
    }
}

// === impl Config ===

impl Config {
    /// Makes a byte stream to the gateway at `uri`.
    pub(crate) fn dial(&self, uri: &Uri) -> BoxFuture<'static, io::Result<Box<dyn Transport>>> {
        match &self.dial {
            Some(dial) => dial(),
            None => {
                let host = uri.host().unwrap_or_default().to_owned();
                let usual = if self.tls.is_some() { 443 } else { 80 };
                let port = uri.port_u16().unwrap_or(usual);
                Box::pin(dial(host, port, self.tls.clone()))
            }
        }
    }

    /// Where to go: the usual address, unless the gateway named another one that
    /// can be dialled. Who brings a dial of his own knows best.
    pub(crate) fn destination(&self, hint: &str) -> Uri {
        let hinted = hint.parse::<Uri>().ok();
        // Nobody is led from an address with TLS to one without.
        let scheme = self.uri.scheme_str();
        let hinted = hinted.filter(|uri| uri.scheme_str() == scheme && uri.host().is_some());
        match (hinted, &self.dial) {
            (Some(uri), None) => uri,
            _ => self.uri.clone(),
        }
    }
}

// === impl Config ===

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("uri", &self.uri)
            .field("subprotocol", &self.subprotocol)
            .finish_non_exhaustive()
    }
}

// === impl Token ===

impl Token {
    pub(crate) async fn get(&self) -> Result<String, AnyError> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::Source(source) => source().await,
        }
    }

    /// Whether the next connection will have another one.
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self, Self::Source(_))
    }
}
