//! Why an operation of a client failed.

use thiserror::Error;
use wire::client::{ErrorCode, Failure};

use crate::state::Ending;

/// Why an operation failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is not `ws://host[:port]/path` or `wss://…`.
    #[error("not the URL of a gateway: {url}")]
    InvalidUrl {
        /// As it was given.
        url: String,
    },
    /// There is no way to trust a gateway.
    #[error("TLS can't be set up: {reason}")]
    Tls {
        /// Why.
        reason: String,
    },
    /// The first connection could not be made.
    #[error("cannot connect: {0}")]
    Connect(Ending),
    /// The gateway refused the operation, or the worker failed it.
    #[error("{message}")]
    Failed {
        /// Stable code.
        code: ErrorCode,
        /// For people.
        message: String,
        /// Whether the same operation may succeed later.
        retryable: bool,
        /// The request was certainly not executed, nor was any with its
        /// idempotency key.
        not_executed: bool,
        /// The worker's own code; empty unless a worker failed the request.
        worker_code: String,
    },
    /// The connection was lost after the operation was sent and before it was
    /// answered: it may have been executed, or not.
    #[error("the connection was lost before the answer; it may have been executed")]
    ConnectionLost,
    /// The client is closed for good.
    #[error("the client is closed: {0}")]
    Closed(Ending),
}

// === impl Error ===

impl Error {
    /// The gateway's code, if it was the gateway that said no.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Failed { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same operation may succeed later. After
    /// [`Error::ConnectionLost`] it may then be executed twice, unless it carries
    /// an idempotency key or a publication id.
    pub fn retryable(&self) -> bool {
        match self {
            Self::InvalidUrl { .. } | Self::Tls { .. } | Self::Closed(_) => false,
            Self::Connect(ending) => ending.may_reconnect(),
            Self::Failed { retryable, .. } => *retryable,
            Self::ConnectionLost => true,
        }
    }

    /// Whether the request was certainly not executed.
    pub fn not_executed(&self) -> bool {
        matches!(
            self,
            Self::Failed {
                not_executed: true,
                ..
            }
        )
    }

    pub(crate) fn no_token(why: &str) -> Self {
        let detail = format!("the application has none: {why}");
        wire::failure(ErrorCode::InvalidToken, &detail).into()
    }

    pub(crate) fn of_code(code: ErrorCode) -> Self {
        wire::failure(code, "").into()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed {
            code: failure.code(),
            message: failure.message,
            retryable: failure.retryable,
            not_executed: failure.not_executed,
            worker_code: failure.worker_code,
        }
    }
}
