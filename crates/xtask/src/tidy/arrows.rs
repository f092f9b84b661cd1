//! Which crate may depend on which, and which may name an outside technology.
//!
//! Only normal and build dependencies count: tests may use what they like.

use cargo_metadata::{DependencyKind, Metadata};

use super::{Finding, VAGUE};

/// What each crate that ships may depend on. The rest of the workspace is in
/// [`TOOLS`].
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("lifecycle", &[]),
    ("tls", &[]),
    ("spans", &["wire"]),
    ("session", &["wire"]),
    ("hub", &["wire"]),
    ("bus", &["wire"]),
    ("auth", &["wire"]),
    ("keyring", &["auth"]),
    ("registry", &["bus", "wire"]),
    ("journal", &["bus", "wire"]),
    ("mailboxes", &["bus", "registry", "wire"]),
    ("presence", &["bus", "wire"]),
    ("revocations", &["bus", "registry", "wire"]),
    ("wills", &["bus", "registry", "wire"]),
    ("client", &["wire"]),
    ("conformance", &["wire"]),
    ("worker", &["bus", "lifecycle", "spans", "wire"]),
    ("telemetry", &["lifecycle"]),
    ("fuzzing", &["auth", "tls", "wire"]),
    (
        "edge",
        &[
            "session",
            "hub",
            "bus",
            "auth",
            "keyring",
            "registry",
            "revocations",
            "journal",
            "tls",
            "mailboxes",
            "presence",
            "wills",
            "wire",
            "lifecycle",
            "spans",
        ],
    ),
    (
        "control",
        &[
            "bus",
            "auth",
            "keyring",
            "registry",
            "revocations",
            "mailboxes",
            "presence",
            "wills",
            "wire",
            "lifecycle",
            "spans",
        ],
    ),
    (
        "tidegate",
        &[
            "auth",
            "bus",
            "client",
            "conformance",
            "control",
            "edge",
            "hub",
            "journal",
            "keyring",
            "lifecycle",
            "mailboxes",
            "presence",
            "registry",
            "revocations",
            "session",
            "telemetry",
            "tls",
            "wills",
            "wire",
            "worker",
        ],
    ),
];

/// Crates for development: they may depend on anything, and nothing that ships
/// depends on them.
const TOOLS: &[&str] = &["testkit", "benches", "loadtest", "xtask"];

/// Outside technologies (by the crates they come as) and who may name them.
const TECHNOLOGIES: &[(&[&str], &[&str])] = &[
    (
        &["prost", "prost-types"],
        &[
            "wire",
            "edge",
            "control",
            "registry",
            "journal",
            "presence",
            "revocations",
            "wills",
            "client",
            "conformance",
            "xtask",
            "loadtest",
            "testkit",
            "fuzzing",
        ],
    ),
    (
        &["tonic", "tonic-prost", "tonic-health", "tonic-reflection"],
        &["control", "tidegate", "telemetry", "loadtest", "testkit"],
    ),
    (&["async-nats"], &["bus", "loadtest"]),
    (
        &["hyper", "hyper-util", "http-body-util"],
        &["edge", "keyring", "telemetry"],
    ),
    (&["hyper-rustls"], &["keyring"]),
    (&["mio"], &["edge", "loadtest"]),
    (&["fastwebsockets"], &["edge"]),
    (&["tokio-tungstenite"], &["client", "conformance"]),
    (&["jsonwebtoken"], &["auth", "fuzzing"]),
    (&["clap", "figment"], &["tidegate", "loadtest", "xtask"]),
    (&["metrics-exporter-prometheus"], &["telemetry"]),
    (&["opentelemetry"], &["spans", "telemetry"]),
    (&["opentelemetry_sdk", "opentelemetry-otlp"], &["telemetry"]),
    (&["opentelemetry-proto"], &["testkit"]),
    (
        &["protox", "prost-build", "tonic-prost-build", "pbjson-build"],
        &["xtask"],
    ),
];

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Package {
    name: String,
    /// What it depends on outside of its tests.
    needs: Vec<String>,
}

/// The crates of the workspace.
pub(super) fn packages(metadata: &Metadata) -> Vec<Package> {
    let needs = |package: &cargo_metadata::Package| {
        let kept = package
            .dependencies
            .iter()
            .filter(|one| one.kind != DependencyKind::Development);
        kept.map(|one| one.name.clone()).collect()
    };
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| Package {
            name: package.name.to_string(),
            needs: needs(package),
        })
        .collect()
}

/// Compares the crate graph with the tables.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    packages
        .iter()
        .flat_map(|package| check_package(package, packages))
        .collect()
}

fn check_package(package: &Package, all: &[Package]) -> Vec<Finding> {
    let name = package.name.as_str();
    let mut findings = Vec::new();
    let mut add = |rule, message: String| {
        findings.push(Finding::new(format_args!("crate {name}"), rule, message))
    };
    if VAGUE.contains(&name) {
        add(
            "vague-name",
            format!("`{name}` says nothing about what is inside"),
        );
    }
    let arrows = ARROWS
        .iter()
        .find(|(from, _)| *from == name)
        .map(|(_, to)| *to);
    let tool = TOOLS.contains(&name);
    if arrows.is_none() && !tool {
        add("crate-arrows", "has no row in tidy/arrows.rs".into());
    }
    for need in &package.needs {
        let ours = all.iter().any(|one| one.name == *need);
        if ours && !tool && arrows.is_some_and(|to| !to.contains(&need.as_str())) {
            add("crate-arrows", format!("must not depend on {need}"));
        }
        let owners = TECHNOLOGIES
            .iter()
            .find(|(crates, _)| crates.contains(&need.as_str()));
        if owners.is_some_and(|(_, owners)| !owners.contains(&name)) {
            add(
                "technology",
                format!("must not name {need}: see the table in tidy/arrows.rs"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::rules, *};

    fn broken(graph: &[(&str, &[&str])]) -> Vec<&'static str> {
        let package = |(name, needs): &(&str, &[&str])| Package {
            name: (*name).into(),
            needs: needs.iter().map(|need| (*need).into()).collect(),
        };
        rules(&check(&graph.iter().map(package).collect::<Vec<_>>()))
    }

    #[test]
    fn arrows_of_the_table_are_allowed() {
        let graph: &[(&str, &[&str])] = &[
            ("wire", &["prost", "bytes"]),
            ("hub", &["wire"]),
            ("xtask", &["wire", "hub"]),
        ];
        assert!(broken(graph).is_empty());
    }

    #[test]
    fn an_arrow_against_the_table_is_found() {
        assert_eq!(
            broken(&[("wire", &["hub"]), ("hub", &["wire"])]),
            ["crate-arrows"]
        );
    }

    #[test]
    fn nothing_that_ships_depends_on_a_tool_or_on_the_binary() {
        assert_eq!(
            broken(&[("testkit", &[]), ("tidegate", &["testkit"])]),
            ["crate-arrows"]
        );
        assert_eq!(
            broken(&[("tidegate", &[]), ("edge", &["tidegate"])]),
            ["crate-arrows"]
        );
        assert!(broken(&[("tidegate", &[]), ("testkit", &["tidegate"])]).is_empty());
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(broken(&[("brand_new", &[])]), ["crate-arrows"]);
    }

    #[test]
    fn a_technology_outside_its_crates_is_found() {
        assert_eq!(broken(&[("session", &["tonic"])]), ["technology"]);
        assert_eq!(broken(&[("hub", &["async-nats"])]), ["technology"]);
    }

    #[test]
    fn a_vague_crate_name_is_found() {
        assert_eq!(broken(&[("common", &[])]), ["vague-name", "crate-arrows"]);
    }
}
