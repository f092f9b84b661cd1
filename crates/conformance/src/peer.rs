//! One connection of the client: what comes is checked as a gateway would, what goes
//! is what the script says.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use prost::Message as _;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol::CloseFrame},
};
use wire::{
    Subprotocol,
    client::{
        Ack, Closing, Hello, Pong, Position, Publish, Request, ServerEvent, ServerMessage,
        Subscribe, Subscribed, Verdict, client_event::Event as Asked, server_event::Event,
    },
};

use crate::{
    fault::{Fault, Outcome, ensure, wrong},
    stage::{PATIENCE, within},
};

/// Events of one message at most.
const MOST_EVENTS: usize = 4096;

/// A message with Hello is this large at most, in bytes.
const MOST_WITH_HELLO: usize = 16 << 10;

/// How long the closing handshake may take.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// See the module. Dropping it breaks the connection off.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: WebSocketStream<TcpStream>,
    subprotocol: Subprotocol,
    events: VecDeque<Asked>,
    /// As `Welcome` said; zero: no limit.
    pub(crate) max_message_bytes: usize,
    /// Confirmations so far.
    pub(crate) acks: VecDeque<Ack>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    Events(Vec<Asked>),
    /// Of WebSocket.
    Pong(Bytes),
    /// With the code of the client's Close frame; `None`: there was none.
    Ended(Option<u16>),
}

// === impl Peer ===

impl Peer {
    pub(crate) fn new(stream: WebSocketStream<TcpStream>, subprotocol: Subprotocol) -> Self {
        Self {
            stream,
            subprotocol,
            events: VecDeque::new(),
            max_message_bytes: 0,
            acks: VecDeque::new(),
        }
    }

    /// Whatever comes next. Can be dropped at any time without loss.
    pub(crate) async fn hear(&mut self) -> Outcome<Heard> {
        loop {
            return match self.stream.next().await {
                Some(Ok(Message::Pong(payload))) => Ok(Heard::Pong(payload)),
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    Ok(Heard::Ended(frame.map(|frame| frame.code.into())))
                }
                Some(Ok(message)) => self.read(message).map(Heard::Events),
                Some(Err(_)) | None => Ok(Heard::Ended(None)),
            };
        }
    }

    /// The first message: Hello, and subscriptions to be taken up again.
    pub(crate) async fn hello(&mut self) -> Outcome<Hello> {
        let heard = within("for Hello", self.hear()).await?;
        let Heard::Events(events) = heard else {
            return wrong("the connection ended without Hello");
        };
        let mut events = VecDeque::from(events);
        let Some(Asked::Hello(hello)) = events.pop_front() else {
            return wrong("the first event is not Hello");
        };
        for event in &events {
            let may_come = matches!(event, Asked::Subscribe(_));
            ensure(may_come, || format!("behind Hello came {event:?}"))?;
        }
        self.events = events;
        Ok(*hello)
    }

    /// The next event but confirmations, which are counted, and pings, which are
    /// answered.
    pub(crate) async fn event(&mut self) -> Outcome<Asked> {
        let next = async {
            loop {
                match self.events.pop_front() {
                    Some(Asked::Ping(ping)) => {
                        let nonce = ping.nonce;
                        self.say([Event::Pong(Pong { nonce })]).await?;
                    }
                    Some(Asked::Ack(ack)) => self.acks.push_back(ack),
                    Some(event) => return Ok(event),
                    None => match self.hear().await? {
                        Heard::Events(events) => self.events.extend(events),
                        Heard::Pong(_) => {}
                        Heard::Ended(code) => {
                            return wrong(format!("the client closed the connection ({code:?})"));
                        }
                    },
                }
            }
        };
        within("for an event of the client", next).await
    }

    /// Waits for a confirmation that fits.
    pub(crate) async fn acked(&mut self, fits: impl Fn(&Ack) -> bool) -> Outcome {
        let next = async {
            while !self.acks.iter().any(&fits) {
                match self.hear().await? {
                    Heard::Events(events) => {
                        let acks = events.into_iter().filter_map(|event| match event {
                            Asked::Ack(ack) => Some(ack),
                            _ => None,
                        });
                        self.acks.extend(acks);
                    }
                    Heard::Pong(_) => {}
                    Heard::Ended(_) => return wrong("the client closed the connection"),
                }
            }
            Ok(())
        };
        within("for Ack", next).await
    }

    /// The next event, which must be a Subscribe.
    pub(crate) async fn subscribe(&mut self) -> Outcome<Subscribe> {
        match self.event().await? {
            Asked::Subscribe(subscribe) => Ok(subscribe),
            other => wrong(format!("expected Subscribe, got {other:?}")),
        }
    }

    /// The next event, which must be a Request.
    pub(crate) async fn request(&mut self) -> Outcome<Request> {
        match self.event().await? {
            Asked::Request(request) => Ok(request),
            other => wrong(format!("expected Request, got {other:?}")),
        }
    }

    /// The next event, which must be a Publish.
    pub(crate) async fn publish(&mut self) -> Outcome<Publish> {
        match self.event().await? {
            Asked::Publish(publish) => Ok(publish),
            other => wrong(format!("expected Publish, got {other:?}")),
        }
    }

    /// Takes a Subscribe and agrees: the position that the client held.
    pub(crate) async fn agree(
        &mut self,
        verdict: Verdict,
        offset: u64,
        alias: u32,
    ) -> Outcome<Option<Position>> {
        let subscribe = self.subscribe().await?;
        let answer = agreement(&subscribe, verdict, offset, alias);
        self.say([Event::Subscribed(answer)]).await?;
        Ok(subscribe.since)
    }

    /// Nothing comes for a while but what is answered by itself.
    pub(crate) async fn is_quiet(&mut self, time: Duration) -> Outcome {
        match timeout(time, self.hear()).await {
            Err(_) => Ok(()),
            Ok(heard) => wrong(format!("nothing had to come, but {:?} did", heard?)),
        }
    }

    /// Waits until the client has ended the connection, with which code; pings are
    /// answered until then.
    pub(crate) async fn ended(&mut self) -> Outcome<Option<u16>> {
        let end = async {
            loop {
                match self.hear().await? {
                    Heard::Ended(code) => return Ok(code),
                    Heard::Events(events) => self.answer_pings(&events).await?,
                    Heard::Pong(_) => {}
                }
            }
        };
        within("for the client to end the connection", end).await
    }

    pub(crate) async fn answer_pings(&mut self, events: &[Asked]) -> Outcome {
        let pongs = events.iter().filter_map(|event| match event {
            Asked::Ping(ping) => Some(Event::Pong(Pong { nonce: ping.nonce })),
            _ => None,
        });
        let pongs: Vec<_> = pongs.collect();
        match pongs.is_empty() {
            true => Ok(()),
            false => self.say(pongs).await,
        }
    }

    /// Sends one message with these events.
    pub(crate) async fn say(&mut self, events: impl IntoIterator<Item = Event>) -> Outcome {
        let events = events
            .into_iter()
            .map(|event| ServerEvent { event: Some(event) });
        let message = ServerMessage {
            events: events.collect(),
        };
        let bytes = self.subprotocol.encode(&message);
        self.say_bytes(bytes).await
    }

    /// Sends something that this version of the protocol does not know, beside `event`.
    pub(crate) async fn say_with_unknown(&mut self, event: Event) -> Outcome {
        let known = ServerEvent { event: Some(event) };
        let bytes = match self.subprotocol {
            Subprotocol::Protobuf => protobuf_with_unknown(&known),
            Subprotocol::Json => {
                let mut known = serde_json::to_value(&known).expect("plain");
                for inner in known
                    .as_object_mut()
                    .into_iter()
                    .flat_map(|all| all.values_mut())
                {
                    inner["brandNew"] = 1.into();
                }
                let events = serde_json::json!([{ "somethingNew": { "x": 1 } }, known]);
                serde_json::json!({ "events": events, "brandNew": true })
                    .to_string()
                    .into()
            }
        };
        self.say_bytes(bytes).await
    }

    /// Sends bytes as one message of the subprotocol's type.
    pub(crate) async fn say_bytes(&mut self, bytes: Bytes) -> Outcome {
        let message = match self.subprotocol.is_text() {
            true => Utf8Bytes::try_from(bytes).map(Message::Text),
            false => Ok(Message::Binary(bytes)),
        };
        self.send(message.expect("JSON is UTF-8")).await
    }

    /// Sends a ping of WebSocket.
    pub(crate) async fn ping(&mut self, payload: &'static [u8]) -> Outcome {
        self.send(Message::Ping(Bytes::from_static(payload))).await
    }

    /// Says Closing, closes in order and waits until the client has taken note.
    pub(crate) async fn close(mut self, closing: Closing) -> Outcome {
        let code = u16::try_from(closing.close_code).unwrap_or(1011);
        self.say([Event::Closing(closing)]).await?;
        self.close_frame(code).await
    }

    /// Sends a Close frame alone, likewise.
    pub(crate) async fn close_frame(mut self, code: u16) -> Outcome {
        let frame = CloseFrame {
            code: code.into(),
            reason: Utf8Bytes::default(),
        };
        if self.stream.close(Some(frame)).await.is_err() {
            return Ok(());
        }
        let gone = async { while let Some(Ok(_)) = self.stream.next().await {} };
        match timeout(CLOSE_TIME, gone).await {
            Ok(()) => Ok(()),
            Err(_) => wrong("a Close frame was not answered"),
        }
    }

    async fn send(&mut self, message: Message) -> Outcome {
        match timeout(PATIENCE, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => wrong(format!("the connection is gone: {error}")),
            Err(_) => Err(Fault::Late("for the client to read".into())),
        }
    }

    fn read(&self, message: Message) -> Outcome<Vec<Asked>> {
        ensure(message.is_text() == self.subprotocol.is_text(), || {
            format!(
                "a message of the wrong type for {}",
                self.subprotocol.name()
            )
        })?;
        let bytes = message.into_data();
        let limit = self.max_message_bytes;
        ensure(limit == 0 || bytes.len() <= limit, || {
            format!(
                "a message of {} bytes, where {limit} are the limit",
                bytes.len()
            )
        })?;
        let events = match self.subprotocol.decode(&bytes) {
            Ok(message) => message.events,
            Err(error) => return wrong(format!("a malformed message: {error}")),
        };
        ensure(events.len() <= MOST_EVENTS, || {
            format!("a message of {} events", events.len())
        })?;
        let events: Option<Vec<_>> = events.into_iter().map(|event| event.event).collect();
        let Some(events) = events else {
            return wrong("an event that the protocol does not have");
        };
        let has_hello = events.iter().any(|event| matches!(event, Asked::Hello(_)));
        ensure(!has_hello || bytes.len() <= MOST_WITH_HELLO, || {
            format!("a message with Hello of {} bytes", bytes.len())
        })?;
        Ok(events)
    }
}

/// The answer to a Subscribe, with epoch `e`; offset 0 stands for no log.
pub(crate) fn agreement(
    subscribe: &Subscribe,
    verdict: Verdict,
    offset: u64,
    alias: u32,
) -> Subscribed {
    let position = (offset != 0).then(|| Position {
        epoch: "e".into(),
        offset,
    });
    Subscribed {
        id: subscribe.id,
        channel: subscribe.channel.clone(),
        verdict: verdict.into(),
        position,
        alias,
        conflates: false,
    }
}

/// Field 200, a varint, once as an event of its own and once inside of `known`'s.
fn protobuf_with_unknown(known: &ServerEvent) -> Bytes {
    const UNKNOWN: [u8; 3] = [0xc0, 0x0c, 0x01];
    // The event is its oneof's tag, a length, and the fields.
    let event = known.encode_to_vec();
    let mut rest = &event[1..];
    let length = prost::decode_length_delimiter(&mut rest).expect("just encoded");
    let inner = [&rest[..length], &UNKNOWN].concat();
    let mut event = vec![event[0]];
    prost::encode_length_delimiter(inner.len(), &mut event).expect("a Vec grows");
    event.extend(inner);
    let mut message = Vec::new();
    for event in [&UNKNOWN[..], &event] {
        message.push(0x0a);
        prost::encode_length_delimiter(event.len(), &mut message).expect("a Vec grows");
        message.extend(event);
    }
    message.extend(UNKNOWN);
    message.into()
}

#[cfg(test)]
mod tests {
    use wire::client::Pong;

    use super::*;

    #[test]
    fn what_is_unknown_hides_nothing_from_those_who_skip_it() {
        let event = Event::Pong(Pong { nonce: 7 });
        let known = ServerEvent { event: Some(event) };
        let bytes = protobuf_with_unknown(&known);
        let message = ServerMessage::decode(bytes).expect("unknown fields are skipped");
        assert_eq!(message.events, [ServerEvent { event: None }, known]);
    }
}
