//! Channel names: whatever parses keeps the grammar, so that it can't be more
//! than one NATS subject, and parses again to itself. The first byte of the
//! input is the limit on its length.

use wire::{Channel, MAX_CHANNEL_BYTES};

pub(crate) fn check(data: &[u8]) {
    let [max_bytes, name @ ..] = data else { return };
    let Ok(name) = str::from_utf8(name) else {
        return;
    };
    let max_bytes = usize::from(*max_bytes);
    let Ok(channel) = Channel::parse(name, max_bytes) else {
        assert!(
            !keeps_the_grammar(name) || name.len() > max_bytes,
            "{name:?} was refused"
        );
        return;
    };
    assert_eq!(channel.as_str(), name);
    assert!(keeps_the_grammar(name), "{name:?} was accepted");
    assert!(name.len() <= max_bytes.min(MAX_CHANNEL_BYTES));
    assert!(!name.contains(['*', '>', ' ', '$', '\r', '\n', '\0']));
    assert_eq!(Some(channel.namespace()), name.split('.').next());
    assert_eq!(
        Channel::parse(channel.as_str(), MAX_CHANNEL_BYTES),
        Ok(channel)
    );
}

/// The grammar once more, written another way than in `wire`.
fn keeps_the_grammar(name: &str) -> bool {
    let of_tokens = |c: char| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' | '.');
    let dots_join = !name.starts_with('.') && !name.ends_with('.') && !name.contains("..");
    !name.is_empty() && name.chars().all(of_tokens) && dots_join
}
