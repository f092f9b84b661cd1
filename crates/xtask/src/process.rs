//! Runs other programs: to success, or to a deadline.

use std::{
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

const POLL: Duration = Duration::from_millis(20);

/// Runs a command to its end; fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", describe(command)))?;
    ensure!(status.success(), "{} failed ({status})", describe(command));
    Ok(())
}

/// Like [`run`], but kills it after `limit`. Returns whether it succeeded.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<bool> {
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", describe(command)))?;
    let status = wait(&mut child, limit).with_context(|| describe(command))?;
    Ok(status.success())
}

/// Waits for a child's end; kills it after `limit`, which is an error.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("did not end within {limit:?}");
        }
        thread::sleep(POLL);
    }
}

/// The command as one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failed_command_is_an_error_that_names_it() {
        assert!(run(&mut shell("exit 0")).is_ok());
        let error = run(&mut shell("exit 3")).expect_err("3 is a failure");
        assert!(error.to_string().contains("`sh -c exit 3`"), "{error}");
    }

    #[test]
    fn a_command_that_does_not_end_is_killed() {
        let error = run_within(&mut shell("exec sleep 600"), Duration::ZERO);
        assert!(error.is_err());
    }

    #[test]
    fn a_command_within_its_limit_reports_success_or_failure() {
        let limit = Duration::from_secs(60);
        assert!(run_within(&mut shell("exit 0"), limit).expect("ends"));
        assert!(!run_within(&mut shell("exit 1"), limit).expect("ends"));
    }
}
