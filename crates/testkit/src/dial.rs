//! The HTTP side of a client: an upgrade request, right or wrong in any way.

use std::{
    fmt::Write,
    net::{IpAddr, SocketAddr},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use wire::Subprotocol;

use crate::{RawClient, within};

/// The key of the RFC's example (section 1.3), and what answers it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const PROTOCOL: &str = "Sec-WebSocket-Protocol";

/// An upgrade request in the making. As it begins it is one that a gateway
/// accepts: no token, and the protobuf subprotocol offered.
#[derive(Clone, Debug)]
pub struct Dial {
    address: SocketAddr,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    receive_buffer: Option<u32>,
    from: Option<IpAddr>,
    prelude: Vec<u8>,
}

/// A plain HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As many bytes as `Content-Length` says.
    pub body: String,
}

// === impl Dial ===

impl Dial {
    /// A request to `/v1/ws` of the gateway at `address`.
    pub fn to(address: SocketAddr) -> Self {
        let dial = Self {
            address,
            method: "GET".to_owned(),
            target: "/v1/ws".to_owned(),
            headers: Vec::new(),
            receive_buffer: None,
            from: None,
            prelude: Vec::new(),
        };
        dial.header("Host", "gateway")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY)
            .offering(Subprotocol::Protobuf.name())
    }

    /// Another method than GET.
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Another path, and perhaps a query.
    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// Sets a header in place of one with the same name.
    pub fn header(self, name: &str, value: &str) -> Self {
        let mut dial = self.without(name);
        dial.headers.push((name.to_owned(), value.to_owned()));
        dial
    }

    /// Leaves a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Offers these subprotocols, separated by commas.
    pub fn offering(self, subprotocols: &str) -> Self {
        self.header(PROTOCOL, subprotocols)
    }

    /// Offers the JSON subprotocol.
    pub fn json(self) -> Self {
        self.offering(Subprotocol::Json.name())
    }

    /// Offers no subprotocol.
    pub fn offering_nothing(self) -> Self {
        self.without(PROTOCOL)
    }

    /// Carries a token in the Authorization header.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Carries a token in the query.
    pub fn query_token(mut self, token: &str) -> Self {
        let separator = if self.target.contains('?') { '&' } else { '?' };
        write!(self.target, "{separator}access_token={token}").expect("a String takes every text");
        self
    }

    /// Takes so little from the network unread, in bytes: for slow clients.
    pub fn receive_buffer(mut self, bytes: u32) -> Self {
        self.receive_buffer = Some(bytes);
        self
    }

    /// Comes from this address of the machine.
    pub fn from(mut self, address: impl Into<IpAddr>) -> Self {
        self.from = Some(address.into());
        self
    }

    /// Sends these bytes ahead of the request, as proxies do.
    pub fn prelude(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.prelude = bytes.into();
        self
    }

    /// The request's text.
    pub fn text(&self) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").expect("a String takes every text");
        }
        text + "\r\n"
    }

    /// Opens the TCP connection alone.
    pub async fn open(&self) -> TcpStream {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let socket = socket.expect("the system has a socket left");
        if let Some(bytes) = self.receive_buffer {
            socket
                .set_recv_buffer_size(bytes)
                .expect("any size will do");
        }
        if let Some(from) = self.from {
            let any_port = SocketAddr::new(from, 0);
            socket.bind(any_port).expect("an address of the machine");
        }
        let stream = within("a TCP connection", socket.connect(self.address)).await;
        stream.unwrap_or_else(|error| panic!("{} refused us: {error}", self.address))
    }

    /// Connects. The gateway's choice of subprotocol holds; without one it is
    /// protobuf.
    ///
    /// # Panics
    /// If the gateway refuses.
    pub async fn connect(self) -> RawClient {
        self.connect_with(b"").await
    }

    /// Connects and sends `early` in one write with the request, as a client
    /// may that can't wait.
    ///
    /// # Panics
    /// If the gateway refuses.
    pub async fn connect_with(self, early: &[u8]) -> RawClient {
        let connected = self.ask(early).await;
        connected.unwrap_or_else(|answer| panic!("refused: {answer:?}"))
    }

    /// Connects if the gateway lets us.
    ///
    /// # Errors
    /// How it refused.
    pub async fn try_connect(self) -> Result<RawClient, HttpAnswer> {
        self.ask(b"").await
    }

    /// Sends the request and returns why it was refused.
    ///
    /// # Panics
    /// If it was not.
    pub async fn refused(self) -> HttpAnswer {
        let refused = self.ask(b"").await;
        refused.expect_err("the gateway should have refused")
    }

    async fn ask(&self, early: &[u8]) -> Result<RawClient, HttpAnswer> {
        let mut stream = self.open().await;
        let request = [&self.prelude, self.text().as_bytes(), early].concat();
        stream
            .write_all(&request)
            .await
            .expect("a new connection takes a request");
        let mut bytes = BytesMut::new();
        let answer = loop {
            if let Some(answer) = HttpAnswer::take(&mut bytes) {
                break answer;
            }
            let read = within("an HTTP answer", stream.read_buf(&mut bytes)).await;
            let length = read.unwrap_or_else(|error| panic!("no HTTP answer: {error}"));
            assert!(length > 0, "no HTTP answer, only {bytes:?}");
        };
        if answer.status != 101 {
            return Err(answer);
        }
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
        let subprotocol = match answer.header("sec-websocket-protocol") {
            Some(name) => Subprotocol::from_name(name).expect("the gateway names one of ours"),
            None => Subprotocol::Protobuf,
        };
        Ok(RawClient::new(stream, bytes, subprotocol))
    }
}

// === impl HttpAnswer ===

impl HttpAnswer {
    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// The body's `code`, as refusals have it.
    pub fn code(&self) -> String {
        let body: serde_json::Value =
            serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON body: {self:?}"));
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Takes a whole answer off the front of `bytes`.
    pub(crate) fn take(bytes: &mut BytesMut) -> Option<Self> {
        // Frames, which are no text, may stand right behind the head.
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length: Option<usize> = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .and_then(|(_, value)| value.parse().ok());
        let taken = end + 4 + length.unwrap_or(0);
        let body = bytes.get(end + 4..taken)?;
        let answer = Self {
            status,
            headers,
            body: String::from_utf8_lossy(body).into_owned(),
        };
        let _ = bytes.split_to(taken);
        Some(answer)
    }
}
