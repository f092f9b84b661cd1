//! Deliver: to whom, and how far it got.

use std::collections::BTreeSet;

use bus::BusError;
use futures_util::future::join_all;
use hub::OutboxLimits;
use testkit::ack;
use wire::gateway::LevelCount;

use super::*;

#[tokio::test]
async fn direct_messages_reach_every_connection_of_a_user_on_all_shards() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let (mut clients, mut ids) = (Vec::new(), BTreeSet::new());
    for _ in 0..6 {
        let (client, id, _) = welcomed(&gateway, "alice").await;
        clients.push(client);
        ids.insert(id);
    }
    let mut bob = gateway.client("bob").await;
    for level in [Level::Enqueued, Level::Written] {
        let receipts = deliver(&gateway, to_user("alice"), level).await;
        assert!(
            receipts.iter().all(|it| it.level() == level),
            "{receipts:?}"
        );
        let told: BTreeSet<_> = receipts.into_iter().map(|it| it.connection_id).collect();
        assert_eq!(told, ids);
        for client in &mut clients {
            assert_eq!(client.direct().await.payload, "direct");
        }
    }
    // Nothing of it came to somebody else.
    bob.send_events(&[ack(1), testkit::ping(1)]).await;
    assert_eq!(bob.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn connections_and_sessions_can_be_meant_alone() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let (mut one, one_id, one_session) = welcomed(&gateway, "alice").await;
    let (mut two, two_id, _) = welcomed(&gateway, "alice").await;
    for (target, id) in [
        (to_connection(&one_id), &one_id),
        (to(target::Target::SessionId(one_session)), &one_id),
    ] {
        let receipts = deliver(&gateway, target, Level::Written).await;
        assert_eq!(receipts.len(), 1);
        assert_eq!(&receipts[0].connection_id, id);
        one.direct().await;
    }
    assert_eq!(
        deliver(&gateway, to_connection(&two_id), Level::Written)
            .await
            .len(),
        1
    );
    two.direct().await;
    gateway.finish().await;
}

#[tokio::test]
async fn what_everybody_gets_is_counted_and_not_named() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let everybody = || to(target::Target::Everybody(true));
    let nobody = delivered(&gateway, everybody(), Level::Written).await;
    assert_eq!(nobody, Delivered::default());
    let (mut one, ..) = welcomed(&gateway, "alice").await;
    let (mut two, ..) = welcomed(&gateway, "bob").await;
    for level in [Level::Enqueued, Level::Written] {
        let all = delivered(&gateway, everybody(), level).await;
        let count = LevelCount {
            level: level.into(),
            connections: 2,
        };
        assert_eq!((all.receipts, all.counts), (Vec::new(), vec![count]));
        one.direct().await;
        two.direct().await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn who_is_not_here_gets_no_receipt() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let _greeting = gateway.dial().connect().await;
    let (client, gone, gone_session) = welcomed(&gateway, "gone").await;
    client.leave().await;
    let nobody = [
        to_user("nobody"),
        to_user(""),
        to_connection(&gone),
        to_connection("elsewhere.0.0.1"),
        to_connection("gw-test.3f.0.1"),
        to(target::Target::SessionId("no such session".into())),
        to(target::Target::SessionId(gone_session)),
        to_label("tier", "gold"),
        None,
    ];
    for target in nobody {
        for level in [Level::Enqueued, Level::Written, Level::Acknowledged] {
            assert_eq!(deliver(&gateway, target.clone(), level).await, []);
        }
        assert_eq!(disconnect(&gateway, target).await, 0);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_connection_that_ends_before_it_read_is_reported_gone() {
    let gateway = Gateway::start(|config| {
        config.send_buffer_bytes = 4_096;
        config.outbox = OutboxLimits {
            bytes: 8 << 20,
            items: 10_000,
        };
    })
    .await;
    let mut client = gateway.dial().receive_buffer(4_096).connect().await;
    client.hello(&gateway.tokens.token("slow")).await;
    client.subscribe(1, "room.1").await;
    for _ in 0..100 {
        gateway.publish("room.1", vec![0; 50_000]).await;
    }
    let leaves = async {
        // Not before the command has come to the shard.
        testkit::eventually("the message is queued", async || {
            let (connections, _) = list(&gateway, ListConnections::default()).await;
            connections[0].outbox_bytes > 0
        })
        .await;
        drop(client);
    };
    let (receipts, ()) = tokio::join!(deliver(&gateway, to_user("slow"), Level::Written), leaves);
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].level(), Level::Gone);
    gateway.finish().await;
}

#[tokio::test]
async fn labels_of_tokens_name_connections_on_all_shards() {
    let gateway = Gateway::start(|config| config.shards = 3).await;
    let mut gold = Vec::new();
    for number in 0..6 {
        let number = number.to_string();
        let labels = [("tier", "gold"), ("number", &*number)];
        gold.push(labelled(&gateway, "alice", &labels).await);
    }
    let mut silver = labelled(&gateway, "alice", &[("tier", "silver")]).await;
    let all = deliver(&gateway, to_label("tier", "gold"), Level::Written).await;
    assert_eq!(all.len(), 6);
    for client in &mut gold {
        client.direct().await;
    }
    let one = deliver(&gateway, to_label("number", "3"), Level::Written).await;
    assert_eq!(one.len(), 1);
    gold[3].direct().await;
    assert_eq!(count(&gateway, to_label("tier", "gold")).await, (6, 1));
    gold.remove(3).leave().await;
    testkit::eventually("the connection is gone", async || {
        count(&gateway, to_label("tier", "gold")).await == (5, 1)
            && count(&gateway, to_label("number", "3")).await == (0, 0)
    })
    .await;
    silver.send(testkit::ping(1)).await;
    assert_eq!(silver.pong().await.nonce, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_message_is_acknowledged_when_the_client_says_so() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    let (mut one, mut two) = (
        gateway.client("alice").await,
        gateway.json_client("alice").await,
    );
    let acknowledge = async {
        for client in [&mut one, &mut two] {
            let direct = client.direct().await;
            assert!(direct.needs_ack && direct.ack_id > 0);
            client.send(ack(direct.ack_id)).await;
        }
    };
    let delivering = deliver(&gateway, to_user("alice"), Level::Acknowledged);
    let (receipts, ()) = tokio::join!(delivering, acknowledge);
    assert_eq!(receipts.len(), 2);
    let levels: Vec<_> = receipts.iter().map(Receipt::level).collect();
    assert_eq!(levels, [Level::Acknowledged; 2]);
    // Nobody waits for these.
    deliver(&gateway, to_user("alice"), Level::Written).await;
    let direct = one.direct().await;
    assert_eq!((direct.needs_ack, direct.ack_id), (false, 0));
    gateway.finish().await;
}

#[tokio::test]
async fn one_ack_confirms_everything_before_it_and_nothing_after_it() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("alice").await;
    let levels = async || {
        let receipts = deliver(&gateway, to_user("alice"), Level::Acknowledged).await;
        receipts[0].level()
    };
    let read = async || {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(client.direct().await.ack_id);
        }
        assert!(ids[0] < ids[1] && ids[1] < ids[2], "{ids:?}");
        client.send(ack(ids[1])).await;
        client.send(testkit::ping(1)).await;
        client.pong().await;
        client.leave().await;
    };
    let (first, second, third, ()) = tokio::join!(levels(), levels(), levels(), read());
    let mut levels = [first, second, third];
    levels.sort_unstable();
    assert_eq!(
        levels,
        [Level::Acknowledged, Level::Acknowledged, Level::Gone]
    );
    gateway.finish().await;
}

#[tokio::test]
async fn without_an_ack_in_time_the_level_reached_is_told() {
    let gateway = Gateway::start(|_| {}).await;
    let _silent = gateway.client("alice").await;
    let deliver = Command::Deliver(Deliver {
        target: to_user("alice"),
        payload: "direct".into(),
        await_level: Level::Acknowledged.into(),
        ..Deliver::default()
    });
    let receipts = match gateway
        .command_within(deliver, Duration::from_secs(3))
        .await
    {
        Reply::Delivered(delivered) => delivered.receipts,
        other => panic!("unexpected {other:?}"),
    };
    assert_eq!(receipts[0].level(), Level::Written);
    gateway.finish().await;
}

fn large(await_level: Level) -> Command {
    Command::Deliver(Deliver {
        target: to_user("alice"),
        payload: vec![0; 16 << 20].into(),
        await_level: await_level.into(),
        ..Deliver::default()
    })
}

#[tokio::test]
async fn commands_beyond_what_a_gateway_holds_are_refused_until_others_are_done() {
    let gateway = Gateway::start(|config| config.outbox.bytes = 128 << 20).await;
    let mut alice = gateway.client("alice").await;
    let three = join_all([0; 3].map(|_| gateway.try_command(large(Level::Acknowledged))));
    let fourth = async {
        let refused = gateway.try_command(large(Level::Enqueued)).await;
        assert_eq!(refused, Err(BusError::Overloaded));
        // Nobody is kept from finding out how it is.
        let status = gateway.command(Command::Status(Status {})).await;
        assert!(matches!(status, Reply::GatewayStatus(_)), "{status:?}");
        for _ in 0..3 {
            let direct = alice.direct().await;
            alice.send(ack(direct.ack_id)).await;
        }
    };
    let (three, ()) = tokio::join!(three, fourth);
    for outcome in three {
        assert!(matches!(outcome, Ok(Reply::Delivered(_))), "{outcome:?}");
    }
    let outcome = gateway.try_command(large(Level::Enqueued)).await;
    assert!(matches!(outcome, Ok(Reply::Delivered(_))), "{outcome:?}");
    gateway.finish().await;
}

#[tokio::test]
async fn commands_whose_askers_have_gone_are_not_carried_out() {
    let gateway = Gateway::start(|_| {}).await;
    let mut alice = gateway.client("alice").await;
    let late = |payload: &'static str| Deliver {
        target: to_user("alice"),
        payload: payload.into(),
        ..Deliver::default()
    };
    let disconnect = Disconnect {
        target: to_user("alice"),
        ..Disconnect::default()
    };
    for command in [
        Command::Deliver(late("late")),
        Command::Disconnect(disconnect),
    ] {
        let outcome = gateway.try_command_within(command, Duration::ZERO).await;
        // Or, if the bus was faster, nothing at all.
        assert!(
            matches!(
                outcome,
                Ok(Reply::Failure(_)) | Err(BusError::DeadlineExceeded)
            ),
            "{outcome:?}"
        );
    }
    deliver(&gateway, to_user("alice"), Level::Enqueued).await;
    assert_eq!(alice.direct().await.payload, "direct");
    gateway.finish().await;
}
