//! Which direct messages await confirmation, and to which connection it goes.
//!
//! Gateways count per connection, and mailboxes per user; the application sees one
//! count for the life of its client.

use std::collections::VecDeque;

use wire::client::{Ack, Direct};

/// Messages that await confirmation; of more the oldest are never confirmed.
const MOST: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    due: VecDeque<Due>,
    /// The number given last.
    last: u64,
    /// Up to here the application has confirmed.
    confirmed: u64,
}

#[derive(Debug)]
struct Due {
    number: u64,
    /// The connection that knows `up_to`; `None`: a mailbox offset whose
    /// connection is gone, which any gateway understands.
    line: Option<u32>,
    up_to: u64,
    is_durable: bool,
}

// === impl Acks ===

impl Acks {
    /// The number by which the application confirms this message.
    pub(crate) fn note(&mut self, line: u32, direct: &Direct) -> u64 {
        self.last += 1;
        self.note_copy(self.last, line, direct);
        self.last
    }

    /// The number given last; zero: none.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Another connection brought the same message.
    pub(crate) fn note_copy(&mut self, number: u64, line: u32, direct: &Direct) {
        if self.due.len() == MOST {
            self.due.pop_front();
        }
        let is_durable = direct.offset != 0;
        self.due.push_back(Due {
            number,
            line: Some(line),
            up_to: match is_durable {
                true => direct.offset,
                false => direct.ack_id,
            },
            is_durable,
        });
    }

    /// The application has dealt with everything up to `number`.
    pub(crate) fn confirm(&mut self, number: u64) {
        self.confirmed = self.confirmed.max(number);
    }

    /// What to confirm now on `line`, which is the main one or not; cumulative.
    pub(crate) fn take(&mut self, line: u32, is_main: bool) -> Option<Ack> {
        let confirmed = self.confirmed;
        let mut ack = Ack::default();
        self.due.retain(|due| {
            let is_its = due.line.map_or(is_main, |its| its == line);
            let is_due = is_its && due.number <= confirmed;
            if is_due {
                let up_to = match due.is_durable {
                    true => &mut ack.up_to,
                    false => &mut ack.ack_id,
                };
                *up_to = due.up_to.max(*up_to);
            }
            !is_due
        });
        (ack != Ack::default()).then_some(ack)
    }

    /// The connection is gone, and with it who waited for confirmations by its
    /// own count.
    pub(crate) fn line_ended(&mut self, line: u32) {
        self.due.retain_mut(|due| {
            if due.line != Some(line) {
                return true;
            }
            due.line = None;
            due.is_durable
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct(offset: u64, ack_id: u64) -> Direct {
        Direct {
            offset,
            ack_id,
            needs_ack: true,
            ..Direct::default()
        }
    }

    fn others(ack_id: u64) -> Ack {
        Ack { up_to: 0, ack_id }
    }

    #[test]
    fn each_connection_is_told_in_its_own_count() {
        let mut acks = Acks::default();
        let first = acks.note(1, &direct(0, 40));
        acks.note_copy(first, 2, &direct(0, 7));
        let second = acks.note(2, &direct(0, 8));
        acks.confirm(first);
        assert_eq!(acks.take(1, false), Some(others(40)));
        assert_eq!(acks.take(2, true), Some(others(7)));
        acks.confirm(second);
        assert_eq!(acks.take(1, false), None);
        assert_eq!(acks.take(2, true), Some(others(8)));
        assert_eq!(acks.take(2, true), None);
    }

    #[test]
    fn durable_messages_outlive_their_connection() {
        let mut acks = Acks::default();
        acks.note(1, &direct(30, 0));
        let last = acks.note(1, &direct(0, 9));
        acks.line_ended(1);
        acks.confirm(last);
        let durable = Ack {
            up_to: 30,
            ack_id: 0,
        };
        assert_eq!(acks.take(2, true), Some(durable));
    }
}
