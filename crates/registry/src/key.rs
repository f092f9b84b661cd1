//! Keys of the tables: dotted tokens that nobody can break out of.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bus::{Pattern, Subject};
use wire::{ConnectionId, GatewayId, SessionId, UserId};

/// `<user>.<session>.<gateway>.<connection>` in `tg_registry`.
pub(crate) fn of_connection(user: &UserId, session: SessionId, id: &ConnectionId) -> Subject {
    let user = token(user.as_str());
    let gateway = &id.gateway;
    let (shard, slot, generation) = (id.shard, id.slot, id.generation);
    subject(&format!(
        "{user}.{session}.{gateway}.{shard:x}-{slot:x}-{generation:x}"
    ))
}

/// The user's connections.
pub(crate) fn of_user(user: &UserId) -> Pattern {
    pattern(&format!("{}.*.*.*", token(user.as_str())))
}

/// The session's connections.
pub(crate) fn of_session(session: SessionId) -> Pattern {
    pattern(&format!("*.{session}.*.*"))
}

/// The session's connections, where its user is known: found without a look at
/// other users' keys.
pub(crate) fn of_user_session(user: &UserId, session: SessionId) -> Pattern {
    pattern(&format!("{}.{session}.*.*", token(user.as_str())))
}

/// The gateway's connections.
pub(crate) fn at_gateway(gateway: &GatewayId) -> Pattern {
    pattern(&format!("*.*.{gateway}.*"))
}

/// `<gateway>` in `tg_gateways`.
pub(crate) fn of_gateway(gateway: &GatewayId) -> Subject {
    subject(gateway.as_str())
}

/// `<name>.<value>.<gateway>` in `tg_labels`.
pub(crate) fn of_label(name: &str, value: &str, gateway: &GatewayId) -> Subject {
    subject(&format!("{}.{}.{gateway}", token(name), token(value)))
}

/// Gateways with the label.
pub(crate) fn with_label(name: &str, value: &str) -> Pattern {
    pattern(&format!("{}.{}.*", token(name), token(value)))
}

/// Labels at the gateway.
pub(crate) fn labels_at(gateway: &GatewayId) -> Pattern {
    pattern(&format!("*.*.{gateway}"))
}

/// The key's last token, where it names a gateway.
pub(crate) fn gateway_of(key: &Subject) -> Option<GatewayId> {
    GatewayId::new(key.as_str().rsplit('.').next()?)
}

/// The gateway that a connection's key names.
pub(crate) fn holder_of(key: &Subject) -> Option<GatewayId> {
    GatewayId::new(key.as_str().split('.').nth(2)?)
}

/// The user's name as one token of a key or subject, as the registry writes it.
pub fn user_token(user: &UserId) -> String {
    token(user.as_str())
}

/// Any text as one token of a key: itself if it is one already, else `=` and its
/// base64url. No text that stands for itself begins with `=`, so no two texts
/// share a token.
pub fn token(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("={}", URL_SAFE_NO_PAD.encode(text))
    }
}

fn subject(text: &str) -> Subject {
    Subject::new(text).expect("made of tokens")
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("made of tokens")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_one_token_of_its_own(first in ".{1,64}", second in ".{1,64}") {
            for text in [&first, &second] {
                let token = token(text);
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=".contains(&byte);
                prop_assert!(!token.is_empty() && token.bytes().all(allowed), "{token}");
            }
            prop_assert_eq!(first == second, token(&first) == token(&second));
        }
    }

    #[test]
    fn a_user_can_not_name_others() {
        for name in ["*", ">", "a.b", "=YQ", "a b", ""] {
            assert!(token(name).starts_with('='), "{name}");
        }
        assert_eq!(token("alice-1_B"), "alice-1_B");
    }
}
