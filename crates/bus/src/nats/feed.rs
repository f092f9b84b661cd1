//! One subscription at a server, with what it may have lost, in its place.
//!
//! The client library drops messages for a subscription whose queue is full and
//! tells it a moment later, by an event that names the subscription and no
//! place. But the queue was full then: what was dropped would have come just
//! behind what is in the queue.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt, Stream};
use parking_lot::Mutex;
use tokio::task::unconstrained;

use super::line::Place;

/// Places kept apart; losses at more are told at the last one.
const PLACES: usize = 16;

/// A stream of messages that knows its gaps. Ends the subscription when
/// dropped.
pub(super) struct Feed {
    subscriber: Subscriber,
    lag: Arc<Lag>,
    _place: Place,
}

/// What a subscription has lost.
#[derive(Default)]
pub(super) struct Lag {
    /// Messages taken from the queue.
    received: AtomicU64,
    /// Behind which message how many are missing. A lock: used when something
    /// is missing, and looked at for each message.
    marks: Mutex<VecDeque<(u64, u64)>>,
}

// === impl Feed ===

impl Feed {
    pub(super) fn new(subscriber: Subscriber, lag: Arc<Lag>, place: Place) -> Self {
        Self {
            subscriber,
            lag,
            _place: place,
        }
    }

    /// Asks the server for no more; what is on its way still comes, and then the
    /// end. Whether it could be asked at once.
    pub(super) fn drain_now(&mut self) -> bool {
        unconstrained(self.subscriber.drain())
            .now_or_never()
            .is_some()
    }

    /// How many messages are missing before the one that came last, at least.
    pub(super) fn lost_before_last(&self) -> Option<u64> {
        let last = self.lag.received.load(Ordering::Relaxed).saturating_sub(1);
        self.lag.take_until(last)
    }

    /// How many are missing behind the one that came last, when no other waits.
    pub(super) fn lost_at_end(&self) -> Option<u64> {
        self.lag.take_until(u64::MAX)
    }
}

impl Stream for Feed {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let message = ready!(Pin::new(&mut self.subscriber).poll_next(cx));
        self.lag.received.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(message)
    }
}

// === impl Lag ===

impl Lag {
    /// A message was dropped while the queue held `capacity`. Gives whether it
    /// is the only one that was not told of.
    pub(super) fn mark(&self, capacity: u64) -> bool {
        let at = self.received.load(Ordering::Relaxed) + capacity;
        let mut marks = self.marks.lock();
        let is_first = marks.is_empty();
        let full = marks.len() >= PLACES;
        match marks.back_mut() {
            Some((last, dropped)) if *last == at => *dropped += 1,
            Some((last, dropped)) if full => (*last, *dropped) = (at, *dropped + 1),
            _ => marks.push_back((at, 1)),
        }
        is_first
    }

    fn take_until(&self, position: u64) -> Option<u64> {
        let mut marks = self.marks.lock();
        let mut lost = 0;
        while let Some((at, dropped)) = marks.front()
            && *at <= position
        {
            lost += dropped;
            marks.pop_front();
        }
        (lost > 0).then_some(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_is_missing_behind_a_full_queue() {
        let lag = Lag::default();
        lag.received.store(3, Ordering::Relaxed);
        assert!(lag.mark(10));
        assert!(!lag.mark(10));
        assert_eq!(lag.take_until(12), None);
        assert_eq!(lag.take_until(13), Some(2));
        assert_eq!(lag.take_until(u64::MAX), None);
    }

    #[test]
    fn places_are_bounded_and_every_loss_is_told() {
        let lag = Lag::default();
        for received in 0..100 {
            lag.received.store(received, Ordering::Relaxed);
            lag.mark(10);
        }
        assert!(lag.marks.lock().len() <= PLACES);
        assert_eq!(lag.take_until(u64::MAX), Some(100));
    }
}
