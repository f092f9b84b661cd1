//! The Helm chart in `deploy/helm`: `check.py` there says what is looked at.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{process, tools, workspace::Workspace};

const CHECK: &str = "deploy/helm/check.py";

/// It takes seconds.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Checks the chart with the program that it is for.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let python = tools::helm(workspace)?;
    process::run(workspace.cargo().args([
        "build",
        "--quiet",
        "--package",
        "tidegate",
        "--bin",
        "tidegate",
    ]))?;
    let mut check = workspace.command(python);
    check
        .arg(workspace.root.join(CHECK))
        .env("TIDEGATE", workspace.target.join("debug/tidegate"));
    let passed = process::run_within(&mut check, LIMIT)?;
    ensure!(passed, "the chart is not as it has to be");
    Ok(())
}
