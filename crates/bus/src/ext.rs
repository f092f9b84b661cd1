//! The port's operations as futures, for code that may wait.
//!
//! Dropping a future gives up on its outcome: a request is cancelled and a
//! subscription ended, while a publication may still take effect.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::port::{
    Bus, BusError, Done, Entry, HistoryPage, HistoryRead, Log, Outgoing, Published, Put, Remove,
    Reply, Request, RequestToken, Revision, Sink, Subscribed, SubscriptionToken, Table, TableSpec,
};
use crate::subject::Pattern;

/// [`Bus`] in `async`. A bus that drops its `done` answers
/// [`BusError::Unavailable`].
pub trait BusExt: Bus {
    /// Publishes and waits until the bus has the message.
    fn send(&self, outgoing: Outgoing) -> impl Future<Output = Result<Published, BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            self.publish(outgoing, done);
            settled(outcome).await
        }
    }

    /// Requests and waits for the reply.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Reply, BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            let token = self.request(request, done);
            let _asked = Asked { bus: self, token };
            settled(outcome).await
        }
    }

    /// Subscribes and waits until the subscription is in effect. The caller
    /// ends it with [`Bus::unsubscribe`].
    fn listen(
        &self,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
    ) -> impl Future<Output = Result<(SubscriptionToken, Subscribed), BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            let token = self.subscribe(pattern, sink, done);
            let mut listening = Listening {
                bus: self,
                token: Some(token),
            };
            let subscribed = settled(outcome).await?;
            listening.token = None;
            Ok((token, subscribed))
        }
    }

    /// Reads a log.
    fn read(
        &self,
        read: HistoryRead,
    ) -> impl Future<Output = Result<HistoryPage, BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            self.history(read, done);
            settled(outcome).await
        }
    }

    /// Declares a log and waits until it is kept.
    fn keep_log(&self, log: Log) -> impl Future<Output = Result<(), BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            self.declare_log(log, done);
            settled(outcome).await
        }
    }

    /// Declares a table and waits until it is there.
    fn keep_table(&self, table: TableSpec) -> impl Future<Output = Result<(), BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            self.declare_table(table, done);
            settled(outcome).await
        }
    }

    /// Writes an entry and waits until the bus keeps it.
    fn write(&self, put: Put) -> impl Future<Output = Result<Revision, BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            self.put(put, done);
            settled(outcome).await
        }
    }

    /// Removes an entry and waits until it is gone.
    fn erase(&self, remove: Remove) -> impl Future<Output = Result<(), BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            self.remove(remove, done);
            settled(outcome).await
        }
    }

    /// Reads entries.
    fn look_up(
        &self,
        table: Table,
        keys: Vec<Pattern>,
    ) -> impl Future<Output = Result<Vec<Entry>, BusError>> + Send {
        async move {
            let (done, outcome) = outcome();
            self.entries(table, keys, done);
            settled(outcome).await
        }
    }
}

impl<B: Bus + ?Sized> BusExt for B {}

/// Cancels a request whose caller went away; harmless after the outcome.
struct Asked<'a, B: Bus + ?Sized> {
    bus: &'a B,
    token: RequestToken,
}

/// Ends a subscription whose caller went away before it was in effect.
struct Listening<'a, B: Bus + ?Sized> {
    bus: &'a B,
    token: Option<SubscriptionToken>,
}

// === impl Asked ===

impl<B: Bus + ?Sized> Drop for Asked<'_, B> {
    fn drop(&mut self) {
        self.bus.cancel(self.token);
    }
}

// === impl Listening ===

impl<B: Bus + ?Sized> Drop for Listening<'_, B> {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            self.bus.unsubscribe(token);
        }
    }
}

fn outcome<T: Send + 'static>() -> (Done<T>, oneshot::Receiver<Result<T, BusError>>) {
    let (tx, rx) = oneshot::channel();
    // The receiver may be gone: its caller has lost interest.
    (Box::new(move |outcome| drop(tx.send(outcome))), rx)
}

async fn settled<T>(outcome: oneshot::Receiver<Result<T, BusError>>) -> Result<T, BusError> {
    outcome.await.unwrap_or(Err(BusError::Unavailable))
}
