//! The bus that a node works on, with everything declared that it needs.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bus::{Bus, BusError, BusExt, BusState, MemoryBus, NatsBus};
use lifecycle::Scope;
use telemetry::Condition;

use super::Role;
use crate::config::Config;

/// Between two tries to reach or prepare the bus.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long to try: a deployment starts its parts in any order, and JetStream
/// elects leaders first.
const ATTEMPTS: u32 = 60;

/// Connects to the bus of this role and declares logs and tables.
///
/// # Errors
/// If NATS can't be used: wrong credentials, a stream that can't be changed, or
/// not there for a minute.
pub(super) async fn connect(config: &Config, role: Role, scope: &Scope) -> Result<Arc<dyn Bus>> {
    let bus: Arc<dyn Bus> = match role {
        Role::Everything => {
            let memory = Arc::new(MemoryBus::new());
            let keeper = memory.clone();
            scope.spawn_cancellable("memory-bus", async move { keeper.run().await });
            memory
        }
        Role::Gateway | Role::Control => nats(config, scope).await?,
    };
    declare(config, &*bus).await?;
    Ok(bus)
}

/// Keeps `condition` as the bus's state says, until the scope ends.
pub(super) fn follow(bus: &Arc<dyn Bus>, condition: Condition, scope: &Scope) {
    let mut state = bus.state();
    scope.spawn_cancellable("bus-state", async move {
        loop {
            let now = state.borrow_and_update().clone();
            match now {
                BusState::Up => condition.set_ready(),
                BusState::Down(reason) => {
                    tracing::warn!(%reason, "the bus is down");
                    condition.set_unready(reason.into_string());
                }
            }
            if state.changed().await.is_err() {
                return condition.set_unready("the bus has ended");
            }
        }
    });
}

async fn nats(config: &Config, scope: &Scope) -> Result<Arc<dyn Bus>> {
    let mut attempt = 0;
    let nats = loop {
        attempt += 1;
        match NatsBus::connect(config.nats_options()).await {
            Ok(nats) => break nats,
            Err(error) if attempt < ATTEMPTS => {
                let error = telemetry::chain(&error);
                tracing::warn!(%error, "NATS can't be reached yet");
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            Err(error) => return Err(error).context("connecting to NATS"),
        }
    };
    let runs = nats.clone();
    scope.spawn_cancellable("nats", async move { runs.run().await });
    Ok(nats)
}

/// One idempotent step: every process that starts makes sure of all of it.
async fn declare(config: &Config, bus: &dyn Bus) -> Result<()> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match declare_all(config, bus).await {
            Ok(()) => return Ok(()),
            Err(error) if attempt < ATTEMPTS && may_pass(&error) => {
                tracing::warn!(%error, "streams and tables can't be declared yet");
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            Err(error) => return Err(error).context("declaring streams and tables"),
        }
    }
}

async fn declare_all(config: &Config, bus: &dyn Bus) -> Result<(), BusError> {
    for log in config.logs() {
        bus.keep_log(log).await?;
    }
    journal::declare(bus, config.gateway.idempotency.keep).await?;
    registry::declare(bus).await?;
    revocations::declare(bus).await?;
    if let Some(limits) = config.mailboxes() {
        mailboxes::declare(bus, limits).await?;
    }
    wills::declare(bus).await
}

/// Whether the same may succeed later.
fn may_pass(error: &BusError) -> bool {
    matches!(
        error,
        BusError::Unavailable | BusError::DeadlineExceeded | BusError::Overloaded
    )
}
