//! Which faults come when: a pure function of the seed.
//!
//! The rules it keeps: a target has one fault at a time, with a pause behind it;
//! of the nats-servers only one is disturbed at a time, with a longer pause, so
//! that a majority is there and the others can follow.

use std::{fmt, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

/// No fault begins earlier: everybody is connected by then.
const QUIET_START: Duration = Duration::from_secs(3);

/// From the end of a target's fault to its next one.
const PAUSE: Duration = Duration::from_secs(4);

/// The same for all nats-servers together.
const NATS_PAUSE: Duration = Duration::from_secs(12);

/// From one fault to the next, at most and at least.
const STEP_MS: std::ops::Range<u64> = 500..5_000;

/// Bytes a second of throttled clients.
const THROTTLE: std::ops::Range<u64> = 2_000..16_000;

/// What can be done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// SIGKILL to a gateway, and a new one in its place.
    KillGateway,
    /// SIGSTOP to a gateway, then SIGCONT.
    PauseGateway,
    /// A gateway does not reach NATS.
    CutGateway,
    /// A gateway is drained, and a new one started.
    DrainGateway,
    /// SIGKILL to a control plane.
    KillControl,
    /// SIGSTOP to a control plane.
    PauseControl,
    /// SIGKILL to a nats-server.
    KillNats,
    /// SIGSTOP to a nats-server.
    PauseNats,
    /// SIGKILL to a worker.
    KillWorker,
    /// SIGSTOP to a worker.
    PauseWorker,
    /// A tenth of the clients reads slowly.
    ThrottleClients,
}

/// How many there are of what faults are done to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    pub(super) gateways: usize,
    pub(super) controls: usize,
    pub(super) nats: usize,
    pub(super) workers: usize,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: Duration,
    pub(super) kind: Kind,
    /// Index among those of its kind; for clients, which tenth of them.
    pub(super) target: usize,
    /// Until it is undone.
    pub(super) lasts: Duration,
    /// A cut: connections end instead of falling silent. A throttle: bytes a
    /// second.
    pub(super) detail: u64,
}

/// What of the cluster is disturbed until when.
#[derive(Debug)]
struct Busy {
    gateways: Vec<Duration>,
    controls: Vec<Duration>,
    nats: Vec<Duration>,
    workers: Vec<Duration>,
    clients: Vec<Duration>,
}

// === impl Kind ===

impl Kind {
    /// How long it lasts, in milliseconds.
    fn lasts_ms(self) -> std::ops::Range<u64> {
        match self {
            Self::KillGateway | Self::KillControl | Self::KillWorker => 100..5_000,
            Self::KillNats => 500..8_000,
            Self::PauseNats => 1_000..8_000,
            Self::PauseGateway | Self::PauseControl | Self::PauseWorker => 1_000..15_000,
            Self::CutGateway => 1_000..20_000,
            Self::DrainGateway => 1_000..5_000,
            Self::ThrottleClients => 5_000..20_000,
        }
    }
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        let kind = self.kind.to_possible_value();
        let kind = kind.as_ref().map_or("?", |kind| kind.get_name());
        write!(f, "{at:7.2} s  {kind} {}", self.target)?;
        match self.kind {
            Kind::CutGateway if self.detail == 1 => write!(f, " for {lasts:.1} s, severed"),
            Kind::ThrottleClients => write!(f, " for {lasts:.1} s to {} B/s", self.detail),
            _ => write!(f, " for {lasts:.1} s"),
        }
    }
}

// === impl Busy ===

impl Busy {
    fn new(targets: Targets) -> Self {
        let free = |count| vec![Duration::ZERO; count];
        Self {
            gateways: free(targets.gateways),
            controls: free(targets.controls),
            nats: free(targets.nats),
            workers: free(targets.workers),
            clients: free(10),
        }
    }

    fn of(&mut self, kind: Kind) -> &mut Vec<Duration> {
        match kind {
            Kind::KillGateway | Kind::PauseGateway | Kind::CutGateway | Kind::DrainGateway => {
                &mut self.gateways
            }
            Kind::KillControl | Kind::PauseControl => &mut self.controls,
            Kind::KillNats | Kind::PauseNats => &mut self.nats,
            Kind::KillWorker | Kind::PauseWorker => &mut self.workers,
            Kind::ThrottleClients => &mut self.clients,
        }
    }
}

/// The faults of `kinds` that `seed` has for a run of `length`, in order. The
/// last one ends before the run does.
pub(super) fn schedule(seed: u64, length: Duration, kinds: &[Kind], on: Targets) -> Vec<Fault> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut busy = Busy::new(on);
    let mut faults = Vec::new();
    let mut at = QUIET_START;
    while !kinds.is_empty() {
        at += Duration::from_millis(random.u64(STEP_MS));
        if at >= length {
            break;
        }
        let kind = kinds[random.usize(..kinds.len())];
        let lasts = Duration::from_millis(random.u64(kind.lasts_ms()));
        let detail = match kind {
            Kind::CutGateway => random.u64(..2),
            Kind::ThrottleClients => random.u64(THROTTLE),
            _ => 0,
        };
        let targets = busy.of(kind);
        let Some(target) = (!targets.is_empty()).then(|| random.usize(..targets.len())) else {
            continue;
        };
        let is_nats = matches!(kind, Kind::KillNats | Kind::PauseNats);
        let is_free = match is_nats {
            true => targets.iter().all(|until| *until <= at),
            false => targets[target] <= at,
        };
        let pause = if is_nats { NATS_PAUSE } else { PAUSE };
        if is_free && at + lasts < length {
            targets[target] = at + lasts + pause;
            faults.push(Fault {
                at,
                kind,
                target,
                lasts,
                detail,
            });
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: Targets = Targets {
        gateways: 3,
        controls: 2,
        nats: 3,
        workers: 2,
    };

    fn ten_minutes(seed: u64) -> Vec<Fault> {
        schedule(
            seed,
            Duration::from_secs(600),
            Kind::value_variants(),
            TARGETS,
        )
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        assert_eq!(ten_minutes(7), ten_minutes(7));
        assert_ne!(ten_minutes(7), ten_minutes(8));
    }

    #[test]
    fn every_kind_of_fault_comes_in_ten_minutes() {
        for seed in 0..10 {
            let faults = ten_minutes(seed);
            for kind in Kind::value_variants() {
                let count = faults.iter().filter(|fault| fault.kind == *kind).count();
                assert!(count > 0, "{kind:?} of seed {seed}");
            }
        }
    }

    #[test]
    fn never_more_than_one_nats_server_is_disturbed() {
        for seed in 0..100 {
            let faults = ten_minutes(seed);
            let nats = |fault: &&Fault| matches!(fault.kind, Kind::KillNats | Kind::PauseNats);
            let nats: Vec<_> = faults.iter().filter(nats).collect();
            for pair in nats.windows(2) {
                assert!(pair[0].at + pair[0].lasts < pair[1].at, "seed {seed}");
            }
        }
    }

    #[test]
    fn faults_end_before_the_run_and_only_named_ones_come() {
        let kinds = [Kind::KillGateway];
        let length = Duration::from_secs(30);
        let faults = schedule(3, length, &kinds, TARGETS);
        assert!(!faults.is_empty());
        for fault in faults {
            assert_eq!(fault.kind, Kind::KillGateway);
            assert!(fault.at + fault.lasts < length && fault.target < TARGETS.gateways);
        }
    }
}
