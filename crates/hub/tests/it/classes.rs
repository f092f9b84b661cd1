//! Subscribers that don't get all of a channel.

use std::collections::HashMap;

use hub::{
    BacklogLimits, Class, DeliveryPolicy, Hub, MemberId, OutboxLimits, Overflow, Rate, Start,
};
use wire::{
    Subprotocol,
    client::{GapCause, server_event::Event},
};

use crate::support::{ROOMY, channel, decode, hub, keyed, pong, read, source};

const LATEST: DeliveryPolicy = policy(Class::Latest, Overflow::DropOldest);
const ALL: DeliveryPolicy = policy(Class::All, Overflow::DropOldest);
const CONFLATE: DeliveryPolicy = policy(Class::All, Overflow::Conflate);

const fn policy(class: Class, overflow: Overflow) -> DeliveryPolicy {
    DeliveryPolicy {
        class,
        overflow,
        priority: 0,
        account: None,
    }
}

fn sampled(per_second: u32) -> Class {
    Class::Sampled(Rate::new(per_second).expect("not never"))
}

/// A member's events: numbers, and gaps as `(dropped, conflated)`.
#[derive(Debug, PartialEq)]
enum Got {
    Number(u64),
    Gap(u64, u64),
}

use Got::{Gap, Number};

fn brief(event: Event) -> Option<Got> {
    match event {
        Event::Publication(one) => {
            let number = std::str::from_utf8(&one.payload).expect("a number");
            Some(Number(number.parse().expect("a number")))
        }
        Event::Gap(gap) => Some(Gap(gap.dropped, gap.conflated)),
        Event::Pong(_) => None,
        other => panic!("nobody sent {other:?}"),
    }
}

fn got(hub: &mut Hub, member: u32) -> Vec<Got> {
    let messages = read(hub, member, Subprotocol::Protobuf);
    messages.into_iter().flatten().filter_map(brief).collect()
}

/// Members in `policies`, in this order, of channel 1.
fn subscribed(limits: OutboxLimits, policies: &[DeliveryPolicy]) -> Hub {
    let mut hub = hub(limits, policies.len() as u32);
    for (member, policy) in (0..).zip(policies) {
        hub.subscribe(
            MemberId(member),
            &channel("market.x"),
            source(1, *policy),
            Start::Now,
        )
        .expect("new");
    }
    hub
}

/// Publishes with these keys, numbered from `first`, in one turn.
fn publish(hub: &mut Hub, keys: &str, first: u64) {
    for (number, key) in (first..).zip(keys.chars()) {
        hub.publish(&keyed(1, &key.to_string(), number));
    }
    hub.fan_out();
}

#[test]
fn what_becomes_of_publications_is_counted_by_class() {
    let mut hub = subscribed(ROOMY, &[ALL, LATEST, policy(sampled(1), LATEST.overflow)]);
    publish(&mut hub, "a", 1);
    hub.stalled(MemberId(1));
    publish(&mut hub, "aab", 2);
    let mut read = got(&mut hub, 1).len();
    for now_ms in [0, 1000] {
        hub.sample(now_ms);
        hub.feed();
    }
    read += (0..3)
        .map(|member| got(&mut hub, member).len())
        .sum::<usize>();
    assert_eq!(read, 4 + (1 + 3) + 3, "two of them have gaps");
    let totals = hub.totals();
    let counts = totals.classes.map(|one| (one.delivered, one.conflated));
    assert_eq!(counts, [(4, 0), (3, 1), (2, 2)]);
    assert_eq!((totals.delivered, totals.conflated), (9, 3));
    assert_eq!(totals.written, 2 + 2 + 1, "frames");
    let [all, latest, sampled] = totals.classes.map(|one| one.bytes);
    assert!(
        all > latest && latest > sampled && sampled > 0,
        "{totals:?}"
    );
}

#[test]
fn who_keeps_up_gets_all_and_who_does_not_the_newest_of_each_key() {
    let mut hub = subscribed(ROOMY, &[LATEST, LATEST, ALL]);
    publish(&mut hub, "ab", 1);
    hub.stalled(MemberId(1));
    for first in (3..=11).step_by(4) {
        publish(&mut hub, "abca", first);
        got(&mut hub, 0);
        got(&mut hub, 2);
    }
    assert_eq!(hub.totals().lagging, 1);
    assert_eq!(got(&mut hub, 1), [Number(1), Number(2)]);
    hub.feed();
    let expected = [Gap(0, 9), Number(12), Number(13), Number(14)];
    assert_eq!(got(&mut hub, 1), expected);
    assert_eq!((hub.totals().lagging, hub.totals().conflated), (0, 9));
    publish(&mut hub, "aa", 15);
    for member in 0..3 {
        assert_eq!(got(&mut hub, member), [Number(15), Number(16)]);
    }
}

#[test]
fn a_publication_without_a_key_replaces_the_one_before() {
    let mut hub = subscribed(ROOMY, &[LATEST]);
    publish(&mut hub, "a", 1);
    hub.stalled(MemberId(0));
    for number in 2..=5 {
        hub.publish(&keyed(1, "", number));
        hub.fan_out();
    }
    got(&mut hub, 0);
    hub.feed();
    assert_eq!(got(&mut hub, 0), [Gap(0, 3), Number(5)]);
}

#[test]
fn who_gets_all_conflates_only_when_its_outbox_is_half_full() {
    let limits = OutboxLimits {
        bytes: 100_000,
        items: 8,
    };
    let mut hub = subscribed(limits, &[CONFLATE]);
    publish(&mut hub, "a", 1);
    hub.stalled(MemberId(0));
    for number in 2..=20 {
        publish(&mut hub, "a", number);
    }
    assert_eq!(got(&mut hub, 0), [1, 2, 3, 4].map(Number));
    hub.feed();
    assert_eq!(got(&mut hub, 0), [Gap(0, 15), Number(20)]);
}

#[test]
fn samples_are_the_newest_of_each_key_at_the_rate_and_shared() {
    let mut hub = subscribed(ROOMY, &[policy(sampled(4), Overflow::DropOldest); 2]);
    let mut all = Vec::new();
    let mut next = 0;
    for ms in 0..1000 {
        publish(&mut hub, "ab", 2 * ms + 1);
        if ms >= next {
            next = hub.sample(ms);
        }
        hub.feed();
        let one = got(&mut hub, 0);
        assert_eq!(one, got(&mut hub, 1));
        if !one.is_empty() {
            all.push(ms);
            assert_eq!(one.len(), if ms == 0 { 2 } else { 3 }, "{one:?}");
            assert!(one.contains(&Number(2 * ms + 2)));
        }
    }
    assert_eq!(all, [0, 250, 500, 750]);
    assert_eq!(hub.totals().lagging, 0);
}

#[test]
fn a_class_can_be_changed_while_it_flows() {
    let mut hub = subscribed(ROOMY, &[ALL]);
    let x = channel("market.x");
    publish(&mut hub, "aa", 1);
    assert_eq!(got(&mut hub, 0), [Number(1), Number(2)]);
    hub.set_class(MemberId(0), &x, sampled(1)).expect("there");
    assert_eq!(hub.sample(10), 1000);
    publish(&mut hub, "aab", 3);
    hub.feed();
    assert_eq!(got(&mut hub, 0), []);
    hub.set_class(MemberId(0), &x, Class::All).expect("there");
    hub.feed();
    assert_eq!(got(&mut hub, 0), [Gap(0, 1), Number(4), Number(5)]);
    publish(&mut hub, "aa", 6);
    assert_eq!(got(&mut hub, 0), [Number(6), Number(7)]);
    assert_eq!(hub.sample(2000), u64::MAX);
    assert!(
        hub.set_class(MemberId(0), &channel("no.such"), Class::All)
            .is_err()
    );
}

#[test]
fn what_the_bus_lost_is_told_with_what_was_conflated() {
    let mut hub = subscribed(ROOMY, &[LATEST]);
    publish(&mut hub, "a", 1);
    hub.stalled(MemberId(0));
    publish(&mut hub, "aa", 2);
    hub.gap(1, 7, GapCause::Bus, None);
    publish(&mut hub, "a", 4);
    got(&mut hub, 0);
    hub.feed();
    assert_eq!(got(&mut hub, 0), [Gap(7, 2), Number(4)]);
}

#[test]
fn keys_beyond_the_limit_are_told_as_dropped() {
    let backlog = BacklogLimits {
        keys: 2,
        ..BacklogLimits::DEFAULT
    };
    let mut hub = Hub::keeping(ROOMY, backlog);
    hub.join(MemberId(0), Subprotocol::Protobuf);
    let x = channel("market.x");
    hub.subscribe(MemberId(0), &x, source(1, LATEST), Start::Now)
        .expect("new");
    publish(&mut hub, "a", 1);
    hub.stalled(MemberId(0));
    publish(&mut hub, "abcda", 2);
    got(&mut hub, 0);
    hub.feed();
    assert_eq!(got(&mut hub, 0), [Gap(3, 0), Number(5), Number(6)]);
}

/// A client of the simulation: what it has read, and what was told to be withheld.
#[derive(Default)]
struct Client {
    unread: Vec<u8>,
    by_key: HashMap<String, u64>,
    got: u64,
    withheld: u64,
}

impl Client {
    /// Reads what is whole, and checks that each key only gets newer.
    fn read(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let (messages, rest) = decode(&self.unread, Subprotocol::Protobuf);
        self.unread.drain(..self.unread.len() - rest);
        for event in messages.into_iter().flatten() {
            match event {
                Event::Publication(one) => {
                    let number = std::str::from_utf8(&one.payload).expect("a number");
                    let number = number.parse().expect("a number");
                    let before = self.by_key.insert(one.key, number);
                    assert!(before < Some(number), "{before:?} before {number}");
                    self.got += 1;
                }
                Event::Gap(gap) => self.withheld += gap.dropped + gap.conflated,
                Event::Pong(_) => {}
                other => panic!("nobody sent {other:?}"),
            }
        }
    }
}

/// Writes at most `bytes` of a member's outbox.
fn write(hub: &mut Hub, member: u32, bytes: usize, client: &mut Client) {
    let id = MemberId(member);
    let mut scratch = Vec::new();
    let all = hub.outbox(id).gather(&mut scratch, 1 << 16);
    let some = all[..all.len().min(bytes)].to_vec();
    client.read(&some);
    if !some.is_empty() {
        hub.wrote(id, some.len());
    }
    if !hub.outbox(id).is_empty() {
        hub.stalled(id);
    }
}

fn course(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let overflows = [Overflow::DropOldest, Overflow::Conflate];
    let overflow = overflows[random.usize(..2)];
    let classes = [Class::All, Class::Latest, sampled(10), sampled(200)];
    let limits = OutboxLimits {
        bytes: random.usize(2_000..40_000),
        items: random.usize(8..100),
    };
    let members = random.u32(1..6);
    let policies: Vec<_> = (0..members)
        .map(|_| policy(classes[random.usize(..4)], overflow))
        .collect();
    let mut hub = subscribed(limits, &policies);
    let mut clients: Vec<_> = (0..members).map(|_| Client::default()).collect();
    let (mut number, mut now_ms, mut newest) = (0, 0, HashMap::new());
    let turns = random.u32(10..200);
    for turn in 0..turns + 1 {
        let is_last = turn == turns;
        for _ in 0..random.u32(..20) * u32::from(!is_last) {
            number += 1;
            let key = random.u32(..6).to_string();
            hub.publish(&keyed(1, &key, number));
            newest.insert(key, number);
        }
        if random.u32(..4) == 0 {
            hub.send(MemberId(random.u32(..members)), &pong(turn), None);
        }
        if random.u32(..20) == 0 {
            let class = classes[random.usize(..4)];
            let member = MemberId(random.u32(..members));
            hub.set_class(member, &channel("market.x"), class)
                .expect("there");
        }
        hub.fan_out();
        now_ms += random.u64(..300);
        for _ in 0..if is_last { 200 } else { 1 } {
            if is_last {
                now_ms += 100;
            }
            hub.sample(now_ms);
            hub.feed();
            for (member, client) in (0..).zip(&mut clients) {
                let bytes = match random.u32(..3) {
                    _ if is_last => usize::MAX,
                    0 => 0,
                    1 => random.usize(..500),
                    _ => random.usize(..50_000),
                };
                write(&mut hub, member, bytes, client);
            }
        }
    }
    for client in &clients {
        assert_eq!(client.got + client.withheld, number, "seed {seed}");
        for (key, at) in &newest {
            // A chunk that was let go of for want of room is told as dropped.
            let dropped = hub.totals().dropped > 0;
            assert!(
                dropped || client.by_key.get(key) == Some(at),
                "seed {seed}, key {key}"
            );
        }
    }
    let totals = hub.totals();
    let withheld: u64 = clients.iter().map(|client| client.withheld).sum();
    assert_eq!(totals.dropped + totals.conflated, withheld, "seed {seed}");
    assert_eq!(totals.lagging, 0, "seed {seed}");
}

#[test]
fn what_is_published_is_got_or_told_and_each_key_only_gets_newer() {
    for seed in 0..500 {
        course(seed);
    }
}
