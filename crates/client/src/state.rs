//! Where a client stands, and how its connections end.

use std::{fmt, sync::Arc, time::Duration};

use wire::{CloseCause, CloseVerdict, client::Closing};

/// Where a client stands; watch it with [`Client::state`](crate::Client::state).
///
/// ```text
///   Connecting --Welcome--> Connected --connection ends--> Disconnected
///       |  ^                                                    |
///       |  +-----------------back-off is over-------------------+
///       +--refused for good, or closed by the owner (from any)--> Closed
/// ```
///
/// A client that moves to another gateway, because its own is going away, stays
/// `Connected`: only the identities change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A connection is being made.
    Connecting,
    /// The gateway has welcomed this client.
    Connected {
        /// Identity of the connection.
        connection_id: Arc<str>,
        /// Identity of the session, which outlives connections.
        session_id: Arc<str>,
        /// The gateway says that its bus is away: what is published or requested
        /// is refused as retryable, and subscriptions are silent until it is
        /// back, without anything to be done.
        degraded: bool,
    },
    /// The connection ended and the next try is due.
    Disconnected {
        /// Why it ended.
        cause: Ending,
        /// Until the next try.
        retry_in: Duration,
    },
    /// The end: this client will not connect again.
    Closed {
        /// Why.
        cause: Ending,
    },
}

/// Why a connection ended, or could not be made.
#[derive(Clone, PartialEq, Eq)]
pub struct Ending {
    code: u16,
    cause: Arc<str>,
    message: Arc<str>,
    retry_after: Duration,
    verdict: CloseVerdict,
    /// `retry_after` is this client's own place in a line.
    is_scheduled: bool,
}

// === impl Ending ===

impl Ending {
    /// The WebSocket close code; 1006 if there was none.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Stable name of the cause, as in the gateway's metrics and logs, e.g.
    /// `slow_consumer`.
    pub fn cause(&self) -> &str {
        &self.cause
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether another try makes sense.
    pub fn may_reconnect(&self) -> bool {
        self.verdict != CloseVerdict::Stay
    }

    pub(crate) fn verdict(&self) -> CloseVerdict {
        self.verdict
    }

    /// No sooner than this; zero: the gateway said nothing.
    pub(crate) fn retry_after(&self) -> Duration {
        self.retry_after
    }

    /// The gateway has said exactly when, so that clients return one by one.
    pub(crate) fn is_scheduled(&self) -> bool {
        self.is_scheduled
    }

    /// With a time to come back that is for this client alone.
    pub(crate) fn scheduled(self) -> Self {
        Self {
            is_scheduled: !self.retry_after.is_zero(),
            ..self
        }
    }

    /// The owner of the client closed it.
    pub(crate) fn by_owner() -> Self {
        Self::new(1000, "closed_by_client", "closed by the client")
    }

    /// The connection broke, or could not be made.
    pub(crate) fn lost(message: impl fmt::Display) -> Self {
        Self::new(
            CloseCause::ConnectionLost.code(),
            CloseCause::ConnectionLost.label(),
            &message.to_string(),
        )
    }

    /// Nothing came for longer than a living gateway stays silent.
    pub(crate) fn silent() -> Self {
        Self::lost("the gateway went silent")
    }

    /// The gateway refused the upgrade with an HTTP status.
    pub(crate) fn refused(status: u16, retry_after: Duration) -> Self {
        // Those of the range that say "later" rather than "never like this".
        let is_final = (400..500).contains(&status) && !matches!(status, 408 | 425 | 429);
        let message = format!("the upgrade was refused with HTTP status {status}");
        let verdict = match is_final {
            true => CloseVerdict::Stay,
            false => CloseVerdict::Reconnect,
        };
        Self {
            retry_after,
            verdict,
            ..Self::new(1006, "upgrade_refused", &message)
        }
    }

    /// A close frame that no Closing announced.
    pub(crate) fn of_close_frame(code: u16, reason: &str) -> Self {
        let known = CloseCause::ALL.iter().find(|cause| cause.code() == code);
        let cause = known.map_or("closed_by_gateway", |cause| cause.label());
        Self::new(code, cause, reason)
    }

    fn new(code: u16, cause: &str, message: &str) -> Self {
        Self {
            code,
            cause: cause.into(),
            message: message.into(),
            retry_after: Duration::ZERO,
            verdict: verdict(code),
            is_scheduled: false,
        }
    }

    /// With a token that is made anew for each connection, a token that has
    /// expired is no reason to stay away.
    pub(crate) fn with_fresh_tokens(self) -> Self {
        match self.code == CloseCause::TokenExpired.code() {
            true => Self {
                verdict: CloseVerdict::Reconnect,
                ..self
            },
            false => self,
        }
    }
}

impl From<Closing> for Ending {
    fn from(closing: Closing) -> Self {
        let code = u16::try_from(closing.close_code).unwrap_or(CloseCause::ConnectionLost.code());
        let lines = [CloseCause::AdmissionRate, CloseCause::Flapping];
        Self {
            // Zero would be a place in no line, and a loop.
            is_scheduled: closing.retry_after_ms > 0
                && lines.iter().any(|cause| cause.code() == code),
            retry_after: Duration::from_millis(closing.retry_after_ms.into()),
            ..Self::new(code, &closing.cause, &closing.message)
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.message, self.code, self.cause)
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ending({self})")
    }
}

/// What a code asks of a client: the ranges of the protocol; for the codes of RFC
/// 6455, whether the same client could fare better next time.
fn verdict(code: u16) -> CloseVerdict {
    match code {
        1000 | 1002 | 1003 | 1007..=1010 | 4000..=4099 => CloseVerdict::Stay,
        4200..=4299 => CloseVerdict::Resume,
        _ => CloseVerdict::Reconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_of_the_catalogue_has_the_verdict_it_promises() {
        for cause in CloseCause::ALL {
            let ending = Ending::of_close_frame(cause.code(), "");
            assert_eq!(ending.verdict(), cause.verdict(), "{}", cause.label());
            assert_eq!(ending.cause(), cause.label());
        }
    }

    #[test]
    fn a_restarting_proxy_is_worth_another_try() {
        for code in [1001, 1005, 1011, 1012, 1013] {
            assert!(Ending::of_close_frame(code, "").may_reconnect(), "{code}");
        }
    }

    #[test]
    fn refusals_are_final_unless_they_speak_of_later() {
        for (status, again) in [(401, false), (403, false), (429, true), (503, true)] {
            let ending = Ending::refused(status, Duration::ZERO);
            assert_eq!(ending.may_reconnect(), again, "{status}");
        }
    }
}
