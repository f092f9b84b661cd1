//! The SDKs of `clients/`: built, linted and tested against real servers.

use std::{env, fs, iter, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{process, tools, workspace::Workspace};

/// Each test has a deadline of its own.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// In Node: single gateways, and clusters whose gateways die and are drained.
pub(crate) fn node(workspace: &Workspace) -> Result<()> {
    install(workspace)?;
    is_generated(workspace)?;
    test(workspace, "test:node", &[])
}

/// Node against the scripted gateway; a test of Rust does the same for the Rust SDK.
pub(crate) fn conformance(workspace: &Workspace) -> Result<()> {
    test(workspace, "conformance", &[])
}

/// In a Chromium, which is the machine's own.
pub(crate) fn browser(workspace: &Workspace) -> Result<()> {
    let chromium = tools::chromium(workspace)?;
    test(workspace, "test:browser", &[("CHROMIUM", chromium)])
}

/// Runs a script of `clients/package.json` with a server to start.
fn test(workspace: &Workspace, script: &str, environment: &[(&str, PathBuf)]) -> Result<()> {
    install(workspace)?;
    build(workspace)?;
    process::run(workspace.cargo().args([
        "build",
        "--quiet",
        "--package",
        "tidegate",
        "--bin",
        "tidegate",
    ]))?;
    let mut npm = workspace.command("npm");
    npm.args(["run", "--silent", script])
        .current_dir(workspace.root.join("clients"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .env("TIDEGATE", workspace.target.join("debug/tidegate"))
        .env(tools::NATS_SERVER, tools::nats_server(workspace)?);
    let passed = process::run_within(&mut npm, LIMIT)?;
    ensure!(passed, "{script} of the SDKs failed");
    Ok(())
}

/// What is generated from `proto/` is what is committed.
fn is_generated(workspace: &Workspace) -> Result<()> {
    let clients = workspace.root.join("clients");
    let fresh = workspace.target.join("generated-for-clients");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = iter::once(tools::python(workspace)?).chain(env::split_paths(&path));
    let mut npm = workspace.command("npm");
    npm.args(["run", "--silent", "generate", "--", "--output"])
        .arg(&fresh)
        .env("PATH", env::join_paths(path)?);
    process::run(npm.current_dir(&clients))?;
    let generated = "typescript/src/gen";
    let mut diff = workspace.command("diff");
    diff.arg("--recursive")
        .args([fresh.join(generated), clients.join(generated)]);
    process::run(&mut diff)
        .context("`npm run generate` in clients/ writes what is generated from proto/ anew")
}

/// Compiles the packages, strictly, and their tests.
fn build(workspace: &Workspace) -> Result<()> {
    let mut npm = workspace.command("npm");
    npm.args(["run", "--silent", "build"]);
    process::run(npm.current_dir(workspace.root.join("clients")))
}

/// The packages that `clients/package-lock.json` pins, in its folder: Node looks for
/// them there.
fn install(workspace: &Workspace) -> Result<()> {
    let clients = workspace.root.join("clients");
    let lock = fs::read_to_string(clients.join("package-lock.json"))?;
    let mut npm = workspace.command("npm");
    npm.args([
        "ci",
        "--silent",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]);
    tools::once(&clients.join("node_modules"), &lock, || {
        tools::attempt(npm.current_dir(&clients))
    })
}
