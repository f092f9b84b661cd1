//! The planned end: everybody is told, nobody can hold it up.

mod at_once;
mod migrating;
mod requests;

use std::time::Duration;

use edge::{DrainPlan, DrainStage, EdgeConfig};
use testkit::{DEADLINE, RawClient, hello_again, within};
use wire::client::Welcome;

use crate::{gateway::Gateway, tickets::shared_keys};

/// A plan that no test waits for the end of.
const AMPLE: DrainPlan = DrainPlan {
    settle: Duration::ZERO,
    rate: 1_000,
    window: Duration::from_secs(3600),
};

/// A gateway that drains by `plan`.
async fn gateway(plan: DrainPlan, adjust: impl FnOnce(&mut EdgeConfig)) -> Gateway {
    Gateway::start(|config| {
        config.drain = plan;
        config.tickets = shared_keys();
        config.close_timeout = 3 * DEADLINE;
        adjust(config);
    })
    .await
}

/// A welcomed client that follows Migrate.
async fn mover(gateway: &Gateway, user: &str) -> (RawClient, Welcome) {
    let mut client = gateway.dial().connect().await;
    let token = gateway.tokens.token(user);
    client.send(hello_again(&token, "")).await;
    let welcome = client.welcome().await;
    (client, welcome)
}

/// Waits until the gateway is at a stage, or past it.
async fn reached(gateway: &Gateway, stage: DrainStage) {
    let mut now = gateway.drain.watch();
    let reached = now.wait_for(|now| *now >= stage);
    within("a stage of the drain", reached)
        .await
        .expect("the gateway is there");
}

/// Waits for the drain's end, which must come by itself, and asserts that nothing
/// of the gateway is left.
async fn drained(gateway: Gateway) {
    within("the drain's end", gateway.drain.ended()).await;
    gateway.drain().await;
}
