//! A connection whose messages wait for requests to fetch them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use wire::{
    Subprotocol,
    gateway::{Carried, CarriedOutcome},
};

use super::{
    carriers::{Answer, Ask, Entry, Upstream, carried},
    pair::{Frame, Pair},
};

/// See the module. Ends when no poll has come for a while, or with the connection.
pub(super) struct Polling {
    pub(super) pair: Pair,
    pub(super) entry: Entry,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) codec: Subprotocol,
    /// How long polls may stay away.
    pub(super) absence: Duration,
}

/// Where the client stands.
struct Answers {
    /// What the client names the connection by.
    handle: String,
    /// Number of the answer that was made last; what comes before is confirmed.
    cursor: u64,
    /// That answer, until it is confirmed.
    kept: Option<Bytes>,
    waiting: Option<(u64, Answer)>,
    /// When the poll has waited long enough or, without one, been missed for too long.
    until: Instant,
    absence: Duration,
}

// === impl Polling ===

impl Polling {
    pub(super) async fn run(mut self) {
        let mut upstream = Upstream::default();
        let mut answers = Answers {
            handle: self.entry.handle(),
            cursor: 0,
            kept: None,
            waiting: None,
            until: Instant::now() + self.absence,
            absence: self.absence,
        };
        let mut messages = Vec::new();
        loop {
            tokio::select! {
                Some(ask) = self.asks.recv() => match ask {
                    Ask::Send { sequence, message, text, answer } => {
                        let sent = (sequence, &message[..], text);
                        answer.give(upstream.take(&mut self.pair, self.codec, sent));
                    }
                    Ask::Poll { cursor, patience, answer } => answers.poll(cursor, patience, answer),
                },
                // What nobody fetches stays with the shard, which knows what may be let go.
                () = self.pair.go_on(answers.waiting.is_some()) => {
                    while let Some(frame) = self.pair.next_frame() {
                        if let Frame::Message(message) = frame {
                            write(self.codec, &message, &mut messages);
                        }
                    }
                }
                () = sleep_until(answers.until) => match answers.waiting {
                    Some((cursor, _)) => answers.answer(nothing(cursor)),
                    None => return,
                },
            }
            if answers.waiting.is_some() && !messages.is_empty() {
                let next = answers.next(&mut messages);
                answers.answer(next);
            } else if answers.waiting.is_some() && self.pair.has_ended() {
                answers.answer(carried(CarriedOutcome::Gone));
                return;
            }
        }
    }
}

// === impl Answers ===

impl Answers {
    fn poll(&mut self, cursor: u64, patience: Duration, answer: Answer) {
        if let Some((earlier, _)) = self.waiting {
            // Whoever asks anew does not wait for that one.
            self.answer(nothing(earlier));
        }
        if cursor == self.cursor {
            self.kept = None;
            self.until = Instant::now() + patience;
            self.waiting = Some((cursor, answer));
            return;
        }
        self.until = Instant::now() + self.absence;
        let is_before = self.cursor.checked_sub(1) == Some(cursor);
        answer.give(match self.kept.as_ref().filter(|_| is_before) {
            Some(kept) => done(kept.clone()),
            None => carried(CarriedOutcome::OutOfOrder),
        });
    }

    /// Gives the poll that waits its answer.
    fn answer(&mut self, carried: Carried) {
        if let Some((_, answer)) = self.waiting.take() {
            self.until = Instant::now() + self.absence;
            answer.give(carried);
        }
    }

    /// Makes the next answer, to be kept.
    fn next(&mut self, messages: &mut Vec<u8>) -> Carried {
        self.cursor += 1;
        let (handle, cursor) = (&self.handle, self.cursor);
        let head = format!("{{\"handle\":\"{handle}\",\"cursor\":{cursor},\"messages\":[");
        let body = [head.as_bytes(), messages, b"]}"].concat();
        let body = Bytes::from(body);
        *messages = Vec::new();
        self.kept = Some(body.clone());
        done(body)
    }
}

/// Writes a message of the gateway behind others.
fn write(codec: Subprotocol, message: &[u8], into: &mut Vec<u8>) {
    if !into.is_empty() {
        into.push(b',');
    }
    match codec.is_text() {
        true => into.extend_from_slice(message),
        false => {
            into.push(b'"');
            into.extend_from_slice(STANDARD.encode(message).as_bytes());
            into.push(b'"');
        }
    }
}

/// For a poll that has nothing to fetch, which confirms nothing either.
fn nothing(cursor: u64) -> Carried {
    let body = format!("{{\"cursor\":{cursor},\"messages\":[]}}");
    done(body.into())
}

fn done(body: Bytes) -> Carried {
    Carried {
        body,
        ..carried(CarriedOutcome::Done)
    }
}
