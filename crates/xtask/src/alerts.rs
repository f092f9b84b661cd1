//! The alerts in `deploy/prometheus`: that each has a runbook and a test, and that
//! promtool finds their rules right and their tests pass.

use std::fs;

use anyhow::{Result, ensure};

use crate::{process, tools, workspace::Workspace};

const RULES: &str = "deploy/prometheus";
const RUNBOOKS: &str = "docs/runbooks.md";

/// Checks and tests them.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let read = |path: &str| fs::read_to_string(workspace.root.join(path));
    let alerts = read(&format!("{RULES}/alerts.yml"))?;
    let tests = read(&format!("{RULES}/alerts_test.yml"))?;
    let wrong = incomplete(&alerts, &tests, &read(RUNBOOKS)?);
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    let folder = workspace.root.join(RULES);
    let promtool = |arguments: &[&str]| {
        let mut command = workspace.command("promtool");
        process::run(command.args(arguments).current_dir(&folder))
    };
    // The second is for the tests of the dashboards, which pass by without it.
    for program in ["promtool", "prometheus"] {
        if workspace
            .command(program)
            .arg("--version")
            .output()
            .is_err()
        {
            return Err(tools::Missing::new(format!("no {program} (Debian: prometheus)")).into());
        }
    }
    promtool(&["check", "rules", "rules.yml", "alerts.yml"])?;
    promtool(&["test", "rules", "alerts_test.yml"])
}

/// Alerts without a runbook or a test, and runbooks without an alert.
fn incomplete(alerts: &str, tests: &str, runbooks: &str) -> Vec<String> {
    let names: Vec<&str> = after(alerts, "- alert: ").collect();
    let sections: Vec<&str> = after(runbooks, "## ").collect();
    let mut wrong = Vec::new();
    for name in &names {
        if !sections.contains(name) {
            wrong.push(format!("{name} has no section in {RUNBOOKS}"));
        }
        if !tests.contains(&format!("alertname=\"{name}\"")) {
            wrong.push(format!("{name} has no test"));
        }
        if !alerts.contains(&format!("runbooks.md#{}\n", name.to_lowercase())) {
            wrong.push(format!("{name} does not name its runbook"));
        }
    }
    let stray = sections.iter().filter(|section| !names.contains(section));
    wrong.extend(stray.map(|section| format!("no alert for the runbook {section}")));
    wrong
}

/// What follows `start` on the lines that begin with it.
fn after<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter_map(move |line| line.trim_start().strip_prefix(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERT: &str = "  - alert: Down\n    runbook: docs/runbooks.md#down\n";

    #[test]
    fn an_alert_with_a_runbook_and_a_test_is_complete() {
        let test = "labels: '{alertname=\"Down\"}'";
        assert_eq!(incomplete(ALERT, test, "# Runbooks\n\n## Down\n"), [""; 0]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let wrong = incomplete(ALERT, "", "## Up\n");
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert_eq!(
            incomplete("- alert: Down\n", "alertname=\"Down\"", "## Down").len(),
            1
        );
    }
}
