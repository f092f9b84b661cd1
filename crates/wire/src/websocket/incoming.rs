//! What a client says, one whole message or control frame at a time.

use super::Violation;

/// A whole message or control frame, unmasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A text message; checked to be UTF-8.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// To be answered with a Pong of the same payload, at most 125 bytes.
    Ping(&'a [u8]),
    /// At most 125 bytes.
    Pong(&'a [u8]),
    /// The client's last word: nothing follows it. `None` if it gave no code.
    Close(Option<CloseFrame<'a>>),
}

/// Why a client closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// A code that RFC 6455 section 7.4 allows to send.
    pub code: u16,
    /// Text for people, at most 123 bytes.
    pub reason: &'a str,
}

// === impl CloseFrame ===

impl<'a> CloseFrame<'a> {
    /// Reads the payload of a Close frame (section 5.5.1).
    pub(super) fn parse(payload: &'a [u8]) -> Result<Option<Self>, Violation> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(Violation::TruncatedCloseCode),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        if !may_be_sent(code) {
            return Err(Violation::InvalidCloseCode(code));
        }
        let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidCloseReason)?;
        Ok(Some(Self { code, reason }))
    }
}

/// Section 7.4. The later registrations 1012 to 1014 are a server's words, so
/// no client has a use for them.
const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1011 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code_of(code: u16) -> Result<u16, Violation> {
        let payload = code.to_be_bytes();
        CloseFrame::parse(&payload).map(|frame| frame.expect("it has a code").code)
    }

    #[test]
    fn close_codes_that_may_be_sent_are_accepted() {
        for code in (1000..=1003)
            .chain(1007..=1011)
            .chain([3000, 3999, 4000, 4999])
        {
            assert_eq!(code_of(code), Ok(code));
        }
    }

    #[test]
    fn close_codes_that_must_not_be_sent_are_refused() {
        for code in [
            0, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
        ] {
            assert_eq!(code_of(code), Err(Violation::InvalidCloseCode(code)));
        }
    }

    #[test]
    fn close_payloads_are_empty_or_a_code_and_a_reason_in_utf8() {
        assert_eq!(CloseFrame::parse(b""), Ok(None));
        assert_eq!(
            CloseFrame::parse(b"\x03"),
            Err(Violation::TruncatedCloseCode)
        );
        let bye = CloseFrame {
            code: 1000,
            reason: "bye",
        };
        assert_eq!(CloseFrame::parse(b"\x03\xe8bye"), Ok(Some(bye)));
        assert_eq!(
            CloseFrame::parse(b"\x03\xe8\xff"),
            Err(Violation::InvalidCloseReason)
        );
    }
}
