//! RFC 6455 conformance: the case files of the Autobahn suite, run by kosoku
//! against the gateway's echo endpoint.
//!
//! Cases 12.* and 13.* are about permessage-deflate, which the gateway does not
//! offer.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::{
    process,
    server::{Kind, Server},
    tools,
    workspace::Workspace,
};

/// All cases but 12.* and 13.*; fewer means that the suite itself failed.
const CASES: usize = 301;
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The suite sends messages of 16 MiB and one of 64 Ki fragments.
const LIMITS: &[(&str, &str)] = &[
    ("TIDEGATE_GATEWAY__MAX_MESSAGE", "64MiB"),
    ("TIDEGATE_GATEWAY__OUTBOX_BYTES", "64MiB"),
    ("TIDEGATE_GATEWAY__MAX_FRAGMENTS", "1000000"),
];

/// `index.json`: server, case id, result.
type Index = BTreeMap<String, BTreeMap<String, Case>>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    behavior: String,
    behavior_close: String,
}

#[derive(Debug, Deserialize)]
struct Announcement {
    echo_url: String,
}

/// Runs all cases; fails if any fails.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let kosoku = tools::python(workspace)?.join("kosoku");
    let reports = workspace.target.join("conformance");
    if reports.exists() {
        fs::remove_dir_all(&reports)?;
    }
    fs::create_dir_all(&reports)?;
    let gateway = Server::start(
        workspace,
        Kind::Dev,
        &reports.join("gateway.log"),
        &["--echo"],
        LIMITS,
    )?;
    let Announcement { echo_url } = serde_json::from_str(&gateway.announcement)?;
    let mut command = workspace.command(kosoku);
    command.args([
        "--mode",
        "fuzzingclient",
        "--exclude",
        "12.*",
        "--exclude",
        "13.*",
    ]);
    // The verdict is in the reports, not in the exit code.
    process::run_within(command.arg("--outdir").arg(&reports).arg(echo_url), LIMIT)?;
    let index = fs::read(reports.join("index.json")).context("kosoku left no reports")?;
    judge(&serde_json::from_slice(&index)?)?;
    gateway.stop()
}

/// Prints the counts, names each failed case, and fails if there is any.
fn judge(index: &Index) -> Result<()> {
    let cases: Vec<_> = index.values().flatten().collect();
    let mut counts = BTreeMap::new();
    for (_, case) in &cases {
        *counts.entry(case.behavior.as_str()).or_insert(0) += 1;
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(behavior, count)| format!("{count} {behavior}"))
        .collect();
    println!("conformance: {} cases: {}", cases.len(), counts.join(", "));
    let failed: Vec<_> = cases.iter().filter(|(_, case)| !case.passed()).collect();
    for (id, case) in &failed {
        println!(
            "case {id}: behavior {}, close {}",
            case.behavior, case.behavior_close
        );
    }
    ensure!(
        failed.is_empty(),
        "{} of {} cases failed",
        failed.len(),
        cases.len()
    );
    ensure!(
        cases.len() >= CASES,
        "only {} of {CASES} cases ran",
        cases.len()
    );
    Ok(())
}

impl Case {
    fn passed(&self) -> bool {
        let fine = |result: &str| ["OK", "NON-STRICT", "INFORMATIONAL"].contains(&result);
        fine(&self.behavior) && fine(&self.behavior_close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(cases: usize, first: (&str, &str)) -> Index {
        let case = |number: usize| {
            let (behavior, close) = if number == 0 { first } else { ("OK", "OK") };
            let case = Case {
                behavior: behavior.into(),
                behavior_close: close.into(),
            };
            (format!("1.{number}"), case)
        };
        Index::from([("server".to_owned(), (0..cases).map(case).collect())])
    }

    #[test]
    fn all_cases_pass_or_the_step_fails() {
        assert!(judge(&index(CASES, ("NON-STRICT", "INFORMATIONAL"))).is_ok());
        assert!(judge(&index(CASES, ("FAILED", "OK"))).is_err());
        assert!(judge(&index(CASES, ("OK", "UNCLEAN"))).is_err());
    }

    #[test]
    fn too_few_cases_are_a_failure() {
        assert!(judge(&index(CASES - 1, ("OK", "OK"))).is_err());
        assert!(judge(&Index::new()).is_err());
    }

    #[test]
    fn reads_what_kosoku_writes() {
        let text = r#"{"server": {"1.1.1": {"behavior": "OK", "behaviorClose": "UNCLEAN",
            "duration": 1, "remoteCloseCode": null, "reportfile": "a.json"}}}"#;
        let index: Index = serde_json::from_str(text).expect("it is valid");
        assert!(!index["server"]["1.1.1"].passed());
    }
}
