//! House rules that neither rustc nor clippy check.
//!
//! Each rule is a pure function from text (or from the crate graph) to
//! [`Finding`]s, in a module of its own; this module reads the tree, runs all of
//! them and fails if there is any finding.

mod arrows;
mod links;
mod metric_names;
mod sources;
mod tokens;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// Names that say nothing about what is inside.
const VAGUE: &[&str] = &["util", "utils", "common", "core", "helpers", "misc"];

/// Folders without files of ours.
const FOREIGN: &[&str] = &["target", "generated", "node_modules", "dist", "__pycache__"];

/// One broken rule.
#[derive(Debug)]
struct Finding {
    /// File, relative to the root, and line where there is one.
    place: String,
    rule: &'static str,
    message: String,
}

/// A file of the tree.
#[derive(Debug)]
struct File {
    /// Relative to the root.
    path: PathBuf,
    text: String,
}

/// Checks the whole tree; fails if any rule is broken.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let files = read(&workspace.root)?;
    let mut findings = arrows::check(&arrows::packages(&workspace.metadata));
    findings.extend(
        files
            .iter()
            .filter(|file| file.is("rs"))
            .flat_map(sources::check),
    );
    findings.extend(metric_names::check(&files));
    findings.extend(
        files
            .iter()
            .filter(|file| file.is("md"))
            .flat_map(|file| links::check(file, &workspace.root)),
    );
    for finding in &findings {
        println!("{finding}");
    }
    ensure!(findings.is_empty(), "{} findings", findings.len());
    println!("{} files, nothing to complain about", files.len());
    Ok(())
}

/// Reads every file that some rule looks at.
fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || FOREIGN.contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| {
                ["rs", "md", "json", "yaml", "yml"]
                    .iter()
                    .any(|one| found == *one)
            }) {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                files.push(File {
                    path: path.strip_prefix(root)?.to_path_buf(),
                    text,
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

// === impl Finding ===

impl Finding {
    fn new(place: impl fmt::Display, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            place: place.to_string(),
            rule,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}] {}", self.place, self.rule, self.message)
    }
}

// === impl File ===

impl File {
    fn is(&self, extension: &str) -> bool {
        self.path
            .extension()
            .is_some_and(|found| found == extension)
    }

    /// A finding in a line of this file.
    fn finding(&self, line: usize, rule: &'static str, message: impl Into<String>) -> Finding {
        Finding::new(
            format_args!("{}:{line}", self.path.display()),
            rule,
            message,
        )
    }
}

#[cfg(test)]
impl File {
    /// A made-up file.
    fn made_up(path: &str, text: &str) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// The rules broken, in order.
#[cfg(test)]
fn rules(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.rule).collect()
}
