//! A WebSocket client that sends what it is told, right or wrong, and reads
//! only when it is asked to.

use std::{collections::VecDeque, io, net::SocketAddr};

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use wire::{
    Subprotocol,
    client::{
        ClientEvent, ClientMessage, Closing, ServerMessage, Subscribed, Welcome,
        server_event::Event,
    },
    websocket::{OpCode, client_frame, parse_server_frame},
};

use crate::{Dial, hello, subscribe, within};

/// Any mask will do, as long as it changes something.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// One client connection.
#[derive(Debug)]
pub struct RawClient {
    stream: TcpStream,
    received: BytesMut,
    subprotocol: Subprotocol,
    /// The rest of a batch.
    events: VecDeque<Event>,
}

/// A frame from the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its opcode.
    pub opcode: OpCode,
    /// Its payload.
    pub payload: Bytes,
}

/// How a gateway ended a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Close {
    /// The code of the Close frame.
    pub code: u16,
    /// Its reason.
    pub reason: String,
    /// The Closing event before it, if one came.
    pub closing: Option<Closing>,
}

// === impl RawClient ===

impl RawClient {
    pub(crate) fn new(stream: TcpStream, received: BytesMut, subprotocol: Subprotocol) -> Self {
        Self {
            stream,
            received,
            subprotocol,
            events: VecDeque::new(),
        }
    }

    /// Connects with the protobuf subprotocol and says Hello.
    pub async fn greeted(address: SocketAddr, token: &str) -> Self {
        let mut client = Dial::to(address).connect().await;
        client.hello(token).await;
        client
    }

    /// The subprotocol that the gateway chose.
    pub fn subprotocol(&self) -> Subprotocol {
        self.subprotocol
    }

    /// Says Hello and awaits Welcome.
    pub async fn hello(&mut self, token: &str) -> Welcome {
        self.send(hello(token)).await;
        self.welcome().await
    }

    /// Subscribes and awaits Subscribed.
    pub async fn subscribe(&mut self, id: u32, channel: &str) -> Subscribed {
        self.send(subscribe(id, channel)).await;
        self.subscribed().await
    }

    /// Sends one event as a message of its own.
    pub async fn send(&mut self, event: ClientEvent) {
        self.send_events(&[event]).await;
    }

    /// Sends a batch: one message in the subprotocol.
    pub async fn send_events(&mut self, events: &[ClientEvent]) {
        let message = ClientMessage {
            events: events.to_vec(),
        };
        match self.subprotocol {
            Subprotocol::Protobuf => {
                self.send_frame(OpCode::Binary, &message.encode_to_vec())
                    .await;
            }
            Subprotocol::Json => {
                let text = serde_json::to_vec(&message).expect("events can be written as JSON");
                self.send_frame(OpCode::Text, &text).await;
            }
        }
    }

    /// Sends a whole frame, masked.
    pub async fn send_frame(&mut self, opcode: OpCode, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 14);
        client_frame(opcode, MASK, payload, &mut frame);
        self.send_bytes(&frame).await;
    }

    /// Sends anything.
    ///
    /// # Panics
    /// If the gateway has gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send_bytes(bytes)
            .await
            .unwrap_or_else(|error| panic!("the gateway has gone: {error}"));
    }

    /// Sends anything to a gateway that may have gone.
    ///
    /// # Errors
    /// If it has.
    pub async fn try_send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("room to send", self.stream.write_all(bytes)).await
    }

    /// Sends a Close frame and nothing else.
    pub async fn send_close(&mut self, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.send_frame(OpCode::Close, &payload).await;
    }

    /// Shuts this side of the TCP connection; what comes can still be read.
    pub async fn half_close(&mut self) {
        // Fails if the gateway was faster, which is as good.
        let _ = self.stream.shutdown().await;
    }

    /// Closes in order and awaits the gateway's answer and the socket's end.
    pub async fn leave(mut self) {
        self.send_close(1000, "").await;
        while self
            .next_frame_or_end()
            .await
            .is_some_and(|frame| frame.opcode != OpCode::Close)
        {}
        self.expect_end().await;
    }

    /// The next frame, whatever it is.
    ///
    /// # Panics
    /// If the socket ends.
    pub async fn next_frame(&mut self) -> Frame {
        let frame = self.next_frame_or_end().await;
        frame.expect("the socket ended where a frame was awaited")
    }

    /// The next frame; `None` if the socket has ended.
    pub async fn next_frame_or_end(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::take(&mut self.received) {
                return Some(frame);
            }
            let read = self.stream.read_buf(&mut self.received);
            match within("something from the gateway", read).await {
                Ok(1..) => {}
                Ok(0) if self.received.is_empty() => return None,
                Ok(0) => panic!("the socket ended inside of a frame: {:?}", self.received),
                // What the gateway had not read makes its kernel reset.
                Err(_) => return None,
            }
        }
    }

    /// The next event. Pings on the way are answered.
    ///
    /// # Panics
    /// If the connection ends, or a frame is no message of the subprotocol.
    pub async fn next_event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let frame = self.next_frame().await;
            match frame.opcode {
                OpCode::Ping => self.send_frame(OpCode::Pong, &frame.payload).await,
                OpCode::Pong => {}
                OpCode::Close => panic!("closed where an event was awaited: {:?}", frame.close()),
                OpCode::Text | OpCode::Binary | OpCode::Continuation => self.decode(&frame),
            }
        }
    }

    /// Awaits the gateway's Close frame, whatever comes before it, answers it
    /// as RFC 6455 asks and shuts the connection.
    ///
    /// # Panics
    /// If the socket ends without one, or something comes after it.
    pub async fn expect_close(&mut self) -> Close {
        let mut closing = None;
        let mut note = |events: &mut VecDeque<Event>| {
            for event in events.drain(..) {
                assert!(closing.is_none(), "Closing was not the last: {event:?}");
                if let Event::Closing(event) = event {
                    closing = Some(event);
                }
            }
        };
        note(&mut self.events);
        loop {
            let frame = self.next_frame_or_end().await;
            let frame = frame.expect("the socket ended without a Close frame");
            match frame.opcode {
                OpCode::Close => {
                    let (code, reason) = frame.close();
                    let mut answer = Vec::new();
                    client_frame(OpCode::Close, MASK, &code.to_be_bytes(), &mut answer);
                    // The gateway may have given up on us.
                    let _ = self.try_send_bytes(&answer).await;
                    self.half_close().await;
                    self.expect_end().await;
                    return Close {
                        code,
                        reason,
                        closing,
                    };
                }
                OpCode::Ping | OpCode::Pong => {}
                OpCode::Text | OpCode::Binary | OpCode::Continuation => {
                    self.decode(&frame);
                    note(&mut self.events);
                }
            }
        }
    }

    /// Awaits the socket's end.
    ///
    /// # Panics
    /// If a frame comes instead.
    pub async fn expect_end(&mut self) {
        let frame = self.next_frame_or_end().await;
        assert_eq!(frame, None, "the socket should have ended");
    }

    fn decode(&mut self, frame: &Frame) {
        let text = frame.opcode == OpCode::Text;
        assert_eq!(text, self.subprotocol.is_text(), "wrong type: {frame:?}");
        let message = match self.subprotocol {
            Subprotocol::Protobuf => {
                ServerMessage::decode(frame.payload.clone()).map_err(|error| error.to_string())
            }
            Subprotocol::Json => {
                serde_json::from_slice(&frame.payload).map_err(|error| error.to_string())
            }
        };
        let message: ServerMessage =
            message.unwrap_or_else(|error| panic!("no ServerMessage: {error}: {frame:?}"));
        let events = message.events.into_iter();
        self.events
            .extend(events.map(|event| event.event.expect("the gateway sends no empty events")));
    }
}

// === impl Frame ===

impl Frame {
    /// The code and reason of a Close frame; 1005 if it has none.
    pub fn close(&self) -> (u16, String) {
        let mut payload = self.payload.clone();
        if payload.is_empty() {
            return (1005, String::new());
        }
        let code = payload.get_u16();
        let reason = String::from_utf8(payload.to_vec());
        (code, reason.expect("close reasons are UTF-8"))
    }

    fn take(bytes: &mut BytesMut) -> Option<Self> {
        let parsed = parse_server_frame(bytes);
        let parsed = parsed.unwrap_or_else(|error| panic!("no frame: {error}: {bytes:?}"));
        let (opcode, header, payload) = parsed?;
        if bytes.len() < header + payload {
            return None;
        }
        bytes.advance(header);
        let payload = bytes.split_to(payload).freeze();
        Some(Self { opcode, payload })
    }
}

// === impl Close ===

impl Close {
    /// The stable name of the cause, from the Closing event.
    ///
    /// # Panics
    /// If there was none.
    pub fn cause(&self) -> &str {
        let closing = self.closing.as_ref();
        let closing = closing.unwrap_or_else(|| panic!("closed without a Closing event: {self:?}"));
        assert_eq!(closing.close_code, u32::from(self.code), "{self:?}");
        &closing.cause
    }
}
