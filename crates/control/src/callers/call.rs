//! One call, as services see it: who makes it, and what it is about.

use std::{
    fmt::Display,
    sync::{Arc, OnceLock},
};

use tonic::Request;
use wire::client::ErrorCode;

use super::{CallScopes, credentials::Known};
use crate::status::Refusal;

/// Longest text of what a call is about, in bytes: names come from callers.
const MAX_SUBJECT_BYTES: usize = 300;

/// Who makes a call. The guard puts one into the extensions of every request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    known: Arc<Known>,
    subject: Arc<OnceLock<Box<str>>>,
}

// === impl Caller ===

impl Caller {
    pub(super) fn new(known: Arc<Known>) -> Self {
        Self {
            known,
            subject: Arc::default(),
        }
    }

    /// Who makes this call; somebody without any scope if no guard was asked.
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        let caller = request.extensions().get().cloned();
        caller.unwrap_or_else(Self::nobody)
    }

    pub(super) fn nobody() -> Self {
        Self::new(Arc::new(Known {
            name: "nobody".into(),
            scopes: CallScopes::default(),
        }))
    }

    /// Says for the audit log what the call is about: a name, never a payload or a
    /// token. The first word holds.
    pub(crate) fn acts_on(&self, kind: &str, name: impl Display) {
        let mut subject = format!("{kind} {name}").trim_end().to_owned();
        subject = subject.replace(char::is_control, "\u{fffd}");
        let cut = subject.floor_char_boundary(MAX_SUBJECT_BYTES);
        subject.truncate(cut);
        let _ = self.subject.set(subject.into());
    }

    /// Refuses publications to channels that the scopes do not have.
    pub(crate) fn check_publishing(&self, channel: &str) -> Result<(), Refusal> {
        if self.known.scopes.allow_publishing(channel) {
            Ok(())
        } else {
            let detail = format_args!("the caller's scopes have no publish for {channel}");
            Err(Refusal::new(ErrorCode::PermissionDenied, detail))
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.known.name
    }

    pub(super) fn scopes(&self) -> &CallScopes {
        &self.known.scopes
    }

    pub(super) fn subject(&self) -> &str {
        self.subject.get().map_or("", |subject| subject)
    }
}
