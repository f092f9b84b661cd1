//! The marker inside every payload: eight bytes of magic, a sequence number and
//! the moment of sending. Receivers search for the magic instead of decoding
//! messages, which costs a fraction and works however a server batches.

use memchr::memmem::Finder;

/// Bytes of a marker, the least size of a payload.
pub(crate) const MARKER_BYTES: usize = 20;

/// Not UTF-8, and longer than any varint, so that no protobuf field before it
/// can look like it.
pub(crate) const MAGIC: [u8; 8] = *b"\xf7Tide\xf8gL";

const FILLER: u8 = 0xc1;

/// What a marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) sequence: u32,
    /// When it was (or should have been) sent, on [`crate::clock`].
    pub(crate) sent_at: u64,
}

/// Finds markers.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    finder: Finder<'static>,
    /// Payload size: how far it is at least to the next marker.
    size: usize,
}

// === impl Marker ===

impl Marker {
    pub(crate) fn to_bytes(self) -> [u8; MARKER_BYTES] {
        let mut bytes = [0; MARKER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[12..].copy_from_slice(&self.sent_at.to_le_bytes());
        bytes
    }

    /// A whole payload of `size` bytes (at least [`MARKER_BYTES`]).
    pub(crate) fn payload(self, size: usize) -> Vec<u8> {
        let mut bytes = self.to_bytes().to_vec();
        bytes.resize(size.max(MARKER_BYTES), FILLER);
        bytes
    }
}

// === impl Scanner ===

impl Scanner {
    /// For payloads of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            finder: Finder::new(&MAGIC).into_owned(),
            size: size.max(MARKER_BYTES),
        }
    }

    /// Hands every marker in `bytes` to `found`; returns how many there were.
    pub(crate) fn scan(&self, bytes: &[u8], mut found: impl FnMut(Marker)) -> usize {
        let (mut at, mut count) = (0, 0);
        while let Some(start) = bytes.get(at..).and_then(|rest| self.finder.find(rest)) {
            at += start;
            let Some((sequence, sent_at)) = read(&bytes[at + MAGIC.len()..]) else {
                break;
            };
            found(Marker { sequence, sent_at });
            count += 1;
            at += self.size;
        }
        count
    }
}

fn read(bytes: &[u8]) -> Option<(u32, u64)> {
    let (sequence, rest) = bytes.split_first_chunk()?;
    Some((
        u32::from_le_bytes(*sequence),
        u64::from_le_bytes(*rest.first_chunk()?),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn markers(size: usize, bytes: &[u8]) -> Vec<Marker> {
        let mut found = Vec::new();
        assert_eq!(
            Scanner::new(size).scan(bytes, |marker| found.push(marker)),
            found.len()
        );
        found
    }

    #[test]
    fn markers_are_found_between_other_bytes() {
        let (first, second) = (
            Marker {
                sequence: 7,
                sent_at: 99,
            },
            Marker {
                sequence: 8,
                sent_at: u64::MAX,
            },
        );
        let bytes = [
            b"head".as_slice(),
            &first.payload(64),
            b"more",
            &second.payload(64),
            b"end",
        ]
        .concat();
        assert_eq!(markers(64, &bytes), [first, second]);
    }

    #[test]
    fn smallest_payloads_may_touch() {
        let all = [0, 1, 2].map(|sequence| Marker {
            sequence,
            sent_at: 5,
        });
        let bytes: Vec<u8> = all.iter().flat_map(|marker| marker.payload(0)).collect();
        assert_eq!(markers(0, &bytes), all);
    }

    #[test]
    fn cut_marker_is_not_read() {
        let bytes = Marker {
            sequence: 1,
            sent_at: 2,
        }
        .to_bytes();
        assert_eq!(markers(20, &bytes[..MARKER_BYTES - 1]), []);
        assert_eq!(markers(20, b""), []);
    }
}
