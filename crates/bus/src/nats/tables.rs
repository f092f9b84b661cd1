//! Tables: buckets as NATS KV clients know them, read by direct get.
//!
//! A write is done when the stream has acknowledged it; what it expects is
//! checked there. A removal leaves a marker that vanishes after a minute, so
//! that churn leaves nothing behind. A server that is killed after that minute may
//! find the entry in its files again: `docs/adr/0016-ended-wills-stay-written.md`.
//!
//! **What a read sees.** Every write that is done in this process. With
//! several replicas any of them may answer, also one that is behind: an answer
//! that is older than this process's last write is asked for again, and an
//! empty one is checked with the leader. Writes of other processes are seen
//! once the answering replica has them, commonly within milliseconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_nats::HeaderMap;
use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};
use parking_lot::RwLock;
use tokio::sync::watch;

use super::{
    log_api,
    log_config::{self, Config},
    log_errands::Errands,
    log_message::{self, Stamp},
    log_streams::{Batch, Streams},
};
use crate::{
    port::{BusError, BusState, Done, Entry, Expect, Put, Remove, Revision, Table, TableSpec},
    subject::{Pattern, Subject},
};

/// How long a write may take to be acknowledged.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(5);

/// How long a removed entry's marker stays: readers from sequences on have so
/// long to notice.
const MARKER: &str = "60s";

/// Patterns in one question; the server gives at most 1,024 entries to one.
const TOGETHER: usize = 512;

/// Entries in one page of a wide pattern.
const PAGE: usize = 1_024;

/// Waiting for a replica that is not behind, twice as long each time: two
/// seconds in all.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(1_024);

/// All tables that this process has declared.
pub(super) struct Tables {
    streams: Streams,
    errands: Arc<Errands>,
    // A lock: read by every operation, written by declarations.
    known: RwLock<HashMap<Table, Arc<Bucket>>>,
}

/// One table.
struct Bucket {
    stream: Box<str>,
    /// `$KV.<table>.`
    prefix: Box<str>,
    config: Config,
    /// The newest sequence that a write of this process was told.
    written: Arc<AtomicU64>,
}

/// A write, as the stream is asked for it.
struct Write {
    bucket: Arc<Bucket>,
    key: Subject,
    value: Bytes,
    removes: bool,
}

// === impl Tables ===

impl Tables {
    pub(super) fn new(streams: Streams, errands: Arc<Errands>) -> Self {
        let known = RwLock::new(HashMap::new());
        Self {
            streams,
            errands,
            known,
        }
    }

    /// Makes the bucket, or makes it what is declared.
    pub(super) fn declare(self: &Arc<Self>, spec: TableSpec, done: Done<()>) {
        let tables = Arc::clone(self);
        let work = async move {
            let wanted = log_config::of_table(&spec, tables.streams.replicas);
            tables.streams.ensure(&wanted).await?;
            let mut known = tables.known.write();
            let written = known
                .get(&spec.table)
                .map(|bucket| Arc::clone(&bucket.written));
            let bucket = Bucket::new(spec.table, wanted, written.unwrap_or_default());
            known.insert(spec.table, Arc::new(bucket));
            Ok(())
        };
        self.errands.run_for(work, done);
    }

    pub(super) fn put(self: &Arc<Self>, put: Put, done: Done<Revision>) {
        let Put {
            table,
            key,
            value,
            expect,
        } = put;
        let Some(bucket) = self.known(table) else {
            return done(Err(BusError::NoTable));
        };
        let write = Write {
            bucket,
            key,
            value,
            removes: false,
        };
        self.write(write, expect, done);
    }

    pub(super) fn remove(self: &Arc<Self>, remove: Remove, done: Done<()>) {
        let Some(bucket) = self.known(remove.table) else {
            return done(Err(BusError::NoTable));
        };
        let write = Write {
            bucket,
            key: remove.key,
            value: Bytes::new(),
            removes: true,
        };
        let done = Box::new(move |outcome: Result<Revision, _>| done(outcome.map(drop)));
        self.write(write, remove.expect, done);
    }

    pub(super) fn entries(
        self: &Arc<Self>,
        table: Table,
        keys: Vec<Pattern>,
        done: Done<Vec<Entry>>,
    ) {
        let Some(bucket) = self.known(table) else {
            return done(Err(BusError::NoTable));
        };
        let tables = Arc::clone(self);
        let work = async move { tables.read(&bucket, &keys).await };
        self.errands.run_for(work, done);
    }

    /// Makes sure after every outage that the buckets are still there: servers
    /// may come back without what was in their memory. Never ends.
    pub(super) async fn run(&self, mut state: watch::Receiver<BusState>) {
        loop {
            // A bus that has ended is not waited for.
            let is_up = |state: &BusState| *state == BusState::Up;
            let changed = async {
                state.changed().await?;
                state.wait_for(is_up).await.map(drop)
            };
            if changed.await.is_err() {
                return std::future::pending().await;
            }
            let buckets: Vec<_> = self.known.read().values().cloned().collect();
            for bucket in buckets {
                if self.streams.ensure(&bucket.config).await.is_ok() {
                    self.correct(&bucket).await.ok();
                }
            }
        }
    }

    fn known(&self, table: Table) -> Option<Arc<Bucket>> {
        self.known.read().get(&table).cloned()
    }

    fn write(self: &Arc<Self>, write: Write, expect: Expect, done: Done<Revision>) {
        let expected = match expect {
            Expect::Anything => return self.publish(&write, None, done),
            Expect::At(revision) => return self.publish(&write, Some(revision.0), done),
            Expect::Absent => 0,
        };
        // Most often nothing is there; a marker is looked for when there is.
        let (tables, again) = (Arc::clone(self), write.copy());
        let done: Done<Revision> = Box::new(move |outcome| match outcome {
            Err(BusError::Conflict) => tables.write_over_marker(again, done),
            outcome => done(outcome),
        });
        self.publish(&write, Some(expected), done);
    }

    /// Writes if the newest message of the key says that there is no entry.
    fn write_over_marker(self: &Arc<Self>, write: Write, done: Done<Revision>) {
        let tables = Arc::clone(self);
        let subject = write.bucket.subject(write.key.as_str());
        let stream = write.bucket.stream.clone();
        let work = async move {
            let newest = tables.streams.newest(&stream, &subject).await?;
            let expected = match newest {
                Some(message) if message.is_marker() => message.seq,
                Some(_entry) => return Err(BusError::Conflict),
                // It has vanished since.
                None => 0,
            };
            let (tx, rx) = tokio::sync::oneshot::channel();
            tables.publish(
                &write,
                Some(expected),
                Box::new(move |outcome| drop(tx.send(outcome))),
            );
            rx.await.unwrap_or(Err(BusError::Unavailable))
        };
        self.errands.run_for(work, done);
    }

    /// Asks the stream to store it; `expected` is the key's newest sequence.
    fn publish(&self, write: &Write, expected: Option<u64>, done: Done<Revision>) {
        let subject = write.bucket.subject(write.key.as_str());
        let bucket = Arc::clone(&write.bucket);
        let done: Done<async_nats::Message> = Box::new(move |outcome| {
            let outcome = match outcome {
                Err(BusError::NoResponders) => Err(BusError::Unavailable),
                outcome => outcome.and_then(|answer| log_api::acknowledged(&answer.payload)),
            };
            done(outcome.map(|ack| {
                bucket.written.fetch_max(ack.seq, Ordering::AcqRel);
                Revision(ack.seq)
            }));
        });
        let (headers, value) = (write.headers(expected), write.value.clone());
        let inbox = self.streams.inbox();
        inbox.call(subject, headers, value, ACKNOWLEDGEMENT, done);
    }

    async fn read(&self, bucket: &Bucket, keys: &[Pattern]) -> Result<Vec<Entry>, BusError> {
        let mut found = HashMap::new();
        for some in keys.chunks(TOGETHER) {
            self.read_some(bucket, some, &mut found).await?;
        }
        Ok(found.into_values().flatten().collect())
    }

    /// Reads the newest message of each key that matches.
    async fn read_some(
        &self,
        bucket: &Bucket,
        keys: &[Pattern],
        found: &mut HashMap<Subject, Option<Entry>>,
    ) -> Result<(), BusError> {
        let subjects: Vec<_> = keys
            .iter()
            .map(|key| bucket.subject(key.as_str()))
            .collect();
        let mut pause = FIRST_PAUSE;
        while pause <= LAST_PAUSE {
            let request = log_api::multi_last(subjects.iter().map(String::as_str));
            let batch = self.streams.direct(&bucket.stream, request).await?;
            let written = bucket.written.load(Ordering::Acquire);
            match batch.end.status {
                413 => return self.read_pages(bucket, &subjects, found).await,
                404 if self.is_empty(bucket, &subjects).await? => return Ok(()),
                204 if batch.end.up_to >= written && batch.end.pending == 0 => {
                    bucket.take(&batch, found);
                    return Ok(());
                }
                204 if batch.end.pending > 0 => {
                    return self.read_pages(bucket, &subjects, found).await;
                }
                _ => {}
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.correct(bucket).await?;
        Err(BusError::Unavailable)
    }

    /// Whether a replica that found nothing is right. With one replica it is.
    async fn is_empty(&self, bucket: &Bucket, subjects: &[String]) -> Result<bool, BusError> {
        if self.streams.replicas == 1 || bucket.written.load(Ordering::Acquire) == 0 {
            return Ok(true);
        }
        for subject in subjects {
            if self
                .streams
                .newest(&bucket.stream, subject)
                .await?
                .is_some()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads by sequence what is too much for one answer. An entry that is
    /// written meanwhile moves to the end, so it may be read twice, never not.
    async fn read_pages(
        &self,
        bucket: &Bucket,
        subjects: &[String],
        found: &mut HashMap<Subject, Option<Entry>>,
    ) -> Result<(), BusError> {
        for subject in subjects {
            let mut read = 0;
            let mut pause = FIRST_PAUSE;
            loop {
                let request = log_api::next_by_subject(subject, read + 1, PAGE, usize::MAX);
                let batch = self.streams.direct(&bucket.stream, request).await?;
                read = bucket.take(&batch, found).unwrap_or(read);
                if batch.end.pending > 0 {
                    continue;
                }
                if self.is_end(bucket, subject, read).await? {
                    break;
                }
                if pause > LAST_PAUSE {
                    return Err(BusError::Unavailable);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        Ok(())
    }

    /// Whether nothing newer than `read` matches. With several replicas each
    /// page may be another's, and its end the end of what that one has; what
    /// the leader has not is nowhere.
    async fn is_end(&self, bucket: &Bucket, subject: &str, read: u64) -> Result<bool, BusError> {
        if self.streams.replicas == 1 {
            return Ok(true);
        }
        let newest = self.streams.newest(&bucket.stream, subject).await?;
        Ok(newest.is_none_or(|message| message.seq <= read))
    }

    /// No replica has what this process wrote: perhaps the stream lost it, as
    /// one in memory does when all its servers end.
    async fn correct(&self, bucket: &Bucket) -> Result<(), BusError> {
        let written = bucket.written.load(Ordering::Acquire);
        let info = self.streams.info(&bucket.stream, None).await?;
        let (last, order) = (info.state.last_seq, Ordering::AcqRel);
        if last < written {
            // Unless a write is done meanwhile: the next read sees to it.
            let order = (order, Ordering::Relaxed);
            let _written = bucket
                .written
                .compare_exchange(written, last, order.0, order.1);
        }
        Ok(())
    }
}

// === impl Bucket ===

impl Bucket {
    fn new(table: Table, config: Config, written: Arc<AtomicU64>) -> Self {
        Self {
            stream: log_config::table_stream(table.0),
            prefix: format!("$KV.{}.", table.0).into(),
            config,
            written,
        }
    }

    fn subject(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Takes entries and markers, the newest of each key; gives the last
    /// sequence.
    fn take(&self, batch: &Batch, found: &mut HashMap<Subject, Option<Entry>>) -> Option<u64> {
        let mut last = None;
        for message in &batch.messages {
            let Some(stamp) = Stamp::of(message.headers.as_ref()) else {
                continue;
            };
            last = last.max(Some(stamp.sequence));
            let key = stamp.subject.strip_prefix(&*self.prefix);
            let Some(key) = key.and_then(|key| Subject::new(key).ok()) else {
                continue;
            };
            let entry = Entry {
                key: key.clone(),
                value: Bytes::copy_from_slice(&message.payload),
                revision: Revision(stamp.sequence),
            };
            let is_marker = log_message::is_marker(message.headers.as_ref());
            found.insert(key, (!is_marker).then_some(entry));
        }
        last
    }
}

// === impl Write ===

impl Write {
    fn copy(&self) -> Self {
        Self {
            bucket: Arc::clone(&self.bucket),
            key: self.key.clone(),
            value: self.value.clone(),
            removes: self.removes,
        }
    }

    fn headers(&self, expected: Option<u64>) -> Option<HeaderMap> {
        if !self.removes && expected.is_none() {
            return None;
        }
        let mut headers = HeaderMap::new();
        if let Some(expected) = expected {
            headers.insert("Nats-Expected-Last-Subject-Sequence", expected.to_string());
        }
        if self.removes {
            headers.insert("KV-Operation", "PURGE");
            headers.insert("Nats-Rollup", "sub");
            headers.insert("Nats-TTL", MARKER);
        }
        Some(headers)
    }
}
