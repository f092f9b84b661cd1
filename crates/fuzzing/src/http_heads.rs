//! The end of an HTTP head: found at the same place whatever pieces the input comes in.
//! The first byte is the size of the pieces.

use wire::{HeadProgress, HeadScan, MAX_HEAD_BYTES};

pub(crate) fn check(data: &[u8]) {
    let [piece, input @ ..] = data else { return };
    let at_once = HeadScan::default().look(input);
    let mut scan = HeadScan::default();
    let mut in_pieces = HeadProgress::Unfinished;
    let mut end = 0;
    while in_pieces == HeadProgress::Unfinished && end < input.len() {
        end = input.len().min(end + usize::from(*piece).max(1));
        in_pieces = scan.look(&input[..end]);
    }
    assert_eq!(at_once, in_pieces, "in pieces of {piece}");
    match at_once {
        HeadProgress::Whole(length) => {
            assert!(length <= MAX_HEAD_BYTES && input[..length].ends_with(b"\r\n\r\n"));
            let first = input.windows(4).position(|it| it == b"\r\n\r\n");
            assert_eq!(first, Some(length - 4));
        }
        HeadProgress::Unfinished => assert!(input.len() < MAX_HEAD_BYTES),
        HeadProgress::Not => {}
    }
}
