//! What a gateway has to say that changes nothing by itself.

use std::time::Duration;

use tokio::sync::broadcast;
use wire::client as proto;

/// Notices kept for a reader; one that is slower loses the oldest.
pub(crate) const MOST: usize = 64;

/// Something worth knowing, e.g. that the token expires soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Stable name, e.g. `token_expiring`, `token_revoked`, `degraded`, `recovered`.
    pub kind: String,
    /// For people.
    pub message: String,
    /// How soon it takes effect.
    pub takes_effect_in: Duration,
}

/// The notices from the moment on at which this was made; a reader that is 64
/// behind loses the oldest. Whether the bus is away stands in
/// [`State::Connected`](crate::State::Connected) as well.
#[derive(Debug)]
pub struct Notices {
    receiver: broadcast::Receiver<Notice>,
}

// === impl Notices ===

impl Notices {
    pub(crate) fn new(receiver: broadcast::Receiver<Notice>) -> Self {
        Self { receiver }
    }

    /// The next one; `None` when the client is closed. Can be dropped at any time
    /// without loss.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            match self.receiver.recv().await {
                Ok(notice) => return Some(notice),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

// === impl Notice ===

impl From<proto::Notice> for Notice {
    fn from(notice: proto::Notice) -> Self {
        Self {
            kind: notice.kind,
            message: notice.message,
            takes_effect_in: Duration::from_millis(notice.in_ms.into()),
        }
    }
}
