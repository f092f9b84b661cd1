//! Who is in a channel, while gateways die, hang and come back.
//!
//! `TIDEGATE_TEST_MEMBERS` is the size of the large channel.

use std::{collections::BTreeSet, time::Instant};

use client::{Addressee, Client, SubscribeOptions, Subscription};
use control::client::ChannelServiceClient;
use testkit::{Cluster, RawClient, eventually, subscribe, subscribe_told, within};
use tokio::{net::TcpStream, sync::watch};
use wire::{
    client::{PresenceChange, server_event::Event},
    control::PresenceRequest,
};

use super::{cluster, connect, grpc, setting, subscribe as subscription, within_a_minute};

const CHANNEL: &str = "room.1";

/// Members of each kind where gateways die.
const FEW: usize = 20;

/// Somebody at a gateway who is told what happens.
struct Watcher {
    client: RawClient,
    there: BTreeSet<String>,
    last: PresenceChange,
    events: usize,
}

// === impl Watcher ===

impl Watcher {
    async fn at(cluster: &Cluster, gateway: &str) -> Self {
        let address = cluster.process(gateway).address("client_url");
        let mut client = RawClient::greeted(address, &cluster.tokens.token("watcher")).await;
        client.send(subscribe_told(1, CHANNEL)).await;
        client.subscribed().await;
        let mut watcher = Self {
            client,
            there: BTreeSet::new(),
            last: PresenceChange::default(),
            events: 0,
        };
        watcher.next().await;
        assert!(watcher.last.snapshot);
        watcher
    }

    async fn next(&mut self) {
        self.last = loop {
            // Whatever else comes is of no interest here.
            if let Event::PresenceChange(change) = self.client.next_event().await {
                break change;
            }
        };
        self.events += 1;
        if self.last.snapshot {
            self.there.clear();
        }
        for member in &self.last.left {
            assert!(self.there.remove(&member.user), "{} had left", member.user);
        }
        for member in &self.last.joined {
            let user = member.user.clone();
            assert!(self.there.insert(user), "{} was there", member.user);
        }
    }

    async fn until(&mut self, sessions: usize) {
        while self.last.sessions != sessions as u64 {
            self.next().await;
        }
    }
}

/// Clients that go wherever `place` says.
async fn members(
    cluster: &Cluster,
    prefix: &str,
    place: &watch::Receiver<std::net::SocketAddr>,
) -> Vec<(Client, Subscription)> {
    let mut members = Vec::new();
    for number in 0..FEW {
        let place = place.clone();
        let client = Client::builder("ws://cluster.test/v1/ws")
            .dial(move || {
                let address = *place.borrow();
                TcpStream::connect(address)
            })
            .token(cluster.tokens.token(&format!("{prefix}{number}")));
        let client = within("a member", client.connect())
            .await
            .expect("connects");
        let held = subscription(&client, CHANNEL).await;
        members.push((client, held));
    }
    members
}

async fn subscribe_all(members: &mut [RawClient], channel: &str) {
    for member in &mut *members {
        member.send(subscribe(1, channel)).await;
    }
    for member in members {
        member.subscribed().await;
    }
}

async fn counted(cluster: &Cluster) -> (u64, u64) {
    let mut channels = ChannelServiceClient::new(grpc(cluster, "control1").await);
    let request = PresenceRequest {
        channel: CHANNEL.to_owned(),
        limit: 0,
    };
    let found = channels.presence(request).await.expect("answered");
    let found = found.into_inner();
    (found.sessions, found.users)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_on_a_killed_gateway_has_left_unless_it_went_on_elsewhere() {
    let mut cluster = cluster(1, &["gw1", "gw2", "gw3"], &["control1"]).await;
    let address = |gateway| cluster.process(gateway).address("client_url");
    let (doomed, other) = (address("gw2"), address("gw3"));
    let (move_to, place) = watch::channel(doomed);
    let (_stay, here) = watch::channel(doomed);
    let movers = members(&cluster, "mover", &place).await;
    let leavers = members(&cluster, "leaver", &here).await;
    let mut watcher = Watcher::at(&cluster, "gw1").await;
    watcher.until(2 * FEW + 1).await;
    assert_eq!(
        counted(&cluster).await,
        (2 * FEW as u64 + 1, 2 * FEW as u64 + 1)
    );

    move_to.send_replace(other);
    cluster.take("gw2").kill().await;
    let killed = Instant::now();
    for (client, _) in &leavers {
        client.close().await;
    }
    let before = watcher.there.clone();
    watcher.next().await;
    let first = killed.elapsed();
    assert_eq!(watcher.last.sessions, FEW as u64 + 1, "{:?}", watcher.last);
    println!("{FEW} members gone with their gateway: told after {first:?}");
    let gone: BTreeSet<_> = before.difference(&watcher.there).collect();
    assert_eq!(gone.len(), FEW);
    assert!(gone.iter().all(|user| user.starts_with("leaver")));
    assert_eq!(counted(&cluster).await.0, FEW as u64 + 1);
    // Whoever asks at another gateway, in the channel or not, finds the same.
    for gateway in ["gw1", "gw3"] {
        let asker = connect(&cluster, gateway, "asker").await;
        let found = within("an answer", asker.presence(CHANNEL)).await;
        let found = found.expect("permitted");
        assert_eq!(
            (found.sessions, found.members.len()),
            (FEW as u64 + 1, FEW + 1)
        );
    }
    drop(movers);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_gateway_that_hung_come_back_with_it() {
    let cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let (_stay, here) = watch::channel(cluster.process("gw2").address("client_url"));
    let members = members(&cluster, "member", &here).await;
    let mut watcher = Watcher::at(&cluster, "gw1").await;
    watcher.until(FEW + 1).await;
    let hung = Instant::now();
    cluster.process("gw2").pause();
    watcher.until(1).await;
    println!(
        "members of a gateway that hangs: gone after {:?}",
        hung.elapsed()
    );
    cluster.process("gw2").resume();
    let back = Instant::now();
    watcher.until(FEW + 1).await;
    println!("and back {:?} after it goes on", back.elapsed());
    drop(members);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_moves_with_a_drain_was_never_away() {
    let mut cluster = cluster(1, &["gw1", "gw2", "gw3"], &["control1"]).await;
    let address = |gateway| cluster.process(gateway).address("client_url");
    let (from, to) = (address("gw2"), address("gw3"));
    let (move_to, place) = watch::channel(from);
    let _members = members(&cluster, "member", &place).await;
    let mut watcher = Watcher::at(&cluster, "gw1").await;
    watcher.until(FEW + 1).await;
    move_to.send_replace(to);
    let drained = cluster.take("gw2");
    drained.terminate();
    let ended = within_a_minute("the drain ends", drained.ended()).await;
    assert!(ended.success());
    let late = connect(&cluster, "gw3", "late").await;
    let _held = subscription(&late, CHANNEL).await;
    // The first that is told of any of them since.
    watcher.next().await;
    assert_eq!((watcher.last.left.len(), watcher.last.joined.len()), (0, 1));
    assert_eq!(watcher.last.sessions, FEW as u64 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_leaves_because_the_bus_was_away() {
    let cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let (_stay, here) = watch::channel(cluster.process("gw2").address("client_url"));
    let members = members(&cluster, "member", &here).await;
    let mut watcher = Watcher::at(&cluster, "gw1").await;
    watcher.until(FEW + 1).await;
    let process = cluster.process("gw1");
    let is_ready = async || {
        process
            .admin("/readyz")
            .await
            .is_some_and(|it| it.status == 200)
    };
    cluster.nats.kill(0).await;
    eventually("it is not ready", async || !is_ready().await).await;
    // Who goes meanwhile has gone when it is back.
    members[0].0.close().await;
    cluster.nats.restart(0).await;
    eventually("it is ready again", is_ready).await;
    watcher.next().await;
    assert_eq!((watcher.last.left.len(), watcher.last.joined.len()), (1, 0));
    let _late = subscription(&connect(&cluster, "gw2", "late").await, CHANNEL).await;
    watcher.next().await;
    assert_eq!((watcher.last.left.len(), watcher.last.joined.len()), (0, 1));
    assert_eq!(watcher.last.sessions, FEW as u64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_see_each_other_and_signal_across_gateways() {
    let cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let ann = connect(&cluster, "gw1", "ann").await;
    let bob = connect(&cluster, "gw2", "bob").await;
    let options = SubscribeOptions {
        presence: true,
        ..SubscribeOptions::default()
    };
    let room = within("subscribed", ann.subscribe_with(CHANNEL, options)).await;
    let room = room.expect("permitted");
    let mut signals = bob.signals();
    let _bobs = subscription(&bob, CHANNEL).await;
    let mut presence = room.presence();
    let both = within("both", presence.wait_for(|it| it.members.len() == 2)).await;
    let both = both.expect("the client lives").clone();
    assert_eq!((both.sessions, both.users, both.sampled), (2, 2, false));
    let session = both.members.iter().find(|it| it.user == "bob");
    let session = session.expect("he is there").session_id.clone();

    let to = Addressee::Session(&session);
    let reached = within("answered", ann.signal(CHANNEL, to, "offer")).await;
    assert_eq!(reached.expect("he is there"), 1);
    let heard = within("a signal", signals.next()).await.expect("a signal");
    assert_eq!((&*heard.channel, &*heard.payload), (CHANNEL, &b"offer"[..]));
    assert_eq!(heard.from.user, "ann");
    let to = Addressee::User("carol");
    let nobody = within("answered", ann.signal(CHANNEL, to, "offer")).await;
    let code = nobody.expect_err("she is not there").code();
    assert_eq!(code, Some(client::ErrorCode::NobodyThere));

    bob.close().await;
    let alone = within("alone", presence.wait_for(|it| it.members.len() == 1)).await;
    assert_eq!(alone.expect("the client lives").members[0].user, "ann");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_channel_costs_no_storm() {
    let size = setting("TIDEGATE_TEST_MEMBERS", 400);
    let cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let gateways = ["gw1", "gw2"];
    let mut watcher = Watcher::at(&cluster, "gw1").await;
    let mut members = Vec::with_capacity(size);
    for number in 0..size {
        let address = cluster.process(gateways[number % 2]).address("client_url");
        let token = cluster.tokens.token(&format!("member{number}"));
        members.push(RawClient::greeted(address, &token).await);
    }
    // What any subscription of so many costs is not presence's.
    subscribe_all(&mut members, "live.1").await;
    let memory = || gateways.map(|it| cluster.process(it).memory() as f64);
    let before = memory();
    let began = Instant::now();
    subscribe_all(&mut members, CHANNEL).await;
    let there = began.elapsed();
    watcher.until(size + 1).await;
    let told = began.elapsed();
    let after = memory();
    eventually("every gateway knows the number", async || {
        counted(&cluster).await == (size as u64 + 1, size as u64 + 1)
    })
    .await;
    let mut words = 0.0;
    for gateway in gateways {
        let process = cluster.process(gateway);
        words += process
            .metric("tidegate_presence_words_total", &["direction=\"out\""])
            .await;
    }
    for (after, before) in after.into_iter().zip(before) {
        let each = (after - before) * 1024.0 / size as f64;
        println!("memory of a gateway: {after} KiB, {each:.0} B more for each member");
    }
    println!(
        "{size} members came within {there:?}, told after {told:?}: {words} messages between \
         gateways, {} events for a watcher",
        watcher.events
    );
    // 5 ticks a second at two gateways, and room for a slow machine's.
    let ticks = told.as_secs_f64() * 10.0 + 40.0;
    assert!(words < ticks, "{words} words in {told:?}");
    let most = told.as_secs_f64() * 5.0 + 20.0;
    assert!((watcher.events as f64) < most, "{} events", watcher.events);
    drop(members);
    let lost = Instant::now();
    // All at once, and after the linger.
    watcher.until(1).await;
    println!("all gone {:?} after they were lost", lost.elapsed());
}
