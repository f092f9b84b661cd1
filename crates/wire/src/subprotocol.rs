//! The two subprotocols: how client messages are read and server events written.
//!
//! Both carry the same messages with the same semantics. Unknown fields are
//! skipped in protobuf, as its evolution rules ask, and refused in JSON, where
//! they are nearly always a typing error.

use bytes::{BufMut, Bytes};
use prost::Message;
use thiserror::Error;

use crate::client::{ClientMessage, ServerEvent, ServerMessage};

/// A WebSocket subprotocol (RFC 6455 section 1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subprotocol {
    /// `tidegate.v1.protobuf`: binary messages.
    Protobuf,
    /// `tidegate.v1.json`: the protobuf JSON mapping in text messages.
    Json,
}

/// The bytes are no message of the subprotocol.
#[derive(Debug, Error)]
pub enum MalformedMessage {
    /// Not protobuf, or not this message.
    #[error("not a protobuf ClientMessage")]
    Protobuf(#[source] prost::DecodeError),
    /// Not JSON, or not this message.
    #[error("not a JSON ClientMessage")]
    Json(#[source] serde_json::Error),
}

// === impl Subprotocol ===

impl Subprotocol {
    /// Both, in the order a server prefers them.
    pub const ALL: [Self; 2] = [Self::Protobuf, Self::Json];

    /// The name that stands in `Sec-WebSocket-Protocol`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Protobuf => "tidegate.v1.protobuf",
            Self::Json => "tidegate.v1.json",
        }
    }

    /// The subprotocol with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|candidate| candidate.name() == name)
    }

    /// Whether messages travel as text.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Json)
    }

    /// Reads one message of a client.
    pub fn decode(self, message: &[u8]) -> Result<ClientMessage, MalformedMessage> {
        match self {
            Self::Protobuf => ClientMessage::decode(message).map_err(MalformedMessage::Protobuf),
            Self::Json => serde_json::from_slice(message).map_err(MalformedMessage::Json),
        }
    }

    /// Appends `event` as it stands inside a [`ServerMessage`]. The events of a
    /// batch are joined by [`Self::separator`] between [`Self::opening`] and
    /// [`Self::closing`].
    pub fn encode_event(self, event: &ServerEvent, into: &mut Vec<u8>) {
        match self {
            Self::Protobuf => encode_protobuf(event, into),
            Self::Json => serde_json::to_writer(into, event).expect("a Vec takes every byte"),
        }
    }

    /// What precedes the first event of a message.
    pub const fn opening(self) -> &'static [u8] {
        match self {
            Self::Protobuf => b"",
            Self::Json => b"{\"events\":[",
        }
    }

    /// What stands between two events of a message.
    pub const fn separator(self) -> &'static [u8] {
        match self {
            Self::Protobuf => b"",
            Self::Json => b",",
        }
    }

    /// What follows the last event of a message.
    pub const fn closing(self) -> &'static [u8] {
        match self {
            Self::Protobuf => b"",
            Self::Json => b"]}",
        }
    }

    /// Encodes a whole message; for tests and clients, not for the hot path.
    pub fn encode(self, message: &ServerMessage) -> Bytes {
        match self {
            Self::Protobuf => message.encode_to_vec().into(),
            Self::Json => serde_json::to_vec(message)
                .expect("a Vec takes every byte")
                .into(),
        }
    }
}

/// Field 1 of [`ServerMessage`], wire type 2 (length-delimited).
const EVENTS_TAG: u8 = 0x0a;

fn encode_protobuf(event: &ServerEvent, into: &mut Vec<u8>) {
    into.put_u8(EVENTS_TAG);
    event
        .encode_length_delimited(into)
        .expect("a Vec grows as needed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Pong, server_event::Event};

    fn pong(nonce: u32) -> ServerEvent {
        ServerEvent {
            event: Some(Event::Pong(Pong { nonce })),
        }
    }

    fn batch(subprotocol: Subprotocol, events: &[ServerEvent]) -> Vec<u8> {
        let mut message = subprotocol.opening().to_vec();
        for (index, event) in events.iter().enumerate() {
            if index > 0 {
                message.extend_from_slice(subprotocol.separator());
            }
            subprotocol.encode_event(event, &mut message);
        }
        message.extend_from_slice(subprotocol.closing());
        message
    }

    #[test]
    fn joined_events_are_the_message_that_holds_them() {
        let events = vec![pong(1), pong(2), pong(300)];
        for subprotocol in Subprotocol::ALL {
            let joined = batch(subprotocol, &events);
            assert_eq!(
                joined,
                subprotocol.encode(&ServerMessage {
                    events: events.clone()
                })
            );
        }
    }

    #[test]
    fn unknown_fields_are_skipped_in_protobuf_and_refused_in_json() {
        assert!(Subprotocol::Protobuf.decode(&[0xf8, 0x07, 0x01]).is_ok());
        assert!(Subprotocol::Json.decode(br#"{"evnts":[]}"#).is_err());
    }
}
