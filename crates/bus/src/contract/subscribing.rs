//! Checks of subscriptions: what they match, when they begin, how they end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{
    PATIENCE,
    probes::{Seen, Takes, joined, listen, numbers, pattern, publish_range, send},
};
use crate::{
    BusExt,
    port::{Bus, Message, RequestToken, Sink, SubscriptionToken},
};

/// Enough rounds for a race to show.
const ROUNDS: u64 = 50;

/// `*` is one token, `>` is one or more at the end.
pub async fn wildcards_get_what_they_match(bus: Arc<dyn Bus>) {
    let (one, rest, all) = (
        listen(&bus, "a.*").await,
        listen(&bus, "a.>").await,
        listen(&bus, ">").await,
    );
    for (number, to) in ["a", "a.b", "a.b.c", "b.a"].into_iter().enumerate() {
        send(&bus, to, number).await;
    }
    // Subjects have no order among them, so a last message to each sink tells
    // that nothing else is on its way only together with the counts.
    let sorted = |messages: Vec<Message>| {
        let mut numbers = numbers(&messages);
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(sorted(all.wait(4).await), [0, 1, 2, 3]);
    assert_eq!(sorted(rest.wait(2).await), [1, 2]);
    assert_eq!(sorted(one.wait(1).await), [1]);
}

/// A subject that others use already is no different.
pub async fn a_wildcard_gets_subjects_that_were_in_use_before(bus: Arc<dyn Bus>) {
    let exact = listen(&bus, "a.b").await;
    send(&bus, "a.b", 1).await;
    exact.wait(1).await;
    let wildcard = listen(&bus, "a.*").await;
    send(&bus, "a.b", 2).await;
    assert_eq!(numbers(&wildcard.wait(1).await), [2]);
    assert_eq!(numbers(&exact.wait(2).await), [1, 2]);
}

/// Everything published after the subscription's `done` arrives, whatever
/// else is being published.
pub async fn nothing_is_missed_after_confirmation(bus: Arc<dyn Bus>) {
    miss_nothing(bus, "a").await;
}

/// The same for a pattern with a wildcard.
pub async fn nothing_is_missed_after_confirmation_of_a_wildcard(bus: Arc<dyn Bus>) {
    miss_nothing(bus, "*").await;
}

async fn miss_nothing(bus: Arc<dyn Bus>, to: &str) {
    for round in 0..ROUNDS {
        let noise = publish_range(&bus, "a", 1_000_000..1_000_100);
        let seen = listen(&bus, to).await;
        send(&bus, "a", round).await;
        joined(noise).await;
        send(&bus, "a", 2_000_000).await;
        let ends = async {
            let mut count = 1;
            loop {
                let arrived = numbers(&seen.wait(count).await);
                if arrived.last() == Some(&2_000_000) {
                    break arrived;
                }
                count = arrived.len() + 1;
            }
        };
        assert_eq!(
            ends.await.iter().filter(|number| **number == round).count(),
            1
        );
    }
}

/// No delivery before `done`, even while others publish.
pub async fn confirmation_comes_before_the_first_delivery(bus: Arc<dyn Bus>) {
    confirm_first(bus, "a").await;
}

/// The same for a pattern with a wildcard.
pub async fn wildcard_confirmation_comes_before_the_first_delivery(bus: Arc<dyn Bus>) {
    confirm_first(bus, "*").await;
}

async fn confirm_first(bus: Arc<dyn Bus>, to: &str) {
    let elsewhere = listen(&bus, "b").await;
    for _ in 0..ROUNDS {
        let noise = publish_range(&bus, "a", 0..100);
        let confirmed = Arc::new(AtomicBool::new(false));
        let (seen, taken) = (Seen::new(), Arc::clone(&confirmed));
        let order = Arc::clone(&seen);
        let sink = Takes(move |_: &Message| order.push(taken.load(Ordering::SeqCst)));
        let done = Box::new(move |outcome: Result<_, _>| {
            assert!(outcome.is_ok());
            // A delivery that did not wait gets the time to show itself.
            std::thread::yield_now();
            confirmed.store(true, Ordering::SeqCst);
        });
        let token = bus.subscribe(pattern(to), Arc::new(sink), done);
        joined(noise).await;
        // What was published before the confirmation need not arrive.
        let arrives = async {
            while seen.items().is_empty() {
                send(&bus, "a", 0).await;
                // No faster than messages come.
                let known = elsewhere.items().len();
                send(&bus, "b", 0).await;
                elsewhere.wait(known + 1).await;
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, arrives).await;
        assert!(arrived.is_ok(), "nothing comes");
        assert!(seen.items().iter().all(|confirmed| *confirmed));
        bus.unsubscribe(token);
    }
}

/// After `unsubscribe`, with no delivery under way.
pub async fn an_ended_subscription_gets_nothing(bus: Arc<dyn Bus>) {
    end(bus, "a").await;
}

/// The same for a pattern with a wildcard.
pub async fn an_ended_wildcard_gets_nothing(bus: Arc<dyn Bus>) {
    end(bus, "*").await;
}

async fn end(bus: Arc<dyn Bus>, to: &str) {
    let ended: Arc<Seen<Message>> = Seen::new();
    let sink: Arc<dyn Sink> = ended.clone();
    let (token, _) = bus.listen(pattern(to), sink).await.expect("subscribes");
    send(&bus, "a", 1).await;
    ended.wait(1).await;
    bus.unsubscribe(token);
    let other = listen(&bus, "a").await;
    send(&bus, "a", 2).await;
    assert_eq!(numbers(&other.wait(1).await), [2]);
    assert_eq!(numbers(&ended.items()), [1]);
}

/// Ending what has ended, or what never was, disturbs nobody.
pub async fn unknown_tokens_are_ignored(bus: Arc<dyn Bus>) {
    let seen = listen(&bus, "a").await;
    let sink: Arc<dyn Sink> = Seen::<Message>::new();
    let (token, _) = bus.listen(pattern("a"), sink).await.expect("subscribes");
    bus.unsubscribe(token);
    bus.unsubscribe(token);
    bus.unsubscribe(SubscriptionToken(u64::MAX));
    bus.cancel(RequestToken(u64::MAX));
    send(&bus, "a", 1).await;
    assert_eq!(numbers(&seen.wait(1).await), [1]);
}
