//! Whose connections a call is about, checked.

use tonic::Status;
use wire::{
    ConnectionId, SessionId, UserId,
    control::Label,
    gateway::{self, Target, target},
};

use crate::{callers::Caller, status::invalid};

/// Longest name of a label, in bytes; tokens hold no longer one.
const MAX_LABEL_NAME_BYTES: usize = 32;

/// Longest value of a label, in bytes.
const MAX_LABEL_VALUE_BYTES: usize = 64;

/// Whose connections are meant.
#[derive(Clone, Debug)]
pub(crate) enum Meant {
    Everybody,
    User(UserId),
    Connection(ConnectionId),
    Session(SessionId),
    Label { name: String, value: String },
}

// === impl Meant ===

impl Meant {
    /// # Errors
    /// INVALID_ARGUMENT if it can't be a user.
    pub(crate) fn user(user: &str) -> Result<Self, Status> {
        UserId::new(user)
            .map(Self::User)
            .ok_or_else(|| invalid("user", "must be 1 to 255 bytes without control characters"))
    }

    /// # Errors
    /// INVALID_ARGUMENT if it is no connection id.
    pub(crate) fn connection(id: &str) -> Result<Self, Status> {
        id.parse()
            .map(Self::Connection)
            .map_err(|error| invalid("connection_id", error))
    }

    /// # Errors
    /// INVALID_ARGUMENT if it is no session id.
    pub(crate) fn session(id: &str) -> Result<Self, Status> {
        let hexadecimal = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let parsed = hexadecimal.then(|| u128::from_str_radix(id, 16).ok());
        parsed
            .flatten()
            .map(|id| Self::Session(SessionId(id)))
            .ok_or_else(|| invalid("session_id", "must be 32 hexadecimal digits"))
    }

    /// # Errors
    /// INVALID_ARGUMENT if no token can give it.
    pub(crate) fn label(label: Label) -> Result<Self, Status> {
        let Label { name, value } = label;
        let in_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !(1..=MAX_LABEL_NAME_BYTES).contains(&name.len()) || !name.bytes().all(in_token) {
            let grammar = "must be 1 to 32 letters, digits, \"_\" and \"-\"";
            return Err(invalid("label.name", grammar));
        }
        if !(1..=MAX_LABEL_VALUE_BYTES).contains(&value.len())
            || value.chars().any(char::is_control)
        {
            let grammar = "must be 1 to 64 bytes without control characters";
            return Err(invalid("label.value", grammar));
        }
        Ok(Self::Label { name, value })
    }

    /// The user, or else those with the label, or else everybody.
    ///
    /// # Errors
    /// INVALID_ARGUMENT if one of them can't be.
    pub(crate) fn user_or_label(user: &str, label: Option<Label>) -> Result<Self, Status> {
        let label = label.map(Self::label).transpose()?;
        if user.is_empty() {
            Ok(label.unwrap_or(Self::Everybody))
        } else {
            Self::user(user)
        }
    }

    /// Tells the audit log whom a call is about.
    pub(crate) fn note(&self, caller: &Caller) {
        match self {
            Self::Everybody => caller.acts_on("everybody", ""),
            Self::User(user) => caller.acts_on("user", user),
            Self::Connection(id) => caller.acts_on("connection", id),
            Self::Session(id) => caller.acts_on("session", id),
            Self::Label { name, value } => {
                caller.acts_on("label", format_args!("{name}={value}"));
            }
        }
    }

    /// The same for gateways.
    pub(crate) fn target(&self) -> Target {
        let target = match self {
            Self::Everybody => target::Target::Everybody(true),
            Self::User(user) => target::Target::User(user.to_string()),
            Self::Connection(id) => target::Target::ConnectionId(id.to_string()),
            Self::Session(id) => target::Target::SessionId(id.to_string()),
            Self::Label { name, value } => target::Target::Label(gateway::Label {
                name: name.clone(),
                value: value.clone(),
            }),
        };
        Target {
            target: Some(target),
        }
    }
}

/// The absence of a target, which every request must have.
pub(crate) fn no_target() -> Status {
    invalid("target", "is missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, value: &str) -> Label {
        Label {
            name: name.into(),
            value: value.into(),
        }
    }

    #[test]
    fn session_ids_are_32_digits() {
        let id = "0123456789abcdef0123456789ABCDEF";
        let session = Meant::session(id).expect("a session");
        let expected = target::Target::SessionId(id.to_lowercase());
        assert_eq!(session.target().target, Some(expected));
        for text in ["", "1", "+123456789abcdef0123456789abcdef", &"g".repeat(32)] {
            assert!(Meant::session(text).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_are_what_tokens_can_give() {
        for (name, value) in [("tier", "gold"), ("a-b_1", "any text, ä")] {
            assert!(Meant::label(label(name, value)).is_ok(), "{name}={value}");
        }
        let long = "x".repeat(65);
        for (name, value) in [
            ("", "gold"),
            ("ti.er", "gold"),
            ("*", "gold"),
            (&long, "gold"),
            ("tier", ""),
            ("tier", "a\nb"),
            ("tier", &long),
        ] {
            assert!(Meant::label(label(name, value)).is_err(), "{name}={value}");
        }
    }
}
