//! Putting a worker together.

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, Handler, Subject};
use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    endpoint::{Direct, Endpoint, Kind},
    error::{StartError, WorkerError},
    queue::{Intake, Job},
    request::Request,
    running::{Running, Served},
};

/// A worker before it runs.
pub struct Worker {
    name: String,
    concurrency: usize,
    queue_requests: usize,
    queue_bytes: usize,
    drain: Duration,
    endpoints: Vec<Endpoint>,
}

// === impl Worker ===

impl Worker {
    /// A worker that serves nothing yet. Its name is the first part of its
    /// routes, one or more tokens.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            concurrency: 64,
            queue_requests: 1_024,
            queue_bytes: 16 << 20,
            drain: Duration::from_secs(30),
            endpoints: Vec::new(),
        }
    }

    /// Answers route `<worker>.<endpoint>` with an asynchronous function; an
    /// empty `endpoint` answers route `<worker>`.
    ///
    /// At the request's deadline the future is dropped. It runs as a task of
    /// its own beside others of this worker.
    pub fn on<F, Fut>(self, endpoint: &str, handler: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, WorkerError>> + Send + 'static,
    {
        let run = Arc::new(move |request| Box::pin(handler(request)) as _);
        self.with(endpoint, Kind::Queued(run))
    }

    /// Answers with a function that never blocks, on the very thread that
    /// brings the request, without queue, task or deadline.
    ///
    /// On the in-memory bus that thread is a gateway's shard, where a
    /// microsecond here delays every connection of the shard: for look-ups and
    /// arithmetic only.
    pub fn on_sync<F>(self, endpoint: &str, handler: F) -> Self
    where
        F: Fn(&Request) -> Result<Bytes, WorkerError> + Send + Sync + 'static,
    {
        self.with(endpoint, Kind::Direct(Box::new(handler)))
    }

    /// How many requests are worked on at once, 64 if not set; at least one.
    pub fn concurrency(self, requests: usize) -> Self {
        Self {
            concurrency: requests.max(1),
            ..self
        }
    }

    /// How many requests may wait, and how many bytes of payload; 1,024 and
    /// 16 MiB if not set. Beyond, callers get [`bus::BusError::Overloaded`].
    pub fn queue(self, requests: usize, bytes: usize) -> Self {
        let queue_bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self {
            queue_requests: requests.max(1),
            queue_bytes,
            ..self
        }
    }

    /// How long the worker goes on at its end with what it has taken, 30
    /// seconds if not set.
    pub fn drain(self, limit: Duration) -> Self {
        Self {
            drain: limit,
            ..self
        }
    }

    /// Registers the endpoints. From here on requests are taken; the result
    /// must be run for them to be answered.
    pub fn start(self, bus: &Arc<dyn Bus>) -> Result<Running, StartError> {
        let (jobs, queue) = mpsc::channel(self.queue_requests);
        let bytes = Arc::new(Semaphore::new(self.queue_bytes));
        let named = self.endpoints.into_iter().map(|endpoint| {
            Ok((
                subject(&self.name, &endpoint.name)?,
                handler(endpoint, &jobs, &bytes),
            ))
        });
        let handlers = named.collect::<Result<Vec<_>, StartError>>()?;
        let serve = |(subject, handler)| bus.serve(subject, handler);
        let tokens = handlers.into_iter().map(serve).collect();
        let served = Served {
            bus: Arc::clone(bus),
            tokens,
        };
        Ok(Running::new(served, queue, self.concurrency, self.drain))
    }

    /// Starts, and serves until `stop`; see [`Running::until`].
    pub async fn run(
        self,
        bus: Arc<dyn Bus>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), StartError> {
        self.start(&bus)?.until(stop).await;
        Ok(())
    }

    fn with(mut self, endpoint: &str, kind: Kind) -> Self {
        self.endpoints.push(Endpoint {
            name: endpoint.into(),
            kind,
        });
        self
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .endpoints
            .iter()
            .map(|endpoint| &endpoint.name)
            .collect();
        f.debug_struct("Worker")
            .field("name", &self.name)
            .field("endpoints", &names)
            .finish_non_exhaustive()
    }
}

fn subject(worker: &str, endpoint: &str) -> Result<Subject, StartError> {
    let route = if endpoint.is_empty() {
        worker.into()
    } else {
        format!("{worker}.{endpoint}")
    };
    Subject::of_route(&route).map_err(|source| StartError::InvalidRoute { route, source })
}

fn handler(
    endpoint: Endpoint,
    jobs: &mpsc::Sender<Job>,
    bytes: &Arc<Semaphore>,
) -> Arc<dyn Handler> {
    let name = endpoint.name;
    match endpoint.kind {
        Kind::Direct(call) => Arc::new(Direct { name, call }),
        Kind::Queued(run) => {
            let (jobs, bytes) = (jobs.clone(), Arc::clone(bytes));
            Arc::new(Intake {
                endpoint: name,
                run,
                jobs,
                bytes,
            })
        }
    }
}
