//! The bounded queue between the bus and the worker's task.
//!
//! Overflow policy: refuse. A request that finds no room is answered
//! [`BusError::Overloaded`] at once, so that the client can go elsewhere.

use std::{sync::Arc, time::Duration};

use bus::{BusError, Handler, Incoming, Responder};
use spans::{Span, Tracer};
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
    },
    time::Instant,
};

use crate::{
    endpoint::{Run, WhenCancelled},
    request::{Request, TimeLeft},
    trace,
};

/// Longer deadlines are cut to this, which any clock can express.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A request that waits for its turn.
pub(crate) struct Job {
    pub(crate) endpoint: Arc<str>,
    pub(crate) run: Arc<Run>,
    pub(crate) when_cancelled: WhenCancelled,
    pub(crate) request: Request,
    pub(crate) deadline: Instant,
    pub(crate) responder: Responder,
    pub(crate) span: Option<Span>,
    /// Its payload's share of the queue's bytes.
    _room: OwnedSemaphorePermit,
}

/// Puts one endpoint's requests into the worker's queue.
pub(crate) struct Intake {
    pub(crate) endpoint: Arc<str>,
    pub(crate) run: Arc<Run>,
    pub(crate) when_cancelled: WhenCancelled,
    pub(crate) jobs: mpsc::Sender<Job>,
    pub(crate) bytes: Arc<Semaphore>,
    pub(crate) tracer: Arc<Tracer>,
}

// === impl Job ===

impl Job {
    /// Answers what was not executed.
    pub(crate) fn refuse(self, error: BusError) {
        trace::end(self.span, Some(&error));
        self.responder.reply(Err(error));
    }
}

// === impl Intake ===

impl Intake {
    fn room_for(&self, payload: usize) -> Option<OwnedSemaphorePermit> {
        let share = u32::try_from(payload).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(share).ok()
    }
}

impl Handler for Intake {
    fn handle(&self, incoming: Incoming) {
        let Incoming {
            subject,
            payload,
            deadline,
            mut context,
            cancelled,
            responder,
        } = incoming;
        let Some(room) = self.room_for(payload.len()) else {
            return responder.reply(Err(BusError::Overloaded));
        };
        let deadline = Instant::now() + deadline.min(LONGEST);
        let time = TimeLeft::Until(deadline);
        // From here on, so that the wait in the queue shows.
        let span = trace::handle(&self.tracer, &subject, &mut context);
        let request = Request {
            subject,
            payload,
            context,
            time,
            cancelled,
        };
        let (endpoint, run) = (Arc::clone(&self.endpoint), Arc::clone(&self.run));
        let job = Job {
            endpoint,
            run,
            when_cancelled: self.when_cancelled,
            request,
            deadline,
            responder,
            span,
            _room: room,
        };
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job)) => job.refuse(BusError::Overloaded),
            // The worker has just stopped: nothing was executed.
            Err(TrySendError::Closed(job)) => job.refuse(BusError::NoResponders),
        }
    }
}
