//! `loadtest torture`: a cluster of real processes under a seeded schedule of
//! faults, actors that write down what they sent and saw, and a checker that
//! proves in the end that every promise was kept, or shows where not.
//!
//! The same seed gives the same schedule. What the machine makes of it differs
//! from run to run, and no verdict depends on how fast it is.

mod check;
mod commands;
mod fleet;
mod heir;
mod places;
mod publisher;
mod record;
mod report;
mod requester;
mod run;
mod schedule;
mod stored;
mod subscriber;
mod worker;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::runtime;

pub(crate) use self::worker::WorkerArgs;

use self::{
    check::Rule,
    fleet::Plan,
    record::{ChannelInfo, Keeps},
    report::Report,
    run::Setup,
    schedule::{Kind, Targets},
};

/// Publications that a log keeps: more than a run of an hour publishes, so that
/// nothing may be missing.
const KEPT: usize = 1_000_000;

/// Every so-manyeth channel keeps no log.
const LIVE_EVERY: usize = 4;

#[derive(Clone, Debug, Parser)]
pub(crate) struct TortureArgs {
    /// Gives the schedule.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long faults come; settling and checking come on top.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// `all`, `none`, or some of them with commas between.
    #[arg(long, default_value = "all")]
    faults: String,
    /// Clients that subscribe.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Channels; every fourth keeps no log.
    #[arg(long, default_value_t = 20)]
    channels: usize,
    /// Channels of each client.
    #[arg(long, default_value_t = 4)]
    subscriptions: usize,
    /// Publications a second, all together.
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Bytes of a payload.
    #[arg(long, default_value_t = 128)]
    size: usize,
    /// Clients that give commands.
    #[arg(long, default_value_t = 20)]
    requesters: usize,
    /// Commands a second, all together.
    #[arg(long, default_value_t = 40.0)]
    commands: f64,
    /// Clients that leave wills.
    #[arg(long, default_value_t = 30)]
    heirs: usize,
    /// A defect to put in, which the checker must find.
    #[arg(long, value_enum)]
    bug: Option<Bug>,
    /// The `tidegate` program; by default the one beside this program.
    #[arg(long)]
    binary: Option<PathBuf>,
    #[arg(long, default_value_t = 3)]
    nats: usize,
    #[arg(long, default_value_t = 3)]
    gateways: usize,
    #[arg(long, default_value_t = 2)]
    controls: usize,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Where logs of the processes stay; by default they are removed if all is
    /// well.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Print the schedule and end.
    #[arg(long)]
    plan: bool,
    /// One line of JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Defects that can be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Bug {
    /// Gateways neither repair nor tell breaks in a log's chain.
    SkipChainRepair,
}

// === impl TortureArgs ===

impl TortureArgs {
    /// Runs it and prints the report.
    ///
    /// # Errors
    /// If a promise was broken, or the run could not be done.
    pub(crate) fn run(&self) -> Result<()> {
        let setup = self.setup()?;
        for fault in &setup.faults {
            eprintln!("{fault}");
        }
        if self.plan {
            return Ok(());
        }
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => std::env::temp_dir().join(format!("tidegate-torture-{}", std::process::id())),
        };
        fs::create_dir_all(&folder)?;
        let faults = setup.faults.clone();
        let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
        let outcome = runtime.block_on(setup.run(&folder));
        let outcome = outcome.with_context(|| format!("logs are in {}", folder.display()))?;
        let mut findings = check::check(&outcome.records);
        for (client, channel) in &outcome.unsettled {
            let name = &outcome.records.channels[*channel].name;
            findings.violate(Rule::NotSettled, format_args!("client {client}, {name}"));
        }
        let report = Report::new(self.seed, &faults, outcome, findings);
        report.print(self.json)?;
        if !report.is_good() {
            bail!("seed {}: logs are in {}", self.seed, folder.display());
        }
        if self.folder.is_none() {
            // Nobody reads it any more.
            let _ = fs::remove_dir_all(&folder);
        }
        Ok(())
    }

    fn setup(&self) -> Result<Setup> {
        let targets = Targets {
            gateways: self.gateways,
            controls: self.controls,
            nats: self.nats,
            workers: self.workers,
        };
        let length = Duration::from_secs_f64(self.minutes * 60.0);
        let channels = (0..self.channels).map(|number| {
            let keeps = match number % LIVE_EVERY == LIVE_EVERY - 1 {
                true => Keeps::Nothing,
                false => Keeps::Log(KEPT),
            };
            let name = format!("{}.c{number}", keeps.namespace());
            ChannelInfo { name, keeps }
        });
        Ok(Setup {
            plan: Plan {
                binary: self.binary()?,
                nats: self.nats,
                gateways: self.gateways,
                controls: self.controls,
                workers: self.workers,
                config: config(),
                gateway_env: self.bug.map(Bug::env).into_iter().collect(),
            },
            channels: channels.collect(),
            clients: self.clients,
            subscriptions: self.subscriptions,
            requesters: self.requesters,
            commands: self.commands,
            heirs: self.heirs,
            rate: self.rate,
            size: self.size,
            length,
            faults: schedule::schedule(self.seed, length, &self.kinds()?, targets),
        })
    }

    fn kinds(&self) -> Result<Vec<Kind>> {
        match &*self.faults {
            "all" => Ok(Kind::value_variants().to_vec()),
            "none" => Ok(Vec::new()),
            named => named
                .split(',')
                .map(|name| Kind::from_str(name, true).map_err(anyhow::Error::msg))
                .collect(),
        }
    }

    fn binary(&self) -> Result<PathBuf> {
        if let Some(binary) = &self.binary {
            return Ok(binary.clone());
        }
        let beside = std::env::current_exe()?.with_file_name("tidegate");
        match beside.exists() {
            true => Ok(beside),
            false => bail!(
                "there is no {}: build it, or say --binary",
                beside.display()
            ),
        }
    }
}

// === impl Bug ===

impl Bug {
    fn env(self) -> (String, String) {
        let key = match self {
            Self::SkipChainRepair => "TIDEGATE_NATS__SKIP_CHAIN_REPAIR",
        };
        (key.to_owned(), "true".to_owned())
    }
}

/// What all processes are told. Heartbeats are short, so that clients notice a
/// gateway that stands still.
fn config() -> String {
    format!(
        r#"
[gateway]
heartbeat = "3s"
drain = {{ settle = "200ms", rate = 200, window = "15s" }}

[[namespace]]
name = "live"
publish = "anyone"
subscribe = "anyone"

[[namespace]]
name = "log"
history = {{ messages = {KEPT}, age = "2h" }}
overflow = "catch_up"
publish = "anyone"
subscribe = "anyone"

[[route]]
name = "pay.exact"
redelivery = "worker_deduplicates"
"#
    )
}
