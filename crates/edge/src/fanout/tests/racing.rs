//! Joining while somebody publishes: whatever the timing, a shard gets all that
//! comes behind its entry, once and in order.

use std::{collections::BTreeMap, thread};

use bus::{Log, LogLimits, MemoryBus, Outgoing};

use super::*;

const CHANNELS: u64 = 4;
const MESSAGES: u64 = 400;
const ROUNDS: usize = 100;

#[test]
fn nothing_is_missed_or_doubled_behind_an_entry() {
    (0..ROUNDS).for_each(|_| race());
}

fn race() {
    let bus = Arc::new(MemoryBus::new());
    keep_log(&bus);
    let seats = seats(2);
    let fanout = fanout(bus.clone(), &seats);
    let mut entries = BTreeMap::new();
    thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            for number in 0..MESSAGES {
                publish(&bus, &name(number % CHANNELS));
            }
        });
        // Each channel at its own moment, while others come and go.
        for number in 0..CHANNELS {
            for shard in 0..2 {
                let channel = channel(&name(number));
                if let Join::Active(entry) = fanout.join(shard, &channel, true) {
                    entries.insert((shard, channel.to_string()), entry.place.offset);
                }
            }
        }
        publisher.join().expect("it only publishes");
    });
    for number in 0..CHANNELS {
        publish(&bus, &name(number));
    }
    for (shard, seat) in seats.iter().enumerate() {
        let mut names = BTreeMap::new();
        for (channel, listening) in &fanout.interest.lock().channels {
            names.insert(listening.feed.alias, channel.to_string());
        }
        for told in told(seat) {
            match told {
                Told::Joined(name, offset) => {
                    let before = entries.insert((shard, name), offset);
                    assert_eq!(before, None, "a shard enters once");
                }
                Told::Publication(alias, offset) => {
                    let at = entries.get_mut(&(shard, names[&alias].clone()));
                    let at = at.expect("the entry comes first");
                    assert_eq!(offset, *at + 1);
                    *at = offset;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let all: Vec<u64> = entries.into_values().collect();
    assert_eq!(all, vec![MESSAGES / CHANNELS + 1; 2 * CHANNELS as usize]);
}

fn name(number: u64) -> String {
    format!("whole.{number}")
}

fn publish(bus: &MemoryBus, name: &str) {
    let outgoing = Outgoing {
        subject: Subject::of_channel(&channel(name)),
        payload: Default::default(),
        key: Box::default(),
        published_at_us: 0,
        message_id: Box::default(),
        traceparent: Box::default(),
    };
    bus.publish(outgoing, Box::new(|outcome| assert!(outcome.is_ok())));
}

fn keep_log(bus: &MemoryBus) {
    let limits = LogLimits {
        messages: 10,
        age: Duration::from_secs(3600),
    };
    let log = Log {
        name: "whole".into(),
        patterns: vec![Pattern::new("tg.ch.whole.>").expect("valid")],
        limits,
    };
    bus.declare_log(log, Box::new(|outcome| outcome.expect("memory keeps logs")));
}
