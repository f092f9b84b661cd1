//! Refusals for those who can't read an HTTP status (scripts in browsers), or who
//! are known only by their Hello: a `Closing` behind the 101.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use wire::{
    CloseCause, Subprotocol,
    client::ServerMessage,
    websocket::{self, OpCode},
};

use super::{
    admission::{Later, Reason},
    socket::Socket,
};

/// Tells the client when to come back, and ends.
pub(super) async fn say(
    mut stream: Socket,
    subprotocol: Subprotocol,
    later: Later,
    resumable: bool,
) {
    let frames = frames(subprotocol, later, resumable);
    // Who is gone need not be told.
    if stream.write_all(&frames).await.is_ok() {
        finish(stream).await;
    }
}

/// Ends a refused connection so that the peer can read the answer.
pub(super) async fn finish(mut stream: Socket) {
    use tokio::io::AsyncReadExt;
    // Both may fail because the peer is gone already, which is as good.
    if stream.shutdown().await.is_ok() {
        let mut rest = [0; 512];
        while matches!(stream.read(&mut rest).await, Ok(1..)) {}
    }
}

fn frames(subprotocol: Subprotocol, later: Later, resumable: bool) -> Vec<u8> {
    let cause = match later.reason {
        Reason::Rate | Reason::AddressRate | Reason::AddressConnections | Reason::Memory => {
            CloseCause::AdmissionRate
        }
        Reason::Flapping => CloseCause::Flapping,
    };
    let message = subprotocol.encode(&ServerMessage {
        events: vec![session::closing(cause, millis(later.after), resumable)],
    });
    let opcode = match subprotocol.is_text() {
        true => OpCode::Text,
        false => OpCode::Binary,
    };
    let mut header = [0; websocket::MAX_SERVER_HEADER];
    let length = websocket::server_header(opcode, message.len(), &mut header);
    let mut frames = header[..length].to_vec();
    frames.extend_from_slice(&message);
    websocket::close_frame(cause.code(), cause.message(), &mut frames);
    frames
}

/// In whole milliseconds, and no sooner.
pub(super) fn millis(after: Duration) -> u32 {
    u32::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
