//! Whole frames: the control frames a server sends, and masked client frames.

use super::{MAX_CONTROL_PAYLOAD, MAX_SERVER_HEADER, OpCode, header::server_header, mask};

/// Longest close reason, in bytes: a control payload less the code.
const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// Appends an unmasked Close frame. A `reason` of more than 123 bytes is cut at
/// the last character that fits.
pub fn close_frame(code: u16, reason: &str, into: &mut Vec<u8>) {
    let reason = &reason[..reason.floor_char_boundary(MAX_REASON)];
    append_header(OpCode::Close, 2 + reason.len(), into);
    into.extend_from_slice(&code.to_be_bytes());
    into.extend_from_slice(reason.as_bytes());
}

/// Appends an unmasked Ping frame.
///
/// # Panics
/// If `payload` is longer than [`MAX_CONTROL_PAYLOAD`].
pub fn ping_frame(payload: &[u8], into: &mut Vec<u8>) {
    control_frame(OpCode::Ping, payload, into);
}

/// Appends an unmasked Pong frame.
///
/// # Panics
/// If `payload` is longer than [`MAX_CONTROL_PAYLOAD`]; that of a Ping never is.
pub fn pong_frame(payload: &[u8], into: &mut Vec<u8>) {
    control_frame(OpCode::Pong, payload, into);
}

/// Appends a whole (FIN) frame as a client sends it: masked. For tests and load
/// generators; it writes what it is told, whether a server may accept it or not.
pub fn client_frame(opcode: OpCode, mask: [u8; 4], payload: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    append_header(opcode, payload.len(), into);
    into[start + 1] |= 0x80;
    into.extend_from_slice(&mask);
    let payload_start = into.len();
    into.extend_from_slice(payload);
    mask::apply_mask(&mut into[payload_start..], mask);
}

fn control_frame(opcode: OpCode, payload: &[u8], into: &mut Vec<u8>) {
    assert!(
        payload.len() <= MAX_CONTROL_PAYLOAD,
        "control payloads hold 125 bytes at most"
    );
    append_header(opcode, payload.len(), into);
    into.extend_from_slice(payload);
}

fn append_header(opcode: OpCode, payload_len: usize, into: &mut Vec<u8>) {
    let mut header = [0; MAX_SERVER_HEADER];
    let header_len = server_header(opcode, payload_len, &mut header);
    into.extend_from_slice(&header[..header_len]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_frames_match_the_examples_of_the_rfc() {
        let mut bytes = Vec::new();
        ping_frame(b"Hello", &mut bytes);
        assert_eq!(bytes, b"\x89\x05Hello");
        bytes.clear();
        pong_frame(b"", &mut bytes);
        assert_eq!(bytes, b"\x8a\x00");
        bytes.clear();
        client_frame(OpCode::Pong, [0x37, 0xfa, 0x21, 0x3d], b"Hello", &mut bytes);
        assert_eq!(
            bytes,
            [
                0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58
            ]
        );
    }

    #[test]
    fn close_reasons_are_cut_between_characters() {
        let mut bytes = Vec::new();
        close_frame(4001, &"ä".repeat(100), &mut bytes);
        assert_eq!(bytes[..4], [0x88, 124, 0x0f, 0xa1]);
        assert_eq!(str::from_utf8(&bytes[4..]), Ok("ä".repeat(61).as_str()));
    }

    #[test]
    #[should_panic(expected = "125 bytes")]
    fn oversized_control_frames_are_never_written() {
        ping_frame(&[0; 126], &mut Vec::new());
    }
}
