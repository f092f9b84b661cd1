//! All checks and tests, one after the other.
//!
//! Every step runs, also after a failure; the summary at the end names them all.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    alerts, conformance, deny, generate, helm, interop, process, sdk, tidy, tools,
    workspace::Workspace,
};

/// How long the tests of one binary may take; the longest takes some four minutes.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// A step; they run in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Generated code is up to date.
    Gen,
    /// Formatting.
    Fmt,
    /// House rules.
    Tidy,
    /// Lints, warnings denied.
    Clippy,
    /// Dependencies: licences, duplicates, sources, advisories (cargo-deny).
    Deny,
    /// Lints of proto/, and that it breaks nothing that was released (buf, from PyPI).
    Buf,
    /// Alerts and their tests (promtool, from apt).
    Alerts,
    /// The Helm chart (Helm and the schemas of Kubernetes, from PyPI).
    Helm,
    /// Tests in Rust (with nats-server, from PyPI).
    Rust,
    /// RFC 6455 conformance (kosoku, from PyPI).
    Conformance,
    /// Python clients.
    InteropPython,
    /// Python workers and publishers of a cluster (nats-py, from PyPI).
    ClusterPython,
    /// Node clients.
    InteropNode,
    /// The example of WebRTC, in two pages of a Chromium.
    Webrtc,
    /// The SDKs in Node, against single gateways and clusters.
    SdkNode,
    /// The TypeScript SDK against the conformance kit.
    SdkConformance,
    /// The SDKs in a Chromium.
    SdkBrowser,
}

/// How a step ended.
#[derive(Debug)]
enum Outcome {
    Passed,
    /// What it needs is not on this machine.
    Skipped(String),
    Failed(String),
}

/// Runs the steps, all if `only` is empty. With `strict` nothing may be skipped.
pub(crate) fn run(workspace: &Workspace, only: &[Step], strict: bool) -> Result<()> {
    let chosen = |step: &&Step| only.is_empty() || only.contains(step);
    let mut results = Vec::new();
    for step in Step::value_variants().iter().filter(chosen) {
        println!("\n=== {} ===", step.name());
        let start = Instant::now();
        let outcome = Outcome::of(step.run(workspace), strict);
        let line = describe(*step, &outcome, start.elapsed());
        println!("{line}");
        results.push((line, outcome));
    }
    println!("\n=== summary ===");
    for (line, _) in &results {
        println!("{line}");
    }
    let failed = results
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
        .count();
    anyhow::ensure!(failed == 0, "{failed} of {} steps failed", results.len());
    Ok(())
}

/// Has each binary of tests run by this program, which ends it after [`PATIENCE`]: a
/// test that hangs fails, and those of other binaries run.
fn runner() -> Result<String> {
    let ourselves = std::env::current_exe()?;
    let seconds = PATIENCE.as_secs();
    Ok(format!(
        "target.'cfg(all())'.runner = [{:?}, \"within\", \"{seconds}\"]",
        ourselves.display().to_string()
    ))
}

fn describe(step: Step, outcome: &Outcome, took: Duration) -> String {
    let (word, why) = match outcome {
        Outcome::Passed => ("passed", String::new()),
        Outcome::Skipped(why) => ("SKIPPED", format!(": {why}")),
        Outcome::Failed(why) => ("FAILED", format!(": {why}")),
    };
    format!("{:<15} {word} ({} s){why}", step.name(), took.as_secs())
}

// === impl Step ===

impl Step {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    fn run(self, workspace: &Workspace) -> Result<()> {
        let cargo = |arguments: &[&str]| process::run(workspace.cargo().args(arguments));
        match self {
            Self::Gen => generate::run(&workspace.root, true),
            Self::Fmt => cargo(&["fmt", "--all", "--check"]),
            Self::Tidy => tidy::run(workspace),
            Self::Clippy => cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
            Self::Deny => deny::run(workspace),
            Self::Buf => {
                let buf = tools::python(workspace)?.join("buf");
                let run =
                    |arguments: &[&str]| process::run(workspace.command(&buf).args(arguments));
                run(&["lint", "proto"])?;
                run(&["breaking", "proto", "--against", "proto/released.binpb"])
            }
            Self::Alerts => alerts::run(workspace),
            Self::Helm => helm::run(workspace),
            Self::Rust => {
                let mut cargo = workspace.cargo();
                cargo.env(tools::NATS_SERVER, tools::nats_server(workspace)?);
                cargo.args(["test", "--workspace", "--no-fail-fast", "--config"]);
                process::run(cargo.arg(runner()?))
            }
            Self::Conformance => conformance::run(workspace),
            Self::InteropPython => interop::python(workspace),
            Self::ClusterPython => interop::cluster(workspace),
            Self::InteropNode => interop::node(workspace),
            Self::Webrtc => interop::webrtc(workspace),
            Self::SdkNode => sdk::node(workspace),
            Self::SdkConformance => sdk::conformance(workspace),
            Self::SdkBrowser => sdk::browser(workspace),
        }
    }
}

// === impl Outcome ===

impl Outcome {
    fn of(result: Result<()>, strict: bool) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(error) if !strict && error.is::<tools::Missing>() => {
                Self::Skipped(format!("{error:#}"))
            }
            Err(error) => Self::Failed(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_skipped_unless_nothing_may_be() {
        let missing = || Err(tools::Missing::new("no python3").into());
        assert!(matches!(Outcome::of(missing(), false), Outcome::Skipped(_)));
        assert!(matches!(Outcome::of(missing(), true), Outcome::Failed(_)));
    }

    #[test]
    fn a_failure_is_never_skipped() {
        assert!(matches!(
            Outcome::of(Err(anyhow::anyhow!("broken")), false),
            Outcome::Failed(_)
        ));
        assert!(matches!(Outcome::of(Ok(()), true), Outcome::Passed));
    }

    #[test]
    fn the_summary_says_plainly_what_was_skipped_and_why() {
        let line = describe(
            Step::Buf,
            &Outcome::Skipped("no python3".into()),
            Duration::ZERO,
        );
        assert_eq!(line, "buf             SKIPPED (0 s): no python3");
    }
}
