//! A data message of which only a part has arrived.

use super::{ReaderLimits, Violation, header::ClientHeader, mask};

/// The fragments of a message so far, and the frame that is being received.
#[derive(Debug)]
pub(super) struct UnfinishedMessage {
    text: bool,
    payload: Vec<u8>,
    /// How much of a text payload is known to be UTF-8; what follows can only
    /// be the beginning of one character.
    valid_up_to: usize,
    fragments: usize,
    frame: Option<OpenFrame>,
}

/// What a piece of payload led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The frame goes on.
    FrameOpen,
    /// The frame is complete, the message is not.
    FrameDone,
    /// The message is complete.
    MessageDone,
}

/// A frame whose header has been read and whose payload has not.
#[derive(Debug)]
struct OpenFrame {
    fin: bool,
    mask: [u8; 4],
    remaining: usize,
}

// === impl UnfinishedMessage ===

impl UnfinishedMessage {
    pub(super) const fn new(text: bool) -> Self {
        Self {
            text,
            payload: Vec::new(),
            valid_up_to: 0,
            fragments: 0,
            frame: None,
        }
    }

    pub(super) const fn is_text(&self) -> bool {
        self.text
    }

    pub(super) const fn fragments(&self) -> usize {
        self.fragments
    }

    /// Payload received so far, in bytes.
    pub(super) const fn len(&self) -> usize {
        self.payload.len()
    }

    /// Memory held for the payload, in bytes.
    pub(super) const fn capacity(&self) -> usize {
        self.payload.capacity()
    }

    /// How much payload the open frame still lacks; `None` between frames.
    pub(super) fn remaining(&self) -> Option<usize> {
        self.frame.as_ref().map(|frame| frame.remaining)
    }

    /// Begins the next frame of this message.
    pub(super) fn open_frame(&mut self, header: &ClientHeader) {
        self.fragments += 1;
        self.frame = Some(OpenFrame {
            fin: header.fin,
            mask: header.mask,
            remaining: header.payload_len,
        });
    }

    /// Takes a piece of the open frame's payload, unmasking it in place. Text
    /// is refused at the first byte that can't be part of UTF-8.
    pub(super) fn receive(
        &mut self,
        piece: &mut [u8],
        limits: &ReaderLimits,
    ) -> Result<Progress, Violation> {
        let frame = self.frame.as_mut().expect("the caller opened a frame");
        mask::apply_mask(piece, frame.mask);
        frame.mask = mask::advance_mask(frame.mask, piece.len());
        let growth = growth(&self.payload, frame, limits).max(piece.len());
        if self.payload.capacity() - self.payload.len() < piece.len() {
            self.payload.reserve_exact(growth);
        }
        self.payload.extend_from_slice(piece);
        frame.remaining -= piece.len();
        let (fin, done) = (frame.fin, frame.remaining == 0);
        if self.text {
            self.validate()?;
        }
        match (done, fin) {
            (false, _) => Ok(Progress::FrameOpen),
            (true, false) => {
                self.frame = None;
                Ok(Progress::FrameDone)
            }
            (true, true) if self.text && self.valid_up_to < self.payload.len() => {
                Err(Violation::InvalidUtf8)
            }
            (true, true) => Ok(Progress::MessageDone),
        }
    }

    pub(super) fn into_payload(self) -> Vec<u8> {
        self.payload
    }

    fn validate(&mut self) -> Result<(), Violation> {
        match simdutf8::compat::from_utf8(&self.payload[self.valid_up_to..]) {
            Ok(text) => self.valid_up_to += text.len(),
            Err(error) if error.error_len().is_none() => self.valid_up_to += error.valid_up_to(),
            Err(_) => return Err(Violation::InvalidUtf8),
        }
        Ok(())
    }
}

/// How much to grow a full payload by, in bytes: as much as has arrived, so
/// that a claimed length costs nothing until its bytes come, but never past
/// where the message can end.
fn growth(payload: &[u8], frame: &OpenFrame, limits: &ReaderLimits) -> usize {
    let possible = match frame.fin {
        true => frame.remaining,
        false => limits.max_message_bytes.saturating_sub(payload.len()),
    };
    payload.len().min(possible)
}
