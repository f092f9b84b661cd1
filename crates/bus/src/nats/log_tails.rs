//! The newest offsets of many subjects of one log, asked for together.
//!
//! After an outage every subscription asks at once; what waits while one
//! question is under way goes into the next one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use foldhash::{HashMap, HashMapExt};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{
    log_api,
    log_errands::Errands,
    log_message::Stamp,
    log_streams::{Batch, Streams},
};
use crate::{port::BusError, subject::Subject};

/// Subjects in one question. Their newest messages come whole.
const TOGETHER: usize = 128;

/// How often a replica that is behind is asked again, waiting twice as long
/// each time: two seconds in all.
const ATTEMPTS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// Who waits for the tails of one log, and how new they must be.
#[derive(Default)]
pub(super) struct Tails {
    // A lock: held to move entries only.
    waiting: Mutex<Waiting>,
    /// The newest sequence that this process knows to be stored.
    reached: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    asked: Vec<(Subject, oneshot::Sender<Tail>)>,
    /// An errand is at it.
    under_way: bool,
}

/// Offset of the newest message; none if the log holds none.
type Tail = Result<Option<u64>, BusError>;

// === impl Tails ===

impl Tails {
    /// A message with this sequence is stored.
    pub(super) fn reach(&self, sequence: u64) {
        // Most often another one has got there before: no write then.
        if self.reached.load(Ordering::Relaxed) < sequence {
            self.reached.fetch_max(sequence, Ordering::Relaxed);
        }
    }

    /// The stream began anew, or lost what came after this sequence.
    pub(super) fn forget(&self, sequence: u64) {
        self.reached.store(sequence, Ordering::Relaxed);
    }

    /// The newest offset of `subject`, from a replica that is not behind what
    /// is known to be stored.
    pub(super) async fn ask(
        self: &Arc<Self>,
        streams: &Streams,
        errands: &Errands,
        stream: &str,
        subject: Subject,
    ) -> Tail {
        let (tx, rx) = oneshot::channel();
        let begins = {
            let mut waiting = self.waiting.lock();
            waiting.asked.push((subject, tx));
            !std::mem::replace(&mut waiting.under_way, true)
        };
        if begins {
            let (tails, streams, stream) = (Arc::clone(self), streams.clone(), stream.to_owned());
            let stopped = Arc::clone(self);
            let work = async move {
                tails.answer(&streams, &stream).await;
                Ok(())
            };
            errands.run_awaited(
                work,
                Box::new(move |outcome: Result<(), BusError>| {
                    if outcome.is_err() {
                        stopped.stop();
                    }
                }),
            );
        }
        rx.await.unwrap_or(Err(BusError::Unavailable))
    }

    /// Answers until nobody waits.
    async fn answer(&self, streams: &Streams, stream: &str) {
        loop {
            // Whoever asks at the same time gets into the same question.
            tokio::task::yield_now().await;
            let Some(asked) = self.next() else { return };
            let subjects = asked.iter().map(|(subject, _)| subject.as_str());
            match self
                .newest(streams, stream, log_api::multi_last(subjects))
                .await
            {
                Ok(batch) => {
                    let newest = by_subject(&batch);
                    for (subject, tx) in asked {
                        drop(tx.send(Ok(newest.get(subject.as_str()).copied())));
                    }
                }
                Err(error) => {
                    for (_, tx) in asked {
                        drop(tx.send(Err(error.clone())));
                    }
                }
            }
        }
    }

    async fn newest(
        &self,
        streams: &Streams,
        stream: &str,
        request: Vec<u8>,
    ) -> Result<Batch, BusError> {
        let reached = self.reached.load(Ordering::Relaxed);
        let mut pause = FIRST_PAUSE;
        for _ in 0..ATTEMPTS {
            let batch = streams.direct(stream, request.clone()).await?;
            // One that finds nothing does not tell how far it is.
            let nothing = batch.messages.is_empty();
            if nothing || batch.end.up_to >= reached {
                return Ok(batch);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(BusError::Unavailable)
    }

    fn next(&self) -> Option<Vec<(Subject, oneshot::Sender<Tail>)>> {
        let mut waiting = self.waiting.lock();
        if waiting.asked.is_empty() {
            *waiting = Waiting::default();
            return None;
        }
        let count = waiting.asked.len().min(TOGETHER);
        Some(waiting.asked.drain(..count).collect())
    }

    fn stop(&self) {
        // Those who wait learn it by their dropped senders.
        *self.waiting.lock() = Waiting::default();
    }
}

fn by_subject(batch: &Batch) -> HashMap<&str, u64> {
    let stamps = batch.messages.iter();
    let stamps = stamps.filter_map(|message| Stamp::of(message.headers.as_ref()));
    let mut newest = HashMap::new();
    newest.extend(stamps.map(|stamp| (stamp.subject, stamp.sequence)));
    newest
}
