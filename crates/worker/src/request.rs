//! A request as a handler sees it.

use std::time::Duration;

use bus::{RequestContext, Subject};
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::{ConnectionId, SessionId, UserId};

/// A client's request.
#[derive(Debug)]
pub struct Request {
    pub(crate) subject: Subject,
    pub(crate) payload: Bytes,
    pub(crate) context: RequestContext,
    pub(crate) time: TimeLeft,
    pub(crate) cancelled: CancellationToken,
}

/// How long the caller is interested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimeLeft {
    /// From right now: the request has just come.
    Whole(Duration),
    /// Until then.
    Until(Instant),
}

// === impl Request ===

impl Request {
    /// What the client sent, opaque to Tidegate.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The subject it came to.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Who asks, as the gateway authenticated him.
    pub fn user(&self) -> Option<&UserId> {
        self.context.user.as_ref()
    }

    /// Over which connection, for sending something back to just that one.
    pub fn connection(&self) -> Option<&ConnectionId> {
        self.context.connection.as_ref()
    }

    /// In which session.
    pub fn session(&self) -> Option<SessionId> {
        self.context.session
    }

    /// The same for every repetition of one command, and of this user's only.
    ///
    /// The gateway asks once and keeps the answer, so most handlers need not
    /// look at it. To be exact also where a worker or a gateway dies between
    /// doing and answering, store the key together with the effect, in one
    /// transaction, and answer a key that is stored already from what is stored;
    /// then the route may say `redelivery = "worker_deduplicates"`.
    pub fn idempotency_key(&self) -> Option<&str> {
        Some(&*self.context.idempotency_key).filter(|key| !key.is_empty())
    }

    /// How often the command with this key has been put to workers, this time
    /// included. From 2 on another worker, or this one, may have executed it
    /// already. 1 without a key.
    pub fn attempt(&self) -> u32 {
        self.context.attempt.max(1)
    }

    /// W3C trace context to continue in what the handler calls: that of the worker's
    /// own span, or else of the caller.
    pub fn traceparent(&self) -> Option<&str> {
        Some(&*self.context.traceparent).filter(|text| !text.is_empty())
    }

    /// Cancelled when the caller has lost interest: it cancelled, or its
    /// connection is gone. Nobody hears the answer then, and a handler may stop
    /// where stopping does no harm:
    ///
    /// ```
    /// # async fn next_part(_: &worker::Request) -> Option<u32> { None }
    /// async fn report(request: worker::Request) -> Result<bytes::Bytes, worker::WorkerError> {
    ///     let mut sum = 0;
    ///     while let Some(part) = next_part(&request).await {
    ///         if request.cancelled().is_cancelled() {
    ///             return Err(worker::WorkerError::new("cancelled", "nobody waits"));
    ///         }
    ///         sum += part;
    ///     }
    ///     Ok(sum.to_string().into())
    /// }
    /// ```
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// How long the caller will still wait; zero when it no longer does.
    pub fn time_left(&self) -> Duration {
        match self.time {
            TimeLeft::Whole(deadline) => deadline,
            TimeLeft::Until(deadline) => deadline.saturating_duration_since(Instant::now()),
        }
    }
}
