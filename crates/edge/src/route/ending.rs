//! How requests end, as a route counts them and as its breaker sees them.

use bus::{BusError, Reply};

use super::breaker::{Signal, Trip};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// A worker answered.
    Ok,
    /// A worker refused; it is alive and well.
    WorkerError,
    /// Nobody serves the subject.
    NoWorker,
    /// The worker dropped it.
    HandlerGone,
    /// No reply in time.
    DeadlineExceeded,
    /// The bus can't be reached.
    Unavailable,
    /// The client, or the end of its connection, gave it up.
    Cancelled,
    /// The bus would not take it, or never told.
    Unknown,
    /// Refused: as many as may be were under way.
    TooMany,
    /// Refused: the breaker was open.
    Broken,
}

// === impl Ending ===

impl Ending {
    /// All, in order of their numbers.
    pub(super) const ALL: [Self; 10] = [
        Self::Ok,
        Self::WorkerError,
        Self::NoWorker,
        Self::HandlerGone,
        Self::DeadlineExceeded,
        Self::Unavailable,
        Self::Cancelled,
        Self::Unknown,
        Self::TooMany,
        Self::Broken,
    ];

    pub(super) fn of(outcome: &Result<Reply, BusError>) -> Self {
        match outcome {
            Ok(_) => Self::Ok,
            Err(BusError::Worker(_)) => Self::WorkerError,
            Err(BusError::NoResponders) => Self::NoWorker,
            Err(BusError::HandlerGone) => Self::HandlerGone,
            Err(BusError::DeadlineExceeded) => Self::DeadlineExceeded,
            Err(BusError::Unavailable) => Self::Unavailable,
            Err(BusError::Cancelled) => Self::Cancelled,
            Err(
                BusError::Overloaded
                | BusError::NoLog
                | BusError::NoTable
                | BusError::Conflict
                | BusError::TooLarge,
            ) => Self::Unknown,
        }
    }

    /// What it says about the workers. A deadline that passed says something
    /// only if the client was `patient`: otherwise anyone could break a route
    /// for everybody by asking for a reply within a millisecond.
    pub(super) fn signal(self, patient: bool) -> Signal {
        match self {
            Self::Ok | Self::WorkerError => Signal::Success,
            Self::NoWorker | Self::HandlerGone => Signal::Failure(Trip::NoWorker),
            Self::DeadlineExceeded if patient => Signal::Failure(Trip::TooSlow),
            Self::Unavailable => Signal::Failure(Trip::Unavailable),
            Self::DeadlineExceeded
            | Self::Cancelled
            | Self::Unknown
            | Self::TooMany
            | Self::Broken => Signal::Nothing,
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::WorkerError => "worker_error",
            Self::NoWorker => "no_worker",
            Self::HandlerGone => "handler_gone",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Unavailable => "unavailable",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
            Self::TooMany => "too_many",
            Self::Broken => "breaker_open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_counted_under_their_own_labels() {
        for (index, ending) in Ending::ALL.into_iter().enumerate() {
            assert_eq!(ending as usize, index);
        }
        let labels: std::collections::BTreeSet<_> = Ending::ALL.map(Ending::label).into();
        assert_eq!(labels.len(), Ending::ALL.len());
    }
}
