//! How a handler fails a request, and why a worker can't start.

use bus::{BusError, SubjectError, WorkerFailure};
use thiserror::Error;

/// A handler's refusal or failure, as the client will see it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}: {message}")]
pub struct WorkerError {
    /// The worker's own code, stable, for programs.
    pub code: Box<str>,
    /// For people.
    pub message: Box<str>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

/// The worker can't start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StartError {
    /// The names of worker and endpoint make no subject.
    #[error("{route:?} is not a route")]
    InvalidRoute {
        /// The worker's name and the endpoint's.
        route: String,
        /// What is wrong with it.
        source: SubjectError,
    },
}

// === impl WorkerError ===

impl WorkerError {
    /// A failure that repeating the request won't mend.
    pub fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retryable: false,
        }
    }

    /// The same, but trying again later may help.
    pub fn retryable(self) -> Self {
        Self {
            retryable: true,
            ..self
        }
    }

    pub(crate) fn panicked(endpoint: &str) -> Self {
        tracing::error!(endpoint, "a handler panicked");
        Self::new("panic", "the handler panicked")
    }
}

impl From<WorkerError> for BusError {
    fn from(error: WorkerError) -> Self {
        let WorkerError {
            code,
            message,
            retryable,
        } = error;
        Self::Worker(WorkerFailure {
            code,
            message,
            retryable,
        })
    }
}
