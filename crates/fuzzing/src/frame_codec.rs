//! Frames from clients: whatever the bytes, neither the pieces they come in nor
//! where the reader stops changes what is read, and what is read keeps the
//! rules and survives being written again.
//!
//! The first byte of the input is the size of the pieces, the second how many
//! messages are read before stopping; the rest is what the client sends.

use wire::websocket::{
    Incoming, MAX_CONTROL_PAYLOAD, OpCode, Reader, ReaderLimits, Violation, client_frame,
};

const LIMITS: ReaderLimits = ReaderLimits {
    max_message_bytes: 1024,
    max_fragments: 8,
};
/// Longest header of a client, in bytes.
const MAX_HEADER: usize = 14;

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    messages: Vec<(OpCode, Vec<u8>)>,
    violation: Option<Violation>,
}

pub(crate) fn check(data: &[u8]) {
    let [piece, stop, bytes @ ..] = data else {
        return;
    };
    let at_once = read(bytes, usize::MAX, usize::MAX);
    let in_pieces = read(bytes, usize::from(*piece).max(1), usize::from(*stop).max(1));
    assert_eq!(
        at_once, in_pieces,
        "pieces of {piece}, stopping after {stop}"
    );

    let mut again = Vec::new();
    for (opcode, payload) in &at_once.messages {
        client_frame(*opcode, [piece ^ 0x5a, *stop, 3, 4], payload, &mut again);
    }
    let rewritten = read(&again, usize::MAX, usize::MAX);
    assert_eq!(
        rewritten,
        Outcome {
            violation: None,
            ..at_once
        }
    );
}

fn read(bytes: &[u8], piece_size: usize, stop: usize) -> Outcome {
    let (mut reader, mut outcome) = (Reader::default(), Outcome::default());
    for piece in bytes.chunks(piece_size) {
        let mut piece = piece.to_vec();
        let most = LIMITS.max_message_bytes + MAX_HEADER + MAX_CONTROL_PAYLOAD + piece.len();
        while read_until(stop, &mut reader, &mut piece, &mut outcome) {
            piece.clear();
            assert!(reader.buffered_bytes() <= most, "{reader:?} holds too much");
        }
        assert!(reader.buffered_bytes() <= most, "{reader:?} holds too much");
    }
    outcome
}

/// Whether the reader was stopped rather than exhausted.
fn read_until(stop: usize, reader: &mut Reader, piece: &mut [u8], outcome: &mut Outcome) -> bool {
    let mut messages = reader.read(&LIMITS, piece);
    for _ in 0..stop {
        match messages.next() {
            None => return false,
            Some(Ok(incoming)) => outcome.messages.push(checked(incoming)),
            Some(Err(violation)) => {
                assert_eq!(outcome.violation, None, "nothing follows a violation");
                outcome.violation = Some(violation);
            }
        }
    }
    true
}

fn checked(incoming: Incoming<'_>) -> (OpCode, Vec<u8>) {
    let (opcode, payload) = match incoming {
        Incoming::Text(text) => {
            assert!(str::from_utf8(text).is_ok(), "text is UTF-8");
            (OpCode::Text, text.to_vec())
        }
        Incoming::Binary(bytes) => (OpCode::Binary, bytes.to_vec()),
        Incoming::Ping(bytes) => (OpCode::Ping, bytes.to_vec()),
        Incoming::Pong(bytes) => (OpCode::Pong, bytes.to_vec()),
        Incoming::Close(None) => (OpCode::Close, Vec::new()),
        Incoming::Close(Some(frame)) => (
            OpCode::Close,
            [&frame.code.to_be_bytes(), frame.reason.as_bytes()].concat(),
        ),
    };
    let most = if opcode.is_control() {
        MAX_CONTROL_PAYLOAD
    } else {
        LIMITS.max_message_bytes
    };
    assert!(
        payload.len() <= most,
        "{opcode:?} of {} bytes",
        payload.len()
    );
    (opcode, payload)
}
