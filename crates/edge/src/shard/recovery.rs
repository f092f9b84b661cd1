//! How subscriptions begin, and the reads of logs that the hub wants for those
//! that are behind.
//!
//! At most [`MAX_READS`] are under way; the others wait in the hub, one of each
//! channel. Whoever waits for its verdict is refused when a read fails; who is
//! behind waits until the next one succeeds.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use bus::{BusError, HistoryPage, HistoryRead, ReadFrom, Subject};
use hub::{Answer, Entrance, LogPage, LogRead, ReadOutcome, Start};
use session::Entered;
use wire::{
    Channel, Epoch, Offset,
    client::{ErrorCode, Verdict},
};

use super::{
    Core, Mail, Shard,
    channels::{Latest, Local, Waiting},
    connection::{Connection, Phase},
    member,
};
use crate::{clock::Tick, fanout::encode};

/// Reads under way at once, so that clients that come back together do not
/// occupy the bus.
const MAX_READS: usize = 16;

/// How long a log that could not be read is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// A read of a log that has ended.
pub(crate) struct EndedRead {
    read: LogRead,
    outcome: Result<(Epoch, LogPage), BusError>,
}

/// Where a shard is with its reads.
#[derive(Default)]
pub(super) struct LogReads {
    under_way: usize,
    /// Channels, by alias, whose logs could not be read, and when they may be
    /// read again.
    paused: VecDeque<(Tick, u32)>,
}

// === impl Shard ===

impl Shard {
    /// Gives those who are behind what follows, and has read what nobody has
    /// here.
    pub(super) fn catch_up(&mut self) {
        self.feeding = self.core.hub.feed();
        self.core.begin_reads();
    }

    /// Takes what was read, and tells those whose verdict it brings.
    pub(super) fn end_read(&mut self, ended: EndedRead) {
        let EndedRead { read, outcome } = ended;
        self.core.log_reads.under_way -= 1;
        let outcome = self.core.check(&read, outcome);
        self.core.counters.recovery.read(&outcome);
        if matches!(outcome, ReadOutcome::Failed) {
            let until = self.core.clock.now().after(PAUSE);
            self.core.log_reads.paused.push_back((until, read.alias));
        }
        let answers = self.core.hub.end_read(&read, outcome);
        // Everybody may have been refused.
        self.core.leave_unused(&read.channel);
        for answer in answers {
            self.tell_verdict(&read, answer);
        }
    }

    fn tell_verdict(&mut self, read: &LogRead, answer: Answer) {
        let slot = answer.member.0 as usize;
        if self.settle_expected(&read.channel, slot, answer.ticket, answer.verdict) {
            return;
        }
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return;
        };
        let Phase::Established(session) = &mut connection.phase else {
            return;
        };
        let (id, channel) = (answer.ticket, &read.channel);
        let (verdict, place) = match answer.verdict {
            hub::Verdict::Recovered(place) => (Verdict::Recovered, place),
            hub::Verdict::Lost(place) => (Verdict::Lost, place),
            hub::Verdict::Unavailable => {
                let code = ErrorCode::Unavailable;
                session.subscribe_failed(id, channel, code, &mut core.actions);
                return self.perform(slot);
            }
        };
        core.counters.recovery.subscribed(verdict);
        let live = core.channels.live(channel);
        let position = live.and_then(|live| live.position(place));
        let conflates = core.hub.conflates(answer.member, channel);
        let entered = Entered {
            verdict,
            position,
            alias: read.alias,
            conflates,
        };
        session.subscribed(id, channel, entered, &mut core.actions);
        core.attend(slot, connection, channel);
        if core.is_lean(slot, channel) {
            connection.keep_lean(core.gateway.config.unsent_bytes);
        }
        self.perform(slot);
    }
}

// === impl Core ===

impl Core {
    /// Makes the connection a subscriber of a live channel. Tells it so, before
    /// any publication, or has the log read first.
    pub(super) fn enter(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        channel: &Channel,
        waiting: Waiting,
    ) {
        let Some(Local::Live(live)) = self.channels.get_mut(channel) else {
            // Somebody who entered before left again, as the last one.
            return self.listen(slot, connection, channel.clone(), waiting);
        };
        let Some(policy) = self.gateway.config.policies.of(channel) else {
            return;
        };
        let Phase::Established(session) = &mut connection.phase else {
            return;
        };
        let (id, alias) = (waiting.id, live.alias());
        let source = live.source(policy.delivery, waiting.class);
        let wants_state = waiting.latest == Latest::Wanted && source.place.is_some();
        if wants_state && waiting.since.is_none() {
            return self.want_state(slot, connection, channel, waiting);
        }
        let life = self.hub.place(channel).or(source.place).map(|it| it.life);
        let epoch = life.and_then(|life| live.epoch(life));
        let since = waiting.since.as_ref();
        let start = match since {
            Some(held) if epoch.is_some_and(|epoch| epoch.as_str() == held.epoch) => Start::Since {
                offset: held.offset,
                ticket: id,
            },
            _ => Start::Now,
        };
        let entrance = self.hub.subscribe(member(slot), channel, source, start);
        let verdict = match entrance {
            Ok(Entrance::Now) if since.is_none() && waiting.latest != Latest::Impossible => {
                Verdict::Fresh
            }
            Ok(Entrance::Now | Entrance::Lost) if wants_state => {
                self.hub.unsubscribe(member(slot), channel);
                return self.want_state(slot, connection, channel, waiting);
            }
            Ok(Entrance::Now | Entrance::Lost) => Verdict::Lost,
            Ok(Entrance::Recovered) => Verdict::Recovered,
            Ok(Entrance::Unknown) if wants_state => return self.states.expect_fallback(waiting),
            Ok(Entrance::Unknown) => return,
            Err(_) => {
                let code = ErrorCode::AlreadySubscribed;
                return session.subscribe_failed(id, channel, code, &mut self.actions);
            }
        };
        self.counters.recovery.subscribed(verdict);
        let position = match verdict {
            Verdict::Recovered => waiting.since,
            _ => self.hub.place(channel).and_then(|it| live.position(it)),
        };
        let conflates = self.hub.conflates(member(slot), channel);
        let entered = Entered {
            verdict,
            position,
            alias,
            conflates,
        };
        session.subscribed(id, channel, entered, &mut self.actions);
        self.attend(slot, connection, channel);
        if self.is_lean(slot, channel) {
            connection.keep_lean(self.gateway.config.unsent_bytes);
        }
    }

    /// Begins the reads that are wanted, as far as they may be.
    pub(super) fn begin_reads(&mut self) {
        while self.log_reads.under_way < MAX_READS
            && let Some(read) = self.hub.next_read()
        {
            self.log_reads.under_way += 1;
            self.begin_read(read);
        }
    }

    fn begin_read(&mut self, read: LogRead) {
        let mailbox = self.mailbox().clone();
        let asked = HistoryRead {
            subject: Subject::of_channel(&read.channel),
            from: ReadFrom::After(Offset(read.after)),
            limit: read.limit,
            max_bytes: read.max_bytes,
        };
        let done = move |outcome: Result<HistoryPage, BusError>| {
            // Encoded here, on the bus's own thread.
            let outcome = outcome.map(|page| encode_page(&read, page));
            mailbox.push(Mail::LogRead(Box::new(EndedRead { read, outcome })));
        };
        match self.degraded {
            // Nobody shall wait for what can't come.
            true => done(Err(BusError::Unavailable)),
            false => self.gateway.bus.history(asked, Box::new(done)),
        }
    }

    /// Whether what was read is of the log that is meant.
    fn check(&self, read: &LogRead, outcome: Result<(Epoch, LogPage), BusError>) -> ReadOutcome {
        let live = self.channels.live(&read.channel);
        let epoch = live.and_then(|live| live.epoch(read.life));
        match outcome {
            Ok((of, page)) if epoch == Some(&of) => ReadOutcome::Page(page),
            Ok(_) | Err(BusError::NoLog) => ReadOutcome::Gone,
            Err(_) => ReadOutcome::Failed,
        }
    }

    /// Logs that could not be read may be, if it is time; all of them if the bus
    /// has come back.
    pub(super) fn retry_reads(&mut self, all: bool) {
        let now = self.clock.now();
        while let Some(&(until, alias)) = self.log_reads.paused.front()
            && (all || until <= now)
        {
            self.log_reads.paused.pop_front();
            self.hub.retry(alias);
        }
    }
}

fn encode_page(read: &LogRead, page: HistoryPage) -> (Epoch, LogPage) {
    let encoded = page.messages.iter().map(|message| {
        let publication = encode(message, read.alias, read.life);
        Arc::new(publication)
    });
    let publications = encoded.collect();
    let tip = page.position.offset.0;
    (page.position.epoch, LogPage { publications, tip })
}
