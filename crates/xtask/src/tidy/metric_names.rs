//! Names of metrics: their grammar, and that code, tables and dashboards agree.
//!
//! The table in the module documentation of a crate's `metrics.rs` is the list
//! of its metrics; any mention of a name in back-quotes there counts. Names that
//! start with `tidegate_test_` are made up by tests and belong to nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{
    File, Finding,
    tokens::{group, is_sign, string, walk},
};

const PREFIX: &str = "tidegate_";
const MADE_UP: &str = "tidegate_test_";

/// What Prometheus appends to the names of histograms.
const SERIES: &[&str] = &["_bucket", "_sum", "_count"];

/// The documented names of each crate, by its folder.
type Tables<'a> = BTreeMap<&'a Path, BTreeSet<&'a str>>;

/// A name in the code.
#[derive(Debug)]
struct Mention {
    name: String,
    line: usize,
    /// The macro of `metrics` that it is the first argument of.
    maker: Option<String>,
}

/// Checks the metrics of all crates, and the dashboards and rules in `deploy/`.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let mut tables = Tables::new();
    for file in files
        .iter()
        .filter(|file| file.path.ends_with("metrics.rs"))
    {
        tables
            .entry(folder(file))
            .or_default()
            .extend(documented(&file.text));
    }
    let mut findings = Vec::new();
    for file in files {
        if file.is("rs") {
            findings.extend(
                mentions(&file.text)
                    .iter()
                    .filter_map(|mention| check_mention(file, mention, &tables)),
            );
        } else if file.path.starts_with("deploy") {
            findings.extend(check_dashboard(file, &tables));
        }
    }
    findings
}

fn check_mention(file: &File, mention: &Mention, tables: &Tables<'_>) -> Option<Finding> {
    let Mention { name, line, maker } = mention;
    let finding = |rule, message| Some(file.finding(*line, rule, message));
    if !well_formed(name) {
        return finding(
            "metric-name",
            format!("`{name}` is not of the form tidegate_<subsystem>_<what>"),
        );
    }
    let Some(maker) = maker else {
        return (!known(name, tables))
            .then(|| file.finding(*line, "metric-table", undocumented(name)));
    };
    if (maker == "counter") != name.ends_with("_total") {
        return finding(
            "metric-name",
            format!("`{name}` is a {maker}: counters, and only they, end in _total"),
        );
    }
    let own = tables
        .get(folder(file))
        .is_some_and(|table| table.contains(name.as_str()));
    (!own).then(|| file.finding(*line, "metric-table", undocumented(name)))
}

fn check_dashboard<'a>(
    file: &'a File,
    tables: &'a Tables<'_>,
) -> impl Iterator<Item = Finding> + 'a {
    let words = |line: &'a str| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = file
        .text
        .lines()
        .enumerate()
        .flat_map(move |(index, line)| words(line).map(move |word| (index, word)));
    names
        .filter(|(_, word)| word.starts_with(PREFIX) && !known(word, tables))
        .map(|(index, word)| file.finding(index + 1, "metric-dashboard", undocumented(word)))
}

fn undocumented(name: &str) -> String {
    format!("`{name}` is in no table of a metrics.rs")
}

/// Whether any crate documents the name, or the histogram it is a series of.
fn known(name: &str, tables: &Tables<'_>) -> bool {
    let bare = SERIES.iter().filter_map(|series| name.strip_suffix(series));
    bare.chain([name])
        .any(|name| tables.values().any(|table| table.contains(name)))
}

/// `^tidegate_[a-z]+(_[a-z]+)+$`
fn well_formed(name: &str) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let lower =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() >= 3 && words[0] == "tidegate" && words.iter().all(lower)
}

/// The crate's folder: all before `src`, `tests` or `benches`.
fn folder(file: &File) -> &Path {
    let inner = |path: &&Path| {
        ["src", "tests", "benches"]
            .iter()
            .any(|one| path.ends_with(one))
    };
    file.path
        .ancestors()
        .filter(inner)
        .last()
        .and_then(Path::parent)
        .unwrap_or(Path::new(""))
}

fn documented(text: &str) -> impl Iterator<Item = &str> {
    let docs = text.lines().take_while(|line| line.starts_with("//!"));
    docs.flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|name| name.starts_with(PREFIX))
}

fn mentions(text: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut makers = BTreeMap::new();
    // A file that does not parse is reported by `sources`.
    let tokens = text.parse::<TokenStream>().unwrap_or_default();
    walk(tokens, &mut |token, rest| {
        if let TokenTree::Ident(word) = token {
            makers.extend(first_argument(rest).map(|place| (place, word.to_string())));
        }
        if let Some(name) = string(token).as_deref().and_then(name) {
            let start = token.span().start();
            found.push(Mention {
                name,
                line: start.line,
                maker: makers.remove(&(start.line, start.column)),
            });
        }
    });
    found
}

/// The name a string starts with: the rest may be labels and a value.
fn name(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    let name = &text[..end];
    let counts = name.starts_with(PREFIX) && !name.starts_with(MADE_UP) && !name.ends_with('_');
    counts.then(|| name.to_owned())
}

/// Where the first argument of a macro call stands, if `rest` is one.
fn first_argument(rest: &[TokenTree]) -> Option<(usize, usize)> {
    let [bang, arguments, ..] = rest else {
        return None;
    };
    let arguments = is_sign(bang, '!').then(|| group(arguments, Delimiter::Parenthesis))??;
    let start = arguments.stream().into_iter().next()?.span().start();
    Some((start.line, start.column))
}

#[cfg(test)]
mod tests {
    use super::{super::rules, *};

    const TABLE: &str =
        "//! | `tidegate_edge_bytes_total` | |\n//! | `tidegate_edge_wait_seconds` | |\n";

    fn broken(path: &str, text: &str) -> Vec<&'static str> {
        let table = File::made_up("crates/edge/src/metrics.rs", TABLE);
        rules(&check(&[table, File::made_up(path, text)]))
    }

    #[test]
    fn documented_metrics_of_the_crate_are_fine() {
        let text = "fn a() { counter!(\"tidegate_edge_bytes_total\"); gauge!(\"tidegate_edge_wait_seconds\"); }";
        assert!(broken("crates/edge/src/shard/a.rs", text).is_empty());
    }

    #[test]
    fn names_have_three_words_in_lower_case() {
        for what in ["bytes", "edge_Bytes", "edge__bytes", "edge_p99"] {
            let text = format!("const A: &str = \"tidegate_{what}\";");
            assert_eq!(
                broken("crates/edge/src/a.rs", &text),
                ["metric-name"],
                "{what}"
            );
        }
    }

    #[test]
    fn a_line_of_a_scrape_counts_by_its_name() {
        let line = |what: &str| format!("const A: &str = \"tidegate_{what}{{a=\\\"b\\\"}} 1\";");
        assert!(broken("crates/edge/src/a.rs", &line("edge_bytes_total")).is_empty());
        assert_eq!(
            broken("crates/edge/src/a.rs", &line("edge_gone_total")),
            ["metric-table"]
        );
        assert!(broken("crates/edge/src/a.rs", &line("test_gone_total")).is_empty());
    }

    #[test]
    fn counters_and_only_they_end_in_total() {
        let text = "fn a() { metrics::counter!(\"tidegate_edge_wait_seconds\", \"a\" => \"b\"); }";
        assert_eq!(broken("crates/edge/src/a.rs", text), ["metric-name"]);
        let text = "fn a() { gauge!(\"tidegate_edge_bytes_total\"); }";
        assert_eq!(broken("crates/edge/src/a.rs", text), ["metric-name"]);
    }

    #[test]
    fn a_metric_missing_from_the_table_of_its_crate_is_found() {
        let text = "fn a() { counter!(\"tidegate_edge_lost_total\"); }";
        assert_eq!(broken("crates/edge/src/a.rs", text), ["metric-table"]);
        let text = "fn a() { counter!(\"tidegate_edge_bytes_total\"); }";
        assert_eq!(broken("crates/control/src/a.rs", text), ["metric-table"]);
    }

    #[test]
    fn readers_may_name_metrics_and_series_of_any_crate() {
        let text = "const A: &[&str] = &[\"tidegate_edge_bytes_total\", \"tidegate_edge_wait_seconds_bucket\"];";
        assert!(broken("loadtest/src/a.rs", text).is_empty());
        assert_eq!(
            broken(
                "loadtest/src/a.rs",
                "const A: &str = \"tidegate_edge_gone\";"
            ),
            ["metric-table"]
        );
    }

    #[test]
    fn dashboards_name_metrics_that_exist() {
        let good = "{\"expr\": \"rate(tidegate_edge_bytes_total[1m])\"}";
        assert!(broken("deploy/grafana/edge.json", good).is_empty());
        let bad = "{\"expr\": \"rate(tidegate_edge_gone_total[1m])\"}";
        assert_eq!(
            broken("deploy/grafana/edge.json", bad),
            ["metric-dashboard"]
        );
    }
}
