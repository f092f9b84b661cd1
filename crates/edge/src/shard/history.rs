//! What clients read from logs, page by page.
//!
//! A page is cut to what the connection's outbox has room for when it comes, so
//! that a client may ask for many at once: the later ones are smaller, and none
//! costs it the connection. One publication there always is in a page, as there
//! is in what flows live.

use std::time::{Duration, SystemTime};

use bus::{BusError, HistoryPage, HistoryRead, Message, ReadFrom, Subject};
use session::{Action, HistoryStart};
use wire::{
    Offset,
    client::{ErrorCode, Position, Publication},
};

use super::{
    Core, Mail, Shard,
    connection::{Connection, Phase},
    mail::ConnectionKey,
    member,
    post::code_of,
};

/// Pages that clients of one shard may await; more are refused as overloaded.
/// Together they hold half as many outboxes' worth of payload at most.
const MAX_READS: usize = 64;

/// Publications in one page.
const MAX_PUBLICATIONS: usize = 256;

/// What a publication is charged besides its payload and key.
const OVERHEAD_BYTES: usize = 64;

/// A page that a client awaits.
pub(crate) struct Awaited {
    connection: ConnectionKey,
    id: u32,
    /// Of the position that the client named; empty: any will do.
    epoch: Box<str>,
}

// === impl Core ===

impl Core {
    /// Asks the bus for a page; its deadline is the bus's.
    pub(super) fn read_history(&mut self, slot: usize, connection: &mut Connection, read: Action) {
        let Action::History {
            id,
            channel,
            start,
            limit,
        } = read
        else {
            return;
        };
        let refusal = match self.degraded {
            true => Some(ErrorCode::Unavailable),
            false => (self.reads >= MAX_READS).then_some(ErrorCode::Overloaded),
        };
        if let (Some(code), Phase::Established(session)) = (refusal, &mut connection.phase) {
            return session.history(id, Err(code), &mut self.actions);
        }
        self.reads += 1;
        let (from, epoch) = beginning(start);
        let limit = match limit {
            0 => MAX_PUBLICATIONS,
            limit => MAX_PUBLICATIONS.min(limit as usize),
        };
        let read = HistoryRead {
            subject: Subject::of_channel(&channel),
            from,
            limit,
            max_bytes: self.gateway.config.outbox.bytes / 2,
        };
        let awaited = Awaited {
            connection: connection.key(slot),
            id,
            epoch: epoch.into(),
        };
        let mailbox = self.mailbox().clone();
        let done = move |outcome| mailbox.push(Mail::Read(awaited, outcome));
        self.gateway.bus.history(read, Box::new(done));
    }
}

// === impl Shard ===

impl Shard {
    /// The bus has read a page, or not.
    pub(super) fn read(&mut self, awaited: Awaited, outcome: Result<HistoryPage, BusError>) {
        self.core.reads -= 1;
        let Awaited {
            connection: key,
            id,
            epoch,
        } = awaited;
        let Some(connection) = self.connection(key) else {
            return;
        };
        let text = connection.profile.subprotocol.is_text();
        let queued = self.core.hub.outbox(member(key.slot as usize)).bytes();
        let limit = self.core.gateway.config.outbox.bytes;
        let room = limit.saturating_sub(queued) / 2;
        let outcome = match outcome {
            Ok(page) if epoch.is_empty() || *epoch == *page.position.epoch.as_str() => {
                Ok(cut(page, room, text))
            }
            Ok(_) => Err(ErrorCode::OtherEpoch),
            Err(error) => Err(code_of(&error)),
        };
        self.core.counters.history_read(&outcome);
        self.tell(key, |session, actions| {
            session.history(id, outcome, actions)
        });
    }
}

fn beginning(start: HistoryStart) -> (ReadFrom, String) {
    match start {
        HistoryStart::Oldest => (ReadFrom::After(Offset::NONE), String::new()),
        HistoryStart::After(Position { epoch, offset }) => (ReadFrom::After(Offset(offset)), epoch),
        HistoryStart::Time(unix_ms) => {
            let since = Duration::from_millis(unix_ms.unsigned_abs());
            let since = SystemTime::UNIX_EPOCH.checked_add(since);
            // A time beyond what clocks can say is later than any message.
            let from = since.map_or(ReadFrom::After(Offset(u64::MAX)), ReadFrom::Since);
            (from, String::new())
        }
    }
}

/// As much of the page as fits into `room` bytes, and whether there is more.
fn cut(page: HistoryPage, room: usize, text: bool) -> (Vec<Publication>, Position, bool) {
    let HistoryPage {
        messages,
        position,
        more,
    } = page;
    let read = messages.len();
    let mut left = room;
    let mut publications = Vec::with_capacity(read);
    for message in messages {
        let charge = charge(&message, text);
        if charge > left && !publications.is_empty() {
            break;
        }
        left = left.saturating_sub(charge);
        publications.push(publication(message));
    }
    let more = more || publications.len() < read;
    let position = Position {
        epoch: position.epoch.as_str().to_owned(),
        offset: position.offset.0,
    };
    (publications, position, more)
}

/// About the length of the encoded publication.
fn charge(message: &Message, text: bool) -> usize {
    let payload = message.payload.len();
    let encoded = match text {
        true => payload.div_ceil(3) * 4,
        false => payload,
    };
    encoded + message.key.len() + OVERHEAD_BYTES * if text { 2 } else { 1 }
}

fn publication(message: Message) -> Publication {
    Publication {
        alias: 0,
        offset: message.offset.0,
        previous: message.previous.0,
        key: message.key.into(),
        payload: message.payload,
        published_at_us: message.published_at_us,
    }
}
