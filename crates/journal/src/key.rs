//! Keys and fingerprints. The same in all versions: gateways of two versions
//! share the table during a rolling restart.

use aws_lc_rs::digest::{Context, SHA256};
use bus::Subject;
use bytes::Bytes;
use wire::UserId;

/// Bytes of a digest that are kept: nobody finds two texts that share them.
const KEPT: usize = 16;

/// The entry of one user's idempotency key. A digest, as keys may hold any
/// text; the user is a part of it, so keys of two users never meet.
pub(crate) fn of(user: &UserId, idempotency_key: &str) -> Subject {
    let digest = digest([user.as_str().as_bytes(), idempotency_key.as_bytes()]);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Subject::new(&hex).expect("hexadecimal digits")
}

/// What tells one request from another under the same key.
pub(crate) fn fingerprint(route: &str, payload: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&digest([route.as_bytes(), payload]))
}

/// Of two texts, the length of the first one included: no other two make the
/// same bytes.
fn digest([first, second]: [&[u8]; 2]) -> [u8; KEPT] {
    let mut context = Context::new(&SHA256);
    context.update(&(first.len() as u64).to_le_bytes());
    context.update(first);
    context.update(second);
    let mut kept = [0; KEPT];
    kept.copy_from_slice(&context.finish().as_ref()[..KEPT]);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(user: &str, text: &str) -> Subject {
        of(&UserId::new(user).expect("valid"), text)
    }

    #[test]
    fn keys_of_two_users_never_meet() {
        assert_ne!(key("alice", "1"), key("bob", "1"));
        assert_ne!(key("al", "ice1"), key("alice", "1"));
        assert_eq!(
            key("alice", "any text: * > ."),
            key("alice", "any text: * > .")
        );
    }

    #[test]
    fn a_request_is_its_route_and_its_payload() {
        let request = fingerprint("shop.buy", b"one");
        assert_eq!(request, fingerprint("shop.buy", b"one"));
        assert_ne!(request, fingerprint("shop.buy", b"two"));
        assert_ne!(request, fingerprint("shop.bu", b"yone"));
    }

    #[test]
    fn another_version_finds_the_same_entry() {
        assert_eq!(
            key("alice", "1").as_str(),
            "093f428dcb5ee9bf0359e5473b00e904"
        );
    }
}
