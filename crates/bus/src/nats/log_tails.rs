//! The newest offsets of many subjects of one log, asked for together.
//!
//! After an outage every subscription asks at once; what waits while one
//! question is under way goes into the next one.

use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{log_api, log_errands::Errands, log_message::Stamp, log_streams::Streams};
use crate::{port::BusError, subject::Subject};

/// Subjects in one question. Their newest messages come whole.
const TOGETHER: usize = 128;

/// Who waits for the tails of one log.
#[derive(Default)]
pub(super) struct Tails(
    // A lock: held to move entries only.
    Mutex<Waiting>,
);

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
    /// The newest offset of `subject` that some replica of the stream knows.
    pub(super) async fn ask(
        self: &Arc<Self>,
        streams: &Streams,
        errands: &Errands,
        stream: &str,
        subject: Subject,
    ) -> Tail {
        let (tx, rx) = oneshot::channel();
        let begins = {
            let mut waiting = self.0.lock();
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
            errands.run_for(
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
            let request = log_api::multi_last(subjects);
            match streams.direct(stream, request).await {
                Ok(batch) => {
                    let stamps = batch.messages.iter();
                    let stamps = stamps.filter_map(|message| Stamp::of(message.headers.as_ref()));
                    let mut newest = HashMap::new();
                    newest.extend(stamps.map(|stamp| (stamp.subject, stamp.sequence)));
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

    fn next(&self) -> Option<Vec<(Subject, oneshot::Sender<Tail>)>> {
        let mut waiting = self.0.lock();
        if waiting.asked.is_empty() {
            *waiting = Waiting::default();
            return None;
        }
        let count = waiting.asked.len().min(TOGETHER);
        Some(waiting.asked.drain(..count).collect())
    }

    fn stop(&self) {
        // Those who wait learn it by their dropped senders.
        *self.0.lock() = Waiting::default();
    }
}
