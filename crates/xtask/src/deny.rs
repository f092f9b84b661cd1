//! What dependencies are allowed to be: `deny.toml`.

use anyhow::Result;

use crate::{process, tools, workspace::Workspace};

/// Checks licences, duplicates and sources, and, where the database of advisories can
/// be had, whether anything is known against a dependency.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let program = tools::cargo_deny(workspace)?;
    let deny = |arguments: &[&str]| process::run(workspace.command(&program).args(arguments));
    deny(&["--locked", "check", "licenses", "bans", "sources"])?;
    if deny(&["fetch", "db"]).is_err() {
        println!("advisories: NOT CHECKED, as their database can't be had here");
        return Ok(());
    }
    deny(&["--locked", "check", "--disable-fetch", "advisories"])
}
