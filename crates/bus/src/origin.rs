//! Who published a message without a log, and as its how-manyeth.

/// Which of a publisher's messages to a subject without a log a message is. They
/// are numbered from one without holes, so that a receiver knows what is
/// missing. A publisher that has been quiet may go on as another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Random; zero: unknown. The upper half stands for the process, which has one
    /// clock.
    pub publisher: u64,
    /// Its number.
    pub sequence: u64,
}

// === impl Origin ===

impl Origin {
    /// Of a publisher that does not number its messages.
    pub const UNKNOWN: Self = Self {
        publisher: 0,
        sequence: 0,
    };

    /// The process that published.
    pub fn process(self) -> u32 {
        (self.publisher >> 32) as u32
    }

    /// The one behind it.
    pub(crate) fn next(self) -> Self {
        Self {
            sequence: self.sequence + 1,
            ..self
        }
    }
}
