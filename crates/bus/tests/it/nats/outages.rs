//! Servers that end, stand still, or are cut off.

use std::{sync::Arc, time::Duration};

use super::{
    Echo, Given, Record, becomes, beside, connect, connect_with, eventually, message, outgoing,
    pattern, question, subject,
};
use bus::{Bus, BusError, BusExt, NatsBus, NatsOptions, Request};
use testkit::{NatsCluster, NatsServer, Proxy};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_refuses_at_once_and_is_over_when_the_server_is_back() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        bus.serve(subject("q"), Arc::new(Echo));
        let record = Arc::new(Record::default());
        let listening = bus.listen(pattern("a"), record.clone()).await;
        listening.expect("subscribes");
        server.kill().await;
        becomes(&bus, false).await;
        eventually("publications are refused", async || {
            bus.send(outgoing("a", "1")).await == Err(BusError::Unavailable)
        })
        .await;
        // A request may have been on its way when its connection was lost.
        eventually("requests are refused", async || {
            let request = Request {
                deadline: Duration::from_millis(50),
                ..question("q", "")
            };
            bus.ask(request).await == Err(BusError::Unavailable)
        })
        .await;
        eventually("subscriptions are refused", async || {
            let refused = bus.listen(pattern("b"), record.clone()).await;
            refused.map(drop) == Err(BusError::Unavailable)
        })
        .await;
        server.restart().await;
        becomes(&bus, true).await;
        // The subscription lives on and is told what may be missing, before
        // what is newer.
        bus.send(outgoing("a", "2")).await.expect("publishes");
        let given = record.until("delivery", |given| given.contains(&message("2")));
        let given = given.await;
        let newer = given.iter().position(|one| *one == message("2"));
        let told = given.iter().position(|one| *one == Given::Lost);
        assert!(told.is_some() && told < newer, "{given:?}");
        // So does the service.
        let reply = bus.ask(question("q", "x")).await.expect("is answered");
        assert_eq!(reply.payload, "x");
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_without_a_log_are_numbered_and_a_quiet_end_is_told() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        let record = Arc::new(Record::default());
        let listening = bus.listen(pattern("a.*"), record.clone()).await;
        listening.expect("subscribes");
        for (to, payload) in [("a.b", "1"), ("a.b", "2"), ("a.c", "3")] {
            bus.send(outgoing(to, payload)).await.expect("publishes");
        }
        let told = |given: &[_]| {
            [1, 2]
                .iter()
                .all(|end| given.contains(&Given::Reached(*end)))
        };
        record.until("both ends", told).await;
        let messages = record.messages.lock();
        let numbers: Vec<_> = messages.iter().map(|one| one.origin.sequence).collect();
        assert_eq!(numbers, [1, 2, 1]);
        assert_eq!(messages[0].origin.publisher, messages[1].origin.publisher);
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stands_still_is_noticed() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        server.pause();
        becomes(&bus, false).await;
        assert_eq!(
            bus.send(outgoing("a", "1")).await,
            Err(BusError::Unavailable)
        );
        server.resume();
        becomes(&bus, true).await;
        bus.send(outgoing("a", "2")).await.expect("publishes");
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_is_noticed_and_healed() {
    let server = NatsServer::start().await;
    let proxy = Proxy::to(&server.address()).await;
    let (bus, running) = connect(&format!("nats://{}", proxy.address())).await;
    let check = async {
        let record = Arc::new(Record::default());
        let listening = bus.listen(pattern("a"), record.clone()).await;
        listening.expect("subscribes");
        proxy.cut();
        becomes(&bus, false).await;
        proxy.heal();
        becomes(&bus, true).await;
        bus.send(outgoing("a", "1")).await.expect("publishes");
        record
            .until("delivery", |given| given.contains(&message("1")))
            .await;
    };
    beside(running, check).await;
}

/// What waits for a server that takes nothing is refused, not kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_connection_queues_within_bounds() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        server.pause();
        let outcomes = Arc::new(parking_lot::Mutex::new(Vec::new()));
        let mut published = 0_usize;
        let refused = async || {
            for _ in 0..100 {
                let outcomes = outcomes.clone();
                let large = outgoing("a", &"x".repeat(10_000));
                bus.publish(
                    large,
                    Box::new(move |outcome| outcomes.lock().push(outcome)),
                );
                published += 1;
            }
            outcomes.lock().contains(&Err(BusError::Overloaded))
        };
        eventually("a full queue refuses", refused).await;
        becomes(&bus, false).await;
        // Each has its outcome, though the server still stands still.
        eventually("all have an outcome", async || {
            outcomes.lock().len() == published
        })
        .await;
        server.resume();
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_carries_on_without_one_of_its_servers() {
    let cluster = NatsCluster::start(3).await;
    let options = NatsOptions {
        servers: cluster.urls(),
        replicas: 3,
        ..NatsOptions::local(&cluster.urls()[0])
    };
    let bus = NatsBus::connect(options).await.expect("NATS is there");
    let runs = Arc::clone(&bus);
    let running = Box::pin(async move { runs.run().await });
    let check = async {
        becomes(&bus, true).await;
        let record = Arc::new(Record::default());
        let listening = bus.listen(pattern("a"), record.clone()).await;
        listening.expect("subscribes");
        for index in 0..3 {
            cluster.kill(index).await;
            let number = index.to_string();
            eventually("publications pass", async || {
                let sent = bus.send(outgoing("a", &number)).await;
                sent.is_ok() && record.given.lock().contains(&message(&number))
            })
            .await;
            cluster.restart(index).await;
        }
    };
    beside(running, check).await;
}

/// Long before the server, which gives its clients five minutes, ends them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_lame_duck_mode_is_left() {
    let cluster = NatsCluster::start(2).await;
    // The servers of tests do not tell of each other.
    let options = NatsOptions {
        servers: cluster.urls(),
        ..NatsOptions::local("")
    };
    let (bus, running) = connect_with(options).await;
    let check = async {
        cluster.server(0).lame_duck();
        eventually("all connections are elsewhere", async || {
            cluster.server(1).clients().await == 3
        })
        .await;
        cluster.kill(0).await;
        becomes(&bus, true).await;
        bus.send(outgoing("a", "1")).await.expect("publishes");
    };
    beside(running, check).await;
}
