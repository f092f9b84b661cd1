//! A cluster of rooms on a network that loses what it likes.

use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use proptest::prelude::*;
use wire::client::PresenceChange;

use super::*;
use crate::{
    testing::{gateway, member},
    told::Audience,
};

/// Beats that a gateway may be silent for.
const PATIENCE: u32 = 5;

/// Ticks between two beats.
const BEAT_EVERY: u32 = 5;

/// Gateways, the sessions that each really has, and what one client at each was told.
struct Cluster {
    now: Instant,
    ticks: u32,
    gateways: Vec<Simulated>,
    random: u64,
    /// Of 256 words so many are lost.
    losses: u64,
}

struct Simulated {
    name: GatewayId,
    rooms: Rooms,
    alive: bool,
    cut: bool,
    /// Sessions with a connection here.
    connected: HashMap<u128, u32>,
    client: Client,
}

/// Somebody who has asked for the channel's presence.
#[derive(Default)]
struct Client {
    watches: bool,
    knows: Option<HashSet<String>>,
    numbers: (u64, u64),
    events: usize,
}

fn channel() -> Channel {
    Channel::parse("room.1", 255).expect("valid")
}

impl Cluster {
    fn new(count: usize, named: usize) -> Self {
        let settings = Settings {
            named,
            ..Settings::default()
        };
        let gateways = (0..count).map(|index| {
            let name = gateway(&format!("gw{index}"));
            Simulated {
                rooms: Rooms::new(name.clone(), settings),
                name,
                alive: true,
                cut: false,
                connected: HashMap::new(),
                client: Client::default(),
            }
        });
        Self {
            now: Instant::now(),
            ticks: 0,
            gateways: gateways.collect(),
            random: 1,
            losses: 0,
        }
    }

    fn loses(&mut self) -> bool {
        // Knuth's multiplier: any will do, it must only be the same again.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005) + 1;
        (self.random >> 56) < self.losses
    }

    fn connect(&mut self, at: usize, session: u128) {
        let it = &mut self.gateways[at];
        if it.alive {
            let user = format!("user{}", session % 7);
            *it.connected.entry(session).or_default() += 1;
            it.rooms
                .enter(&channel(), member(&user, session, it.name.as_str()));
            if !std::mem::replace(&mut it.client.watches, true) {
                it.rooms.watch(&channel());
            }
        }
    }

    fn disconnect(&mut self, at: usize, session: u128, lingers: bool) {
        let until = lingers.then(|| self.now + Duration::from_secs(5));
        let it = &mut self.gateways[at];
        let Some(connections) = it.connected.get_mut(&session) else {
            return;
        };
        *connections -= 1;
        if *connections == 0 {
            it.connected.remove(&session);
        }
        it.rooms.leave(&channel(), SessionId(session), until);
        if it.connected.is_empty() {
            it.rooms.unwatch(&channel());
            it.client = Client::default();
        }
    }

    fn kill(&mut self, at: usize) {
        self.gateways[at].alive = false;
        self.gateways[at].connected.clear();
    }

    fn set_cut(&mut self, at: usize, cut: bool) {
        let it = &mut self.gateways[at];
        if it.cut && !cut && it.alive {
            it.rooms.resync();
        }
        it.cut = cut;
    }

    fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.now += Duration::from_millis(200);
        self.ticks += 1;
        for at in 0..self.gateways.len() {
            if !self.gateways[at].alive {
                continue;
            }
            let online = !self.gateways[at].cut;
            if online && self.ticks.is_multiple_of(BEAT_EVERY) {
                self.gateways[at].rooms.own_beat(PATIENCE);
                let name = self.gateways[at].name.clone();
                for other in self.others(at) {
                    if !self.loses() {
                        self.gateways[other].rooms.beat(name.clone(), false);
                    }
                }
            }
            for work in self.gateways[at].rooms.tick(self.now, online) {
                self.perform(at, work);
            }
        }
    }

    /// Those whom the bus reaches from there.
    fn others(&self, at: usize) -> Vec<usize> {
        let reached = |other: &usize| {
            let it = &self.gateways[*other];
            *other != at && it.alive && !it.cut
        };
        (0..self.gateways.len()).filter(reached).collect()
    }

    fn perform(&mut self, at: usize, work: Work) {
        match work {
            Work::Open(channel) => {
                let succeeded = !self.loses();
                self.gateways[at].rooms.opened(&channel, succeeded);
            }
            Work::Serve(_) | Work::Close(_) => {}
            Work::Say(channel, word) => {
                for other in self.others(at) {
                    let subscribed = self.gateways[other].rooms.get(&channel);
                    let hears = subscribed
                        .is_some_and(|room| matches!(room.stage, Stage::Settling | Stage::Settled));
                    if hears && !self.loses() {
                        self.gateways[other].rooms.hear(&channel, &word);
                    }
                }
            }
            Work::Ask(channel, whom) => {
                let lost = self.loses();
                let other = self.gateways.iter().find(|it| it.name == whom);
                let part = other.filter(|it| it.alive && !it.cut && !lost);
                let part = part.map(|it| it.rooms.whole(&channel));
                let dead = other.is_some_and(|it| !it.alive);
                let rooms = &mut self.gateways[at].rooms;
                rooms.answered();
                match part {
                    Some(part) if part.sessions > 0 => rooms.hear(&channel, &part),
                    Some(_) => rooms.has_none(&channel, &whom),
                    None if dead => {}
                    None => rooms.still_missing(channel, whom),
                }
            }
            Work::Tell(_, told) => self.gateways[at].client.hear(&told),
        }
    }

    /// Everybody knows who is really there.
    fn check(&self) {
        let connected = self.gateways.iter().flat_map(|it| it.connected.keys());
        let truth: HashSet<String> = connected
            .map(|session| SessionId(*session).to_string())
            .collect();
        for it in self.gateways.iter().filter(|it| it.alive) {
            let Some(room) = it.rooms.get(&channel()) else {
                assert!(it.connected.is_empty());
                continue;
            };
            assert_eq!(room.sessions(), truth.len() as u64, "at {}", it.name);
            if it.client.watches {
                let told = &it.client;
                assert_eq!(told.numbers.0, truth.len() as u64, "told at {}", it.name);
                if let Some(knows) = &told.knows {
                    assert_eq!(knows, &truth, "told by name at {}", it.name);
                }
            }
        }
    }
}

impl Client {
    fn hear(&mut self, told: &Told) {
        let meant = match told.audience {
            Audience::Everybody => true,
            Audience::Newcomers => self.events == 0,
            Audience::Others => self.events > 0,
        };
        if !self.watches || !meant {
            return;
        }
        self.events += 1;
        let PresenceChange {
            joined,
            left,
            sessions,
            users,
            snapshot,
            sampled,
            ..
        } = &told.change;
        self.numbers = (*sessions, *users);
        if *snapshot {
            self.knows = Some(HashSet::default());
        }
        if *sampled {
            self.knows = None;
        }
        if let Some(knows) = &mut self.knows {
            for member in joined {
                assert!(knows.insert(member.session_id.clone()), "joined twice");
            }
            for member in left {
                assert!(
                    knows.remove(&member.session_id),
                    "left without having joined"
                );
            }
            assert_eq!(knows.len() as u64, *sessions);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_everybody_knows_who_is_there(
        named in prop::sample::select(vec![3_usize, 200]),
        losses in 0..100_u64,
        steps in prop::collection::vec((0..8_u8, 0..3_usize, 0..12_u128), 1..120),
    ) {
        let mut cluster = Cluster::new(4, named);
        cluster.losses = losses;
        for (step, at, session) in steps {
            match step {
                0 | 1 => cluster.connect(at, session),
                2 => cluster.disconnect(at, session, false),
                3 => cluster.disconnect(at, session, true),
                4 => cluster.set_cut(at, true),
                5 => cluster.set_cut(at, false),
                6 if session == 0 => cluster.kill(at),
                _ => cluster.run(session as u32),
            }
        }
        (0..4).for_each(|at| cluster.set_cut(at, false));
        cluster.losses = 0;
        // The lease, and everybody's head once, and then the numbers.
        cluster.run(PATIENCE * BEAT_EVERY + 3 * HEADS_WITHIN as u32 + 20);
        cluster.check();
    }
}

#[test]
fn a_killed_gateway_leaves_no_ghosts_and_who_goes_on_elsewhere_stays() {
    let mut cluster = Cluster::new(3, 200);
    cluster.connect(0, 1);
    cluster.connect(1, 2);
    cluster.connect(1, 3);
    cluster.run(20);
    cluster.check();
    let events = cluster.gateways[0].client.events;
    cluster.kill(1);
    cluster.connect(2, 2);
    cluster.run(PATIENCE * BEAT_EVERY + BEAT_EVERY + 5);
    cluster.check();
    // One event: session 3 has left.
    assert_eq!(cluster.gateways[0].client.events, events + 1);
}

#[test]
fn who_comes_back_in_time_was_never_away() {
    let mut cluster = Cluster::new(2, 200);
    cluster.connect(0, 1);
    cluster.connect(1, 2);
    cluster.run(20);
    let events = cluster.gateways[0].client.events;
    cluster.disconnect(1, 2, true);
    cluster.run(10);
    cluster.connect(0, 2);
    cluster.run(100);
    cluster.check();
    assert_eq!(cluster.gateways[0].client.events, events);
}

#[test]
fn members_of_a_gateway_that_was_cut_off_come_back() {
    let mut cluster = Cluster::new(2, 200);
    cluster.connect(0, 1);
    cluster.connect(1, 2);
    cluster.run(20);
    cluster.set_cut(1, true);
    cluster.run(PATIENCE * BEAT_EVERY + BEAT_EVERY + 5);
    assert_eq!(cluster.gateways[0].client.numbers.0, 1);
    // Who is cut off himself judges nobody.
    assert_eq!(cluster.gateways[1].client.numbers.0, 2);
    cluster.set_cut(1, false);
    cluster.run(10);
    cluster.check();
    assert_eq!(cluster.gateways[0].client.numbers.0, 2);
}

#[test]
fn in_a_large_channel_numbers_are_told_and_seldom() {
    let mut cluster = Cluster::new(2, 10);
    for session in 0..1_000 {
        cluster.connect(session as usize % 2, session);
    }
    cluster.run(20);
    cluster.check();
    let events = cluster.gateways[0].client.events;
    for session in 0..500 {
        cluster.disconnect(session as usize % 2, session, false);
        cluster.run(1);
    }
    assert!(cluster.gateways[0].client.events - events <= 101);
    for session in 500..995 {
        cluster.disconnect(session as usize % 2, session, false);
    }
    cluster.run(10);
    cluster.check();
    let knows = cluster.gateways[0].client.knows.as_ref();
    assert_eq!(knows.map(HashSet::len), Some(5));
}

/// Any word that a gateway may say, or somebody who pretends to be one.
fn any_word() -> impl Strategy<Value = PresencePart> {
    let member = (0..6_u128, 0..4_u8).prop_map(|(session, kind)| {
        let mut message = member("alice", session, "gw9").message();
        match kind {
            0 => message.session_id = "none".to_owned(),
            1 => message.user = String::new(),
            _ => {}
        }
        message
    });
    let members = prop::collection::vec(member, 0..5);
    let left = prop::collection::vec(0..6_u128, 0..4);
    let flags = any::<(bool, bool, bool)>();
    (0..4_u8, 0..6_u64, 0..6_u64, members, left, flags, 0..3_u64).prop_map(
        |(from, version, since, members, left, (whole, counted, calls), sessions)| PresencePart {
            gateway: ["gw0", "gw1", "gw2", "not a.gateway"][usize::from(from)].to_owned(),
            version,
            since,
            whole,
            members,
            left: left.iter().map(|it| SessionId(*it).to_string()).collect(),
            sessions,
            users: sessions,
            counted,
            calls,
        },
    )
}

proptest! {
    #[test]
    fn whatever_others_say_is_gone_with_them(
        words in prop::collection::vec(any_word(), 0..40),
    ) {
        let mut rooms = Rooms::new(gateway("gw0"), Settings::default());
        rooms.enter(&channel(), member("bob", 3, "gw0"));
        rooms.opened(&channel(), true);
        for (index, word) in words.iter().enumerate() {
            rooms.hear(&channel(), word);
            if index % 5 == 0 {
                rooms.tick(Instant::now(), true);
            }
        }
        for name in ["gw1", "gw2"] {
            rooms.beat(gateway(name), true);
        }
        let room = rooms.get(&channel()).expect("bob is there");
        assert_eq!((room.sessions(), room.crowd.users()), (1, 1));
        let bob = room.crowd.session(SessionId(3)).expect("bob is there");
        assert_eq!(room.crowd.of_user(&bob.user).count(), 1);
    }
}
