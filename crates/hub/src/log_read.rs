//! Reads of channels' logs: what the hub asks for, and what it is given.

use std::sync::Arc;

use wire::Channel;

use crate::publication::EncodedPublication;

/// A read of a channel's log that is to be made now.
#[derive(Clone, Debug)]
pub struct LogRead {
    /// Names the read in [`crate::Hub::end_read`].
    pub token: u64,
    /// Whose log.
    pub channel: Channel,
    /// The channel's number.
    pub alias: u32,
    /// The life that the log must be in.
    pub life: u32,
    /// Publications behind this offset; zero: from the oldest.
    pub after: u64,
    /// At most so many.
    pub limit: usize,
    /// About so many bytes of payload.
    pub max_bytes: usize,
}

/// What a read gave.
#[derive(Debug)]
pub enum ReadOutcome {
    /// A part of the log.
    Page(LogPage),
    /// The log is not there any more, or it is another one.
    Gone,
    /// It could not be read. Nobody reads it until [`crate::Hub::retry`].
    Failed,
}

/// A part of a channel's log.
#[derive(Debug)]
pub struct LogPage {
    /// In order. The first one's `previous` is behind the offset that was asked
    /// for if something between them may have left the log.
    pub publications: Vec<Arc<EncodedPublication>>,
    /// How far the log reached.
    pub tip: u64,
}
