//! WebSocket messages to clients: one unfragmented, unmasked frame each.

use std::{fmt, ops::Deref};

use wire::{
    Subprotocol,
    client::ServerEvent,
    websocket::{MAX_SERVER_HEADER, OpCode, server_header},
};

/// A whole frame: header and payload.
///
/// The payload is encoded behind room for the longest header. The header then
/// ends where the payload begins, so its length need not be known before and
/// nothing is moved.
pub(crate) struct Frame {
    buffer: Vec<u8>,
    start: usize,
}

/// Builds the frame of one server message, event by event.
pub(crate) struct FrameBuilder {
    subprotocol: Subprotocol,
    buffer: Vec<u8>,
    is_empty: bool,
}

// === impl Frame ===

impl Frame {
    /// The message that holds just `event`.
    pub(crate) fn of_event(subprotocol: Subprotocol, event: &ServerEvent) -> Self {
        let mut builder = FrameBuilder::new(subprotocol, 118);
        builder.event(event);
        builder.finish()
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("bytes", &self.len()).finish()
    }
}

// === impl FrameBuilder ===

impl FrameBuilder {
    /// Starts a message whose payload will have about `capacity` bytes.
    pub(crate) fn new(subprotocol: Subprotocol, capacity: usize) -> Self {
        let envelope = subprotocol.opening().len() + subprotocol.closing().len();
        let mut buffer = Vec::with_capacity(MAX_SERVER_HEADER + envelope + capacity);
        buffer.resize(MAX_SERVER_HEADER, 0);
        buffer.extend_from_slice(subprotocol.opening());
        Self {
            subprotocol,
            buffer,
            is_empty: true,
        }
    }

    /// Adds an event.
    pub(crate) fn event(&mut self, event: &ServerEvent) {
        self.separate();
        self.subprotocol.encode_event(event, &mut self.buffer);
    }

    /// Adds an event that is encoded already.
    pub(crate) fn encoded(&mut self, event: &[u8]) {
        self.separate();
        self.buffer.extend_from_slice(event);
    }

    /// Puts the header before the payload.
    pub(crate) fn finish(mut self) -> Frame {
        self.buffer.extend_from_slice(self.subprotocol.closing());
        let opcode = if self.subprotocol.is_text() {
            OpCode::Text
        } else {
            OpCode::Binary
        };
        let mut header = [0; MAX_SERVER_HEADER];
        let used = server_header(opcode, self.buffer.len() - MAX_SERVER_HEADER, &mut header);
        let start = MAX_SERVER_HEADER - used;
        self.buffer[start..MAX_SERVER_HEADER].copy_from_slice(&header[..used]);
        Frame {
            buffer: self.buffer,
            start,
        }
    }

    fn separate(&mut self) {
        if !self.is_empty {
            self.buffer.extend_from_slice(self.subprotocol.separator());
        }
        self.is_empty = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Frame {
        let mut builder = FrameBuilder::new(Subprotocol::Protobuf, 0);
        builder.encoded(&vec![7; length]);
        builder.finish()
    }

    #[test]
    fn header_ends_where_the_payload_begins() {
        assert_eq!(frame(125)[..3], [0x82, 125, 7]);
        assert_eq!(frame(126)[..5], [0x82, 126, 0, 126, 7]);
        assert_eq!(frame(65_535)[..5], [0x82, 126, 0xff, 0xff, 7]);
        assert_eq!(frame(65_536)[..11], [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0, 7]);
        assert_eq!(frame(65_536).len(), 65_546);
    }

    #[test]
    fn json_events_are_joined_into_one_text_message() {
        let mut builder = FrameBuilder::new(Subprotocol::Json, 0);
        builder.encoded(b"{}");
        builder.encoded(b"{}");
        let frame = builder.finish();
        assert_eq!(frame[0], 0x81);
        assert_eq!(&frame[2..], br#"{"events":[{},{}]}"#);
    }
}
