//! PublishStream: the fast path of publishing.
//!
//! The stream of answers does all the work when it is polled: it takes batches,
//! hands their publications to the bus and answers the oldest batch that is
//! complete. There is no task and no queue between reading and answering, so a
//! caller that does not read its answers, or a bus that does not complete, stops
//! the reading, and HTTP/2 flow control stops the caller.
//!
//! It ends when the caller has ended its side and the last batch is answered,
//! or at shutdown, with UNAVAILABLE after the answers to what it took.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bus::Subject;
use futures_util::{Stream, task::AtomicWaker};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, Streaming};
use wire::control::{NewPublication, PublishStreamRequest, PublishStreamResponse};

use crate::{
    callers::Caller,
    metrics::Call,
    publish::{Publisher, check_batch, outgoing},
    publish_batch::{Batch, index_of},
    status::Refusal,
};

/// Bytes of the batches that are not answered. A larger batch is taken when
/// nothing else waits.
const MAX_IN_FLIGHT_BYTES: usize = 16 << 20;

/// Channels whose subjects a stream remembers: half a megabyte at most.
const REMEMBERED_SUBJECTS: usize = 1024;

/// Answers to the batches of one caller, in their order.
pub(crate) struct PublishStream {
    publisher: Arc<Publisher>,
    caller: Caller,
    incoming: Streaming<PublishStreamRequest>,
    /// How reading ended; absent: it goes on.
    end: Option<Result<(), Status>>,
    in_flight: VecDeque<Arc<Batch>>,
    in_flight_bytes: usize,
    max_in_flight: usize,
    subjects: Subjects,
    /// Woken when a batch is complete.
    progress: Arc<AtomicWaker>,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    call: Call,
}

/// The subjects of the channels that the caller may publish to and lately did: most publications then
/// need no parsing and no allocation for theirs. Forgets all when full.
#[derive(Default)]
struct Subjects(HashMap<Box<str>, Subject>);

// === impl PublishStream ===

impl PublishStream {
    pub(crate) fn new(
        publisher: Arc<Publisher>,
        caller: Caller,
        incoming: Streaming<PublishStreamRequest>,
        max_in_flight: usize,
        shutdown: CancellationToken,
        call: Call,
    ) -> Self {
        Self {
            publisher,
            caller,
            incoming,
            end: None,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            max_in_flight,
            subjects: Subjects::default(),
            progress: Arc::default(),
            shutdown: Box::pin(shutdown.cancelled_owned()),
            call,
        }
    }

    fn next_answer(&mut self) -> Option<PublishStreamResponse> {
        let batch = self.in_flight.front()?;
        let answer = batch.answer()?;
        self.publisher
            .publications
            .count(batch.size - answer.failures.len(), answer.failures.len());
        self.in_flight_bytes -= batch.bytes;
        self.in_flight.pop_front();
        Some(answer)
    }

    fn may_take(&self) -> bool {
        self.end.is_none()
            && self.in_flight.len() < self.max_in_flight
            && (self.in_flight.is_empty() || self.in_flight_bytes < MAX_IN_FLIGHT_BYTES)
    }

    /// Takes and issues one batch, or notes why there are no more.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A caller that is always ahead must not keep this thread to itself.
        let turn = ready!(tokio::task::coop::poll_proceed(cx));
        if self.shutdown.as_mut().poll(cx).is_ready() {
            let status = Status::unavailable("the control plane is shutting down");
            self.end = Some(Err(status));
        } else {
            match ready!(Pin::new(&mut self.incoming).poll_next(cx)) {
                Some(Ok(request)) => self.take(request),
                Some(Err(status)) => self.end = Some(Err(status)),
                None => self.end = Some(Ok(())),
            }
        }
        turn.made_progress();
        Poll::Ready(())
    }

    fn take(&mut self, request: PublishStreamRequest) {
        let PublishStreamRequest {
            sequence,
            publications,
        } = request;
        if let Err(status) = check_batch(&publications) {
            self.end = Some(Err(status));
            return;
        }
        let bytes = publications.iter().map(footprint).sum();
        let batch = Batch::new(sequence, publications.len(), bytes, self.progress.clone());
        for (index, publication) in publications.into_iter().enumerate() {
            self.issue(&batch, index_of(index), publication);
        }
        batch.issued();
        self.in_flight_bytes += bytes;
        self.in_flight.push_back(batch);
    }

    fn issue(&mut self, batch: &Arc<Batch>, index: u32, publication: NewPublication) {
        let subject = self
            .subjects
            .of(&publication.channel, &self.publisher, &self.caller);
        match subject.and_then(|subject| outgoing(publication, subject)) {
            Ok(outgoing) => {
                let batch = batch.clone();
                let done = move |outcome| batch.settle(index, outcome);
                self.publisher.bus.publish(outgoing, Box::new(done));
            }
            Err(refusal) => batch.refuse(index, refusal),
        }
    }

    /// Called when nothing is in flight and reading has ended.
    fn finish(&mut self, end: Result<(), Status>) -> Option<Result<PublishStreamResponse, Status>> {
        self.call
            .end(end.as_ref().map_or_else(Status::code, |()| Code::Ok));
        // Polled again, it stays ended.
        self.end = Some(Ok(()));
        end.err().map(Err)
    }
}

impl Stream for PublishStream {
    type Item = Result<PublishStreamResponse, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // Before looking at batches: one that completes after the look must wake.
        this.progress.register(cx.waker());
        loop {
            if let Some(answer) = this.next_answer() {
                return Poll::Ready(Some(Ok(answer)));
            }
            if this.may_take() {
                ready!(this.poll_take(cx));
                continue;
            }
            return match this.end.take_if(|_| this.in_flight.is_empty()) {
                Some(end) => Poll::Ready(this.finish(end)),
                None => Poll::Pending,
            };
        }
    }
}

/// What a publication holds in memory, about.
fn footprint(publication: &NewPublication) -> usize {
    size_of::<NewPublication>()
        + publication.channel.len()
        + publication.payload.len()
        + publication.key.len()
        + publication.publication_id.len()
}

// === impl Subjects ===

impl Subjects {
    fn of(
        &mut self,
        channel: &str,
        publisher: &Publisher,
        caller: &Caller,
    ) -> Result<Subject, Refusal> {
        if let Some(subject) = self.0.get(channel) {
            return Ok(subject.clone());
        }
        let subject = publisher.subject(channel, caller)?;
        if self.0.len() >= REMEMBERED_SUBJECTS {
            self.0.clear();
        }
        self.0.insert(channel.into(), subject.clone());
        Ok(subject)
    }
}
