//! The fan-out on a bus that answers when the test says so, and on the one in
//! memory with a publisher that does not wait for anybody.

mod racing;
mod scripted_bus;

use bus::{BusError, Origin};
use foldhash::HashMap;
use hub::{Class, DeliveryPolicy, Overflow};

use self::scripted_bus::ScriptedBus;
use super::*;
use crate::{
    mailbox::Inbox,
    namespace::{Access, NamespacePolicy},
    shard::Seat,
};

const LINGER: Duration = Duration::from_secs(5);

/// What a shard was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    /// It entered behind this offset.
    Joined(String, u64),
    Failed(String, BusError),
    /// Alias and offset.
    Publication(u32, u64),
    /// Alias and number.
    Missing(u32, u64),
}

/// Two shards, the namespace `whole` subscribed to as one, all others not.
struct Bench {
    bus: Arc<ScriptedBus>,
    fanout: Arc<Fanout>,
    seats: Vec<Seat>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let bus = Arc::new(ScriptedBus::default());
        let seats = seats(2);
        Self {
            fanout: fanout(bus.clone(), &seats),
            bus,
            seats,
            now: Instant::now(),
        }
    }

    fn join(&self, shard: usize, name: &str) -> Join {
        self.fanout.join(shard, &channel(name), true)
    }

    fn join_pending(&self, shard: usize, name: &str) {
        assert!(matches!(self.join(shard, name), Join::Pending), "{name}");
    }

    fn join_active(&self, shard: usize, name: &str) -> Entry {
        match self.join(shard, name) {
            Join::Active(entry) => entry,
            other => panic!("{other:?}"),
        }
    }

    /// Joins shard 0 to a channel of `whole` at an offset; gives its alias.
    fn enter(&self, name: &str, offset: u64) -> u32 {
        self.join_pending(0, name);
        if self.bus.is_asked_for("tg.ch.whole.>") {
            self.bus.confirm("tg.ch.whole.>", Ok(None));
        }
        self.bus.tell_position(name, Ok(offset));
        assert_eq!(self.told(0), [Told::Joined(name.into(), offset)]);
        self.fanout.interest.lock().channels[&channel(name)]
            .feed
            .alias
    }

    fn leave(&self, shard: usize, name: &str) {
        self.fanout.leave(shard, &channel(name));
    }

    fn sweep_after(&mut self, time: Duration) {
        // Leaving was after this bench began, so this is never too early.
        self.now = Instant::now() + time;
        self.fanout.sweep(self.now);
    }

    fn told(&self, shard: usize) -> Vec<Told> {
        told(&self.seats[shard])
    }
}

fn seats(count: usize) -> Vec<Seat> {
    let seat = |_| Seat::new().expect("there are descriptors");
    (0..count).map(seat).collect()
}

fn fanout(bus: Arc<dyn Bus>, seats: &[Seat]) -> Arc<Fanout> {
    let policy = |fanout| NamespacePolicy {
        publish: Access::Anyone,
        subscribe: Access::Anyone,
        delivery: DeliveryPolicy {
            class: Class::All,
            overflow: Overflow::DropOldest,
            priority: 0,
            account: None,
        },
        fanout,
        presence: false,
        signals: false,
    };
    let namespaces = [
        ("whole".into(), policy(FanoutMode::Namespace)),
        ("each".into(), policy(FanoutMode::Interest)),
    ];
    let policies = Policies {
        namespaces: HashMap::from_iter(namespaces),
        routes: HashMap::default(),
    };
    let mailboxes = seats.iter().map(|seat| seat.mailbox.clone()).collect();
    Fanout::new(bus, mailboxes, &policies, LINGER, None)
}

fn channel(name: &str) -> Channel {
    Channel::parse(name, 255).expect("valid")
}

fn told(seat: &Seat) -> Vec<Told> {
    let mut inbox = Inbox::default();
    seat.mailbox.take(&mut inbox);
    assert!(inbox.lost.is_empty());
    let told = |mail| match mail {
        Mail::Joined { channel, entry } => match entry {
            Ok(entry) => Told::Joined(channel.to_string(), entry.place.offset),
            Err(error) => Told::Failed(channel.to_string(), error),
        },
        Mail::Publication(it) => Told::Publication(it.alias(), it.offset()),
        Mail::Missing { alias, dropped } => Told::Missing(alias, dropped),
        _ => panic!("nobody else writes to this mailbox"),
    };
    inbox.mail.drain(..).map(told).collect()
}

#[test]
fn a_channel_of_its_own_is_entered_where_the_bus_says() {
    let bench = Bench::new();
    bench.join_pending(0, "each.1");
    bench.join_pending(1, "each.1");
    assert_eq!(bench.told(0), []);
    bench.bus.confirm("tg.ch.each.1", Ok(Some(4)));
    for shard in 0..2 {
        assert_eq!(bench.told(shard), [Told::Joined("each.1".into(), 4)]);
    }
    bench.bus.deliver("tg.ch.each.1", "each.1", 5);
    assert_eq!(bench.told(1).len(), 1);
    bench.leave(1, "each.1");
    assert_eq!(bench.join_active(1, "each.1").place.offset, 5);
    assert_eq!(bench.bus.subscriptions(), 1);
}

#[test]
fn a_namespace_is_subscribed_to_once_and_each_channel_reads_its_position() {
    let bench = Bench::new();
    bench.join_pending(0, "whole.1");
    bench.join_pending(1, "whole.2");
    assert_eq!(bench.bus.subscriptions(), 1);
    assert_eq!(bench.bus.reads(), 0);
    bench.bus.confirm("tg.ch.whole.>", Ok(None));
    bench.join_pending(1, "whole.1");
    bench.join_pending(0, "whole.3");
    assert_eq!((bench.bus.subscriptions(), bench.bus.reads()), (1, 3));
    bench.bus.tell_position("whole.1", Ok(7));
    assert_eq!(bench.told(0), [Told::Joined("whole.1".into(), 7)]);
    assert_eq!(bench.told(1), [Told::Joined("whole.1".into(), 7)]);
    // No log.
    bench.bus.tell_position("whole.2", Err(BusError::NoLog));
    assert_eq!(bench.told(1), [Told::Joined("whole.2".into(), 0)]);
    let deliver = |name, offset| bench.bus.deliver("tg.ch.whole.>", name, offset);
    deliver("whole.1", 8);
    deliver("whole.2", 0);
    deliver("whole.4", 1);
    assert!(matches!(bench.told(0)[..], [Told::Publication(_, 8)]));
    assert_eq!(bench.told(1).len(), 2);
}

#[test]
fn the_channel_named_like_its_namespace_has_a_subscription_of_its_own() {
    let bench = Bench::new();
    bench.join_pending(0, "whole");
    bench.bus.confirm("tg.ch.whole", Ok(Some(1)));
    assert_eq!(bench.told(0), [Told::Joined("whole".into(), 1)]);
}

#[test]
fn whoever_waits_enters_behind_what_came_meanwhile() {
    let bench = Bench::new();
    bench.join_pending(0, "whole.1");
    bench.bus.confirm("tg.ch.whole.>", Ok(None));
    let deliver = |offset| bench.bus.deliver("tg.ch.whole.>", "whole.1", offset);
    deliver(8);
    deliver(9);
    bench.bus.tell_position("whole.1", Ok(7));
    deliver(10);
    let told = bench.told(0);
    assert_eq!(told[0], Told::Joined("whole.1".into(), 9));
    assert!(matches!(told[1..], [Told::Publication(_, 10)]));
}

#[test]
fn what_is_under_way_and_belongs_before_the_entry_is_thrown_away() {
    let bench = Bench::new();
    bench.enter("whole.1", 7);
    let deliver = |offset| bench.bus.deliver("tg.ch.whole.>", "whole.1", offset);
    deliver(6);
    deliver(7);
    assert_eq!(bench.join_active(1, "whole.1").place.offset, 7);
    deliver(8);
    for shard in 0..2 {
        assert!(matches!(bench.told(shard)[..], [Told::Publication(_, 8)]));
    }
    // An offset that does not grow is of a log that began anew, from here on.
    deliver(2);
    assert!(matches!(bench.told(0)[..], [Told::Publication(_, 2)]));
}

#[test]
fn a_log_lost_while_the_position_is_ahead_swallows_nothing() {
    let bench = Bench::new();
    let alias = bench.enter("whole.1", 7);
    bench.bus.lose("tg.ch.whole.>", 0);
    bench.bus.deliver("tg.ch.whole.>", "whole.1", 1);
    let expected = [Told::Missing(alias, 0), Told::Publication(alias, 1)];
    assert_eq!(bench.told(0), expected);
}

#[test]
fn what_a_namespace_lost_is_told_to_all_its_channels() {
    let bench = Bench::new();
    let aliases = [bench.enter("whole.1", 1), bench.enter("whole.2", 1)];
    bench.bus.lose("tg.ch.whole.>", 3);
    let mut told = bench.told(0);
    told.sort_by_key(|told| match told {
        Told::Missing(alias, _) => *alias,
        other => panic!("{other:?}"),
    });
    // Which of them lacks any is not known.
    assert_eq!(told, aliases.map(|alias| Told::Missing(alias, 0)));
}

#[test]
fn without_a_log_what_is_missing_is_told_and_what_comes_late_is_let_go() {
    let bench = Bench::new();
    let alias = bench.enter("whole.1", 0);
    let origin = |sequence| Origin {
        publisher: 7,
        sequence,
    };
    for sequence in [4, 5, 8, 6, 9] {
        bench
            .bus
            .deliver_nth("tg.ch.whole.>", "whole.1", origin(sequence));
    }
    bench.bus.reach("tg.ch.whole.>", "whole.1", origin(9));
    bench.bus.reach("tg.ch.whole.>", "whole.1", origin(10));
    let one = Told::Publication(alias, 0);
    let expected = [
        one.clone(),
        one.clone(),
        Told::Missing(alias, 2),
        one.clone(),
        one,
        Told::Missing(alias, 1),
    ];
    assert_eq!(bench.told(0), expected);
}

#[test]
fn a_refused_namespace_is_told_to_all_who_wait_and_asked_for_anew() {
    let bench = Bench::new();
    bench.join_pending(0, "whole.1");
    bench.join_pending(1, "whole.2");
    bench
        .bus
        .confirm("tg.ch.whole.>", Err(BusError::Unavailable));
    let failed = |name: &str| [Told::Failed(name.into(), BusError::Unavailable)];
    assert_eq!(bench.told(0), failed("whole.1"));
    assert_eq!(bench.told(1), failed("whole.2"));
    assert_eq!(bench.bus.subscriptions(), 0);
    assert_eq!(bench.fanout.channels(), 0);
    bench.enter("whole.1", 3);
}

#[test]
fn a_position_that_cannot_be_read_concerns_its_channel_only() {
    let bench = Bench::new();
    bench.enter("whole.1", 1);
    bench.join_pending(0, "whole.2");
    bench
        .bus
        .tell_position("whole.2", Err(BusError::Unavailable));
    let failed = Told::Failed("whole.2".into(), BusError::Unavailable);
    assert_eq!(bench.told(0), [failed]);
    assert_eq!(bench.bus.subscriptions(), 1);
    bench.bus.deliver("tg.ch.whole.>", "whole.1", 2);
    assert_eq!(bench.told(0).len(), 1);
}

#[test]
fn channels_linger_and_flow_for_those_who_come_back() {
    let mut bench = Bench::new();
    let alias = bench.enter("whole.1", 1);
    bench.enter("whole.2", 1);
    bench.leave(0, "whole.1");
    bench.leave(0, "whole.2");
    bench.sweep_after(Duration::ZERO);
    bench.bus.deliver("tg.ch.whole.>", "whole.1", 2);
    assert_eq!(bench.told(0), []);
    let entry = bench.join_active(0, "whole.1");
    assert_eq!((entry.alias, entry.place.offset), (alias, 2));
    bench.sweep_after(LINGER);
    // One is listened to, so the namespace is.
    assert_eq!((bench.fanout.channels(), bench.bus.subscriptions()), (1, 1));
    bench.leave(0, "whole.1");
    bench.sweep_after(LINGER);
    assert_eq!((bench.fanout.channels(), bench.bus.subscriptions()), (0, 0));
    bench.enter("whole.1", 5);
}

#[test]
fn a_channel_that_does_not_flow_is_not_asked_for_while_the_bus_is_away() {
    let bench = Bench::new();
    bench.enter("whole.1", 1);
    let join = |name| bench.fanout.join(1, &channel(name), false);
    assert!(matches!(join("whole.1"), Join::Active(_)));
    assert!(matches!(join("whole.2"), Join::Refused));
    assert!(matches!(join("each.1"), Join::Refused));
    assert_eq!((bench.bus.subscriptions(), bench.bus.reads()), (1, 0));
}

#[test]
fn nothing_is_subscribed_to_when_the_gateway_has_ended() {
    let bench = Bench::new();
    bench.enter("whole.1", 1);
    bench.enter("whole.2", 1);
    bench.join_pending(0, "each.1");
    bench.bus.confirm("tg.ch.each.1", Ok(Some(4)));
    bench.leave(0, "whole.2");
    let Bench { bus, fanout, .. } = bench;
    assert_eq!(bus.subscriptions(), 2);
    drop(fanout);
    assert_eq!(bus.subscriptions(), 0);
}
