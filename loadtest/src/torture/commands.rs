//! Commands: requests with an idempotency key, what was answered to them, and how
//! often they were executed. Times are Unix time in microseconds, as several
//! processes write them down.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

/// How a worker keeps a command from being executed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// It does, by the key, together with the effect. Gateways may ask again.
    Exact,
}

/// One command, with all that was answered to it.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) key: String,
    pub(super) answers: Vec<Answer>,
}

/// The outcome of one attempt.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) at: u64,
    pub(super) said: Said,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Executed: the token that the worker gave it.
    Done(String),
    /// It was certainly not executed until then.
    NotExecuted(String),
    /// Nothing certain, with a code.
    Uncertain(String),
}

/// That a worker did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Execution {
    pub(super) at: u64,
    pub(super) token: String,
}

/// By key.
pub(super) type Executions = HashMap<String, Vec<Execution>>;

// === impl Route ===

impl Route {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exact => "pay.exact",
        }
    }
}

// === impl Execution ===

impl Execution {
    /// What is stored with the effect.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.at, self.token)
    }

    pub(super) fn of_text(text: &str) -> Option<Self> {
        let (at, token) = text.split_once(' ')?;
        Some(Self {
            at: at.parse().ok()?,
            token: token.to_owned(),
        })
    }
}

/// Now, in microseconds of Unix time.
pub(super) fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}

/// What the workers did, as they left it in `folder`: a file for each key.
pub(super) fn executions(folder: &Path) -> Result<Executions> {
    let mut all = Executions::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let key = path.file_name().and_then(|name| name.to_str());
        let key = key.context("keys are text")?.to_owned();
        // What was killed in the middle has no effect.
        if key.starts_with('.') {
            continue;
        }
        let text = fs::read_to_string(&path)?;
        let execution = Execution::of_text(&text).context("an execution's file")?;
        all.entry(key).or_default().push(execution);
    }
    Ok(all)
}
