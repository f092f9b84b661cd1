//! Reading a log: direct gets, page by page, from any replica.
//!
//! With several replicas the one that answers may be behind. What was read is
//! compared with the subject's tail, which is not behind what this process
//! knows, and the rest is read as well.
//!
//! A batch does not tell which message came before its first one. So a read
//! after an offset begins *at* it: if it is still there, the chain is whole.
//! If it is not, the log's other limits tell whether something between may
//! have gone; then the first message names the sequence right before itself,
//! which the reader has not seen: a break, rather than a gap unnoticed.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use wire::Offset;

use super::{
    log::Logs,
    log_api,
    log_message::{self, Stamp},
    log_stream::LogStream,
};
use crate::{
    port::{BusError, Done, HistoryPage, HistoryRead, Message, Position, ReadFrom},
    subject::Subject,
};

/// Messages in one batch.
const BATCH: usize = 256;

/// Waiting for a replica that is not behind, twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(512);

/// How long one page may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// One read, so far.
struct Reading {
    /// What the page comes after.
    after: Offset,
    messages: Vec<Message>,
    /// Of payload.
    bytes: usize,
    /// The message at the offset to read after is still there.
    anchored: bool,
    /// How many more the log holds.
    pending: u64,
}

// === impl Logs ===

impl Logs {
    /// Reads a part of a log.
    pub(super) fn history(self: &Arc<Self>, read: HistoryRead, done: Done<HistoryPage>) {
        let Some(log) = self.of(&read.subject) else {
            return done(Err(BusError::NoLog));
        };
        let logs = Arc::clone(self);
        let until = Instant::now() + PATIENCE;
        let work = async move {
            let page = tokio::time::timeout_at(until, logs.read(&log, &read)).await;
            page.unwrap_or(Err(BusError::DeadlineExceeded))
        };
        self.errands.run_for(work, done);
    }

    async fn read(&self, log: &LogStream, read: &HistoryRead) -> Result<HistoryPage, BusError> {
        match read.from {
            ReadFrom::After(after) => self.read_after(log, read, after).await,
            ReadFrom::Since(time) => self.read_since(log, read, time).await,
        }
    }

    /// Asks the leader where to begin: a replica that is behind can't tell "none
    /// since then" from "none yet".
    async fn read_since(
        &self,
        log: &LogStream,
        read: &HistoryRead,
        time: SystemTime,
    ) -> Result<HistoryPage, BusError> {
        let subject = read.subject.as_str();
        let first = self.streams.first_since(&log.stream, subject, time).await?;
        let after = match first {
            Some(first) => Offset(first.seq.saturating_sub(1)),
            None => Offset(u64::MAX),
        };
        self.read_after(log, read, after).await
    }

    async fn read_after(
        &self,
        log: &LogStream,
        read: &HistoryRead,
        after: Offset,
    ) -> Result<HistoryPage, BusError> {
        let epoch = log.identity().epoch;
        let mut reading = Reading::begin(after);
        self.read_batches(log, read, &mut reading).await?;
        self.read_rest(log, read, &mut reading).await?;
        if !reading.anchored {
            self.mark_break(log, &mut reading).await?;
        }
        let newest = reading.messages.last().map(|message| message.offset);
        let offset = match newest {
            Some(newest) if reading.pending == 0 => newest,
            None if reading.anchored && reading.pending == 0 => after,
            _ => {
                let position = self.position(log, &read.subject).await?;
                Offset(position).max(newest.unwrap_or(Offset::NONE))
            }
        };
        let position = Position { epoch, offset };
        Ok(HistoryPage {
            messages: reading.messages,
            position,
            more: reading.pending > 0,
        })
    }

    /// Reads on until the log's end, or the limit.
    async fn read_batches(
        &self,
        log: &LogStream,
        read: &HistoryRead,
        reading: &mut Reading,
    ) -> Result<(), BusError> {
        let mut from = reading
            .messages
            .last()
            .map_or(reading.after.0, |last| last.offset.0 + 1);
        loop {
            let wanted = read.limit - reading.messages.len();
            // One more, for the message at the offset to read after.
            let batch = wanted.min(BATCH) + 1;
            let bytes = read.max_bytes.saturating_sub(reading.bytes);
            let subject = read.subject.as_str();
            let request = log_api::next_by_subject(subject, from, batch, bytes);
            let batch = self.streams.direct(&log.stream, request).await?;
            let last = reading.take(&batch.messages, read);
            reading.pending += batch.end.pending;
            let whole = reading.pending == 0 || reading.is_full(read);
            match last {
                Some(last) if !whole => from = last + 1,
                _ => return Ok(()),
            }
        }
    }

    /// Reads what a replica that was behind did not have.
    async fn read_rest(
        &self,
        log: &LogStream,
        read: &HistoryRead,
        reading: &mut Reading,
    ) -> Result<(), BusError> {
        if self.streams.replicas == 1 || reading.pending > 0 {
            return Ok(());
        }
        let tail = self.tail(log, read.subject.clone()).await?.unwrap_or(0);
        let mut pause = FIRST_PAUSE;
        while reading.pending == 0 && reading.end() < tail && pause <= LAST_PAUSE {
            self.read_batches(log, read, reading).await?;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// Sets the `previous` of the first message where the one before it is not
    /// there to tell.
    async fn mark_break(&self, log: &LogStream, reading: &mut Reading) -> Result<(), BusError> {
        let after = reading.after;
        let kept = reading.messages.len() as u64 + reading.pending;
        let Some(first) = reading.messages.first_mut() else {
            return Ok(());
        };
        // Asked after the read, so that what has aged meanwhile counts.
        let full = kept >= log.limits().messages as u64;
        let whole = !full && {
            let oldest = self.streams.info(&log.stream, None).await?.state.first_seq;
            oldest <= after.0 + 1
        };
        first.previous = match whole {
            true => after,
            false => Offset(first.offset.0 - 1),
        };
        Ok(())
    }
}

// === impl Reading ===

impl Reading {
    fn begin(after: Offset) -> Self {
        Self {
            after,
            messages: Vec::new(),
            bytes: 0,
            anchored: false,
            pending: 0,
        }
    }

    /// Up to where the log was read.
    fn end(&self) -> u64 {
        let last = self.messages.last();
        last.map_or(self.after.0, |last| last.offset.0)
    }

    fn is_full(&self, read: &HistoryRead) -> bool {
        self.messages.len() >= read.limit || self.bytes >= read.max_bytes
    }

    /// Takes what a batch holds; gives its last sequence.
    fn take(&mut self, batch: &[async_nats::Message], read: &HistoryRead) -> Option<u64> {
        self.pending = 0;
        let mut last = None;
        for message in batch {
            let Some(stamp) = Stamp::of(message.headers.as_ref()) else {
                continue;
            };
            if stamp.sequence <= self.after.0 {
                self.anchored = true;
                last = Some(stamp.sequence);
            } else if !self.is_full(read) {
                let previous = self.messages.last().map_or(self.after, |last| last.offset);
                self.push(message, &read.subject, stamp.sequence, previous);
                last = Some(stamp.sequence);
            } else {
                self.pending += 1;
            }
        }
        last
    }

    fn push(
        &mut self,
        message: &async_nats::Message,
        subject: &Subject,
        at: u64,
        previous: Offset,
    ) {
        let Some(headers) = &message.headers else {
            return;
        };
        let places = (at, previous.0);
        self.bytes += message.payload.len();
        let subject = subject.clone();
        self.messages.push(log_message::stored(
            headers,
            &message.payload,
            subject,
            places,
        ));
    }
}
