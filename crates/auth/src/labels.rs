//! What a token calls the connections made with it, so that backends can mean
//! all connections with a label at once.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, Serializer};
use thiserror::Error;

/// Labels of a token: names and values, each name once; often none. Small and
/// cheap to clone: a gateway keeps them for each connection.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels(Option<Arc<[Label]>>);

/// Name and value.
type Label = (Box<str>, Box<str>);

/// Why these are no labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// More than [`Labels::MAX`].
    #[error("more than {} labels", Labels::MAX)]
    TooMany,
    /// The name is not one token of `[A-Za-z0-9_-]` of 1 to
    /// [`Labels::MAX_NAME_BYTES`] bytes.
    #[error(
        "a label's name must be 1 to {} of A-Z a-z 0-9 _ and -",
        Labels::MAX_NAME_BYTES
    )]
    Name,
    /// The value is not 1 to [`Labels::MAX_VALUE_BYTES`] bytes without control
    /// characters.
    #[error(
        "a label's value must be 1 to {} bytes without control characters",
        Labels::MAX_VALUE_BYTES
    )]
    Value,
}

// === impl Labels ===

impl Labels {
    /// Labels of one token at most.
    pub const MAX: usize = 8;
    /// Longest name, in bytes.
    pub const MAX_NAME_BYTES: usize = 32;
    /// Longest value, in bytes.
    pub const MAX_VALUE_BYTES: usize = 64;

    /// Checks names and values; of a name that comes twice the last value counts.
    ///
    /// # Errors
    /// Says which rule is broken.
    pub fn new<N, V>(labels: impl IntoIterator<Item = (N, V)>) -> Result<Self, LabelError>
    where
        N: Into<Box<str>>,
        V: Into<Box<str>>,
    {
        let mut checked = BTreeMap::new();
        for (name, value) in labels {
            let (name, value) = (name.into(), value.into());
            if !is_name(&name) {
                return Err(LabelError::Name);
            }
            if !is_value(&value) {
                return Err(LabelError::Value);
            }
            checked.insert(name, value);
            if checked.len() > Self::MAX {
                return Err(LabelError::TooMany);
            }
        }
        // A map takes as much memory for one as for eleven.
        Ok(Self(
            (!checked.is_empty()).then(|| checked.into_iter().collect()),
        ))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Names and values, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.0.iter().flat_map(|labels| labels.iter());
        labels.map(|(name, value)| (&**name, &**value))
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=Labels::MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

fn is_value(value: &str) -> bool {
    (1..=Labels::MAX_VALUE_BYTES).contains(&value.len()) && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> Result<Labels, LabelError> {
        Labels::new([(name, value)])
    }

    #[test]
    fn names_and_values_within_the_bounds_are_labels() {
        let (long_name, long_value) = ("n".repeat(32), "v".repeat(64));
        for (name, value) in [
            ("region", "eu-west"),
            ("A_b-9", "any text: é"),
            (&*long_name, &*long_value),
        ] {
            let labels = one(name, value).expect("valid");
            assert_eq!(labels.iter().collect::<Vec<_>>(), [(name, value)]);
        }
        assert!(Labels::new::<&str, &str>([]).expect("valid").is_empty());
    }

    #[test]
    fn what_breaks_a_bound_is_refused() {
        for name in ["", "a.b", "a b", "é", "*", &"n".repeat(33)] {
            assert_eq!(one(name, "v"), Err(LabelError::Name), "{name}");
        }
        for value in ["", "a\nb", "a\u{85}b", &"v".repeat(65)] {
            assert_eq!(one("n", value), Err(LabelError::Value), "{value}");
        }
        let numbered = |count: usize| Labels::new((0..count).map(|n| (n.to_string(), "v")));
        assert!(numbered(8).is_ok());
        assert_eq!(numbered(9), Err(LabelError::TooMany));
    }
}
