//! One test a rule, by hand-made frames.

use super::*;
use crate::websocket::client_frame;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LIMITS: ReaderLimits = ReaderLimits {
    max_message_bytes: 1000,
    max_fragments: 4,
};

/// [`Incoming`], owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Incoming<'_>> for Seen {
    fn from(incoming: Incoming<'_>) -> Self {
        match incoming {
            Incoming::Text(text) => Self::Text(str::from_utf8(text).expect("checked").into()),
            Incoming::Binary(bytes) => Self::Binary(bytes.into()),
            Incoming::Ping(bytes) => Self::Ping(bytes.into()),
            Incoming::Pong(bytes) => Self::Pong(bytes.into()),
            Incoming::Close(frame) => Self::Close(frame.map(|it| (it.code, it.reason.into()))),
        }
    }
}

/// A frame with `first` as its first byte.
fn raw_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    client_frame(OpCode::Binary, MASK, payload, &mut frame);
    frame[0] = first;
    frame
}

fn whole(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    raw_frame(0x80 | opcode as u8, payload)
}

/// A data frame without FIN.
fn part(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    raw_frame(opcode as u8, payload)
}

/// All that one call of `read` yields.
fn feed(reader: &mut Reader, bytes: &[u8]) -> Vec<Result<Seen, Violation>> {
    let mut bytes = bytes.to_vec();
    let mut messages = reader.read(&LIMITS, &mut bytes);
    let mut seen = Vec::new();
    while let Some(message) = messages.next() {
        seen.push(message.map(Seen::from));
    }
    seen
}

fn read(bytes: &[u8]) -> Vec<Result<Seen, Violation>> {
    feed(&mut Reader::default(), bytes)
}

/// The one outcome of `bytes`, which must be a violation, come they at once or
/// byte by byte.
fn violation(bytes: &[u8]) -> Violation {
    let at_once = read(bytes);
    let mut reader = Reader::default();
    let singly: Vec<_> = bytes
        .iter()
        .flat_map(|&byte| feed(&mut reader, &[byte]))
        .collect();
    assert_eq!(at_once, singly);
    assert!(!reader.has_buffered());
    *at_once
        .last()
        .and_then(|last| last.as_ref().err())
        .expect("it ends in a violation")
}

fn text(text: &str) -> Result<Seen, Violation> {
    Ok(Seen::Text(text.into()))
}

fn binary(bytes: &[u8]) -> Result<Seen, Violation> {
    Ok(Seen::Binary(bytes.into()))
}

#[test]
fn an_idle_reader_takes_two_words() {
    assert!(size_of::<Reader>() <= 16);
    let mut reader = Reader::default();
    feed(&mut reader, &whole(OpCode::Binary, &[7; 900]));
    assert!(!reader.has_buffered());
    assert_eq!(reader.buffered_bytes(), 0);
}

#[test]
fn whole_frames_are_delivered_where_they_lie() {
    let mut bytes = [whole(OpCode::Binary, b"one"), whole(OpCode::Text, b"two")].concat();
    let buffer = bytes.as_ptr_range();
    let mut reader = Reader::default();
    let mut messages = reader.read(&LIMITS, &mut bytes);
    for expected in [Incoming::Binary(b"one"), Incoming::Text(b"two")] {
        let message = messages.next().expect("a message").expect("in order");
        assert_eq!(message, expected);
        let (Incoming::Binary(payload) | Incoming::Text(payload)) = message else {
            panic!()
        };
        assert!(buffer.contains(&payload.as_ptr()));
    }
    assert!(messages.next().is_none());
}

#[test]
fn every_length_form_is_read() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload = vec![0x5a; length];
        let limits = ReaderLimits {
            max_message_bytes: length,
            max_fragments: 1,
        };
        let mut bytes = whole(OpCode::Binary, &payload);
        let mut reader = Reader::default();
        let mut messages = reader.read(&limits, &mut bytes);
        assert_eq!(
            messages.next(),
            Some(Ok(Incoming::Binary(&payload))),
            "{length} bytes"
        );
    }
}

#[test]
fn a_frame_split_anywhere_is_put_together() {
    let payload: Vec<u8> = (0..200).collect();
    let bytes = [
        whole(OpCode::Binary, &payload),
        whole(OpCode::Ping, b"are you there"),
    ]
    .concat();
    let expected = [binary(&payload), Ok(Seen::Ping(b"are you there".into()))];
    for split in 0..bytes.len() {
        let mut reader = Reader::default();
        let mut seen = feed(&mut reader, &bytes[..split]);
        seen.extend(feed(&mut reader, &bytes[split..]));
        assert_eq!(seen, expected, "split at {split}");
        assert!(!reader.has_buffered());
    }
}

#[test]
fn control_frames_may_come_between_fragments() {
    let bytes = [
        part(OpCode::Text, "h\u{e9}".as_bytes()),
        whole(OpCode::Ping, b"1"),
        part(OpCode::Continuation, b""),
        whole(OpCode::Pong, b"2"),
        whole(OpCode::Continuation, b"llo"),
    ];
    let expected = [
        Ok(Seen::Ping(b"1".into())),
        Ok(Seen::Pong(b"2".into())),
        text("h\u{e9}llo"),
    ];
    assert_eq!(read(&bytes.concat()), expected);
}

#[test]
fn messages_left_unread_are_kept_and_yielded_by_an_empty_read() {
    let frames: Vec<_> = (0..100)
        .map(|index| whole(OpCode::Binary, &[index; 50]))
        .collect();
    let mut bytes = frames.concat();
    bytes.extend_from_slice(&whole(OpCode::Binary, b"tail")[..7]);
    let mut reader = Reader::default();
    for index in 0..100 {
        let mut messages = reader.read(&LIMITS, &mut bytes);
        assert_eq!(messages.next(), Some(Ok(Incoming::Binary(&[index; 50]))));
        drop(messages);
        bytes.clear();
        assert!(reader.has_buffered());
        let left = (99 - usize::from(index)) * frames[0].len() + 7;
        assert!((left..=2 * left).contains(&reader.buffered_bytes()));
    }
    assert_eq!(feed(&mut reader, &[]), []);
    assert_eq!(
        feed(&mut reader, &whole(OpCode::Binary, b"tail")[7..]),
        [binary(b"tail")]
    );
    assert!(!reader.has_buffered());
}

#[test]
fn a_claimed_length_costs_nothing_until_its_bytes_come() {
    let limits = ReaderLimits {
        max_message_bytes: 64 << 20,
        max_fragments: 1,
    };
    let mut header = [0x82, 0xff, 0, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4];
    let mut reader = Reader::default();
    assert_eq!(reader.read(&limits, &mut header).next(), None);
    assert_eq!(reader.buffered_bytes(), 0);
    assert_eq!(reader.read(&limits, &mut [0; 1000]).next(), None);
    assert_eq!(reader.buffered_bytes(), 1000);
    assert_eq!(reader.read(&limits, &mut [0; 10]).next(), None);
    assert_eq!(reader.buffered_bytes(), 2000);
}

#[test]
fn unmasked_frames_are_refused() {
    assert_eq!(violation(b"\x82\x03abc"), Violation::Unmasked);
}

#[test]
fn reserved_bits_and_opcodes_are_refused() {
    for bit in [0x40, 0x20, 0x10] {
        assert_eq!(
            violation(&raw_frame(0x82 | bit, b"")),
            Violation::ReservedBits
        );
    }
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        let refused = Violation::ReservedOpCode(opcode);
        assert_eq!(violation(&raw_frame(0x80 | opcode, b"")), refused);
    }
}

#[test]
fn control_frames_are_short_and_whole() {
    for opcode in [OpCode::Close, OpCode::Ping, OpCode::Pong] {
        assert_eq!(
            violation(&whole(opcode, &[b'x'; 126])),
            Violation::ControlTooLong
        );
        assert_eq!(
            violation(&raw_frame(opcode as u8, b"")),
            Violation::FragmentedControl
        );
    }
    assert_eq!(
        read(&whole(OpCode::Ping, &[1; 125])),
        [Ok(Seen::Ping(vec![1; 125]))]
    );
}

#[test]
fn lengths_not_in_their_shortest_form_are_refused() {
    assert_eq!(violation(b"\x82\xfe\x00\x7d"), Violation::OverlongLength);
    assert_eq!(
        violation(b"\x82\xff\0\0\0\0\0\0\xff\xff"),
        Violation::OverlongLength
    );
    assert_eq!(
        violation(b"\x82\xff\x80\0\0\0\0\x01\0\0"),
        Violation::LengthHighBit
    );
}

#[test]
fn fragments_out_of_sequence_are_refused() {
    let lone = whole(OpCode::Continuation, b"a");
    assert_eq!(violation(&lone), Violation::UnexpectedContinuation);
    let after_whole = [whole(OpCode::Binary, b"a"), lone].concat();
    assert_eq!(violation(&after_whole), Violation::UnexpectedContinuation);
    let begun_twice = [part(OpCode::Text, b"a"), whole(OpCode::Text, b"b")].concat();
    assert_eq!(violation(&begun_twice), Violation::InterleavedMessage);
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let too_large = Violation::MessageTooLarge { max_bytes: 1000 };
    assert_eq!(
        read(&whole(OpCode::Binary, &[1; 1000])),
        [binary(&[1; 1000])]
    );
    assert_eq!(
        violation(&whole(OpCode::Binary, &[1; 1001])[..8]),
        too_large
    );

    let begun = part(OpCode::Binary, &[1; 600]);
    let full = [begun.clone(), whole(OpCode::Continuation, &[1; 400])].concat();
    assert_eq!(read(&full), [binary(&[1; 1000])]);
    let over = &whole(OpCode::Continuation, &[1; 401])[..8];
    assert_eq!(violation(&[&begun, over].concat()), too_large);
    assert_eq!(
        violation(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"),
        too_large
    );
}

#[test]
fn fragments_are_counted_even_if_empty() {
    let begun = [
        part(OpCode::Binary, b""),
        part(OpCode::Continuation, b"").repeat(2),
    ]
    .concat();
    let four = [begun.clone(), whole(OpCode::Continuation, b"end")].concat();
    assert_eq!(read(&four), [binary(b"end")]);
    let five = [begun, part(OpCode::Continuation, b"").repeat(2)].concat();
    assert_eq!(violation(&five), Violation::TooManyFragments { max: 4 });
}

#[test]
fn text_is_utf8_across_fragments_and_pieces() {
    let (first, second) = "\u{1f30a}".as_bytes().split_at(2);
    let wave = [
        part(OpCode::Text, first),
        whole(OpCode::Continuation, second),
    ]
    .concat();
    assert_eq!(read(&wave), [text("\u{1f30a}")]);
    let mut reader = Reader::default();
    let singly: Vec<_> = wave
        .iter()
        .flat_map(|&byte| feed(&mut reader, &[byte]))
        .collect();
    assert_eq!(singly, [text("\u{1f30a}")]);
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    for bytes in [
        &b"\xff"[..],
        b"ok\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ] {
        assert_eq!(
            violation(&whole(OpCode::Text, bytes)),
            Violation::InvalidUtf8
        );
    }
    let cut_short = [
        part(OpCode::Text, b"\xe2"),
        whole(OpCode::Continuation, b"\x82"),
    ]
    .concat();
    assert_eq!(violation(&cut_short), Violation::InvalidUtf8);
}

#[test]
fn bad_text_is_refused_before_its_frame_or_message_ends() {
    let frame = whole(OpCode::Text, b"fine\xf4\x90 and more that need not come");
    assert_eq!(violation(&frame[..6 + 6]), Violation::InvalidUtf8);
    assert_eq!(
        violation(&part(OpCode::Text, b"\xff")),
        Violation::InvalidUtf8
    );
}

#[test]
fn nothing_follows_a_close() {
    let mut reader = Reader::default();
    let bytes = [
        whole(OpCode::Close, b"\x03\xe8bye"),
        whole(OpCode::Ping, b""),
    ]
    .concat();
    let bye = Ok(Seen::Close(Some((1000, "bye".into()))));
    assert_eq!(feed(&mut reader, &bytes), [bye]);
    assert_eq!(feed(&mut reader, &whole(OpCode::Ping, b"")), []);
    assert!(!reader.has_buffered());
    assert_eq!(read(&whole(OpCode::Close, b"")), [Ok(Seen::Close(None))]);
}

#[test]
fn nothing_follows_a_violation() {
    let mut reader = Reader::default();
    let refused = [whole(OpCode::Close, b"\x03"), whole(OpCode::Ping, b"")].concat();
    assert_eq!(
        feed(&mut reader, &refused),
        [Err(Violation::TruncatedCloseCode)]
    );
    assert_eq!(feed(&mut reader, &whole(OpCode::Ping, b"")), []);
}
