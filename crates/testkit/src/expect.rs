//! Awaiting a certain kind of event, and nothing else before it.

use wire::client::{
    Accepted, Direct, ErrorCode, Failure, Gap, HistoryResult, Migrate, Notice, Pong,
    PresenceChange, PresenceResult, Publication, Refreshed, Response, Signalled, Subscribed,
    Unsubscribed, Welcome, response::Outcome, server_event::Event,
};

use crate::RawClient;

macro_rules! awaited {
    ($($name:ident => $kind:ident;)*) => {
        impl RawClient {
            $(
                #[doc = concat!("Awaits a ", stringify!($kind), " event.\n\n# Panics\nIf anything else comes.")]
                pub async fn $name(&mut self) -> $kind {
                    match self.next_event().await {
                        Event::$kind(event) => event,
                        other => panic!(concat!("expected ", stringify!($kind), ", got {:?}"), other),
                    }
                }
            )*
        }
    };
}

awaited! {
    history => HistoryResult;
    welcome => Welcome;
    subscribed => Subscribed;
    unsubscribed => Unsubscribed;
    publication => Publication;
    direct => Direct;
    response => Response;
    accepted => Accepted;
    gap => Gap;
    pong => Pong;
    migrate => Migrate;
    notice => Notice;
    refreshed => Refreshed;
    presence_result => PresenceResult;
    presence_change => PresenceChange;
    signalled => Signalled;
}

impl RawClient {
    /// Awaits an Error event and returns which operation failed, and how.
    ///
    /// # Panics
    /// If anything else comes.
    pub async fn error(&mut self) -> (u32, ErrorCode) {
        match self.next_event().await {
            Event::Error(error) => (error.id, error.failure.unwrap_or_default().code()),
            other => panic!("expected Error, got {other:?}"),
        }
    }

    /// Awaits a Response that failed; returns its id and how.
    ///
    /// # Panics
    /// If anything else comes.
    pub async fn failed_response(&mut self) -> (u32, Failure) {
        match self.response().await {
            Response {
                id,
                outcome: Some(Outcome::Failure(failure)),
            } => (id, failure),
            other => panic!("expected a failed Response, got {other:?}"),
        }
    }

    /// Awaits so many publications.
    ///
    /// # Panics
    /// If anything else comes.
    pub async fn publications(&mut self, count: usize) -> Vec<Publication> {
        let mut publications = Vec::with_capacity(count);
        for _ in 0..count {
            publications.push(self.publication().await);
        }
        publications
    }
}
