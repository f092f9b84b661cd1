//! One WebSocket, as messages of the negotiated subprotocol. The only file that
//! names the WebSocket library, but for the upgrade.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, future::BoxFuture};
use prost::Message as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tokio_tungstenite::{WebSocketStream, tungstenite};
use tungstenite::{Message, Utf8Bytes, protocol::CloseFrame};
use wire::{
    Subprotocol,
    client::{ServerMessage, server_event::Event},
};

use crate::state::Ending;

/// How long the closing handshake may take.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// A byte stream to a gateway.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

/// Makes byte streams to a gateway.
pub(crate) type Dial =
    Box<dyn Fn() -> BoxFuture<'static, io::Result<Box<dyn Transport>>> + Send + Sync>;

/// See the module.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Transport>>,
    subprotocol: Subprotocol,
    is_flushed: bool,
    heard_at: Instant,
    /// What the gateway announced before its close frame.
    closing: Option<Ending>,
}

/// What a socket has to report.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message came.
    Message(ServerMessage),
    /// A ping or pong came.
    Heard,
    /// Everything pushed has been written.
    Flushed,
    /// The last report.
    Ended(Ending),
}

// === impl Transport ===

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

// === impl Socket ===

impl Socket {
    pub(crate) fn new(
        stream: WebSocketStream<Box<dyn Transport>>,
        subprotocol: Subprotocol,
    ) -> Self {
        Self {
            stream,
            subprotocol,
            is_flushed: true,
            heard_at: Instant::now(),
            closing: None,
        }
    }

    /// When anything came last.
    pub(crate) fn heard_at(&self) -> Instant {
        self.heard_at
    }

    /// Whether everything pushed has been written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.is_flushed
    }

    /// Queues a message; [`Self::next`] writes it.
    pub(crate) fn push(&mut self, message: Vec<u8>) {
        let message = match self.subprotocol.is_text() {
            true => Utf8Bytes::try_from(message).map(Message::Text),
            false => Ok(Message::Binary(message.into())),
        };
        let message = message.expect("JSON is UTF-8");
        self.is_flushed = false;
        // A broken socket says so again when it is read.
        if let Err(error) = self.stream.start_send_unpin(message) {
            tracing::debug!(%error, "cannot send");
        }
    }

    /// Writes what was pushed and reads. Can be dropped at any time without loss.
    pub(crate) async fn next(&mut self) -> Incoming {
        poll_fn(|ctx| self.poll_next(ctx)).await
    }

    /// Says goodbye in order, as far as the gateway takes part in time.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            let frame = CloseFrame {
                code: 1000.into(),
                reason: Utf8Bytes::default(),
            };
            let mut result = self.stream.close(Some(frame)).await;
            while result.is_ok() {
                result = match self.stream.next().await {
                    Some(incoming) => incoming.map(drop),
                    None => break,
                };
            }
        };
        if timeout(CLOSE_TIME, goodbye).await.is_err() {
            tracing::debug!("the gateway did not answer the close frame in time");
        }
    }

    fn poll_next(&mut self, ctx: &mut Context<'_>) -> Poll<Incoming> {
        if !self.is_flushed {
            match self.stream.poll_flush_unpin(ctx) {
                Poll::Ready(Ok(())) => {
                    self.is_flushed = true;
                    return Poll::Ready(Incoming::Flushed);
                }
                // Reading tells what ended it, perhaps with the gateway's reasons.
                Poll::Ready(Err(error)) => {
                    tracing::debug!(%error, "cannot write");
                    self.is_flushed = true;
                }
                Poll::Pending => {}
            }
        }
        self.stream.poll_next_unpin(ctx).map(|frame| {
            self.heard_at = Instant::now();
            self.read(frame)
        })
    }

    fn read(&mut self, frame: Option<tungstenite::Result<Message>>) -> Incoming {
        match frame {
            Some(Ok(Message::Binary(bytes))) => self.decode(bytes),
            Some(Ok(Message::Text(text))) => self.decode(text.into()),
            Some(Ok(Message::Close(frame))) => {
                let ending = frame.map_or_else(
                    || Ending::of_close_frame(1005, "closed without a reason"),
                    |frame| Ending::of_close_frame(frame.code.into(), &frame.reason),
                );
                Incoming::Ended(self.closing.take().unwrap_or(ending))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Incoming::Heard,
            Some(Err(error)) => self.lost(&error.to_string()),
            None => self.lost("the connection was lost"),
        }
    }

    fn decode(&mut self, bytes: Bytes) -> Incoming {
        let decoded = match self.subprotocol {
            Subprotocol::Protobuf => ServerMessage::decode(bytes).map_err(|e| e.to_string()),
            Subprotocol::Json => serde_json::from_slice(&bytes).map_err(|e| e.to_string()),
        };
        match decoded {
            Ok(message) => {
                self.note_closing(&message);
                Incoming::Message(message)
            }
            Err(error) => self.lost(&format!("not a server message: {error}")),
        }
    }

    fn note_closing(&mut self, message: &ServerMessage) {
        let last = message.events.last().and_then(|last| last.event.as_ref());
        if let Some(Event::Closing(closing)) = last {
            self.closing = Some(closing.clone().into());
        }
    }

    fn lost(&mut self, message: &str) -> Incoming {
        let ending = self.closing.take();
        Incoming::Ended(ending.unwrap_or_else(|| Ending::lost(message)))
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket")
            .field("subprotocol", &self.subprotocol)
            .field("is_flushed", &self.is_flushed)
            .finish_non_exhaustive()
    }
}
