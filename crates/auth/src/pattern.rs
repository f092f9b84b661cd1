//! Patterns over dotted names: which channels and routes a token speaks of.

use std::fmt;

use serde::{Serialize, Serializer};
use thiserror::Error;
use wire::{MAX_CHANNEL_BYTES, UserId};

/// Stands for the user whose token it is, as a whole token of a pattern.
const VARIABLE: &str = "$user";

/// One pattern, as NATS writes them: `*` stands for one token, a `>` at the end
/// for one token or more, `$user` for the id of the user whose token it is,
/// everything else for itself. At most [`MAX_CHANNEL_BYTES`] long.
///
/// `$user` matches nothing before [`Patterns::of_user`], and afterwards neither if
/// the id is no token of a name, so that no id can become a wildcard.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(Box<str>);

/// Some patterns, of which one must match; none matches nothing. At most
/// [`Self::MAX`], so that a look-up costs little.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Patterns(Box<[Pattern]>);

/// Why a text is not a pattern, or a list not one of patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// More than [`Patterns::MAX`].
    #[error("more than {} patterns", Patterns::MAX)]
    TooMany,
    /// Longer than [`MAX_CHANNEL_BYTES`].
    #[error("pattern is longer than {MAX_CHANNEL_BYTES} bytes")]
    TooLong,
    /// Nothing there, a dot at an end, or two in a row.
    #[error("pattern has an empty token")]
    EmptyToken,
    /// Neither a wildcard nor `[A-Za-z0-9_-]`.
    #[error("pattern has a token that is neither a wildcard nor of A-Z a-z 0-9 _ and -")]
    Character,
    /// `>` before the end.
    #[error("pattern has a > before its end")]
    RestNotLast,
}

// === impl Pattern ===

impl Pattern {
    /// Checks `text` against the grammar.
    ///
    /// # Errors
    /// Says which rule is broken.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_CHANNEL_BYTES {
            return Err(PatternError::TooLong);
        }
        let mut tokens = text.split('.').peekable();
        while let Some(token) = tokens.next() {
            match token {
                "" => return Err(PatternError::EmptyToken),
                ">" if tokens.peek().is_some() => return Err(PatternError::RestNotLast),
                ">" | "*" | VARIABLE => {}
                _ if token.bytes().all(is_literal) => {}
                _ => return Err(PatternError::Character),
            }
        }
        Ok(Self(text.into()))
    }

    /// Whether `name`, the name of a channel or route, fits.
    pub fn matches(&self, name: &str) -> bool {
        let (mut pattern, mut name) = (self.0.split('.'), name.split('.'));
        loop {
            match (pattern.next(), name.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some(VARIABLE), _) => return false,
                (Some("*"), Some(_)) => {}
                (Some(expected), Some(token)) if expected == token => {}
                _ => return false,
            }
        }
    }
}

impl Pattern {
    fn has_variable(&self) -> bool {
        self.0.split('.').any(|token| token == VARIABLE)
    }

    fn of_user(&self, user: &str) -> Self {
        let own = |token| if token == VARIABLE { user } else { token };
        let tokens: Vec<_> = self.0.split('.').map(own).collect();
        Self(tokens.join(".").into())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

// === impl Patterns ===

impl Patterns {
    /// Most patterns in a list.
    pub const MAX: usize = 64;

    /// Checks each of `texts` against the grammar.
    ///
    /// # Errors
    /// If there are too many, or one is no pattern.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, PatternError> {
        if texts.len() > Self::MAX {
            return Err(PatternError::TooMany);
        }
        texts
            .iter()
            .map(|text| Pattern::parse(text.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// With the id of this user in place of `$user`; patterns that would not be
    /// patterns then are left out, and match nothing.
    pub fn of_user(self, user: &UserId) -> Self {
        if !self.has_variable() {
            return self;
        }
        let user = user.as_str();
        let is_token = user.bytes().all(is_literal);
        let fits = |pattern: &&Pattern| is_token || !pattern.has_variable();
        Self(
            self.0
                .iter()
                .filter(fits)
                .map(|pattern| pattern.of_user(user))
                .collect(),
        )
    }

    /// Whether one of them has `$user` in it.
    pub(crate) fn has_variable(&self) -> bool {
        self.0.iter().any(Pattern::has_variable)
    }

    /// Whether `name` fits one of them.
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).expect("valid").matches(name)
    }

    #[test]
    fn a_star_is_one_token_and_an_arrow_one_or_more() {
        for (pattern, name) in [
            ("a.b", "a.b"),
            ("a.*", "a.b"),
            ("*.b", "a.b"),
            ("a.>", "a.b.c"),
            (">", "a"),
            ("*.*.>", "a.b.c"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("a.b", "a"),
            ("a", "a.b"),
            ("a.*", "a"),
            ("a.*", "a.b.c"),
            ("a.>", "a"),
            ("a.b", "a.bb"),
            ("*", "a.b"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, error) in [
            ("", PatternError::EmptyToken),
            ("a..b", PatternError::EmptyToken),
            ("a.", PatternError::EmptyToken),
            ("a.>.b", PatternError::RestNotLast),
            ("a*", PatternError::Character),
            (">>", PatternError::Character),
            ("a b", PatternError::Character),
            ("ä", PatternError::Character),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(
            Pattern::parse(&"a".repeat(MAX_CHANNEL_BYTES + 1)),
            Err(PatternError::TooLong)
        );
        assert_eq!(
            Patterns::parse(&["a"; Patterns::MAX + 1]),
            Err(PatternError::TooMany)
        );
        assert!(Patterns::parse(&["a"; Patterns::MAX]).is_ok());
    }

    #[test]
    fn no_patterns_match_nothing() {
        assert!(!Patterns::default().matches("a"));
    }

    /// The plainest statement of the rule, to compare with.
    fn naive(pattern: &[&str], name: &[&str]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([">"], [_, ..]) => true,
            ([first, pattern @ ..], [token, name @ ..]) => {
                (*first == "*" || first == token) && naive(pattern, name)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_rule(
            pattern in "([ab*]\\.){0,3}[ab*>]",
            name in "([ab]\\.){0,4}[ab]",
        ) {
            let expected = naive(&pattern.split('.').collect::<Vec<_>>(), &name.split('.').collect::<Vec<_>>());
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }
}
