//! Putting a worker together.

use std::{fmt, sync::Arc, time::Duration};

use bus::{Bus, Handler, Service, Subject};
use bytes::Bytes;
use spans::Tracer;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    endpoint::{Direct, Endpoint, Kind, WhenCancelled},
    error::{StartError, WorkerError},
    queue::{Intake, Job},
    request::Request,
    running::{Running, Served},
};

/// A worker before it runs.
pub struct Worker {
    name: String,
    version: String,
    description: String,
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
            version: "0.0.0".into(),
            description: String::new(),
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
    /// At the request's deadline the future is dropped. When the caller cancels it
    /// goes on, since it may be half done: [`Request::cancelled`] tells it. See
    /// [`Self::on_cancellable`]. It runs as a task of its own beside others of
    /// this worker.
    pub fn on<F, Fut>(self, endpoint: &str, handler: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, WorkerError>> + Send + 'static,
    {
        let run = Arc::new(move |request| Box::pin(handler(request)) as _);
        self.with(endpoint, Kind::Queued(run, WhenCancelled::GoOn))
    }

    /// The same, but the future is dropped where it waits when the caller cancels:
    /// for handlers that only read, or that leave nothing half done.
    pub fn on_cancellable<F, Fut>(self, endpoint: &str, handler: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, WorkerError>> + Send + 'static,
    {
        let run = Arc::new(move |request| Box::pin(handler(request)) as _);
        self.with(endpoint, Kind::Queued(run, WhenCancelled::Drop))
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

    /// Semantic version of the worker, as those who list the services of the bus
    /// see it; `0.0.0` if not set.
    pub fn version(self, version: &str) -> Self {
        Self {
            version: version.into(),
            ..self
        }
    }

    /// What the worker does, for people who list the services of the bus.
    pub fn description(self, description: &str) -> Self {
        Self {
            description: description.into(),
            ..self
        }
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
        let service = self.service()?;
        let (jobs, queue) = mpsc::channel(self.queue_requests);
        let bytes = Arc::new(Semaphore::new(self.queue_bytes));
        let tracer = Arc::new(Tracer::of_process("worker"));
        let named = self.endpoints.into_iter().map(|endpoint| {
            Ok((
                subject(&self.name, &endpoint.name)?,
                handler(endpoint, &jobs, &bytes, &tracer),
            ))
        });
        let handlers = named.collect::<Result<Vec<_>, StartError>>()?;
        let serve = |(subject, handler)| bus.serve(subject, handler);
        let mut tokens: Vec<_> = handlers.into_iter().map(serve).collect();
        // Last: whoever is seen is served.
        tokens.push(bus.announce(service));
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

    /// As others see it: names of services and endpoints are single tokens.
    fn service(&self) -> Result<Service, StartError> {
        let endpoints = self.endpoints.iter().map(|endpoint| {
            let name = match &*endpoint.name {
                "" => &self.name,
                name => name,
            };
            Ok((token(name), subject(&self.name, &endpoint.name)?))
        });
        Ok(Service {
            name: token(&self.name),
            version: self.version.as_str().into(),
            description: self.description.as_str().into(),
            endpoints: endpoints.collect::<Result<_, StartError>>()?,
        })
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

fn token(name: &str) -> Box<str> {
    name.replace('.', "_").into()
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
    tracer: &Arc<Tracer>,
) -> Arc<dyn Handler> {
    let name = endpoint.name;
    let tracer = Arc::clone(tracer);
    match endpoint.kind {
        Kind::Direct(call) => Arc::new(Direct { name, call, tracer }),
        Kind::Queued(run, when_cancelled) => {
            let (jobs, bytes) = (jobs.clone(), Arc::clone(bytes));
            Arc::new(Intake {
                endpoint: name,
                run,
                when_cancelled,
                jobs,
                bytes,
                tracer,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_announced_with_its_endpoints() {
        let worker = Worker::new("shop.orders")
            .version("1.2.3")
            .description("takes orders")
            .on_sync("place", |_| Ok(Bytes::new()))
            .on_sync("", |_| Ok(Bytes::new()));
        let service = worker.service().expect("valid names");
        assert_eq!(
            (&*service.name, &*service.version),
            ("shop_orders", "1.2.3")
        );
        assert_eq!(&*service.description, "takes orders");
        let endpoints: Vec<_> = service
            .endpoints
            .iter()
            .map(|(name, subject)| (&**name, subject.as_str()))
            .collect();
        let expected = [
            ("place", "tg.rq.shop.orders.place"),
            ("shop_orders", "tg.rq.shop.orders"),
        ];
        assert_eq!(endpoints, expected);
    }
}
