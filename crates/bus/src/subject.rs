//! The subject grammar: dotted tokens, with wildcards only in patterns.

use std::{borrow::Borrow, fmt, sync::Arc};

use thiserror::Error;
use wire::{Channel, GatewayId};

/// The prefix of every subject of ours.
const PREFIX: &str = "tg";

/// A NATS subject without wildcards. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

/// A NATS subject that may hold `*` (one token) and, at its end, `>` (one or
/// more tokens).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<str>);

/// The text is no subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a NATS subject: empty token, white space, or a wildcard out of place")]
pub struct SubjectError;

// === impl Subject ===

impl Subject {
    /// Takes `text` if it is a subject without wildcards. For configured
    /// subjects; what comes from clients enters by [`Subject::of_channel`].
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        let valid =
            tokens_are_valid(text) && !text.split('.').any(|token| matches!(token, "*" | ">"));
        if valid {
            Ok(Self(text.into()))
        } else {
            Err(SubjectError)
        }
    }

    /// `tg.ch.<channel>`: where a channel's publications are published.
    pub fn of_channel(channel: &Channel) -> Self {
        Self(format!("{PREFIX}.ch.{channel}").into())
    }

    /// The name of the channel whose publications are published here, if it is
    /// one: the reverse of [`Subject::of_channel`].
    pub fn channel_name(&self) -> Option<&str> {
        let rest = self.0.strip_prefix(PREFIX)?;
        rest.strip_prefix(".ch.")
    }

    /// `tg.rq.<route>`: where requests to a route are served. `route` is
    /// configured, one or more tokens.
    pub fn of_route(route: &str) -> Result<Self, SubjectError> {
        Self::new(&format!("{PREFIX}.rq.{route}"))
    }

    /// `tg.gw.<gateway>`: where a gateway takes commands.
    pub fn of_gateway(gateway: &GatewayId) -> Self {
        Self(format!("{PREFIX}.gw.{gateway}").into())
    }

    /// The subject's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

// === impl Pattern ===

impl Pattern {
    /// Takes `text` if it is a subject, wildcards allowed.
    pub fn new(text: &str) -> Result<Self, SubjectError> {
        let last = text.split('.').count() - 1;
        let in_place = text
            .split('.')
            .enumerate()
            .all(|(index, token)| token != ">" || index == last);
        if tokens_are_valid(text) && in_place {
            Ok(Self(text.into()))
        } else {
            Err(SubjectError)
        }
    }

    /// `tg.ch.<namespace>.>` and `tg.ch.<namespace>`: see [`Pattern::matches`]
    /// for why the bare namespace needs a pattern of its own.
    pub fn of_namespace(namespace: &str) -> Result<[Self; 2], SubjectError> {
        Ok([
            Self::new(&format!("{PREFIX}.ch.{namespace}"))?,
            Self::new(&format!("{PREFIX}.ch.{namespace}.>"))?,
        ])
    }

    /// Whether `subject` matches; `>` stands for at least one token.
    pub fn matches(&self, subject: &Subject) -> bool {
        let mut tokens = subject.0.split('.');
        for wanted in self.0.split('.') {
            match (wanted, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(token)) if wanted == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// Whether every subject that `other` matches matches this one too.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let mut theirs = other.0.split('.');
        for own in self.0.split('.') {
            match (own, theirs.next()) {
                (">", Some(_)) => return true,
                ("*", Some(their)) if their != ">" => {}
                (own, Some(their)) if own == their => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Whether some subject matches both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let (mut ours, mut theirs) = (self.0.split('.'), other.0.split('.'));
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some(">"), Some(_)) | (Some(_), Some(">")) => return true,
                (Some(own), Some(their)) if own == "*" || their == "*" || own == their => {}
                _ => return false,
            }
        }
    }

    /// The subject, if there is no wildcard in it.
    pub fn as_subject(&self) -> Option<Subject> {
        Subject::new(&self.0).ok()
    }

    /// What every subject that matches begins with.
    pub(crate) fn literal_prefix(&self) -> &str {
        let wildcard = self.0.find(['*', '>']);
        &self.0[..wildcard.unwrap_or(self.0.len())]
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Subject> for Pattern {
    fn from(subject: Subject) -> Self {
        Self(subject.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

fn tokens_are_valid(text: &str) -> bool {
    !text.is_empty()
        && text
            .split('.')
            .all(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_nats_matches() {
        let cases = [
            ("a.b", "a.b", true),
            ("a.b", "a.c", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("*.b.>", "a.b.c", true),
        ];
        for (pattern, subject, expected) in cases {
            let subject = Subject::new(subject).expect("valid subject");
            let matched = Pattern::new(pattern)
                .expect("valid pattern")
                .matches(&subject);
            assert_eq!(matched, expected, "{pattern} {subject}");
        }
    }

    #[test]
    fn patterns_compare_by_the_subjects_they_match() {
        // One, other, whether one includes the other, whether they overlap.
        let cases = [
            ("a.b", "a.b", true, true),
            ("a.*", "a.b", true, true),
            ("a.b", "a.*", false, true),
            ("a.>", "a.*.c", true, true),
            ("a.*", "a.>", false, true),
            ("a.*", "*.b", false, true),
            ("a.*", "b.*", false, false),
            ("a.>", "a", false, false),
            ("a.b", "a.b.c", false, false),
            (">", "*.b", true, true),
            ("*", ">", false, true),
        ];
        for (one, other, includes, overlaps) in cases {
            let [left, right] = [one, other].map(|text| Pattern::new(text).expect("valid"));
            assert_eq!(left.includes(&right), includes, "{one} {other}");
            assert_eq!(left.overlaps(&right), overlaps, "{one} {other}");
            assert_eq!(right.overlaps(&left), overlaps, "{other} {one}");
        }
    }

    #[test]
    fn malformed_subjects_are_refused() {
        for text in ["", ".", "a.", "a..b", "a b", "a.*", "a.>", "ä"] {
            assert_eq!(Subject::new(text), Err(SubjectError), "{text}");
        }
        for text in ["", "a.>.b", "a..>"] {
            assert_eq!(Pattern::new(text), Err(SubjectError), "{text}");
        }
    }
}
