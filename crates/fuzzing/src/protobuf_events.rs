//! Binary messages of clients, gateways and the auth hook's workers: what was
//! decoded is decoded again from its own encoding, and events encoded one by one
//! join to the message that holds them.

use prost::Message;
use wire::{Subprotocol, client::ServerMessage, worker::AuthResult};

pub(crate) fn check(data: &[u8]) {
    if let Ok(message) = Subprotocol::Protobuf.decode(data) {
        let encoded = message.encode_to_vec();
        let again = Subprotocol::Protobuf
            .decode(&encoded)
            .expect("our own encoding");
        assert_eq!(message, again);
    }
    if let Ok(result) = AuthResult::decode(data) {
        assert_eq!(AuthResult::decode(&*result.encode_to_vec()), Ok(result));
    }
    if let Ok(message) = ServerMessage::decode(data) {
        let mut joined = Vec::new();
        for event in &message.events {
            Subprotocol::Protobuf.encode_event(event, &mut joined);
        }
        assert_eq!(joined, Subprotocol::Protobuf.encode(&message));
        assert_eq!(ServerMessage::decode(&joined[..]), Ok(message));
    }
}
