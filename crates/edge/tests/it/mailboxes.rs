//! Durable messages reach every connection of their user, each once and in order.

use bus::{BusExt, Request, RequestContext, Subject};
use prost::Message;
use testkit::{DEADLINE, RawClient, eventually, hello};
use wire::{
    GatewayId, UserId,
    client::{Ack, ClientEvent, Direct, client_event, server_event::Event},
    gateway::{
        Command, CommandReply, Deliver, Delivered, Level, Target, command, command_reply::Reply,
        target,
    },
};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
};

const ALICE: &str = "alice";

fn alice() -> UserId {
    UserId::new(ALICE).expect("valid")
}

/// Stores a message for alice and gives its offset.
async fn store(site: &Site, payload: &str) -> u64 {
    let payload = payload.to_owned().into();
    let stored = mailboxes::store(&*site.bus, &alice(), payload, "").await;
    stored.expect("memory has room").offset.0
}

/// Tells a gateway of the message at `offset`, and gives the levels reached.
async fn tell(site: &Site, gateway: &str, offset: u64, level: Level) -> Vec<Level> {
    let deliver = Deliver {
        target: Some(Target {
            target: Some(target::Target::User(ALICE.to_owned())),
        }),
        await_level: level.into(),
        mailbox_offset: offset,
        ..Deliver::default()
    };
    let command = Command {
        command: Some(command::Command::Deliver(deliver)),
    };
    let request = Request {
        subject: Subject::of_gateway(&GatewayId::new(gateway).expect("valid")),
        payload: command.encode_to_vec().into(),
        deadline: DEADLINE,
        context: RequestContext::default(),
    };
    let reply = site.bus.ask(request).await.expect("the gateway answers");
    let reply = CommandReply::decode(reply.payload).expect("a reply");
    let Some(Reply::Delivered(Delivered { receipts, .. })) = reply.reply else {
        panic!("unexpected {reply:?}");
    };
    receipts.iter().map(|receipt| receipt.level()).collect()
}

async fn next_direct(client: &mut RawClient) -> Direct {
    match client.next_event().await {
        Event::Direct(direct) => direct,
        other => panic!("unexpected {other:?}"),
    }
}

/// Offset, previous and payload of what comes next.
async fn next(client: &mut RawClient) -> (u64, u64, String) {
    let direct = next_direct(client).await;
    assert!(direct.needs_ack);
    let payload = String::from_utf8(direct.payload.to_vec()).expect("text");
    (direct.offset, direct.previous, payload)
}

/// Asserts that nothing more has come: the answer to a ping is next.
async fn nothing_more(client: &mut RawClient) {
    client.send(testkit::ping(7)).await;
    match client.next_event().await {
        Event::Pong(_) => {}
        other => panic!("unexpected {other:?}"),
    }
}

async fn confirm(client: &mut RawClient, up_to: u64) {
    let ack = Ack { up_to, ack_id: 0 };
    let event = Some(client_event::Event::Ack(ack));
    client.send(ClientEvent { event }).await;
}

/// Waits until the cluster knows what alice has confirmed.
async fn confirmed(site: &Site, up_to: u64) {
    eventually("the confirmation", async || {
        mailboxes::acknowledged(&*site.bus, &alice()).await == Ok(up_to)
    })
    .await;
}

/// A client that says what it holds.
async fn returning(gateway: &Gateway, mailbox_offset: u64) -> RawClient {
    let mut client = gateway.dial().connect().await;
    let mut event = hello(&gateway.tokens.token(ALICE));
    if let Some(client_event::Event::Hello(hello)) = &mut event.event {
        hello.mailbox_offset = mailbox_offset;
    }
    client.send(event).await;
    assert!(matches!(client.next_event().await, Event::Welcome(_)));
    client
}

#[tokio::test]
async fn whoever_comes_gets_what_was_stored_while_nobody_was_there() {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |config| config.mailboxes = true);
    let first = store(&site, "one").await;
    let second = store(&site, "two").await;
    let mut client = gateway.client(ALICE).await;
    let (offset, _, payload) = next(&mut client).await;
    assert_eq!((offset, &*payload), (first, "one"));
    assert_eq!(next(&mut client).await, (second, first, "two".to_owned()));
    // Others have their own.
    let mut bob = gateway.client("bob").await;
    nothing_more(&mut bob).await;
    nothing_more(&mut client).await;
    gateway.drain().await;
}

#[tokio::test]
async fn each_connection_gets_every_message_whoever_confirms_first() {
    let site = Site::new().await;
    let gateways =
        ["gw-a", "gw-b"].map(|name| site.register(name, |config| config.mailboxes = true));
    let mut here = gateways[0].client(ALICE).await;
    let mut there = gateways[1].client(ALICE).await;
    let before = store(&site, "zero").await;
    for (gateway, client) in [("gw-a", &mut here), ("gw-b", &mut there)] {
        tell(&site, gateway, before, Level::Enqueued).await;
        assert_eq!(next(client).await.0, before);
    }
    let first = store(&site, "one").await;
    assert_eq!(
        tell(&site, "gw-a", first, Level::Enqueued).await,
        [Level::Enqueued]
    );
    assert_eq!(next(&mut here).await.0, first);
    confirm(&mut here, first).await;
    confirmed(&site, first).await;
    // The word to the other gateway got lost; the next one brings both.
    let second = store(&site, "two").await;
    assert_eq!(
        tell(&site, "gw-b", second, Level::Written).await,
        [Level::Written]
    );
    assert_eq!(next(&mut there).await.0, first);
    assert_eq!(next(&mut there).await, (second, first, "two".to_owned()));
    // A word that comes late changes nothing.
    assert_eq!(
        tell(&site, "gw-b", first, Level::Enqueued).await,
        [Level::Enqueued]
    );
    nothing_more(&mut there).await;
    for gateway in gateways {
        gateway.drain().await;
    }
}

#[tokio::test]
async fn a_fresh_connection_begins_behind_what_the_user_has_confirmed() {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |config| config.mailboxes = true);
    let first = store(&site, "one").await;
    let mut client = gateway.client(ALICE).await;
    assert_eq!(next(&mut client).await.0, first);
    confirm(&mut client, first).await;
    confirmed(&site, first).await;
    let mut fresh = gateway.client(ALICE).await;
    let second = store(&site, "two").await;
    let levels = tell(&site, "gw-a", second, Level::Enqueued).await;
    assert_eq!(levels, [Level::Enqueued; 2]);
    assert_eq!(next(&mut fresh).await, (second, first, "two".to_owned()));
    // Nobody confirms what he was not given, and nothing goes back.
    confirm(&mut client, u64::MAX).await;
    confirmed(&site, second).await;
    confirm(&mut fresh, first).await;
    nothing_more(&mut fresh).await;
    confirmed(&site, second).await;
    gateway.drain().await;
}

#[tokio::test]
async fn who_says_what_it_holds_gets_what_follows() {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |config| config.mailboxes = true);
    let first = store(&site, "one").await;
    let second = store(&site, "two").await;
    let mut client = returning(&gateway, first).await;
    assert_eq!(next(&mut client).await, (second, first, "two".to_owned()));
    // What was confirmed before anything is given counts from then on.
    let mut other = returning(&gateway, second).await;
    confirm(&mut other, second).await;
    confirmed(&site, second).await;
    nothing_more(&mut other).await;
    // What no log of ours has had counts for nothing.
    let mut stranger = returning(&gateway, u64::MAX).await;
    confirm(&mut stranger, u64::MAX).await;
    let third = store(&site, "three").await;
    tell(&site, "gw-a", third, Level::Enqueued).await;
    assert_eq!(next(&mut stranger).await.0, third);
    gateway.drain().await;
}

#[tokio::test]
async fn senders_learn_what_each_client_confirmed() {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |config| config.mailboxes = true);
    let mut client = gateway.client(ALICE).await;
    let offset = store(&site, "one").await;
    let asked = tell(&site, "gw-a", offset, Level::Acknowledged);
    let answers = async {
        assert_eq!(next(&mut client).await.0, offset);
        confirm(&mut client, offset).await;
    };
    let (levels, ()) = tokio::join!(asked, answers);
    assert_eq!(levels, [Level::Acknowledged]);
    // Who asks again learns the same.
    let again = tell(&site, "gw-a", offset, Level::Acknowledged).await;
    assert_eq!(again, [Level::Acknowledged]);
    client.leave().await;
    eventually("it is gone", async || {
        tell(&site, "gw-a", offset, Level::Enqueued)
            .await
            .is_empty()
    })
    .await;
    gateway.drain().await;
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_all_of_a_long_mailbox() {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |config| {
        config.mailboxes = true;
        config.outbox.items = 8;
        config.outbox.bytes = 64 << 10;
        config.send_buffer_bytes = 4 << 10;
    });
    let payload = "x".repeat(20 << 10);
    let mut offsets = Vec::new();
    for _ in 0..100 {
        offsets.push(store(&site, &payload).await);
    }
    let token = gateway.tokens.token(ALICE);
    let mut client = gateway.dial().receive_buffer(4 << 10).connect().await;
    client.hello(&token).await;
    for offset in offsets {
        assert_eq!(next(&mut client).await.0, offset);
    }
    nothing_more(&mut client).await;
    gateway.drain().await;
}

#[tokio::test]
async fn what_was_stored_while_the_bus_was_away_comes_when_it_is_back() {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.open_on(bus.clone(), |config| config.mailboxes = true);
    let mut client = gateway.client(ALICE).await;
    let first = store(&site, "one").await;
    assert_eq!(
        tell(&site, "gw-test", first, Level::Enqueued).await,
        [Level::Enqueued]
    );
    assert_eq!(next(&mut client).await.0, first);
    bus.go_down();
    assert!(matches!(client.next_event().await, Event::Notice(_)));
    // Its word reaches nobody.
    let second = store(&site, "two").await;
    bus.come_up();
    assert!(matches!(client.next_event().await, Event::Notice(_)));
    assert_eq!(next(&mut client).await, (second, first, "two".to_owned()));
    gateway.drain().await;
}
