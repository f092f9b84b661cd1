//! Checks of publishing: what arrives, in which order, and what a slow sink does.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::{Condvar, Mutex};
use wire::Offset;

use super::probes::{
    Seen, Takes, joined, listen, message, numbers, pattern, publish_range, send, subject,
};
use crate::{
    BusExt,
    port::{Bus, BusError, Message, Outgoing, Published, Sink},
};

/// More messages than any adapter's queue holds.
const FLOOD: u64 = 100_000;

/// Behind all of those.
const LAST: u64 = 1_000_000;

/// A sink that stands still in its first delivery until it is opened.
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    entered: Arc<Seen<()>>,
    seen: Arc<Seen<Message>>,
    /// Numbers that came, and `None` for each time that some were lost.
    given: Arc<Seen<Option<u64>>>,
}

// === impl Gate ===

impl Gate {
    fn new() -> Arc<Self> {
        let (open, opened) = (Mutex::new(false), Condvar::new());
        Arc::new(Self {
            open,
            opened,
            entered: Seen::new(),
            seen: Seen::new(),
            given: Seen::new(),
        })
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.opened.notify_all();
    }
}

impl Sink for Gate {
    fn deliver(&self, message: &Message) {
        let mut open = self.open.lock();
        if !*open {
            self.entered.push(());
        }
        self.opened.wait_while(&mut open, |open| !*open);
        drop(open);
        self.given
            .push(numbers(std::slice::from_ref(message)).pop());
        self.seen.push(message.clone());
    }

    fn lost(&self, _dropped: u64) {
        self.given.push(None);
    }
}

/// Subject, payload, key and time arrive unchanged; without a log there is no
/// offset.
pub async fn a_message_arrives_as_it_was_published(bus: Arc<dyn Bus>) {
    let seen = listen(&bus, "a.b").await;
    let outgoing = Outgoing {
        subject: subject("a.b"),
        payload: "payload".into(),
        key: "key".into(),
        published_at_us: 1_700_000_000_000_001,
        message_id: "".into(),
        traceparent: "trace".into(),
    };
    let published = bus.send(outgoing).await;
    assert_eq!(
        published,
        Ok(Published {
            offset: Offset::NONE,
            duplicate: false
        })
    );
    let messages = seen.wait(1).await;
    let message = &messages[0];
    assert_eq!(message.subject, subject("a.b"));
    assert_eq!(message.payload, "payload");
    assert_eq!((&*message.key, &*message.traceparent), ("key", "trace"));
    assert_eq!(message.published_at_us, 1_700_000_000_000_001);
    assert_eq!(
        (message.offset, message.previous),
        (Offset::NONE, Offset::NONE)
    );
}

/// The bus's own clock stands in for a time that was not given.
pub async fn a_message_without_a_time_is_stamped(bus: Arc<dyn Bus>) {
    let seen = listen(&bus, "a").await;
    send(&bus, "a", 1).await;
    let messages = seen.wait(1).await;
    assert!(messages[0].published_at_us > 1_700_000_000_000_000);
}

/// Exact and wildcard subscriptions alike.
pub async fn every_subscriber_gets_every_message(bus: Arc<dyn Bus>) {
    let sinks = [
        listen(&bus, "a.b").await,
        listen(&bus, "a.b").await,
        listen(&bus, "a.*").await,
    ];
    for number in 0..3 {
        send(&bus, "a.b", number).await;
    }
    for seen in sinks {
        assert_eq!(numbers(&seen.wait(3).await), [0, 1, 2]);
    }
}

/// Messages of one thread to one subject.
pub async fn one_publishers_messages_keep_their_order(bus: Arc<dyn Bus>) {
    let seen = listen(&bus, "a").await;
    let publisher = publish_range(&bus, "a", 0..2_000);
    let expected: Vec<u64> = (0..2_000).collect();
    assert_eq!(numbers(&seen.wait(2_000).await), expected);
    joined(publisher).await;
}

/// Whatever order the bus chooses among publishers, all sinks see the same,
/// and each publisher's own order is part of it.
pub async fn concurrent_publishers_are_seen_in_one_order(bus: Arc<dyn Bus>) {
    let (first, second) = (listen(&bus, "a").await, listen(&bus, "*").await);
    let ranges = [0..1_000, 1_000..2_000, 2_000..3_000];
    let publishers = ranges.clone().map(|range| publish_range(&bus, "a", range));
    let order = numbers(&first.wait(3_000).await);
    assert_eq!(numbers(&second.wait(3_000).await), order);
    for range in ranges {
        let own: Vec<u64> = order
            .iter()
            .copied()
            .filter(|number| range.contains(number))
            .collect();
        assert_eq!(own, range.collect::<Vec<_>>());
    }
    for publisher in publishers {
        joined(publisher).await;
    }
}

/// A sink needs no lock of its own against the bus.
pub async fn a_sink_is_given_one_message_of_a_subject_at_a_time(bus: Arc<dyn Bus>) {
    let (busy, overlaps) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    let (seen, counted) = (Seen::new(), Arc::clone(&overlaps));
    let taken = Arc::clone(&seen);
    let sink = Takes(move |_: &Message| {
        if busy.swap(true, Ordering::SeqCst) {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        std::thread::yield_now();
        busy.store(false, Ordering::SeqCst);
        taken.push(());
    });
    bus.listen(pattern("a"), Arc::new(sink))
        .await
        .expect("subscribes");
    let publishers = [0..500, 500..1_000].map(|range| publish_range(&bus, "a", range));
    seen.wait(1_000).await;
    assert_eq!(overlaps.load(Ordering::SeqCst), 0);
    for publisher in publishers {
        joined(publisher).await;
    }
}

/// At most once: a message that nobody wants is no error.
pub async fn publishing_to_nobody_succeeds(bus: Arc<dyn Bus>) {
    let published = bus.send(message("nobody.listens", 1)).await;
    assert_eq!(
        published,
        Ok(Published {
            offset: Offset::NONE,
            duplicate: false
        })
    );
}

/// While a sink stands still, others publish to its subject and go on.
pub async fn publishers_do_not_wait_for_a_slow_sink(bus: Arc<dyn Bus>) {
    let gate = Gate::new();
    bus.listen(pattern("a"), gate.clone())
        .await
        .expect("subscribes");
    let stuck = publish_range(&bus, "a", 0..1);
    gate.entered.wait(1).await;
    for number in 1..100 {
        send(&bus, "a", number).await;
    }
    gate.open();
    assert_eq!(
        numbers(&gate.seen.wait(100).await),
        (0..100).collect::<Vec<_>>()
    );
    joined(stuck).await;
}

/// A sink that stands still costs bounded memory: messages are refused, or they
/// are lost. What was taken and is not delivered is told by `lost`, in its
/// place; what is delivered comes in order.
pub async fn a_full_queue_refuses_or_tells_what_it_lost(bus: Arc<dyn Bus>) {
    let gate = Gate::new();
    bus.listen(pattern("a"), gate.clone())
        .await
        .expect("subscribes");
    let elsewhere = listen(&bus, "b").await;
    let stuck = publish_range(&bus, "a", 0..1);
    gate.entered.wait(1).await;
    let taken = flood(&bus, "a").await;
    // Behind the flood, so that the flood has come as far as it will.
    send(&bus, "b", 0).await;
    elsewhere.wait(1).await;
    gate.open();
    joined(stuck).await;
    let given = last_of(&bus, &gate).await;
    let mut delivered_until = 0;
    let mut told = false;
    for one in given {
        let Some(number) = one else {
            told = true;
            continue;
        };
        let missing = taken.range(delivered_until..number).count();
        assert!(
            missing == 0 || told,
            "{missing} are missing before {number}"
        );
        assert!(number >= delivered_until, "{number} comes too late");
        (delivered_until, told) = (number + 1, false);
    }
}

/// Publishes numbers from [`LAST`] on until one comes, and gives what came until
/// then. What falls out of a full queue instead is told, though nothing is behind.
async fn last_of(bus: &Arc<dyn Bus>, gate: &Gate) -> Vec<Option<u64>> {
    for number in LAST.. {
        let known = gate.given.items().len();
        while bus.send(message("a", number)).await == Err(BusError::Overloaded) {
            tokio::task::yield_now().await;
        }
        let mut given = gate.given.wait(known + 1).await;
        while !given.contains(&Some(number)) && given.last() != Some(&None) {
            given = gate.given.wait(given.len() + 1).await;
        }
        if given.contains(&Some(number)) {
            return given;
        }
    }
    unreachable!("numbers do not end")
}

/// Publishes numbers from one on, until some are refused or there are many;
/// gives those that the bus took.
async fn flood(bus: &Arc<dyn Bus>, to: &str) -> BTreeSet<u64> {
    let outcomes = Seen::new();
    let mut taken = BTreeSet::new();
    for number in 1..=FLOOD {
        match bus.send(message(to, number)).await {
            Ok(_) => drop(taken.insert(number)),
            Err(refusal) => outcomes.push(refusal),
        }
        if outcomes.items().len() >= 10 {
            break;
        }
    }
    let refusals = outcomes.items();
    assert!(
        refusals
            .iter()
            .all(|refusal| *refusal == BusError::Overloaded)
    );
    taken
}

/// Sinks are called with nothing of the bus locked.
pub async fn a_sink_may_publish_elsewhere(bus: Arc<dyn Bus>) {
    let seen = listen(&bus, "b").await;
    let onward = Arc::downgrade(&bus);
    let sink = Takes(move |_: &Message| {
        if let Some(bus) = onward.upgrade() {
            bus.publish(message("b", 2), Box::new(drop));
        }
    });
    bus.listen(pattern("a"), Arc::new(sink))
        .await
        .expect("subscribes");
    send(&bus, "a", 1).await;
    assert_eq!(numbers(&seen.wait(1).await), [2]);
}
