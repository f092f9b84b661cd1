//! The rules a client can break, and the close each one earns.

use thiserror::Error;

use crate::CloseCause;

/// A broken rule of RFC 6455, or a limit exceeded. The connection must be
/// closed with [`Self::cause`]; nothing more can be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// A frame without a mask (section 5.1).
    #[error("frame is not masked")]
    Unmasked,
    /// A reserved bit is set, and no extension was negotiated (section 5.2).
    #[error("a reserved bit is set")]
    ReservedBits,
    /// An opcode that RFC 6455 leaves undefined (section 5.2).
    #[error("opcode {0:#x} is reserved")]
    ReservedOpCode(u8),
    /// A length that would have fitted a shorter form (section 5.2).
    #[error("payload length is not in its shortest form")]
    OverlongLength,
    /// A 64-bit length with its highest bit set (section 5.2).
    #[error("highest bit of the payload length is set")]
    LengthHighBit,
    /// A control frame without FIN (section 5.5).
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A control frame of more than 125 bytes (section 5.5).
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A continuation with nothing to continue (section 5.4).
    #[error("continuation without a message to continue")]
    UnexpectedContinuation,
    /// A new message before the last fragment of the one before (section 5.4).
    #[error("message begun inside a fragmented message")]
    InterleavedMessage,
    /// A message longer than [`ReaderLimits::max_message_bytes`](super::ReaderLimits::max_message_bytes).
    #[error("message is longer than {max_bytes} bytes")]
    MessageTooLarge {
        /// The limit, in bytes.
        max_bytes: usize,
    },
    /// A message in more frames than [`ReaderLimits::max_fragments`](super::ReaderLimits::max_fragments).
    #[error("message has more than {max} fragments")]
    TooManyFragments {
        /// The limit.
        max: usize,
    },
    /// A text message that is not UTF-8 (section 8.1).
    #[error("text is not valid UTF-8")]
    InvalidUtf8,
    /// A close payload of one byte, too short for a code (section 5.5.1).
    #[error("close payload is a single byte")]
    TruncatedCloseCode,
    /// A close code that must not be sent (section 7.4).
    #[error("close code {0} must not be sent")]
    InvalidCloseCode(u16),
    /// A close reason that is not UTF-8 (section 5.5.1).
    #[error("close reason is not valid UTF-8")]
    InvalidCloseReason,
}

// === impl Violation ===

impl Violation {
    /// How the connection ends.
    pub const fn cause(self) -> CloseCause {
        match self {
            Self::MessageTooLarge { .. } | Self::TooManyFragments { .. } => {
                CloseCause::MessageTooLarge
            }
            Self::InvalidUtf8 | Self::InvalidCloseReason => CloseCause::InvalidUtf8,
            Self::Unmasked
            | Self::ReservedBits
            | Self::ReservedOpCode(_)
            | Self::OverlongLength
            | Self::LengthHighBit
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::UnexpectedContinuation
            | Self::InterleavedMessage
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode(_) => CloseCause::WebSocketViolation,
        }
    }

    /// The code of the Close frame to answer with: 1002, 1007 or 1009.
    pub const fn close_code(self) -> u16 {
        self.cause().code()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_violation_earns_the_code_of_its_kind() {
        assert_eq!(Violation::Unmasked.close_code(), 1002);
        assert_eq!(Violation::InvalidCloseCode(1005).close_code(), 1002);
        assert_eq!(Violation::InvalidUtf8.close_code(), 1007);
        assert_eq!(Violation::InvalidCloseReason.close_code(), 1007);
        assert_eq!(
            Violation::MessageTooLarge { max_bytes: 1 }.close_code(),
            1009
        );
        assert_eq!(Violation::TooManyFragments { max: 1 }.close_code(), 1009);
    }
}
