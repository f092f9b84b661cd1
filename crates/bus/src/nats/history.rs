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

use std::{sync::Arc, time::Duration};

use wire::Offset;

use super::{
    log::Logs,
    log_api,
    log_message::{self, Stamp},
    log_stream::LogStream,
};
use crate::{
    port::{BusError, Done, HistoryPage, HistoryRead, Message, Position},
    subject::Subject,
};

/// Messages in one batch.
const BATCH: usize = 256;

/// Waiting for a replica that is not behind, twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(512);

/// One read, so far.
#[derive(Default)]
struct Reading {
    messages: Vec<Message>,
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
        let work = async move { logs.read(&log, &read).await };
        self.errands.run_for(work, done);
    }

    async fn read(&self, log: &LogStream, read: &HistoryRead) -> Result<HistoryPage, BusError> {
        let epoch = log.identity().epoch;
        let mut reading = Reading::default();
        self.read_batches(log, read, &mut reading).await?;
        self.read_rest(log, read, &mut reading).await?;
        if !reading.anchored {
            self.mark_break(log, read, &mut reading).await?;
        }
        let newest = reading.messages.last().map(|message| message.offset);
        let offset = match newest {
            Some(newest) if reading.pending == 0 => newest,
            None if reading.anchored && reading.pending == 0 => read.after,
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
            .map_or(read.after.0, |last| last.offset.0 + 1);
        loop {
            let wanted = read.limit - reading.messages.len();
            // One more, for the message at the offset to read after.
            let batch = wanted.min(BATCH) + 1;
            let request = log_api::next_by_subject(read.subject.as_str(), from, batch);
            let batch = self.streams.direct(&log.stream, request).await?;
            let last = reading.take(&batch.messages, read);
            reading.pending += batch.end.pending;
            let whole = reading.pending == 0 || reading.messages.len() >= read.limit;
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
        while reading.pending == 0 && reading.end(read) < tail && pause <= LAST_PAUSE {
            self.read_batches(log, read, reading).await?;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(())
    }

    /// Sets the `previous` of the first message where the one before it is not
    /// there to tell.
    async fn mark_break(
        &self,
        log: &LogStream,
        read: &HistoryRead,
        reading: &mut Reading,
    ) -> Result<(), BusError> {
        let kept = reading.messages.len() as u64 + reading.pending;
        let Some(first) = reading.messages.first_mut() else {
            return Ok(());
        };
        // Asked after the read, so that what has aged meanwhile counts.
        let full = kept >= log.limits().messages as u64;
        let whole = !full && {
            let oldest = self.streams.info(&log.stream, None).await?.state.first_seq;
            oldest <= read.after.0 + 1
        };
        first.previous = match whole {
            true => read.after,
            false => Offset(first.offset.0 - 1),
        };
        Ok(())
    }
}

// === impl Reading ===

impl Reading {
    /// Up to where the log was read.
    fn end(&self, read: &HistoryRead) -> u64 {
        let last = self.messages.last();
        last.map_or(read.after.0, |last| last.offset.0)
    }

    /// Takes what a batch holds; gives its last sequence.
    fn take(&mut self, batch: &[async_nats::Message], read: &HistoryRead) -> Option<u64> {
        self.pending = 0;
        let mut last = None;
        for message in batch {
            let Some(stamp) = Stamp::of(message.headers.as_ref()) else {
                continue;
            };
            if stamp.sequence <= read.after.0 {
                self.anchored = true;
                last = Some(stamp.sequence);
            } else if self.messages.len() < read.limit {
                let previous = self.messages.last().map_or(read.after, |last| last.offset);
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
        let subject = subject.clone();
        self.messages.push(log_message::stored(
            headers,
            &message.payload,
            subject,
            places,
        ));
    }
}
