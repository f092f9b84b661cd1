//! Masking (RFC 6455 section 5.3).

/// Bytes XORed at a time; a multiple of four, and wide enough for the compiler
/// to use vector registers.
const LANE: usize = 32;

/// Masks or unmasks `bytes` in place; the first byte meets `mask[0]`.
#[inline]
pub(super) fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(mask));
    let word = word << 32 | word;
    let (lanes, rest) = bytes.as_chunks_mut::<LANE>();
    for lane in lanes {
        for chunk in lane.as_chunks_mut::<8>().0 {
            *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
        }
    }
    let (words, rest) = rest.as_chunks_mut::<8>();
    for chunk in words {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// The mask for what follows the first `consumed` bytes of a payload.
#[inline]
pub(super) fn advance_mask(mut mask: [u8; 4], consumed: usize) -> [u8; 4] {
    mask.rotate_left(consumed % 4);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x11, 0x82, 0x43, 0xf4];

    fn byte_by_byte(bytes: &[u8]) -> Vec<u8> {
        bytes
            .iter()
            .enumerate()
            .map(|(index, byte)| byte ^ MASK[index % 4])
            .collect()
    }

    #[test]
    fn every_length_is_masked_like_byte_by_byte() {
        let plain: Vec<u8> = (0..=255).collect();
        for length in 0..plain.len() {
            let mut masked = plain[..length].to_vec();
            apply_mask(&mut masked, MASK);
            assert_eq!(masked, byte_by_byte(&plain[..length]), "{length} bytes");
        }
    }

    #[test]
    fn a_payload_may_be_masked_in_pieces() {
        let plain: Vec<u8> = (0..100).collect();
        for split in 0..plain.len() {
            let mut masked = plain.clone();
            let (head, tail) = masked.split_at_mut(split);
            apply_mask(head, MASK);
            apply_mask(tail, advance_mask(MASK, split));
            assert_eq!(masked, byte_by_byte(&plain), "split at {split}");
        }
    }
}
