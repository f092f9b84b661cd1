//! Frame headers (RFC 6455 section 5.2).

use super::{MAX_CONTROL_PAYLOAD, Violation};

/// Longest header a server writes, in bytes: servers do not mask.
pub const MAX_SERVER_HEADER: usize = 10;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpCode {
    /// A further fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The end of the conversation.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or comes unasked.
    Pong = 0xa,
}

/// The header of a frame that a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClientHeader {
    pub(super) fin: bool,
    pub(super) opcode: OpCode,
    pub(super) mask: [u8; 4],
    /// Length of the header itself, in bytes.
    pub(super) header_len: usize,
    /// As claimed, in bytes; `usize::MAX` where it is more than memory can hold.
    pub(super) payload_len: usize,
}

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const LENGTH_IN_16_BITS: u8 = 126;
const LENGTH_IN_64_BITS: u8 = 127;

/// Writes the header of a whole, unmasked message or control frame and returns
/// the header's length in bytes.
pub fn server_header(
    opcode: OpCode,
    payload_len: usize,
    into: &mut [u8; MAX_SERVER_HEADER],
) -> usize {
    into[0] = FIN | opcode as u8;
    if let Ok(short) = u8::try_from(payload_len)
        && short < LENGTH_IN_16_BITS
    {
        into[1] = short;
        2
    } else if let Ok(medium) = u16::try_from(payload_len) {
        into[1] = LENGTH_IN_16_BITS;
        into[2..4].copy_from_slice(&medium.to_be_bytes());
        4
    } else {
        into[1] = LENGTH_IN_64_BITS;
        into[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
        MAX_SERVER_HEADER
    }
}

/// Reads the header of a frame from a server: opcode, length of the header and
/// length of the payload, in bytes. `None` means that more bytes are needed.
///
/// For load generators and tests against our own gateway: it checks nothing but
/// the opcode.
///
/// # Errors
/// [`Violation::ReservedOpCode`] and [`Violation::LengthHighBit`]: the stream is
/// not one of frames, or the reader has lost its place in it.
pub fn parse_server_frame(bytes: &[u8]) -> Result<Option<(OpCode, usize, usize)>, Violation> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let opcode = OpCode::from_bits(first & 0x0f)?;
    let extended = match second & LENGTH {
        LENGTH_IN_16_BITS => rest
            .first_chunk()
            .map(|be| (2, u16::from_be_bytes(*be).into())),
        LENGTH_IN_64_BITS => rest.first_chunk().map(|be| (8, u64::from_be_bytes(*be))),
        short => Some((0, short.into())),
    };
    let Some((length_bytes, payload_len)) = extended else {
        return Ok(None);
    };
    let payload_len = usize::try_from(payload_len).map_err(|_| Violation::LengthHighBit)?;
    Ok(Some((opcode, 2 + length_bytes, payload_len)))
}

// === impl OpCode ===

impl OpCode {
    /// Whether this is Close, Ping or Pong.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    #[inline]
    const fn from_bits(bits: u8) -> Result<Self, Violation> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            reserved => Err(Violation::ReservedOpCode(reserved)),
        }
    }
}

// === impl ClientHeader ===

impl ClientHeader {
    /// Reads the header at the start of `bytes`; `None` means that more bytes
    /// are needed.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let (fin, short) = (first & FIN != 0, second & LENGTH);
        if first & RESERVED != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = OpCode::from_bits(first & 0x0f)?;
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        if opcode.is_control() {
            check_control(fin, short)?;
        }
        let Some((length_bytes, payload_len)) = parse_length(short, rest)? else {
            return Ok(None);
        };
        let Some(&mask) = rest[length_bytes..].first_chunk() else {
            return Ok(None);
        };
        Ok(Some(Self {
            fin,
            opcode,
            mask,
            header_len: 2 + length_bytes + mask.len(),
            payload_len,
        }))
    }

    /// Length of header and payload, in bytes.
    #[inline]
    pub(super) const fn frame_len(&self) -> usize {
        self.header_len.saturating_add(self.payload_len)
    }
}

#[inline]
fn check_control(fin: bool, short: u8) -> Result<(), Violation> {
    if !fin {
        return Err(Violation::FragmentedControl);
    }
    if usize::from(short) > MAX_CONTROL_PAYLOAD {
        return Err(Violation::ControlTooLong);
    }
    Ok(())
}

/// The bytes that the extended length takes, and the length of the payload.
#[inline]
fn parse_length(short: u8, rest: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
    match short {
        LENGTH_IN_16_BITS => {
            let Some(&bytes) = rest.first_chunk() else {
                return Ok(None);
            };
            let length = u16::from_be_bytes(bytes);
            if length < LENGTH_IN_16_BITS.into() {
                return Err(Violation::OverlongLength);
            }
            Ok(Some((bytes.len(), length.into())))
        }
        LENGTH_IN_64_BITS => {
            let Some(&bytes) = rest.first_chunk() else {
                return Ok(None);
            };
            let length = u64::from_be_bytes(bytes);
            if length >> 63 != 0 {
                return Err(Violation::LengthHighBit);
            }
            if length <= u16::MAX.into() {
                return Err(Violation::OverlongLength);
            }
            Ok(Some((
                bytes.len(),
                usize::try_from(length).unwrap_or(usize::MAX),
            )))
        }
        short => Ok(Some((0, short.into()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(payload_len: usize) -> Vec<u8> {
        let mut header = [0; MAX_SERVER_HEADER];
        let length = server_header(OpCode::Binary, payload_len, &mut header);
        header[..length].to_vec()
    }

    #[test]
    fn server_headers_take_the_shortest_length() {
        assert_eq!(written(0), [0x82, 0]);
        assert_eq!(written(125), [0x82, 125]);
        assert_eq!(written(126), [0x82, 126, 0, 126]);
        assert_eq!(written(65_535), [0x82, 126, 0xff, 0xff]);
        assert_eq!(written(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn server_frames_are_parsed_once_their_header_is_there() {
        for payload_len in [0, 125, 126, 65_535, 65_536, 1 << 40] {
            let header = written(payload_len);
            for cut in 0..header.len() {
                assert_eq!(parse_server_frame(&header[..cut]), Ok(None));
            }
            let parsed = Ok(Some((OpCode::Binary, header.len(), payload_len)));
            assert_eq!(parse_server_frame(&header), parsed);
        }
        assert_eq!(
            parse_server_frame(&[0x83, 0]),
            Err(Violation::ReservedOpCode(3))
        );
    }
}
