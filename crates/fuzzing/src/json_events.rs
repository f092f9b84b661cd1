//! Text messages: what was decoded is decoded again from its own encoding, and
//! means the same in the binary subprotocol.

use prost::Message;
use wire::Subprotocol;

pub(crate) fn check(data: &[u8]) {
    let Ok(message) = Subprotocol::Json.decode(data) else {
        return;
    };
    let json = serde_json::to_vec(&message).expect("what was read can be written");
    assert_eq!(
        Subprotocol::Json.decode(&json).expect("our own encoding"),
        message
    );
    let binary = message.encode_to_vec();
    assert_eq!(
        Subprotocol::Protobuf
            .decode(&binary)
            .expect("our own encoding"),
        message
    );
}
