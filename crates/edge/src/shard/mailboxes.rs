//! The mailboxes of the users who are connected here: read from their logs, and
//! given to each connection in the log's order.
//!
//! A mailbox is read once the connection is in the registry: whoever stores a
//! message after that finds the connection and tells this gateway. Such a word only
//! makes the connection's reader read on from its cursor, so that nothing is given
//! out of order or twice, however many words come, or get lost: the next one
//! brings what an earlier one did not. When the bus has been away, everybody's
//! mailbox is looked at again.
//!
//! ```text
//!          registered, word                  a turn is free
//!   idle ------------------> waiting -----------------------------> reading
//!    ^  ^                     ^   ^---- more, word, failure ---------| |
//!    |  +---------------------|----------- nothing left -------------+ |
//!    |                        +-- outbox is empty -- stalled <---------+ no room
//! ```
//!
//! Bounded: so many reads are under way, whose pages are bounded; the others
//! wait, with a few bytes for each connection. A user without messages costs a
//! connection one read and leaves nothing behind.

mod readers;

use std::{sync::Arc, time::Instant};

use bus::{BusError, Entry, HistoryPage, Message};
use wire::{
    UserId,
    client::{Direct, ServerEvent, server_event::Event},
    gateway::{Deliver, command::Command},
};

use self::readers::Next;
pub(super) use self::readers::Readers;
use super::{
    Core, Mail, Shard,
    connection::{Connection, Phase, slot_number},
    mail::ConnectionKey,
    member,
};
use crate::{command::Query, mailbox::Mailbox};

/// Reads under way at a gateway, of all its shards together.
const MAX_READS: usize = 64;

/// What a reader hears.
pub(crate) enum News {
    /// The connection is in the registry.
    Registered,
    /// A page of the log, or why not.
    Page(Result<HistoryPage, BusError>),
    /// The user's cursor, or why not.
    Cursor(Result<Vec<Entry>, BusError>),
}

impl Shard {
    /// Hears news about a connection's mailbox.
    pub(super) fn hear(&mut self, key: ConnectionKey, news: News) {
        if !matches!(news, News::Registered) {
            self.core.readers.under_way -= 1;
        }
        let slot = key.slot as usize;
        let lives = self.connection(key).is_some();
        if lives && self.is_established(slot) {
            match news {
                News::Registered => self.core.readers.queue(key),
                News::Page(Ok(page)) => self.take_page(key, page),
                News::Cursor(Ok(entries)) => self.take_cursor(key, &entries),
                News::Page(Err(error)) | News::Cursor(Err(error)) => {
                    self.core.counters.mailbox_failures += 1;
                    tracing::debug!(%error, "a mailbox could not be read");
                    self.core.readers.fail(key, Instant::now());
                }
            }
        }
        self.read_mailboxes();
    }

    /// Gives every target a message that its user's mailbox holds.
    pub(super) fn deliver_stored(&mut self, deliver: &Deliver, query: &Arc<Query>) {
        let slots = self.targets(query.target());
        let offset = deliver.mailbox_offset;
        self.expect_stored(deliver, query, &slots);
        for slot in slots {
            let key = self.connections[slot].key(slot);
            let reader = self.core.readers.readers.get(&key.slot);
            match reader {
                Some(reader) if reader.cursor >= offset && !reader.is_claimed => {
                    let confirmed = reader.noted;
                    self.given_before(slot, offset, confirmed);
                }
                _ => self.core.readers.queue(key),
            }
        }
        self.read_mailboxes();
    }

    /// Reads the mailboxes that a word is about which came too late for an answer.
    pub(super) fn look_at_mailboxes(&mut self, query: &Query) {
        if let Command::Deliver(deliver) = &query.command
            && deliver.mailbox_offset != 0
        {
            for slot in self.targets(query.target()) {
                let key = self.connections[slot].key(slot);
                self.core.readers.queue(key);
            }
            self.read_mailboxes();
        }
    }

    /// Looks at everybody's mailbox: words may have been lost.
    pub(super) fn look_again(&mut self) {
        if !self.core.gateway.config.mailboxes {
            return;
        }
        self.core.readers.forget_waiting();
        for slot in self.everybody() {
            let key = self.connections[slot].key(slot);
            if let Some(reader) = self.core.readers.readers.get_mut(&key.slot) {
                reader.in_doubt = true;
            }
            self.core.readers.queue(key);
        }
        self.read_mailboxes();
    }

    /// Goes on after a pause.
    pub(super) fn retry_mailboxes(&mut self) {
        let due = |at| at <= Instant::now();
        if self.core.readers.pause_until.is_some_and(due) {
            self.core.readers.pause_until = None;
            self.read_mailboxes();
        }
    }

    /// The connection's outbox is empty: there is room again.
    pub(super) fn read_on_if_stalled(&mut self, slot: usize) {
        if self.core.readers.stalled > 0 {
            let key = self.connections[slot].key(slot);
            if self.core.readers.wake(key) {
                self.read_mailboxes();
            }
        }
    }

    /// Begins as many reads as may be under way.
    fn read_mailboxes(&mut self) {
        let most = (MAX_READS / self.core.gateway.shards.len()).max(1);
        while !self.core.degraded && self.core.readers.may_read(most) {
            let Some(key) = self.core.readers.waiting.pop_front() else {
                break;
            };
            let found = self.connection(key);
            let begin = found.and_then(|it| Some((user_of(it)?, !it.flow.knows_mailbox)));
            if let Some((user, is_new)) = begin {
                self.core.read_mailbox(key, &user, is_new);
            }
        }
        self.core.readers.give_back_memory();
    }

    fn take_page(&mut self, key: ConnectionKey, page: HistoryPage) {
        let Some(reader) = self.core.readers.readers.get_mut(&key.slot) else {
            return;
        };
        let newest = page.messages.last().map_or(0, |last| last.offset.0);
        reader.known = reader.known.max(page.position.offset.0).max(newest);
        if reader.is_claimed && reader.known < reader.cursor {
            // Nothing of this log: the client is to have all that it needs.
            reader.cursor = 0;
            reader.is_new = true;
        }
        reader.is_claimed = false;
        let is_new = reader.is_new && reader.known > 0;
        let Some(connection) = self.connection(key) else {
            return;
        };
        if is_new && let Some(user) = user_of(connection) {
            return self.core.read_cursor(key, &user);
        }
        connection.flow.knows_mailbox = true;
        let next = self.give(key, page);
        self.core.readers.settle(key, next);
        self.pass_on_confirmation(key);
    }

    fn take_cursor(&mut self, key: ConnectionKey, entries: &[Entry]) {
        let Some(reader) = self.core.readers.readers.get_mut(&key.slot) else {
            return;
        };
        let confirmed = mailboxes::cursor_of(entries);
        reader.is_new = false;
        // Beyond what the log has had it is another log's.
        if confirmed <= reader.known {
            reader.cursor = reader.cursor.max(confirmed);
            reader.noted = confirmed;
        }
        let next = match reader.cursor < reader.known {
            true => Next::ReadOn,
            false => Next::Rest,
        };
        let cursor = reader.cursor;
        self.core.readers.settle(key, next);
        if let Some(connection) = self.connection(key) {
            connection.flow.knows_mailbox = true;
        }
        self.given_before(key.slot as usize, cursor, cursor);
    }

    /// Puts a page's messages into the outbox as far as there is room.
    fn give(&mut self, key: ConnectionKey, page: HistoryPage) -> Next {
        let slot = key.slot as usize;
        let mut is_first = true;
        for message in page.messages {
            let has_room = self.core.has_room(slot, message.payload.len());
            let Some(reader) = self.core.readers.readers.get_mut(&key.slot) else {
                return Next::Rest;
            };
            let offset = message.offset.0;
            if offset <= reader.cursor {
                continue;
            }
            let mut previous = message.previous.0;
            if is_first && !reader.in_doubt && !page.more {
                // What it had last has gone by age; no word was lost since.
                previous = reader.cursor;
            }
            is_first = false;
            if !has_room {
                return Next::WaitForRoom;
            }
            reader.cursor = offset;
            if !self.give_message(slot, message, previous) {
                return Next::Rest;
            }
        }
        if page.more {
            return Next::ReadOn;
        }
        if let Some(reader) = self.core.readers.readers.get_mut(&key.slot) {
            reader.in_doubt = false;
        }
        Next::Rest
    }

    /// `false`: the connection is being closed.
    fn give_message(&mut self, slot: usize, message: Message, previous: u64) -> bool {
        let offset = message.offset.0;
        if !self.core.can_hold(message.payload.len()) {
            // The next one's `previous` tells the client that it has missed one.
            self.core.deliveries.refuse(slot_number(slot), offset);
            return true;
        }
        let receipt = self.core.deliveries.give(slot_number(slot), offset);
        let event = ServerEvent {
            event: Some(Event::Direct(Direct {
                offset,
                previous,
                payload: message.payload,
                needs_ack: true,
                ack_id: 0,
            })),
        };
        self.core.counters.mailbox_messages += 1;
        self.send_direct(slot, &event, receipt)
    }

    /// Passes on what the client has confirmed of what it was given.
    fn pass_on_confirmation(&mut self, key: ConnectionKey) {
        let user = self.connection(key).and_then(|found| user_of(found));
        if let Some(user) = user {
            self.core.pass_on_confirmation(key.slot, &user);
        }
    }
}

impl Core {
    /// The client says which durable message it had last.
    pub(super) fn claim_mailbox(&mut self, slot: usize, connection: &Connection, offset: u64) {
        if offset == 0 || !self.gateway.config.mailboxes {
            return;
        }
        let key = connection.key(slot);
        let reader = self.readers.readers.entry(key.slot).or_default();
        reader.cursor = offset;
        reader.is_claimed = true;
        reader.is_new = false;
        reader.in_doubt = true;
    }

    /// The client has dealt with all durable messages up to an offset.
    pub(super) fn confirm_mailbox(&mut self, slot: usize, connection: &Connection, up_to: u64) {
        let slot = slot_number(slot);
        if let Some(reader) = self.readers.readers.get_mut(&slot)
            && let Some(user) = user_of(connection)
        {
            reader.confirmed = reader.confirmed.max(up_to);
            self.pass_on_confirmation(slot, &user);
        }
    }

    fn pass_on_confirmation(&mut self, slot: u32, user: &UserId) {
        let Some(reader) = self.readers.readers.get_mut(&slot) else {
            return;
        };
        // Nobody confirms what he was not given.
        let up_to = reader.confirmed.min(reader.cursor).min(reader.known);
        if up_to > reader.noted && !reader.is_claimed {
            reader.noted = up_to;
            self.deliveries.confirmed(slot, up_to);
            self.gateway.acks.note(user, up_to);
        }
    }

    fn read_mailbox(&mut self, key: ConnectionKey, user: &UserId, is_new: bool) {
        let cursor = self.readers.begin(key, is_new);
        self.counters.mailbox_reads += 1;
        let mailbox = self.mailbox().clone();
        let read = mailboxes::page_after(user, cursor);
        let done = move |outcome| tell(&mailbox, key, News::Page(outcome));
        self.gateway.bus.history(read, Box::new(done));
    }

    fn read_cursor(&mut self, key: ConnectionKey, user: &UserId) {
        self.readers.under_way += 1;
        let mailbox = self.mailbox().clone();
        let keys = vec![mailboxes::cursor_key(user).into()];
        let done = move |outcome| tell(&mailbox, key, News::Cursor(outcome));
        let table = mailboxes::CURSORS;
        self.gateway.bus.entries(table, keys, Box::new(done));
    }

    /// Half an outbox is left to what flows live.
    fn has_room(&self, slot: usize, bytes: usize) -> bool {
        let limits = self.gateway.config.outbox;
        let outbox = self.hub.outbox(member(slot));
        let fits = outbox.items() < limits.items / 2 && outbox.bytes() + bytes < limits.bytes / 2;
        fits || outbox.is_empty()
    }
}

fn user_of(connection: &Connection) -> Option<UserId> {
    let identity = connection.profile.identity.as_ref()?;
    matches!(connection.phase, Phase::Established(_)).then(|| identity.user.clone())
}

fn tell(mailbox: &Mailbox, connection: ConnectionKey, news: News) {
    mailbox.push(Mail::Mailbox { connection, news });
}
