//! One connection stays of those that a session has, wherever they are.

use std::time::Duration;

use edge::{DrainPlan, EdgeConfig};
use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use testkit::{RawClient, hello_again};
use wire::client::{Notice, Welcome, server_event::Event};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
    tickets::shared_keys,
    user_limit::registered,
};

const DRAIN: DrainPlan = DrainPlan {
    settle: Duration::ZERO,
    rate: 1_000,
    window: Duration::from_secs(3600),
};

fn shared(config: &mut EdgeConfig) {
    config.tickets = shared_keys();
    config.drain = DRAIN;
    config.shards = 2;
}

/// Connections that come at once with the same ticket.
const RACING: usize = 12;

async fn cluster() -> (Site, [Gateway; 3]) {
    let site = Site::new().await;
    let gateways = ["gw-a", "gw-b", "gw-c"].map(|name| site.register(name, shared));
    (site, gateways)
}

async fn greet(gateway: &Gateway, ticket: &[u8]) -> (RawClient, Welcome) {
    let mut client = gateway.dial().connect().await;
    let token = gateway.tokens.token("ann");
    client.send(hello_again(&token, ticket.to_vec())).await;
    let welcome = client.welcome().await;
    (client, welcome)
}

/// The first connection of a session, in the registry.
async fn first(gateway: &Gateway) -> (RawClient, Welcome) {
    let first = greet(gateway, b"").await;
    registered(gateway, "ann").await;
    first
}

async fn expect_replaced(client: &mut RawClient) {
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (4009, "session_replaced"));
    let closing = close.closing.expect("told before");
    assert!(!closing.resumable);
}

async fn still_serves(client: &mut RawClient, id: u32) {
    client.subscribe(id, &format!("room.{id}")).await;
}

async fn drain(gateways: [Gateway; 3]) {
    for gateway in gateways {
        gateway.drain().await;
    }
}

#[tokio::test]
async fn a_resumed_session_ends_its_older_connection_at_any_gateway() {
    let (_site, gateways) = cluster().await;
    let [one, other, _] = &gateways;
    let (mut held, mut welcome) = first(one).await;
    // Elsewhere, and then on the gateway itself, whose shards take turns.
    for (index, gateway) in [other, other, one, one].into_iter().enumerate() {
        let (new, next) = greet(gateway, &welcome.session_ticket).await;
        assert_eq!(next.session_id, welcome.session_id);
        expect_replaced(&mut std::mem::replace(&mut held, new)).await;
        welcome = next;
        still_serves(&mut held, u32::try_from(index).expect("small") + 1).await;
    }
    drain(gateways).await;
}

#[tokio::test]
async fn other_sessions_of_the_user_are_left_alone() {
    let (_site, gateways) = cluster().await;
    let [one, other, _] = &gateways;
    let (mut held, welcome) = first(one).await;
    let (mut stranger, _) = greet(one, b"").await;
    let (mut new, _) = greet(other, &welcome.session_ticket).await;
    expect_replaced(&mut held).await;
    still_serves(&mut stranger, 1).await;
    still_serves(&mut new, 1).await;
    drain(gateways).await;
}

#[tokio::test]
async fn of_several_that_race_for_a_session_one_stays() {
    let (_site, gateways) = cluster().await;
    let (mut held, welcome) = first(&gateways[0]).await;
    let ticket = &welcome.session_ticket;
    let dials = gateways.iter().cycle().take(RACING);
    let racing = join_all(dials.map(|gateway| greet(gateway, ticket))).await;
    let mut racing: Vec<_> = racing.into_iter().map(|(client, _)| client).collect();
    expect_replaced(&mut held).await;
    let replaced: Vec<usize> = {
        let ends = racing.iter_mut().enumerate().map(async |(index, client)| {
            expect_replaced(client).await;
            index
        });
        let ends: FuturesUnordered<_> = ends.collect();
        ends.take(RACING - 1).collect().await
    };
    let stays = (0..RACING).find(|index| !replaced.contains(index));
    still_serves(&mut racing[stays.expect("one of them")], 1).await;
    drain(gateways).await;
}

#[tokio::test]
async fn a_connection_that_was_asked_to_move_is_left_to_go_by_itself() {
    let (_site, gateways) = cluster().await;
    let [one, other, third] = &gateways;
    let (mut leaving, _) = first(one).await;
    one.drain.begin();
    let Event::Migrate(migrate) = leaving.next_event().await else {
        panic!("not asked to move");
    };
    let (mut moved, welcome) = greet(other, &migrate.session_ticket).await;
    let (mut newest, _) = greet(third, &welcome.session_ticket).await;
    // Whoever ended this one has dealt with the other one, too: the gateways are
    // told in the order of their names.
    expect_replaced(&mut moved).await;
    still_serves(&mut leaving, 1).await;
    still_serves(&mut newest, 1).await;
    drain(gateways).await;
}

#[tokio::test]
async fn a_newer_connection_ends_one_that_comes_with_an_old_ticket() {
    let (_site, gateways) = cluster().await;
    let [one, other, third] = &gateways;
    let (mut held, welcome) = first(one).await;
    let (mut second, again) = greet(other, &welcome.session_ticket).await;
    expect_replaced(&mut held).await;
    let (mut third, _) = greet(third, &again.session_ticket).await;
    expect_replaced(&mut second).await;
    // Its epoch is that of the second.
    let (mut late, _) = greet(one, &welcome.session_ticket).await;
    expect_replaced(&mut late).await;
    still_serves(&mut third, 1).await;
    drain(gateways).await;
}

#[tokio::test]
async fn the_entry_of_a_dead_gateway_ends_nobody_however_new_it_is() {
    let (site, gateways) = cluster().await;
    let [one, other, _] = &gateways;
    let (mut held, welcome) = first(one).await;
    let session = welcome.session_id.parse().expect("a session id");
    site.leave_behind_of("gw-dead", "ann", session, 9).await;
    let (mut new, _) = greet(other, &welcome.session_ticket).await;
    expect_replaced(&mut held).await;
    still_serves(&mut new, 1).await;
    drain(gateways).await;
}

#[tokio::test]
async fn what_could_not_be_done_while_the_bus_was_away_is_done_afterwards() {
    let site = Site::new().await;
    let one = site.register("gw-a", shared);
    let bus = FaultyBus::over(site.bus.clone());
    let other = site.register_on(bus.clone(), "gw-b", shared);
    let (mut held, welcome) = first(&one).await;
    bus.go_down();
    let (mut new, _) = greet(&other, &welcome.session_ticket).await;
    expect_notice(&mut new, "degraded").await;
    still_serves(&mut held, 1).await;
    bus.come_up();
    expect_replaced(&mut held).await;
    expect_notice(&mut new, "recovered").await;
    still_serves(&mut new, 1).await;
    one.drain().await;
    other.drain().await;
}

async fn expect_notice(client: &mut RawClient, kind: &str) {
    match client.next_event().await {
        Event::Notice(Notice { kind: told, .. }) => assert_eq!(told, kind),
        other => panic!("unexpected {other:?}"),
    }
}
