//! Where the head of an HTTP request ends (RFC 9112 section 2.1), found as it drips
//! in. What it says is read by a library once it is whole.

/// Longest head, in bytes, its empty line included: a request with a token fits well.
pub const MAX_HEAD_BYTES: usize = 16 << 10;

/// How far a head has been looked through; it holds no bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    seen: usize,
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadProgress {
    /// More has to come.
    Unfinished,
    /// A head, so many bytes long; more may be behind it.
    Whole(usize),
    /// No head of ours: it does not begin like a method, or is too long.
    Not,
}

// === impl HeadScan ===

impl HeadScan {
    /// Looks at all bytes that came so far, at each of them once.
    pub fn look(&mut self, input: &[u8]) -> HeadProgress {
        const END: &[u8] = b"\r\n\r\n";
        // Other protocols are not waited for: TLS, and whatever scanners send.
        if input
            .first()
            .is_some_and(|first| !first.is_ascii_uppercase())
        {
            return HeadProgress::Not;
        }
        let head = &input[..input.len().min(MAX_HEAD_BYTES)];
        // The end may have begun in what was seen.
        let from = self.seen.saturating_sub(END.len() - 1).min(head.len());
        let end = head[from..].windows(END.len()).position(|it| it == END);
        self.seen = head.len();
        match end {
            Some(at) => HeadProgress::Whole(from + at + END.len()),
            None if head.len() < MAX_HEAD_BYTES => HeadProgress::Unfinished,
            None => HeadProgress::Not,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_it_comes() {
        let input = b"GET / HTTP/1.1\r\nA: \r\n\r\nbehind";
        assert_eq!(HeadScan::default().look(input), HeadProgress::Whole(23));
        let mut scan = HeadScan::default();
        for length in 0..23 {
            assert_eq!(scan.look(&input[..length]), HeadProgress::Unfinished);
        }
        assert_eq!(scan.look(&input[..23]), HeadProgress::Whole(23));
    }

    #[test]
    fn what_is_none_is_not_waited_for() {
        for other in [&b"\x16\x03\x01"[..], b"get", b"\r\n\r\n"] {
            assert_eq!(HeadScan::default().look(other), HeadProgress::Not);
        }
        let mut long = vec![b'A'; MAX_HEAD_BYTES - 4];
        let mut scan = HeadScan::default();
        assert_eq!(scan.look(&long), HeadProgress::Unfinished);
        long.extend_from_slice(b"\r\n\r\n");
        assert_eq!(scan.look(&long), HeadProgress::Whole(MAX_HEAD_BYTES));
        long.insert(0, b'A');
        assert_eq!(HeadScan::default().look(&long), HeadProgress::Not);
    }
}
