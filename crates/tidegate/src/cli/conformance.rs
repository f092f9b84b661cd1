//! `tidegate conformance`: what a client SDK gets wrong.

use std::{ffi::OsString, net::SocketAddr};

use clap::builder::styling::{AnsiColor, Style};
use conformance::{Client, Fault, Situation};
use futures_util::{StreamExt, stream};
use serde_json::json;

use super::{Failure, output};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the scripted gateway listens; port 0 takes a free one for each situation
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Situations played at once, if the port is 0
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,

    /// Only situations whose name contains one of these
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,

    /// None of these; for what a platform can't do
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    skip: Vec<String>,

    /// Print the situations and what is expected in each, and end
    #[arg(long)]
    list: bool,

    /// The program with the client under test; docs/protocol.md says what it reads and
    /// writes
    #[arg(required_unless_present = "list", last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let situations = chosen(&args)?;
    if args.list {
        for situation in &situations {
            list(situation, json)?;
        }
        return Ok(());
    }
    let jobs = match args.listen.port() {
        0 => usize::from(args.jobs),
        _ => 1,
    };
    let played = stream::iter(&situations).map(|situation| play(situation, &args));
    let mut played = played.buffered(jobs);
    let mut failed = 0;
    while let Some((situation, outcome)) = played.next().await {
        failed += usize::from(outcome.is_err());
        report(situation, &outcome, json)?;
    }
    let (all, passed) = (situations.len(), situations.len() - failed);
    output::note(format_args!("{passed} of {all} situations passed"));
    match failed {
        0 => Ok(()),
        failed => Err(Failure::failed(format_args!(
            "the client got {failed} of {all} situations wrong"
        ))),
    }
}

fn chosen(args: &Args) -> Result<Vec<Situation>, Failure> {
    let all = conformance::all();
    let unknown = |name: &&String| !all.iter().any(|one| one.name() == name.as_str());
    if let Some(name) = args.skip.iter().find(unknown) {
        return Err(Failure::usage(format_args!("there is no situation {name}")));
    }
    let is_chosen = |situation: &Situation| {
        let name = situation.name();
        let is_named = args.only.is_empty() || args.only.iter().any(|part| name.contains(part));
        is_named && !args.skip.iter().any(|skipped| skipped == name)
    };
    let chosen: Vec<_> = all.into_iter().filter(is_chosen).collect();
    match chosen.is_empty() {
        true => Err(Failure::usage("there is no such situation")),
        false => Ok(chosen),
    }
}

async fn play<'a>(situation: &'a Situation, args: &Args) -> (&'a Situation, Result<(), Fault>) {
    let outcome = match Client::start(&args.program) {
        Ok(client) => situation.play(client, args.listen).await,
        Err(fault) => Err(fault),
    };
    (situation, outcome)
}

fn list(situation: &Situation, json: bool) -> Result<(), Failure> {
    let (name, rule) = (situation.name(), situation.rule());
    match json {
        true => output::line(json!({ "situation": name, "rule": rule }))?,
        false => output::line(format_args!("{name:30} {rule}"))?,
    }
    Ok(())
}

fn report(situation: &Situation, outcome: &Result<(), Fault>, json: bool) -> Result<(), Failure> {
    let (name, rule) = (situation.name(), situation.rule());
    match (json, outcome) {
        (true, Ok(())) => output::line(json!({ "situation": name, "passed": true }))?,
        (true, Err(fault)) => {
            let wrong = fault.to_string();
            output::line(
                json!({ "situation": name, "passed": false, "wrong": wrong, "rule": rule }),
            )?;
        }
        (false, Ok(())) => output::line(format_args!("{GOOD}ok{GOOD:#}     {name}"))?,
        (false, Err(fault)) => {
            let wrong = fault.to_string();
            let wrong = output::printable(&wrong);
            output::line(format_args!("{BAD}WRONG{BAD:#}  {name}: {wrong}"))?;
            output::line(format_args!("       {rule}"))?;
        }
    }
    Ok(())
}
