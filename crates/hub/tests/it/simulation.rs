//! Thousands of random schedules of everything that can happen to subscriptions
//! of channels with logs: members that come, go, are slow; publications that
//! come late or never; logs that are trimmed, or begin anew; reads that come late
//! or fail.
//!
//! Each client checks, with what was published at hand, that it is given what
//! follows what it has, once and in order, or a gap that is true. At the end of a
//! run everything works, and everybody must have everything.
//!
//! A failure names its seed; `one_run` with that seed repeats it.

mod client;
mod log;

use std::collections::BTreeMap;

use fastrand::Rng;
use hub::{
    Answer, BacklogLimits, DeliveryPolicy, Entrance, Fact, Hub, LogRead, MemberId, OutboxLimits,
    Overflow, Place, ReadOutcome, Source, Start,
};
use wire::{
    Channel, Subprotocol,
    client::{
        GapCause, Position, ServerEvent, Subscribed, Unsubscribed, Verdict, server_event::Event,
    },
};

use self::{
    client::{Client, Rules},
    log::Log,
};
use crate::support::{CATCH_UP, DROP_OLDEST, channel, of_priority, pong};

const MEMBERS: u32 = 5;

/// By alias; none has the alias zero.
const POLICIES: [DeliveryPolicy; 5] = [
    DROP_OLDEST,
    CATCH_UP,
    of_priority(CATCH_UP, 2),
    DROP_OLDEST,
    of_priority(DROP_OLDEST, 1),
];

struct Simulation {
    rng: Rng,
    hub: Hub,
    limits: OutboxLimits,
    logs: Vec<Log>,
    members: Vec<Option<Member>>,
    /// Where the client of each slot was in each channel when it last left it.
    positions: BTreeMap<(u32, u32), Place>,
    /// Reads under way, with what those will give that have been made already.
    reads: Vec<(LogRead, Option<ReadOutcome>)>,
    paused: Vec<u32>,
}

#[derive(Default)]
struct Member {
    client: Client,
    /// By alias, as the gateway knows it; with what a pending one asked for.
    subscribed: BTreeMap<u32, Option<Place>>,
}

/// Names the seed of a run that fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0);
        }
    }
}

fn room(alias: u32) -> Channel {
    channel(&format!("room.{alias}"))
}

fn rules(alias: u32, limits: OutboxLimits) -> Rules {
    Rules {
        lossless: POLICIES[alias as usize].overflow == Overflow::CatchUp,
        too_large: limits.bytes - 120,
    }
}

// === impl Simulation ===

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let limits = OutboxLimits {
            bytes: rng.usize(600..4_000),
            items: rng.usize(4..40),
        };
        let backlog = BacklogLimits {
            ring_publications: rng.usize(0..12),
            ring_bytes: rng.usize(0..2_000),
            page_publications: rng.usize(1..8),
            page_bytes: rng.usize(1..2_000),
            total_bytes: rng.usize(0..8_000),
            ..BacklogLimits::DEFAULT
        };
        let aliases = 0..POLICIES.len() as u32;
        let mut simulation = Self {
            rng,
            hub: Hub::keeping(limits, backlog),
            limits,
            logs: aliases.map(Log::new).collect(),
            members: (0..MEMBERS).map(|_| None).collect(),
            positions: BTreeMap::new(),
            reads: Vec::new(),
            paused: Vec::new(),
        };
        for member in 0..MEMBERS {
            simulation.join(member);
        }
        simulation
    }

    fn step(&mut self) {
        let member = self.rng.u32(0..MEMBERS);
        let alias = self.rng.u32(1..POLICIES.len() as u32);
        match self.rng.u32(0..100) {
            0..20 => self.publish(alias),
            20..32 => self.deliver(alias),
            32..34 => self.lose(alias),
            34..37 => self.logs[alias as usize].trim(self.rng.usize(1..8)),
            37 if self.rng.u32(0..4) == 0 => self.logs[alias as usize].begin_anew(),
            38..48 => self.subscribe(member, alias),
            48..52 => self.unsubscribe(member, alias),
            52 => self.leave(member),
            53 => self.join(member),
            54..57 => self.send(member, pong(1)),
            57..77 => self.write(member),
            77..88 => self.turn(),
            88..98 => self.read(),
            _ => self.retry(),
        }
        self.check_facts();
    }

    fn publish(&mut self, alias: u32) {
        let bytes = match self.rng.u32(0..40) {
            0 => self.limits.bytes,
            1..5 => self.rng.usize(4..self.limits.bytes / 3),
            _ => self.rng.usize(4..60),
        };
        let step = self.rng.u64(1..4);
        self.logs[alias as usize].publish(step, bytes);
        if self.rng.bool() {
            self.deliver(alias);
        }
    }

    /// Brings what is on the way to the gateway.
    fn deliver(&mut self, alias: u32) {
        let log = &mut self.logs[alias as usize];
        for entry in log.on_the_way() {
            log.delivered += 1;
            log.fed = entry.place;
            log.torn = false;
            self.hub.publish(&log.encode(&entry, entry.previous));
        }
    }

    /// Loses some of what is on the way.
    fn lose(&mut self, alias: u32) {
        let log = &mut self.logs[alias as usize];
        let on_the_way = log.on_the_way();
        let count = self.rng.usize(0..=on_the_way.len());
        let last = count.checked_sub(1).map(|index| on_the_way[index].place);
        log.delivered += count;
        if let Some(last) = last
            && self.rng.bool()
        {
            log.fed = last;
            let cause = GapCause::GatewayOverloaded;
            self.hub.gap(alias, count as u64, cause, Some(last));
        } else {
            log.torn = true;
            self.hub.gap(alias, 0, GapCause::Bus, None);
        }
    }

    fn subscribe(&mut self, slot: u32, alias: u32) {
        let log = &self.logs[alias as usize];
        let since = match self.rng.u32(0..8) {
            0..3 => None,
            3..6 => self.positions.get(&(slot, alias)).copied(),
            // Invented.
            6 => Some(Place {
                life: log.life,
                offset: match self.rng.u32(0..4) {
                    0 => u64::MAX,
                    _ => self.rng.u64(0..=log.newest()),
                },
            }),
            // Of a gateway that is ahead.
            _ => Some(Place {
                life: log.life,
                offset: log.newest(),
            }),
        };
        let Some(member) = &mut self.members[slot as usize] else {
            return;
        };
        let source = Source {
            alias,
            policy: POLICIES[alias as usize],
            place: Some(log.fed),
            torn: log.torn,
        };
        let life = self.hub.place(&room(alias)).unwrap_or(log.fed).life;
        let start = match since {
            Some(since) if since.life == life => Start::Since {
                offset: since.offset,
                ticket: alias,
            },
            _ => Start::Now,
        };
        let entrance = self
            .hub
            .subscribe(MemberId(slot), &room(alias), source, start);
        let Ok(entrance) = entrance else {
            assert!(member.subscribed.contains_key(&alias));
            return;
        };
        let here = self.hub.place(&room(alias)).expect("it was subscribed to");
        member.subscribed.insert(alias, since);
        match (entrance, since) {
            (Entrance::Unknown, _) => {}
            (Entrance::Now, None) => self.tell(slot, alias, Verdict::Fresh, here),
            (Entrance::Now | Entrance::Lost, _) => self.tell(slot, alias, Verdict::Lost, here),
            (Entrance::Recovered, Some(since)) => self.tell(slot, alias, Verdict::Recovered, since),
            (Entrance::Recovered, None) => panic!("nothing was asked for"),
        }
    }

    /// Tells a client its verdict, which must be true.
    fn tell(&mut self, slot: u32, alias: u32, verdict: Verdict, place: Place) {
        let log = &self.logs[alias as usize];
        let member = self.members[slot as usize].as_mut().expect("it is there");
        let since = member.subscribed.insert(alias, None).flatten();
        match (verdict, since) {
            (Verdict::Recovered, Some(since)) => {
                assert_eq!(place, since);
                assert!(place.offset <= log.newest() || place.life < log.life);
            }
            (Verdict::Lost, Some(since)) => {
                // The gateway may not know yet that the log began anew.
                let here = self.hub.place(&room(alias)).expect("subscribed to");
                let over = log.life != since.life || here.life != since.life;
                let trimmed = log.may_miss(since);
                assert!(
                    over || trimmed || !log.has_had(since),
                    "the log has what is behind {since:?} on {alias}"
                );
            }
            (Verdict::Fresh, None) => {}
            other => panic!("{other:?}"),
        }
        let position = Position {
            epoch: place.life.to_string(),
            offset: place.offset,
        };
        let event = Event::Subscribed(Subscribed {
            verdict: verdict.into(),
            position: Some(position),
            alias,
            ..Default::default()
        });
        self.send(slot, ServerEvent { event: Some(event) });
    }

    fn answer(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            let (slot, alias) = (answer.member.0, answer.ticket);
            match answer.verdict {
                hub::Verdict::Recovered(place) => self.tell(slot, alias, Verdict::Recovered, place),
                hub::Verdict::Lost(place) => self.tell(slot, alias, Verdict::Lost, place),
                hub::Verdict::Unavailable => {
                    let member = self.members[slot as usize].as_mut().expect("it is there");
                    assert!(matches!(member.subscribed.remove(&alias), Some(Some(_))));
                    assert!(!self.hub.is_subscribed(answer.member, &room(alias)));
                }
            }
        }
    }

    fn unsubscribe(&mut self, slot: u32, alias: u32) {
        let Some(member) = &mut self.members[slot as usize] else {
            return;
        };
        let left = self.hub.unsubscribe(MemberId(slot), &room(alias));
        match member.subscribed.remove(&alias) {
            None => assert_eq!(left, None),
            Some(pending) => {
                assert!(left.is_some());
                if pending.is_none() {
                    self.end_subscription(slot, alias);
                }
            }
        }
    }

    fn end_subscription(&mut self, slot: u32, alias: u32) {
        let event = Event::Unsubscribed(Unsubscribed {
            alias,
            ..Default::default()
        });
        self.send(slot, ServerEvent { event: Some(event) });
        self.write_all(slot);
    }

    fn join(&mut self, slot: u32) {
        let member = &mut self.members[slot as usize];
        if member.is_none() {
            *member = Some(Member::default());
            self.hub.join(MemberId(slot), Subprotocol::Protobuf);
        }
    }

    fn leave(&mut self, slot: u32) {
        if let Some(member) = self.members[slot as usize].take() {
            if self.rng.bool() {
                self.hub.silence(MemberId(slot));
            }
            self.hub.leave(MemberId(slot));
            for (alias, held) in member.client.subscriptions {
                self.positions.insert((slot, alias), held.place);
            }
        }
    }

    fn send(&mut self, slot: u32, event: ServerEvent) {
        if self.members[slot as usize].is_some() {
            self.hub.send(MemberId(slot), &event, None);
        }
    }

    /// Has the socket take some of what waits.
    fn write(&mut self, slot: u32) {
        let most = match self.rng.u32(0..3) {
            0 => usize::MAX,
            _ => self.rng.usize(1..300),
        };
        self.write_up_to(slot, most);
    }

    fn write_all(&mut self, slot: u32) {
        self.write_up_to(slot, usize::MAX);
    }

    fn write_up_to(&mut self, slot: u32, most: usize) {
        let Some(member) = &mut self.members[slot as usize] else {
            return;
        };
        let mut scratch = Vec::new();
        let outbox = self.hub.outbox(MemberId(slot));
        let bytes = outbox.gather(&mut scratch, usize::MAX);
        let bytes = bytes[..bytes.len().min(most)].to_vec();
        self.hub.wrote(MemberId(slot), bytes.len());
        self.hub.stalled(MemberId(slot));
        let limits = self.limits;
        let rules = |alias| rules(alias, limits);
        member.client.read(&bytes, &self.logs, rules);
        for (alias, held) in &member.client.subscriptions {
            self.positions.insert((slot, *alias), held.place);
        }
    }

    /// The end of a turn of the shard.
    fn turn(&mut self) {
        // Who is fed must be right also where others have yet to be.
        if self.rng.u32(0..4) > 0 {
            self.hub.fan_out();
        }
        self.hub.feed();
        while let Some(read) = self.hub.next_read() {
            let log = &self.logs[read.alias as usize];
            // The log may be read now, or when the answer comes.
            let outcome = self.rng.bool().then(|| log.read(&read));
            self.reads.push((read, outcome));
        }
    }

    /// Ends a read, in any order.
    fn read(&mut self) {
        if self.reads.is_empty() {
            return;
        }
        let (read, made) = self.reads.swap_remove(self.rng.usize(0..self.reads.len()));
        let outcome = match self.rng.u32(0..10) {
            0 => ReadOutcome::Failed,
            _ => made.unwrap_or_else(|| self.logs[read.alias as usize].read(&read)),
        };
        self.end_read(&read, outcome);
    }

    fn end_read(&mut self, read: &LogRead, outcome: ReadOutcome) {
        if matches!(outcome, ReadOutcome::Failed) {
            self.paused.push(read.alias);
        }
        let answers = self.hub.end_read(read, outcome);
        self.answer(answers);
    }

    fn retry(&mut self) {
        for alias in std::mem::take(&mut self.paused) {
            self.hub.retry(alias);
        }
    }

    fn check_facts(&mut self) {
        while let Some(fact) = self.hub.next_fact() {
            let Fact::Overflowed { member } = fact else {
                panic!("no receipt was asked for")
            };
            self.leave(member.0);
        }
    }

    /// Everything works now: everybody gets everything.
    fn finish(&mut self) {
        for alias in 1..POLICIES.len() as u32 {
            self.logs[alias as usize].publish(1, 4);
            self.deliver(alias);
        }
        let (mut idle, mut rounds) = (0, 0);
        while idle < 3 {
            rounds += 1;
            assert!(rounds < 10_000, "it goes on for ever");
            self.retry();
            self.hub.fan_out();
            self.turn();
            let reads = std::mem::take(&mut self.reads);
            for (read, made) in &reads {
                let log = &self.logs[read.alias as usize];
                let outcome = match made {
                    // It may be of before the last publication.
                    Some(_) => ReadOutcome::Failed,
                    None => log.read(read),
                };
                self.end_read(read, outcome);
            }
            let wrote = (0..MEMBERS).any(|slot| {
                let waits = self.members[slot as usize].is_some()
                    && !self.hub.outbox(MemberId(slot)).is_empty();
                self.write_all(slot);
                waits
            });
            self.check_facts();
            idle = if wrote || !reads.is_empty() {
                0
            } else {
                idle + 1
            };
        }
        assert_eq!(self.hub.totals().lagging, 0, "somebody stays behind");
        for member in self.members.iter().flatten() {
            for (alias, pending) in &member.subscribed {
                assert_eq!(*pending, None, "{alias} has no answer");
                let held = member.client.subscriptions[alias];
                let log = &self.logs[*alias as usize];
                let lossless = rules(*alias, self.limits).lossless;
                assert!(held.is_at_the_end(log, lossless), "{held:?} on {alias}");
            }
        }
    }
}

fn one_run(seed: u64) {
    let _named = Named(seed);
    let mut simulation = Simulation::new(seed);
    let steps = simulation.rng.u32(50..600);
    for _ in 0..steps {
        simulation.step();
    }
    simulation.finish();
}

#[test]
fn whatever_happens_everybody_is_told_the_truth() {
    for seed in 0..2_000 {
        one_run(seed);
    }
}
