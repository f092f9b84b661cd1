//! The server's side of reading: from bytes off a socket to whole messages.
//!
//! A connection that is between messages holds nothing but the [`Reader`]
//! itself: the bytes are in a buffer that many connections share, and a frame
//! that arrived whole is handed out where it lies, unmasked in place. Only an
//! unfinished tail is copied, and it is let go as soon as it is complete.

use std::{mem, ops::Range};

use super::{
    CloseFrame, Incoming, OpCode, Violation,
    header::ClientHeader,
    mask,
    message::{Progress, UnfinishedMessage},
};

/// Limits of a reader, shared by all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaderLimits {
    /// Longest message over all its fragments, in bytes. Control frames don't
    /// count: they have a limit of their own.
    pub max_message_bytes: usize,
    /// Most frames that one message may come in, empty ones included; one means
    /// that no message may be fragmented.
    pub max_fragments: usize,
}

/// What one connection has received and not yet been given as a message.
#[derive(Debug, Default)]
pub struct Reader {
    held: Option<Box<Held>>,
    /// After Close or a violation nothing more is read.
    ended: bool,
}

/// The messages in a piece of input, in order. A lending iterator: each message
/// borrows from it.
///
/// Dropping it keeps in the [`Reader`] whatever was not consumed, be it part of
/// a frame or many frames: a caller that has to stop reading just drops it.
#[derive(Debug)]
pub struct Messages<'r> {
    reader: &'r mut Reader,
    limits: ReaderLimits,
    input: Input<'r>,
    /// Where the unread part of `input` begins.
    position: usize,
    /// The last message handed out, if it had to be put together.
    assembled: Vec<u8>,
}

#[derive(Debug, Default)]
struct Held {
    message: Option<UnfinishedMessage>,
    /// Input as it came: part of a header or of a control frame, or all that
    /// was left when the caller stopped.
    unread: Vec<u8>,
    /// Where in `unread` that input begins.
    unread_from: usize,
}

#[derive(Debug)]
enum Input<'r> {
    Shared(&'r mut [u8]),
    Kept(Vec<u8>),
}

/// A message that was found, and where.
struct Found {
    opcode: OpCode,
    place: Place,
}

enum Place {
    Input(Range<usize>),
    Assembled,
}

// === impl Reader ===

impl Reader {
    /// Takes bytes just read from the socket. They are unmasked in place and
    /// read no further than the caller asks for messages.
    ///
    /// Input kept from before comes first. After stopping early, call this with
    /// an empty slice, to have the messages kept, before reading the socket
    /// again: so no more is ever kept than one buffer of input, besides the
    /// message under way.
    pub fn read<'r>(&'r mut self, limits: &ReaderLimits, bytes: &'r mut [u8]) -> Messages<'r> {
        let (input, position) = match self.take_unread() {
            Some((mut kept, from)) if !bytes.is_empty() => {
                kept.drain(..from);
                kept.reserve_exact(bytes.len());
                kept.extend_from_slice(bytes);
                (Input::Kept(kept), 0)
            }
            Some((kept, from)) => (Input::Kept(kept), from),
            None => (Input::Shared(bytes), 0),
        };
        Messages {
            reader: self,
            limits: *limits,
            input,
            position,
            assembled: Vec::new(),
        }
    }

    /// Whether any input is held, be it part of a message or whole ones.
    pub const fn has_buffered(&self) -> bool {
        self.held.is_some()
    }

    /// Memory held for input, in bytes.
    pub fn buffered_bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| {
            let message = held.message.as_ref().map_or(0, UnfinishedMessage::capacity);
            message + held.unread.capacity()
        })
    }

    fn take_unread(&mut self) -> Option<(Vec<u8>, usize)> {
        let held = self.held.as_mut().filter(|held| !held.unread.is_empty())?;
        let unread = (
            mem::take(&mut held.unread),
            mem::take(&mut held.unread_from),
        );
        if held.message.is_none() {
            self.held = None;
        }
        Some(unread)
    }

    fn message(&self) -> Option<&UnfinishedMessage> {
        self.held.as_ref()?.message.as_ref()
    }

    fn end(&mut self) {
        *self = Self {
            held: None,
            ended: true,
        };
    }
}

// === impl Messages ===

impl Messages<'_> {
    /// The next message, or `None` when more input is needed or the client has
    /// closed.
    ///
    /// After a violation the connection must be closed: there is no next
    /// message, now or later.
    #[expect(clippy::should_implement_trait, reason = "an Iterator can't lend")]
    #[inline]
    pub fn next(&mut self) -> Option<Result<Incoming<'_>, Violation>> {
        let Found { opcode, place } = match self.find() {
            Ok(found) => found?,
            Err(violation) => {
                self.reader.end();
                return Some(Err(violation));
            }
        };
        let payload = match place {
            Place::Input(range) => &self.input.bytes()[range],
            Place::Assembled => &self.assembled[..],
        };
        Some(match opcode {
            OpCode::Text => Ok(Incoming::Text(payload)),
            OpCode::Binary | OpCode::Continuation => Ok(Incoming::Binary(payload)),
            OpCode::Ping => Ok(Incoming::Ping(payload)),
            OpCode::Pong => Ok(Incoming::Pong(payload)),
            OpCode::Close => {
                self.reader.end();
                CloseFrame::parse(payload).map(Incoming::Close)
            }
        })
    }

    fn find(&mut self) -> Result<Option<Found>, Violation> {
        self.assembled = Vec::new();
        while !self.reader.ended {
            if let Some(remaining) = self.reader.message().and_then(UnfinishedMessage::remaining) {
                match self.fill_frame(remaining)? {
                    Progress::FrameOpen => break,
                    Progress::FrameDone => continue,
                    Progress::MessageDone => return Ok(Some(self.finish_message())),
                }
            }
            let unread = &self.input.bytes()[self.position..];
            let Some(header) = ClientHeader::parse(unread)? else {
                break;
            };
            let is_whole = header.frame_len() <= unread.len();
            if header.opcode.is_control() {
                return Ok(is_whole.then(|| self.take_frame(&header)));
            }
            self.admit(&header)?;
            if is_whole && header.fin && header.opcode != OpCode::Continuation {
                return self.take_message(&header).map(Some);
            }
            self.open_frame(&header);
        }
        Ok(None)
    }

    /// Checks that a data frame may come now and fits, before any of its
    /// payload is kept.
    fn admit(&self, header: &ClientHeader) -> Result<(), Violation> {
        let ReaderLimits {
            max_message_bytes,
            max_fragments,
        } = self.limits;
        let so_far = match (self.reader.message(), header.opcode) {
            (None, OpCode::Continuation) => return Err(Violation::UnexpectedContinuation),
            (None, _) => 0,
            (Some(message), OpCode::Continuation) => {
                if message.fragments() >= max_fragments {
                    return Err(Violation::TooManyFragments { max: max_fragments });
                }
                message.len()
            }
            (Some(_), _) => return Err(Violation::InterleavedMessage),
        };
        if header.payload_len > max_message_bytes.saturating_sub(so_far) {
            return Err(Violation::MessageTooLarge {
                max_bytes: max_message_bytes,
            });
        }
        Ok(())
    }

    /// Unmasks a frame that is all there and steps over it.
    #[inline]
    fn take_frame(&mut self, header: &ClientHeader) -> Found {
        let start = self.position + header.header_len;
        let end = start + header.payload_len;
        self.position = end;
        mask::apply_mask(&mut self.input.bytes_mut()[start..end], header.mask);
        Found {
            opcode: header.opcode,
            place: Place::Input(start..end),
        }
    }

    #[inline]
    fn take_message(&mut self, header: &ClientHeader) -> Result<Found, Violation> {
        let found = self.take_frame(header);
        if header.opcode == OpCode::Text {
            let end = self.position;
            let text = &self.input.bytes()[end - header.payload_len..end];
            simdutf8::basic::from_utf8(text).map_err(|_| Violation::InvalidUtf8)?;
        }
        Ok(found)
    }

    fn open_frame(&mut self, header: &ClientHeader) {
        self.position += header.header_len;
        let held = self.reader.held.get_or_insert_default();
        held.message
            .get_or_insert_with(|| UnfinishedMessage::new(header.opcode == OpCode::Text))
            .open_frame(header);
    }

    fn fill_frame(&mut self, remaining: usize) -> Result<Progress, Violation> {
        let unread = &mut self.input.bytes_mut()[self.position..];
        let available = remaining.min(unread.len());
        let held = self.reader.held.as_mut();
        let message = held
            .and_then(|held| held.message.as_mut())
            .expect("a frame of it is open");
        let progress = message.receive(&mut unread[..available], &self.limits);
        self.position += available;
        progress
    }

    /// Hands the message over, so that the reader holds nothing again.
    fn finish_message(&mut self) -> Found {
        let message = self.reader.held.take().and_then(|held| held.message);
        let message = message.expect("it has just been completed");
        let opcode = if message.is_text() {
            OpCode::Text
        } else {
            OpCode::Binary
        };
        self.assembled = message.into_payload();
        Found {
            opcode,
            place: Place::Assembled,
        }
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        if self.reader.ended || self.position == self.input.bytes().len() {
            return;
        }
        let input = mem::replace(&mut self.input, Input::Shared(&mut []));
        let (unread, unread_from) = input.into_unread(self.position);
        let held = self.reader.held.get_or_insert_default();
        (held.unread, held.unread_from) = (unread, unread_from);
    }
}

// === impl Input ===

impl Input<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Kept(bytes) => bytes,
        }
    }

    /// The part from `position` on, and where it begins. Kept input is copied
    /// only once most of it was consumed, so that stopping after every message
    /// costs no more than reading on, and memory shrinks all the same.
    fn into_unread(self, position: usize) -> (Vec<u8>, usize) {
        match self {
            Self::Kept(bytes) if (bytes.len() - position) * 2 > bytes.capacity() => {
                (bytes, position)
            }
            input => (input.bytes()[position..].to_vec(), 0),
        }
    }
}

#[cfg(test)]
mod tests;
