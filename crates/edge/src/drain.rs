//! The drain: a gateway's planned end, one sequence in order, each step with a
//! deadline.
//!
//! ```text
//! Serving --begin--> Settling --settle--> Moving --nobody left, or window--> Closing --> Ended
//! ```
//!
//! *Settling*: not ready, still accepting, so that load balancers that have not
//! noticed yet do no harm. *Moving*: new connections are refused, and those held
//! are asked to move, `rate` a second over all shards; a client that can't move
//! is closed in its slot with a cause that lets it resume. *Closing*: whoever is
//! left is closed, and told when to come back, spread at the same rate.
//!
//! The rate is a ceiling: with more connections than `rate` × `window` the rest is
//! left for the closing.

use std::{sync::atomic::Ordering, time::Duration};

use metrics::{counter, gauge};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use crate::{gateway::Gateway, shard::Mail};

/// How often connections are asked to move.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// How often it is looked whether everybody has gone.
const LOOK: Duration = Duration::from_millis(10);

/// How a gateway goes away.
#[derive(Clone, Copy, Debug)]
pub struct DrainPlan {
    /// From the beginning until the first client is asked to move.
    pub settle: Duration,
    /// Clients asked to move in a second, at least 1.
    pub rate: u32,
    /// From the first client asked until who is left is closed. Zero: everybody
    /// is closed at once.
    pub window: Duration,
}

/// Where a drain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DrainStage {
    /// It has not begun.
    Serving,
    /// Load balancers are to notice.
    Settling,
    /// Clients move.
    Moving,
    /// Who is left is closed.
    Closing,
    /// No connection is left.
    Ended,
}

/// A handle to the drain of a running edge. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain(watch::Sender<DrainStage>);

// === impl DrainPlan ===

impl Default for DrainPlan {
    /// Everybody is closed at once.
    fn default() -> Self {
        Self {
            settle: Duration::ZERO,
            rate: 500,
            window: Duration::ZERO,
        }
    }
}

impl DrainPlan {
    /// How many may have been asked after `elapsed`.
    fn allowance(&self, elapsed: Duration) -> u64 {
        let asked = u128::from(self.rate) * elapsed.as_micros() / 1_000_000;
        u64::try_from(asked).unwrap_or(u64::MAX)
    }

    /// Over how long `left` connections come back at the same rate.
    fn spread(&self, left: usize) -> Duration {
        Duration::from_secs_f64(left as f64 / f64::from(self.rate.max(1)))
    }
}

// === impl Drain ===

impl Drain {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(DrainStage::Serving))
    }

    /// Begins the drain; does nothing if it has begun.
    pub fn begin(&self) {
        self.advance(DrainStage::Settling);
    }

    /// Where it stands.
    pub fn stage(&self) -> DrainStage {
        *self.0.borrow()
    }

    /// Resolves once it has begun, whoever wanted it. Cancel-safe.
    pub async fn begun(&self) {
        self.reached(DrainStage::Settling).await;
    }

    /// Resolves once no connection is left. Cancel-safe.
    pub async fn ended(&self) {
        self.reached(DrainStage::Ended).await;
    }

    async fn reached(&self, stage: DrainStage) {
        let mut stages = self.0.subscribe();
        // The sender lives as long as we do.
        let _ = stages.wait_for(|now| *now >= stage).await;
    }

    /// Stages never go back.
    fn advance(&self, stage: DrainStage) {
        self.0.send_if_modified(|now| {
            let further = stage > *now;
            if further {
                *now = stage;
            }
            further
        });
    }
}

/// Runs the whole sequence once it is begun. With `at_once` resolved the rest is
/// cut short: everybody is closed.
pub(crate) async fn run(gateway: &Gateway, at_once: impl Future<Output = ()>) {
    let drain = &gateway.drain;
    let orderly = async {
        drain.begun().await;
        settle(gateway).await;
        move_everybody(gateway).await;
    };
    tokio::select! {
        () = orderly => {}
        () = at_once => {}
    }
    gateway.draining.store(true, Ordering::Relaxed);
    gateway.refusing.store(true, Ordering::Relaxed);
    close_the_rest(gateway).await;
    drain.advance(DrainStage::Ended);
}

async fn settle(gateway: &Gateway) {
    gateway.draining.store(true, Ordering::Relaxed);
    gauge!("tidegate_edge_draining").set(1.0);
    if let Some(registrar) = &gateway.registrar {
        registrar.set_draining();
    }
    tracing::info!(connections = gateway.connections_held(), "draining");
    sleep(gateway.config.drain.settle).await;
    gateway.refusing.store(true, Ordering::Relaxed);
}

/// Asks everybody to move, at the plan's rate, until nobody is left or the window
/// ends.
async fn move_everybody(gateway: &Gateway) {
    let plan = &gateway.config.drain;
    if plan.window.is_zero() {
        return;
    }
    gateway.drain.advance(DrainStage::Moving);
    let start = Instant::now();
    let asking = async {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut issued = 0;
        while gateway.connections_held() > 0 {
            ticks.tick().await;
            let elapsed = start.elapsed();
            let allowed = plan.allowance(elapsed);
            // What nobody took is not saved up: that would break the ceiling
            // later.
            gateway
                .migrations
                .store(allowed - issued, Ordering::Release);
            issued = allowed;
            let left = plan.window.saturating_sub(elapsed);
            for shard in &gateway.shards {
                shard.mailbox.push(Mail::Migrate { left });
            }
        }
    };
    let late = timeout(plan.window, asking).await.is_err();
    gateway.migrations.store(0, Ordering::Release);
    if late {
        let left = gateway.connections_held();
        counter!("tidegate_edge_migrations_total", "outcome" => "left").increment(left as u64);
        tracing::warn!(left, "the drain's window ended before everybody had moved");
    }
}

/// Closes whoever is left, and waits until the sockets are gone.
async fn close_the_rest(gateway: &Gateway) {
    gateway.drain.advance(DrainStage::Closing);
    let left = gateway.connections_held();
    let spread = match gateway.config.drain.window {
        Duration::ZERO => Duration::ZERO,
        _ => gateway.config.drain.spread(left),
    };
    for shard in &gateway.shards {
        shard.mailbox.push(Mail::Drain { spread });
    }
    let gone = async {
        while gateway.connections_held() > 0 {
            sleep(LOOK).await;
        }
    };
    // Shards drop what does not close in time; a handshake under way may be
    // left, which ends with its scope.
    let _ = timeout(gateway.config.close_timeout + TICK * 2, gone).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_asked_than_the_rate_allows() {
        let plan = DrainPlan {
            rate: 400,
            ..DrainPlan::default()
        };
        let mut asked = 0;
        for tick in 0..=100 {
            let allowed = plan.allowance(TICK * tick);
            assert!(allowed - asked <= 20, "in one tick");
            asked = allowed;
        }
        assert_eq!(asked, 2_000, "in five seconds");
    }

    #[test]
    fn those_who_are_left_come_back_at_the_same_rate() {
        let plan = DrainPlan {
            rate: 500,
            ..DrainPlan::default()
        };
        assert_eq!(plan.spread(5_000), Duration::from_secs(10));
        assert_eq!(plan.spread(0), Duration::ZERO);
    }

    #[tokio::test]
    async fn stages_only_go_forward() {
        let drain = Drain::new();
        drain.advance(DrainStage::Closing);
        drain.begin();
        assert_eq!(drain.stage(), DrainStage::Closing);
        drain.begun().await;
    }
}
