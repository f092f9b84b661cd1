//! Checks of logs: offsets, positions, limits, repetition, history.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use wire::Offset;

use super::{
    PATIENCE,
    probes::{
        Seen, history, joined, keep_log, listen, log, message, numbers, pattern, publish_range,
        send, subject,
    },
};
use crate::{
    BusExt,
    port::{
        Bus, BusError, HistoryRead, LogLimits, Message, Outgoing, Position, Published, ReadFrom,
        Sink,
    },
};

/// 1, 2, 3 in a log of one's own; `previous` of the first is none; the
/// publisher learns the same offset as the subscriber.
pub async fn offsets_grow_and_name_their_predecessor(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a.>", 10).await;
    let seen = listen(&bus, "a.b").await;
    let mut offsets = vec![Offset::NONE];
    for number in 0..3 {
        let published = bus.send(message("a.b", number)).await.expect("publishes");
        assert!(!published.duplicate);
        assert!(Some(&published.offset) > offsets.last());
        offsets.push(published.offset);
    }
    let chain: Vec<_> = seen
        .wait(3)
        .await
        .iter()
        .map(|m| (m.previous, m.offset))
        .collect();
    let expected: Vec<_> = offsets.windows(2).map(|pair| (pair[0], pair[1])).collect();
    assert_eq!(chain, expected);
}

/// Epoch and newest offset, the same as history tells.
pub async fn a_subscription_tells_where_it_continues_from(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 10).await;
    let position = position(&bus, "a").await.expect("has a log");
    assert_eq!(position.offset, Offset::NONE);
    send(&bus, "a", 1).await;
    let published = bus.send(message("a", 2)).await.expect("publishes");
    let expected = Position {
        epoch: position.epoch,
        offset: published.offset,
    };
    assert_eq!(self::position(&bus, "a").await, Some(expected.clone()));
    assert_eq!(history(&bus, "a").await.position, expected);
}

/// Neither does a wildcard, which may stand for several logs.
pub async fn a_subscription_without_a_log_has_no_position(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a.>", 10).await;
    assert_eq!(position(&bus, "b").await, None);
    assert_eq!(position(&bus, "a.*").await, None);
}

/// History up to the position and deliveries after it make one whole.
pub async fn history_and_subscription_join_without_a_gap(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 10_000).await;
    let publisher = publish_range(&bus, "a", 0..2_000);
    let log = loop {
        let page = history(&bus, "a").await;
        if !page.messages.is_empty() {
            break page;
        }
    };
    let seen: Arc<Seen<Message>> = Seen::new();
    let sink: Arc<dyn Sink> = seen.clone();
    let (_, subscribed) = bus.listen(pattern("a"), sink).await.expect("subscribes");
    let position = subscribed.position.expect("has a log");
    assert_eq!(position.epoch, log.position.epoch);
    let mut whole = history(&bus, "a").await.messages;
    whole.retain(|message| message.offset <= position.offset);
    joined(publisher).await;
    let live = seen.wait(2_000 - whole.len()).await;
    whole.extend(live);
    assert_eq!(numbers(&whole), (0..2_000).collect::<Vec<_>>());
}

/// The newest stay.
pub async fn a_log_keeps_no_more_than_its_limit(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 3).await;
    for number in 0..10 {
        send(&bus, "a", number).await;
    }
    let page = history(&bus, "a").await;
    assert_eq!(numbers(&page.messages), [7, 8, 9]);
    assert_eq!(page.position.offset, page.messages[2].offset);
}

/// For logs that exist already, too.
pub async fn a_repeated_declaration_changes_the_limits(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 3).await;
    for number in 0..3 {
        send(&bus, "a", number).await;
    }
    keep_log(&bus, "a", 2).await;
    assert_eq!(numbers(&history(&bus, "a").await.messages), [1, 2]);
    keep_log(&bus, "a", 4).await;
    for number in 3..6 {
        send(&bus, "a", number).await;
    }
    assert_eq!(numbers(&history(&bus, "a").await.messages), [2, 3, 4, 5]);
}

/// Age empties a log; its position stays.
pub async fn aged_messages_leave_the_log(bus: Arc<dyn Bus>) {
    let limits = LogLimits {
        messages: 10,
        age: Duration::from_millis(100),
    };
    bus.keep_log(log("a", limits)).await.expect("declares");
    let _listener = listen(&bus, "a").await;
    let published = bus.send(message("a", 1)).await.expect("publishes");
    let emptied = async {
        loop {
            let page = history(&bus, "a").await;
            if page.messages.is_empty() {
                break page;
            }
            tokio::task::yield_now().await;
        }
    };
    let page = tokio::time::timeout(PATIENCE, emptied).await.expect("ages");
    assert_eq!(page.position.offset, published.offset);
    let next = bus.send(message("a", 2)).await.expect("publishes");
    assert!(next.offset > published.offset);
}

/// The repetition is answered with the first one's offset and delivered to nobody.
pub async fn a_repeated_message_id_is_stored_once(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 10).await;
    let seen = listen(&bus, "a").await;
    let first = bus.send(identified("a", 1, "id")).await.expect("publishes");
    let again = bus.send(identified("a", 2, "id")).await.expect("publishes");
    assert_eq!(
        again,
        Published {
            offset: first.offset,
            duplicate: true
        }
    );
    let other = bus
        .send(identified("a", 3, "other"))
        .await
        .expect("publishes");
    assert!(!other.duplicate);
    assert_eq!(numbers(&seen.wait(2).await), [1, 3]);
    assert_eq!(numbers(&history(&bus, "a").await.messages), [1, 3]);
}

/// Of several that come together one is the first, and all learn its offset.
pub async fn concurrent_repetitions_are_stored_once(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 1_000).await;
    for round in 0..50 {
        let outcomes = Seen::new();
        let publishers = [0, 1, 2].map(|number| {
            let (bus, done) = (Arc::clone(&bus), outcomes.done());
            tokio::task::spawn_blocking(move || {
                bus.publish(identified("a", number, &format!("id-{round}")), done);
            })
        });
        for publisher in publishers {
            joined(publisher).await;
        }
        let outcomes: Result<Vec<_>, _> = outcomes.wait(3).await.into_iter().collect();
        let outcomes = outcomes.expect("all publish");
        assert_eq!(
            outcomes
                .iter()
                .filter(|published| !published.duplicate)
                .count(),
            1
        );
        let offsets: HashSet<_> = outcomes.iter().map(|published| published.offset).collect();
        assert_eq!(offsets.len(), 1);
    }
    assert_eq!(history(&bus, "a").await.messages.len(), 50);
}

/// The same id elsewhere is another message.
pub async fn a_message_id_counts_for_one_subject(bus: Arc<dyn Bus>) {
    keep_log(&bus, "*", 10).await;
    for to in ["a", "b"] {
        let published = bus.send(identified(to, 1, "id")).await.expect("publishes");
        assert!(!published.duplicate, "{to}");
    }
}

/// `more` says that another page follows.
pub async fn history_is_read_in_pages(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 10).await;
    for number in 0..5 {
        send(&bus, "a", number).await;
    }
    let (mut after, mut pages) = (Offset::NONE, Vec::new());
    loop {
        let read = HistoryRead::after(subject("a"), after, 2);
        let page = bus.read(read).await.expect("has a log");
        pages.push(numbers(&page.messages));
        after = page.messages.last().expect("a page is not empty").offset;
        if !page.more {
            break;
        }
    }
    assert_eq!(pages, [vec![0, 1], vec![2, 3], vec![4]]);
    let read = HistoryRead::after(subject("a"), after, 2);
    let page = bus.read(read).await.expect("has a log");
    assert!(page.messages.is_empty() && !page.more);
}

/// With the message that reaches them; one there is always.
pub async fn a_page_ends_at_its_bytes(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a", 10).await;
    let mut offsets = Vec::new();
    for _ in 0..5 {
        let outgoing = Outgoing {
            payload: vec![7; 1_000].into(),
            ..message("a", 0)
        };
        offsets.push(bus.send(outgoing).await.expect("publishes").offset);
    }
    let cases = [
        (1, 1, true),
        (1_999, 2, true),
        (2_001, 3, true),
        (5_000, 5, false),
    ];
    for (max_bytes, expected, more) in cases {
        let read = HistoryRead {
            max_bytes,
            ..HistoryRead::after(subject("a"), Offset::NONE, 10)
        };
        let page = bus.read(read).await.expect("has a log");
        let read: Vec<_> = page.messages.iter().map(|message| message.offset).collect();
        assert_eq!(
            (&*read, page.more),
            (&offsets[..expected], more),
            "{max_bytes}"
        );
        assert_eq!(page.position.offset, offsets[4]);
    }
}

/// By the time at which the log had them; the next page is read by offset.
pub async fn history_is_read_since_a_time(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a.>", 10).await;
    for number in 0..3 {
        send(&bus, "a.b", number).await;
    }
    let between = another_time().await;
    send(&bus, "a.c", 9).await;
    for number in 3..6 {
        send(&bus, "a.b", number).await;
    }
    let first = bus.read(since("a.b", between, 2)).await.expect("has a log");
    assert_eq!((numbers(&first.messages), first.more), (vec![3, 4], true));
    let last = first.messages[1].offset;
    let next = HistoryRead::after(subject("a.b"), last, 2);
    let next = bus.read(next).await.expect("has a log");
    assert_eq!((numbers(&next.messages), next.more), (vec![5], false));
    assert_eq!(first.position, next.position);
    assert_eq!(next.position.offset, next.messages[0].offset);
    let all = since("a.b", SystemTime::UNIX_EPOCH, 10);
    let all = bus.read(all).await.expect("has a log");
    assert_eq!(
        (numbers(&all.messages), all.more),
        ((0..6).collect(), false)
    );
}

/// It tells the position all the same.
pub async fn history_since_a_time_without_messages_is_empty(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a.>", 10).await;
    let read = || since("a.b", SystemTime::UNIX_EPOCH, 10);
    let unused = bus.read(read()).await.expect("has a log");
    assert!(unused.messages.is_empty() && !unused.more);
    assert_eq!(unused.position.offset, Offset::NONE);
    let published = bus.send(message("a.b", 1)).await.expect("publishes");
    let after = another_time().await;
    send(&bus, "a.c", 2).await;
    let times = [0, 3_600, 1 << 40].map(Duration::from_secs);
    for time in times.map(|later| after + later) {
        let page = bus.read(since("a.b", time, 10)).await.expect("has a log");
        assert!(page.messages.is_empty() && !page.more);
        assert_eq!(page.position.offset, published.offset);
    }
    let nowhere = bus.read(since("b", after, 10)).await;
    assert_eq!(nowhere.err(), Some(BusError::NoLog));
}

/// Whether anybody subscribes or not.
pub async fn a_subject_without_a_log_has_no_history(bus: Arc<dyn Bus>) {
    let _seen = listen(&bus, "a").await;
    for of in ["a", "b"] {
        let read = HistoryRead::after(subject(of), Offset::NONE, 10);
        assert_eq!(bus.read(read).await.err(), Some(BusError::NoLog), "{of}");
    }
}

/// A log to which nothing was published can be read.
pub async fn an_unused_log_is_empty(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a.>", 10).await;
    let page = history(&bus, "a.b").await;
    assert!(page.messages.is_empty() && !page.more);
    assert_eq!(page.position.offset, Offset::NONE);
    assert!(!page.position.epoch.as_str().is_empty());
}

/// Which is how to ask for a position without a subscription.
pub async fn a_read_past_the_end_tells_the_position(bus: Arc<dyn Bus>) {
    keep_log(&bus, "a.>", 10).await;
    let read = || HistoryRead::after(subject("a.b"), Offset(u64::MAX), 1);
    let empty = bus.read(read()).await.expect("there is a log");
    assert_eq!(empty.position, position(&bus, "a.b").await.expect("a log"));
    send(&bus, "a.c", 1).await;
    send(&bus, "a.b", 2).await;
    let published = bus.send(message("a.b", 3)).await.expect("publishes");
    send(&bus, "a.c", 4).await;
    let page = bus.read(read()).await.expect("there is a log");
    assert!(page.messages.is_empty() && !page.more);
    assert_eq!(page.position.offset, published.offset);
}

fn since(of: &str, time: SystemTime, limit: usize) -> HistoryRead {
    HistoryRead {
        from: ReadFrom::Since(time),
        ..HistoryRead::after(subject(of), Offset::NONE, limit)
    }
}

/// A time that lies after everything so far and before everything to come,
/// told in milliseconds.
async fn another_time() -> SystemTime {
    let apart = Duration::from_millis(2);
    let passed = async |since: SystemTime| {
        while SystemTime::now() < since + apart {
            tokio::task::yield_now().await;
        }
        SystemTime::now()
    };
    let between = passed(SystemTime::now()).await;
    passed(between).await;
    between
}

async fn position(bus: &Arc<dyn Bus>, of: &str) -> Option<Position> {
    let sink: Arc<dyn Sink> = Seen::<Message>::new();
    let (token, subscribed) = bus.listen(pattern(of), sink).await.expect("subscribes");
    bus.unsubscribe(token);
    subscribed.position
}

fn identified(to: &str, payload: u64, message_id: &str) -> Outgoing {
    Outgoing {
        message_id: message_id.into(),
        ..message(to, payload)
    }
}
