//! How a client is reached.

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    WebSocket,
    /// A stream of server-sent events, and requests.
    Sse,
    /// Requests that wait for something to tell.
    LongPolling,
}

// === impl Transport ===

impl Transport {
    /// Stable name.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::WebSocket => "websocket",
            Self::Sse => "sse",
            Self::LongPolling => "long_polling",
        }
    }
}
