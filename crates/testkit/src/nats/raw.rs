//! The NATS protocol as text: a foreign program that knows nothing of ours.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::timeout,
};

use crate::wait::within;

/// How long a server may take to answer before it counts as silent.
const ANSWER: Duration = Duration::from_secs(2);

/// Where answers come.
const INBOX: &str = "_INBOX.raw";

/// A connection.
#[derive(Debug)]
pub struct RawNats {
    stream: BufStream<TcpStream>,
    subscriptions: u32,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// What it was published to.
    pub subject: String,
    /// Where an answer is expected.
    pub reply: Option<String>,
    /// The headers' text; empty: none.
    pub headers: String,
    /// The payload.
    pub payload: Vec<u8>,
}

// === impl RawNats ===

impl RawNats {
    /// Connects to `host:port`.
    pub async fn connect(address: &str) -> Self {
        let connected = Self::try_connect(address).await;
        connected.unwrap_or_else(|| panic!("no NATS at {address}"))
    }

    /// What a server says first.
    pub(super) async fn greeting(address: &str) -> Option<Value> {
        let mut client = Self {
            stream: BufStream::new(TcpStream::connect(address).await.ok()?),
            subscriptions: 0,
        };
        let line = client.line().await?;
        serde_json::from_str(line.strip_prefix("INFO ")?).ok()
    }

    pub(super) async fn try_connect(address: &str) -> Option<Self> {
        let connecting = async {
            let mut client = Self {
                stream: BufStream::new(TcpStream::connect(address).await.ok()?),
                subscriptions: 0,
            };
            client.line().await?;
            let options = r#"{"verbose":false,"headers":true,"no_responders":true}"#;
            client
                .send(format!("CONNECT {options}\r\nPING\r\n").as_bytes())
                .await?;
            while client.line().await? != "PONG" {}
            Some(client)
        };
        timeout(ANSWER, connecting).await.ok()?
    }

    /// Subscribes, in a queue group if one is named, and waits until the server
    /// has it.
    pub async fn subscribe(&mut self, subject: &str, group: &str) {
        self.subscriptions += 1;
        let line = format!("SUB {subject} {group} {}\r\nPING\r\n", self.subscriptions);
        let done = async {
            self.send(line.as_bytes()).await?;
            while self.line().await? != "PONG" {}
            Some(())
        };
        let done = within("the server subscribes", done).await;
        done.expect("the server is there");
    }

    /// Publishes, without headers.
    pub async fn publish(&mut self, subject: &str, payload: &[u8]) {
        let sent = self.send_to(subject, "", payload).await;
        sent.expect("the server is there");
    }

    /// Publishes with headers, lines of `Name: value`.
    pub async fn publish_with(&mut self, subject: &str, headers: &[&str], payload: &[u8]) {
        let headers = format!("NATS/1.0\r\n{}\r\n\r\n", headers.join("\r\n"));
        let total = headers.len() + payload.len();
        let line = format!("HPUB {subject} {} {total}\r\n{headers}", headers.len());
        let bytes = [line.as_bytes(), payload, b"\r\n"].concat();
        self.send(&bytes).await.expect("the server is there");
    }

    /// Asks and gives the first answer; none if nobody answers in two seconds.
    pub async fn ask(&mut self, subject: &str, payload: &[u8]) -> Option<RawMessage> {
        let asking = async {
            self.subscriptions += 1;
            let inbox = format!("{INBOX}.{}", fresh());
            let line = format!("SUB {inbox} {}\r\n", self.subscriptions);
            self.send(line.as_bytes()).await?;
            self.send_to(subject, &inbox, payload).await?;
            loop {
                let message = self.message().await?;
                if message.subject == inbox {
                    return Some(message);
                }
            }
        };
        let answer = timeout(ANSWER, asking).await.ok()??;
        (!answer.headers.starts_with("NATS/1.0 503")).then_some(answer)
    }

    /// The next message.
    pub async fn next(&mut self) -> RawMessage {
        let message = within("a message", self.message()).await;
        message.expect("the server is there")
    }

    async fn send_to(&mut self, subject: &str, reply: &str, payload: &[u8]) -> Option<()> {
        let line = format!("PUB {subject} {reply} {}\r\n", payload.len());
        self.send(&[line.as_bytes(), payload, b"\r\n"].concat())
            .await
    }

    async fn message(&mut self) -> Option<RawMessage> {
        loop {
            let line = self.line().await?;
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            let (subject, reply, sizes) = match *words {
                ["MSG", subject, _, size] => (subject, None, ["0", size]),
                ["MSG", subject, _, reply, size] => (subject, Some(reply), ["0", size]),
                ["HMSG", subject, _, headers, size] => (subject, None, [headers, size]),
                ["HMSG", subject, _, reply, headers, size] => {
                    (subject, Some(reply), [headers, size])
                }
                _ => continue,
            };
            let [headers, total] = sizes.map(|size| size.parse::<usize>().expect("a number"));
            let mut bytes = vec![0; total + 2];
            self.stream.read_exact(&mut bytes).await.ok()?;
            bytes.truncate(total);
            let payload = bytes.split_off(headers);
            return Some(RawMessage {
                subject: subject.to_owned(),
                reply: reply.map(str::to_owned),
                headers: String::from_utf8_lossy(&bytes).into_owned(),
                payload,
            });
        }
    }

    /// The next line; answers the server's pings by the way.
    async fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "PING" => self.send(b"PONG\r\n").await?,
                line => return Some(line.to_owned()),
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()?;
        self.stream.flush().await.ok()
    }
}

/// A number that no other inbox has.
fn fresh() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}
