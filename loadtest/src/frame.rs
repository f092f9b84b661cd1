//! As much of RFC 6455 framing as a load generator needs: whole frames in,
//! whole frames out. Both ends are ours or trusted, so nothing is enforced, and
//! the baseline pays for no checks.

use wire::websocket::{MAX_SERVER_HEADER, OpCode, client_frame, server_header};

/// The key of every client frame. It need not be hard to guess here, but it is
/// not zero, so that servers have to unmask as they do for other clients.
const MASK: [u8; 4] = [0x3d, 0x9a, 0x51, 0xc7];

pub(crate) const BINARY: u8 = OpCode::Binary as u8;
pub(crate) const CLOSE: u8 = OpCode::Close as u8;
pub(crate) const PING: u8 = OpCode::Ping as u8;
pub(crate) const PONG: u8 = OpCode::Pong as u8;

/// A frame at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: &'a [u8],
    /// Bytes of the whole frame.
    pub(crate) length: usize,
}

/// The frame at the beginning of `bytes`, if all of it is there.
pub(crate) fn parse(bytes: &[u8]) -> Option<Frame<'_>> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (length, mut at) = match second & 0x7f {
        126 => (usize::from(u16::from_be_bytes(array(bytes, 2)?)), 4),
        127 => (
            usize::try_from(u64::from_be_bytes(array(bytes, 2)?)).ok()?,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let mut mask = None;
    if second & 0x80 != 0 {
        mask = Some(array(bytes, at)?);
        at += 4;
    }
    let end = at.checked_add(length)?;
    Some(Frame {
        opcode: first & 0x0f,
        mask,
        payload: bytes.get(at..end)?,
        length: end,
    })
}

/// Appends a frame of a server.
pub(crate) fn server(into: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let mut header = [0; MAX_SERVER_HEADER];
    let length = server_header(opcode, payload.len(), &mut header);
    into.extend_from_slice(&header[..length]);
    into.extend_from_slice(payload);
}

/// Appends a server's frame with the payload of a client's binary one, unmasked.
pub(crate) fn unmasked(into: &mut Vec<u8>, frame: &Frame<'_>) {
    server(into, OpCode::Binary, frame.payload);
    let start = into.len() - frame.payload.len();
    unmask(&mut into[start..], frame.mask.unwrap_or_default());
}

/// Appends a frame of a client.
pub(crate) fn client(into: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    client_frame(opcode, MASK, payload, into);
}

/// Overwrites bytes of a client frame's payload, `at` bytes into it.
pub(crate) fn patch(payload: &mut [u8], at: usize, bytes: &[u8]) {
    for (offset, byte) in bytes.iter().enumerate() {
        payload[at + offset] = byte ^ MASK[(at + offset) & 3];
    }
}

/// Removes (or applies) a mask, eight bytes at a time.
pub(crate) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_form_round_trip() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (mut ours, mut theirs, mut back) = (Vec::new(), Vec::new(), Vec::new());
            server(&mut ours, OpCode::Binary, &payload);
            client(&mut theirs, OpCode::Binary, &payload);
            assert_eq!(parse(&theirs[..theirs.len() - 1]), None);
            let frame = parse(&theirs).unwrap();
            assert_eq!((frame.opcode, frame.length), (BINARY, theirs.len()));
            unmasked(&mut back, &frame);
            assert_eq!(back, ours);
            assert_eq!(parse(&ours).unwrap().payload, payload);
        }
    }

    #[test]
    fn patched_bytes_are_masked_in_place() {
        let mut bytes = Vec::new();
        client(&mut bytes, OpCode::Binary, &[0; 11]);
        let start = bytes.len() - 11;
        patch(&mut bytes[start..], 5, b"abc");
        let mut payload = bytes[start..].to_vec();
        unmask(&mut payload, MASK);
        assert_eq!(payload, b"\0\0\0\0\0abc\0\0\0");
    }
}
