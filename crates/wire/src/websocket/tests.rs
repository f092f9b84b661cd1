//! Properties of the codec: what clients say is what is read, however it comes
//! in pieces and however often the reader stops.

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;

const LIMITS: ReaderLimits = ReaderLimits {
    max_message_bytes: 600,
    max_fragments: 6,
};
/// Longest unfinished control frame or header, in bytes.
const MAX_TAIL: usize = 6 + MAX_CONTROL_PAYLOAD;

type Message = (OpCode, Vec<u8>);

/// A message, and where it is cut into fragments, and what comes between them.
#[derive(Debug, Clone)]
struct Sent {
    message: Message,
    cuts: Vec<Index>,
    between: Vec<Message>,
    mask: [u8; 4],
}

fn control() -> impl Strategy<Value = Message> {
    let opcode = prop_oneof![Just(OpCode::Ping), Just(OpCode::Pong)];
    (opcode, vec(any::<u8>(), 0..=MAX_CONTROL_PAYLOAD))
}

fn data() -> impl Strategy<Value = Message> {
    prop_oneof![
        ".{0,150}".prop_map(|text: String| (OpCode::Text, text.into_bytes())),
        vec(any::<u8>(), 0..=600).prop_map(|bytes| (OpCode::Binary, bytes)),
    ]
}

fn sent() -> impl Strategy<Value = Sent> {
    let cuts = vec(any::<Index>(), 0..LIMITS.max_fragments);
    (data(), cuts, vec(control(), 0..3), any::<[u8; 4]>()).prop_map(
        |(message, cuts, between, mask)| Sent {
            message,
            cuts,
            between,
            mask,
        },
    )
}

impl Sent {
    /// Appends the frames, and the messages in the order they become whole.
    fn write(&self, bytes: &mut Vec<u8>, messages: &mut Vec<Message>) {
        let (opcode, payload) = &self.message;
        let mut cuts: Vec<_> = self
            .cuts
            .iter()
            .map(|cut| cut.index(payload.len() + 1))
            .collect();
        cuts.sort_unstable();
        let starts = [0].into_iter().chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain([payload.len()]);
        let mut between = self.between.iter();
        for (index, (start, end)) in starts.zip(ends).enumerate() {
            if index > 0
                && let Some((opcode, payload)) = between.next()
            {
                client_frame(*opcode, self.mask, payload, bytes);
                messages.push((*opcode, payload.clone()));
            }
            let opcode = if index == 0 {
                *opcode
            } else {
                OpCode::Continuation
            };
            let first_byte = bytes.len();
            client_frame(opcode, self.mask, &payload[start..end], bytes);
            if index < cuts.len() {
                bytes[first_byte] &= 0x7f;
            }
        }
        messages.push(self.message.clone());
    }
}

/// Reads `bytes` in pieces of the given sizes, stopping after so many messages
/// each time and continuing with an empty read.
fn read_in_pieces(
    bytes: &[u8],
    pieces: &[usize],
    stops: &[usize],
) -> (Vec<Message>, Option<Violation>, Reader) {
    let (mut reader, mut seen) = (Reader::default(), Vec::new());
    let mut stops = stops.iter().copied().cycle();
    let mut pieces = pieces.iter().copied().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(pieces.next().unwrap_or(usize::MAX)));
        let mut piece = piece.to_vec();
        let scratch = piece.len();
        let mut exhausted = false;
        while !exhausted {
            let stop = stops.next().unwrap_or(usize::MAX);
            let mut messages = reader.read(&LIMITS, &mut piece);
            for _ in 0..stop {
                match messages.next() {
                    None => {
                        exhausted = true;
                        break;
                    }
                    Some(Ok(incoming)) => seen.push(owned(incoming)),
                    Some(Err(violation)) => {
                        drop(messages);
                        return (seen, Some(violation), reader);
                    }
                }
            }
            drop(messages);
            piece.clear();
            assert!(reader.buffered_bytes() <= LIMITS.max_message_bytes + scratch + MAX_TAIL);
        }
        rest = after;
    }
    (seen, None, reader)
}

fn owned(incoming: Incoming<'_>) -> Message {
    match incoming {
        Incoming::Text(text) => (OpCode::Text, text.into()),
        Incoming::Binary(bytes) => (OpCode::Binary, bytes.into()),
        Incoming::Ping(bytes) => (OpCode::Ping, bytes.into()),
        Incoming::Pong(bytes) => (OpCode::Pong, bytes.into()),
        Incoming::Close(frame) => {
            let code = frame.map_or(0, |frame| frame.code);
            let reason = frame.map_or("", |frame| frame.reason);
            (
                OpCode::Close,
                [&code.to_be_bytes(), reason.as_bytes()].concat(),
            )
        }
    }
}

proptest! {
    #[test]
    fn what_is_sent_is_read_however_it_is_cut(
        conversation in vec(sent(), 1..8),
        pieces in vec(1..700usize, 1..10),
        stops in vec(1..4usize, 1..5),
    ) {
        let (mut bytes, mut messages) = (Vec::new(), Vec::new());
        for sent in &conversation {
            sent.write(&mut bytes, &mut messages);
        }
        let (seen, violation, reader) = read_in_pieces(&bytes, &pieces, &stops);
        prop_assert_eq!(violation, None);
        prop_assert_eq!(seen, messages);
        prop_assert!(!reader.has_buffered());
    }

    #[test]
    fn pieces_and_stops_never_change_the_outcome(
        conversation in vec(sent(), 0..4),
        damage in vec((any::<Index>(), any::<u8>()), 0..4),
        noise in vec(any::<u8>(), 0..40),
        pieces in vec(1..100usize, 1..10),
        stops in vec(1..4usize, 1..5),
    ) {
        let (mut bytes, mut messages) = (Vec::new(), Vec::new());
        for sent in &conversation {
            sent.write(&mut bytes, &mut messages);
        }
        bytes.extend_from_slice(&noise);
        for (place, value) in damage {
            if !bytes.is_empty() {
                *place.get_mut(&mut bytes) = value;
            }
        }
        let (at_once, violation_at_once, _) = read_in_pieces(&bytes, &[usize::MAX], &[usize::MAX]);
        let (seen, violation, _) = read_in_pieces(&bytes, &pieces, &stops);
        prop_assert_eq!(seen, at_once);
        prop_assert_eq!(violation, violation_at_once);
    }
}
