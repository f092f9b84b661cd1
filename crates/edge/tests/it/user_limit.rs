//! A user has so many connections in the whole cluster, whoever took them.

use edge::{EdgeConfig, UserLimit, WhenFull};
use testkit::RawClient;

use crate::gateway::{Gateway, Site};

async fn cluster(when_full: WhenFull) -> [Gateway; 2] {
    let site = Site::new().await;
    let limit = |config: &mut EdgeConfig| {
        config.user_limit = Some(UserLimit { max: 1, when_full });
    };
    ["gw-a", "gw-b"].map(|name| site.register(name, limit))
}

async fn expect_user_limit(client: &mut RawClient) {
    let close = client.expect_close().await;
    assert_eq!((close.code, close.cause()), (4010, "user_limit"));
}

async fn still_serves(client: &mut RawClient) {
    client.subscribe(1, "room.1").await;
}

#[tokio::test]
async fn the_newest_connection_is_refused_at_whichever_gateway() {
    let [first, second] = cluster(WhenFull::RefuseNew).await;
    let mut old = first.client("ann").await;
    let mut other = second.client("ben").await;
    registered(&first, "ann").await;
    for gateway in [&first, &second] {
        let mut new = gateway.client("ann").await;
        expect_user_limit(&mut new).await;
    }
    still_serves(&mut old).await;
    still_serves(&mut other).await;
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn the_oldest_connection_makes_room_at_whichever_gateway() {
    let [first, second] = cluster(WhenFull::CloseOldest).await;
    let mut held = first.client("ann").await;
    registered(&first, "ann").await;
    for gateway in [&second, &first] {
        let new = gateway.client("ann").await;
        let mut old = std::mem::replace(&mut held, new);
        expect_user_limit(&mut old).await;
    }
    still_serves(&mut held).await;
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn of_many_that_come_at_once_one_stays() {
    let [first, second] = cluster(WhenFull::RefuseNew).await;
    let (one, other) = tokio::join!(first.client("ann"), second.client("ann"));
    let (mut one, mut other) = (one, other);
    // Whichever it is: the other one is served for good.
    tokio::select! {
        () = expect_user_limit(&mut one) => still_serves(&mut other).await,
        () = expect_user_limit(&mut other) => still_serves(&mut one).await,
    }
    first.drain().await;
    second.drain().await;
}

#[tokio::test]
async fn entries_of_a_gateway_that_died_keep_nobody_out() {
    let site = Site::new().await;
    site.leave_behind("gw-dead", "ann").await;
    let gateway = site.register("gw-a", |config| {
        let when_full = WhenFull::RefuseNew;
        config.user_limit = Some(UserLimit { max: 1, when_full });
    });
    let mut ann = gateway.client("ann").await;
    registered(&gateway, "ann").await;
    // A second one is judged after her: she counts, the dead one does not.
    let mut second = gateway.client("ann").await;
    expect_user_limit(&mut second).await;
    still_serves(&mut ann).await;
    gateway.drain().await;
}

#[tokio::test]
async fn entries_that_outlived_their_connections_keep_nobody_out() {
    let [first, second] = {
        let site = Site::new().await;
        let limit = |config: &mut EdgeConfig| {
            let when_full = WhenFull::RefuseNew;
            config.user_limit = Some(UserLimit { max: 1, when_full });
        };
        let gateways = ["gw-a", "gw-b"].map(|name| site.register(name, limit));
        // Both of a gateway that lives, and older than what comes.
        site.leave_behind("gw-a", "ann").await;
        site.leave_behind("gw-b", "ann").await;
        gateways
    };
    let mut ann = first.client("ann").await;
    let mut again = second.client("ann").await;
    expect_user_limit(&mut again).await;
    still_serves(&mut ann).await;
    first.drain().await;
    second.drain().await;
}

/// Waits until the user is in the registry.
pub(crate) async fn registered(gateway: &Gateway, user: &str) {
    let reader = registry::Reader::new(gateway.bus.clone());
    let user = wire::UserId::new(user).expect("valid");
    testkit::eventually("the user is registered", async || {
        !reader.of_user(&user).await.expect("declared").is_empty()
    })
    .await;
}
