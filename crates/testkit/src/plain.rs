//! Clients without WebSocket: plain requests, and streams of server-sent events.

use std::net::SocketAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::client::{ClientEvent, ClientMessage, ServerMessage, server_event};

use crate::{HttpAnswer, within};

/// A request on a connection of its own.
#[derive(Clone, Debug)]
pub struct Plain {
    address: SocketAddr,
    head: String,
    body: Vec<u8>,
}

/// A stream of server-sent events.
#[derive(Debug)]
pub struct EventStream {
    stream: TcpStream,
    /// Of the connection, from the next chunk on.
    raw: BytesMut,
    /// Of the stream, from the next line on.
    text: String,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SentEvent {
    /// `message` where it has no other name.
    pub name: String,
    /// Empty: it has none.
    pub id: String,
    /// Its lines.
    pub data: String,
    /// Milliseconds, if it says so.
    pub retry: Option<u64>,
}

// === impl Plain ===

impl Plain {
    /// A request to the gateway at `address`.
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            address,
            head: format!("{method} {target} HTTP/1.1\r\nHost: gateway\r\n"),
            body: Vec::new(),
        }
    }

    /// A POST with a message of these events, in protobuf.
    pub fn post(address: SocketAddr, target: &str, events: Vec<ClientEvent>) -> Self {
        let mut this = Self::new(address, "POST", target);
        this.body = ClientMessage { events }.encode_to_vec();
        this.header("Content-Type", "application/x-protobuf")
    }

    /// Sets a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.head += &format!("{name}: {value}\r\n");
        self
    }

    /// Anything as the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The answer, whole.
    pub async fn answer(self) -> HttpAnswer {
        self.try_answer().await.expect("an answer")
    }

    /// The same; `None`: nobody listens, or leaves in the middle of it.
    pub async fn try_answer(self) -> Option<HttpAnswer> {
        let (answer, ..) = self.ask().await?;
        Some(answer)
    }

    /// The stream, once its head has come.
    ///
    /// # Errors
    /// How it was refused.
    pub async fn events(self) -> Result<EventStream, HttpAnswer> {
        self.try_events().await.expect("an answer")
    }

    /// The same; `None`: nobody listens, or leaves in the middle of it.
    pub async fn try_events(self) -> Option<Result<EventStream, HttpAnswer>> {
        let (answer, stream, raw) = self.ask().await?;
        if answer.header("content-type") != Some("text/event-stream") {
            return Some(Err(answer));
        }
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
        let text = String::new();
        Some(Ok(EventStream { stream, raw, text }))
    }

    async fn ask(&self) -> Option<(HttpAnswer, TcpStream, BytesMut)> {
        let mut stream = TcpStream::connect(self.address).await.ok()?;
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head, self.body.len());
        let request = [head.as_bytes(), &self.body].concat();
        stream.write_all(&request).await.ok()?;
        let mut raw = BytesMut::new();
        loop {
            if let Some(answer) = HttpAnswer::take(&mut raw) {
                return Some((answer, stream, raw));
            }
            if !more(&mut stream, &mut raw).await {
                return None;
            }
        }
    }
}

// === impl EventStream ===

impl EventStream {
    /// The next event; comments are passed over. `None`: the stream has ended.
    pub async fn next(&mut self) -> Option<SentEvent> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let event = SentEvent::read(event);
                self.text = rest.to_owned();
                if let Some(event) = event {
                    return Some(event);
                }
            } else if !self.chunk().await {
                return None;
            }
        }
    }

    /// The next one, which must have this name.
    pub async fn expect(&mut self, name: &str) -> SentEvent {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.name, name, "{event:?}");
        event
    }

    /// The next event of the protocol's, of the next message in protobuf.
    pub async fn messages(&mut self) -> Vec<server_event::Event> {
        server_events(&self.expect("message").await.data)
    }

    /// Adds the next chunk to the text (RFC 9112, section 7.1).
    async fn chunk(&mut self) -> bool {
        loop {
            let line = self.raw.windows(2).position(|two| two == b"\r\n");
            if let Some(end) = line {
                let size = str::from_utf8(&self.raw[..end]).expect("a size");
                let size = usize::from_str_radix(size, 16).expect("a size");
                if size == 0 {
                    return false;
                }
                if self.raw.len() >= end + 2 + size + 2 {
                    let _ = self.raw.split_to(end + 2);
                    let piece = self.raw.split_to(size);
                    self.text += str::from_utf8(&piece).expect("whole events");
                    let _ = self.raw.split_to(2);
                    return true;
                }
            }
            if !more(&mut self.stream, &mut self.raw).await {
                return false;
            }
        }
    }
}

// === impl SentEvent ===

impl SentEvent {
    fn read(text: &str) -> Option<Self> {
        let mut event = Self {
            name: "message".to_owned(),
            ..Self::default()
        };
        let mut says_something = false;
        for line in text.lines().filter(|line| !line.starts_with(':')) {
            let (field, value) = line.split_once(": ").expect("a field");
            says_something = true;
            match field {
                "event" => value.clone_into(&mut event.name),
                "id" => value.clone_into(&mut event.id),
                "data" => event.data += value,
                "retry" => event.retry = value.parse().ok(),
                _ => panic!("an unknown field: {line}"),
            }
        }
        says_something.then_some(event)
    }

    /// The data, as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

/// What a message in base64 says.
pub fn server_events(base64: &str) -> Vec<server_event::Event> {
    let message = STANDARD.decode(base64).expect("base64");
    let message = ServerMessage::decode(&*message).expect("a message");
    let events = message.events.into_iter();
    events.filter_map(|event| event.event).collect()
}

/// Reads on; `false`: there is no more.
async fn more(stream: &mut TcpStream, into: &mut BytesMut) -> bool {
    let read = within("the gateway's next words", stream.read_buf(into)).await;
    matches!(read, Ok(1..))
}
