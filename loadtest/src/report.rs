//! What is printed: a table of medians with their ratios, or JSON with every
//! run, and on a terminal a line that tells how far it is.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{IsTerminal, Write as _};

use serde_json::{Value, json};

use crate::clock;

/// Time between two changes of the progress line.
const PROGRESS_INTERVAL: u64 = clock::SECOND / 4;

/// A column of ratios: title, numerator and denominator, which are places
/// among the subjects.
pub(crate) type Ratio = (&'static str, usize, usize);

/// The figures of one run, in the order of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    rows: Vec<(&'static str, f64)>,
    /// What went wrong, and how often.
    pub(crate) notes: BTreeMap<String, u64>,
}

/// All runs of all subjects.
#[derive(Debug)]
pub(crate) struct Report {
    scenario: &'static str,
    subjects: Vec<(&'static str, Vec<Figures>)>,
    ratios: Vec<Ratio>,
}

/// The progress line, on a terminal only.
#[derive(Debug)]
pub(crate) struct Progress {
    title: String,
    shown_at: u64,
    visible: bool,
}

// === impl Figures ===

impl Figures {
    /// Adds a row; its name carries the unit.
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.rows.push((name, value));
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    fn json(&self) -> Value {
        let rows: BTreeMap<&str, f64> = self.rows.iter().copied().collect();
        json!({"figures": rows, "notes": self.notes})
    }
}

// === impl Report ===

impl Report {
    pub(crate) fn new(
        scenario: &'static str,
        subjects: Vec<&'static str>,
        ratios: Vec<Ratio>,
    ) -> Self {
        Self {
            scenario,
            subjects: subjects
                .into_iter()
                .map(|name| (name, Vec::new()))
                .collect(),
            ratios,
        }
    }

    /// Adds a run of the subject in this place.
    pub(crate) fn add(&mut self, subject: usize, run: Figures) {
        self.subjects[subject].1.push(run);
    }

    /// Prints to standard output.
    pub(crate) fn print(&self, as_json: bool) {
        let text = if as_json {
            self.json().to_string() + "\n"
        } else {
            self.table()
        };
        // Nobody is left to be told if the output is closed.
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    fn median(&self, subject: usize, name: &str) -> Option<f64> {
        let mut values: Vec<f64> = self.subjects[subject]
            .1
            .iter()
            .filter_map(|run| run.get(name))
            .collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => None,
            even if even % 2 == 0 => Some(f64::midpoint(values[middle - 1], values[middle])),
            _ => Some(values[middle]),
        }
    }

    fn ratio(&self, name: &str, over: usize, under: usize) -> Option<f64> {
        let ratio = self.median(over, name)? / self.median(under, name)?;
        ratio.is_finite().then_some(ratio)
    }

    /// Every name of a row, in the order of the first run that has it.
    fn names(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for (name, _) in self
            .subjects
            .iter()
            .flat_map(|subject| &subject.1)
            .flat_map(|run| &run.rows)
        {
            if !names.contains(name) {
                names.push(name);
            }
        }
        names
    }

    fn json(&self) -> Value {
        let names = self.names();
        let medians = |subject| -> BTreeMap<&str, Option<f64>> {
            names
                .iter()
                .map(|name| (*name, self.median(subject, name)))
                .collect()
        };
        let subjects: BTreeMap<&str, Value> = (0..self.subjects.len())
            .map(|place| {
                let (name, runs) = &self.subjects[place];
                let runs: Vec<Value> = runs.iter().map(Figures::json).collect();
                (*name, json!({"median": medians(place), "runs": runs}))
            })
            .collect();
        let ratios: BTreeMap<&str, BTreeMap<&str, Option<f64>>> = self
            .ratios
            .iter()
            .map(|&(title, over, under)| {
                (
                    title,
                    names
                        .iter()
                        .map(|name| (*name, self.ratio(name, over, under)))
                        .collect(),
                )
            })
            .collect();
        json!({"scenario": self.scenario, "subjects": subjects, "ratios": ratios})
    }

    fn table(&self) -> String {
        let mut header = vec![self.scenario.to_owned()];
        header.extend(self.subjects.iter().map(|(name, runs)| match runs.len() {
            1 => (*name).to_owned(),
            count => format!("{name} ({count} runs)"),
        }));
        header.extend(self.ratios.iter().map(|ratio| ratio.0.to_owned()));
        let mut rows = vec![header];
        for name in self.names() {
            let mut row = vec![name.to_owned()];
            row.extend(
                (0..self.subjects.len()).map(|subject| shown(self.median(subject, name), "")),
            );
            row.extend(
                self.ratios
                    .iter()
                    .map(|&(_, over, under)| shown(self.ratio(name, over, under), " x")),
            );
            rows.push(row);
        }
        let mut text = aligned(&rows);
        for (name, runs) in &self.subjects {
            for (note, count) in runs.iter().flat_map(|run| &run.notes) {
                let _ = writeln!(text, "{name}: {note} ({count} times)");
            }
        }
        text
    }
}

/// Three significant digits (or the whole of a whole number), with a unit behind.
fn shown(value: Option<f64>, unit: &str) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    let decimals = match value.abs() {
        whole if whole.fract() == 0.0 && unit.is_empty() => 0,
        large if large >= 100.0 => 0,
        small if small >= 10.0 => 1,
        small if small >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}{unit}")
}

/// The first column to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, "{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(text, "  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}

// === impl Progress ===

impl Progress {
    pub(crate) fn new(title: String) -> Self {
        Self {
            title,
            shown_at: 0,
            visible: std::io::stderr().is_terminal(),
        }
    }

    /// Shows how far it is, now and then.
    pub(crate) fn show(&mut self, what: &str, count: u64) {
        let now = clock::now();
        if self.visible && now - self.shown_at > PROGRESS_INTERVAL {
            self.shown_at = now;
            eprint!("\r\x1b[K{}: {count} {what}", self.title);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown_at > 0 {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("echo", vec!["gateway", "baseline"], vec![("x raw", 0, 1)]);
        for (subject, value) in [(0, 8.0), (0, 2.0), (0, 4.0), (1, 2.0)] {
            let mut run = Figures::default();
            run.add("CPU, us", value);
            run.notes = BTreeMap::from([("refused".to_owned(), 3)]);
            report.add(subject, run);
        }
        report
    }

    #[test]
    fn table_shows_medians_and_ratios_in_aligned_columns() {
        let text = report().table();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "echo     gateway (3 runs)  baseline   x raw");
        assert_eq!(lines[1], "CPU, us                 4         2  2.00 x");
        assert!(lines[2].contains("refused (3 times)"));
    }

    #[test]
    fn json_holds_every_run() {
        let value = report().json();
        assert_eq!(value["subjects"]["gateway"]["median"]["CPU, us"], 4.0);
        assert_eq!(
            value["subjects"]["gateway"]["runs"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
        assert_eq!(value["ratios"]["x raw"]["CPU, us"], 2.0);
    }

    #[test]
    fn ratio_to_nothing_is_left_out() {
        let mut report = Report::new("idle", vec!["gateway", "baseline"], vec![("x raw", 0, 1)]);
        for (subject, value) in [(0, 1.0), (1, 0.0)] {
            let mut run = Figures::default();
            run.add("lost", value);
            report.add(subject, run);
        }
        assert!(report.table().lines().nth(1).unwrap().ends_with('-'));
    }
}
