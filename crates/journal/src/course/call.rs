//! What is handed in, and what its caller is told.

use std::{fmt, sync::Arc, time::Duration};

use bus::{BusError, Reply, RequestContext, Subject, WorkerFailure};
use bytes::Bytes;
use thiserror::Error;
use wire::{UserId, client::Failure};

use crate::metrics::Metrics;

/// A request with an idempotency key.
pub struct Call {
    /// Whose key it is.
    pub user: UserId,
    /// The client's key, any text.
    pub idempotency_key: Box<str>,
    /// What the client called; with the payload it is what must be the same
    /// whenever the key is.
    pub route: Box<str>,
    /// Where the route's workers listen.
    pub subject: Subject,
    /// The payload, opaque.
    pub payload: Bytes,
    /// How long the client waits.
    pub deadline: Duration,
    /// On whose behalf. Key and attempt are put in by the journal.
    pub context: RequestContext,
    /// What to do where nobody knows whether a worker has executed it.
    pub redelivery: Redelivery,
    /// Asked each time before a worker is.
    pub admit: Admit,
    /// Called once. `None`: nobody is to be told.
    pub tell: Option<Tell>,
}

/// Leave to ask a worker once; what it asked came to is reported, at the
/// caller's deadline at the latest. A failure is told to the client, and says
/// that no worker was asked.
pub type Admit = Box<dyn Fn() -> Result<Report, Failure> + Send + Sync>;

/// Takes what a question to a worker came to. Dropped: no worker was asked.
pub type Report = Box<dyn FnOnce(&Result<Reply, BusError>) + Send>;

/// Tells the caller. Must not block.
pub type Tell = Box<dyn FnOnce(Outcome) + Send>;

/// What a caller is told.
pub type Outcome = Result<Bytes, NotDone>;

/// Whether a worker may be asked again where the outcome is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redelivery {
    /// No: the outcome stays unknown. A command is executed at most once,
    /// whatever its workers do.
    #[default]
    Never,
    /// Yes, with the same key: workers know the keys that they have executed.
    WorkerDeduplicates,
}

/// Why a request has no answer of a worker's.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum NotDone {
    /// The worker refused, for good: every repetition is told the same.
    #[error(transparent)]
    Failed(WorkerFailure),
    /// No worker has it, at least by this attempt. A repetition asks anew.
    #[error("no worker has executed it")]
    Refused {
        /// Who said no.
        refusal: Refusal,
        /// It is certain that no earlier attempt was executed either.
        not_executed: bool,
    },
    /// Somebody asks a worker at this moment, or has died at it: a repetition
    /// finds the outcome later.
    #[error("a request with this key is under way")]
    InProgress,
    /// The key belongs to another request.
    #[error("the key was used for another request")]
    KeyReused,
    /// It was put to a worker, and what became of it will never be known.
    #[error("its outcome will never be known")]
    OutcomeUnknown,
    /// A worker has it and has not answered in time. A repetition may find its
    /// answer.
    #[error("no answer came within the deadline")]
    DeadlineExceeded,
    /// The journal can't be read or written.
    #[error("the journal can't be reached")]
    Unavailable,
}

/// Who said that it would not execute the request now.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// [`Call::admit`].
    Gateway(Failure),
    /// The bus, or a worker: [`BusError::Worker`], retryable.
    Bus(BusError),
}

/// Tells a caller once.
pub(super) struct Teller {
    tell: Option<Tell>,
    metrics: Arc<Metrics>,
}

// === impl Call ===

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("user", &self.user)
            .field("route", &self.route)
            .field("idempotency_key", &self.idempotency_key)
            .finish_non_exhaustive()
    }
}

// === impl NotDone ===

impl NotDone {
    fn label(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Refused {
                not_executed: true, ..
            } => "not_executed",
            Self::Refused { .. } => "refused",
            Self::InProgress => "in_progress",
            Self::KeyReused => "key_reused",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Unavailable => "unavailable",
        }
    }
}

// === impl Teller ===

impl Teller {
    pub(super) fn new(tell: Option<Tell>, metrics: Arc<Metrics>) -> Self {
        Self { tell, metrics }
    }

    pub(super) fn has_a_caller(&self) -> bool {
        self.tell.is_some()
    }

    /// Tells the caller, unless it was told; `answered`: what an answer counts as.
    pub(super) fn tell(&mut self, outcome: Outcome, answered: &'static str) {
        if let Some(tell) = self.tell.take() {
            let label = outcome.as_ref().map_or_else(NotDone::label, |_| answered);
            self.metrics.told(label);
            tell(outcome);
        }
    }
}
