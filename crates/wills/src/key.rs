//! Keys of the table: `<user>.<session>`.

use bus::{Pattern, Subject};
use wire::{SessionId, UserId};

/// The session's will.
pub(crate) fn of_session(user: &UserId, session: SessionId) -> Subject {
    let user = registry::user_token(user);
    Subject::new(&format!("{user}.{session}")).expect("made of tokens")
}

/// The user's wills.
pub(crate) fn of_user(user: &UserId) -> Pattern {
    let user = registry::user_token(user);
    Pattern::new(&format!("{user}.*")).expect("made of tokens")
}

/// All wills.
pub(crate) fn all() -> Pattern {
    Pattern::new(">").expect("a constant")
}
