//! Handlers, and the synchronous way to one: inside [`bus::Handler::handle`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
};

use bus::{BusError, Handler, Incoming};
use bytes::Bytes;
use spans::Tracer;

use crate::{
    error::WorkerError,
    request::{Request, TimeLeft},
    trace,
};

pub(crate) type Outcome = Result<Bytes, WorkerError>;

/// An asynchronous handler, its type forgotten.
pub(crate) type Run =
    dyn Fn(Request) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync;

/// A synchronous handler, its type forgotten.
pub(crate) type Call = dyn Fn(&Request) -> Outcome + Send + Sync;

pub(crate) struct Endpoint {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    Queued(Arc<Run>, WhenCancelled),
    Direct(Box<Call>),
}

/// What becomes of a handler whose caller has lost interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenCancelled {
    /// It goes on to its end, or its deadline.
    GoOn,
    /// It is dropped where it waits.
    Drop,
}

/// Answers on the thread that asks.
pub(crate) struct Direct {
    pub(crate) name: Arc<str>,
    pub(crate) call: Box<Call>,
    pub(crate) tracer: Arc<Tracer>,
}

// === impl Direct ===

impl Handler for Direct {
    fn handle(&self, incoming: Incoming) {
        let Incoming {
            subject,
            payload,
            deadline,
            mut context,
            cancelled,
            responder,
        } = incoming;
        let span = trace::handle(&self.tracer, &subject, &mut context);
        let request = Request {
            subject,
            payload,
            context,
            time: TimeLeft::Whole(deadline),
            cancelled,
        };
        let attached = span.as_ref().map(|span| span.context().clone().attach());
        // The request is not looked at again, whatever state a panic left.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.call)(&request)))
            .unwrap_or_else(|_| Err(WorkerError::panicked(&self.name)));
        drop(attached);
        let outcome = outcome.map_err(BusError::from);
        trace::end(span, outcome.as_ref().err());
        responder.reply(outcome);
    }
}
