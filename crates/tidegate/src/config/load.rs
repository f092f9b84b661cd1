//! Reads the configuration: defaults, then the file, then the environment.

use std::path::{Path, PathBuf};

use figment::{
    Figment,
    providers::{Env, Format, Json, Toml},
};
use thiserror::Error;

use super::{Config, validate};

/// The prefix of environment variables; levels are separated by `__`. Those with
/// one level are the command line's (`TIDEGATE_TOKEN`), not keys.
const ENV_PREFIX: &str = "TIDEGATE_";

/// Why a configuration can't be used. Ends the process with code 64.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file was named but is not there.
    #[error("configuration file {} does not exist", .0.display())]
    Missing(PathBuf),
    /// A key is unknown, or its value can't be read.
    #[error("{}", describe(.0))]
    Invalid(Box<figment::Error>),
    /// A value can be read but makes no sense.
    #[error("{key}: {problem}")]
    Nonsense {
        /// Path of the key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// Reads `file` if given, which is TOML, or JSON if its name ends so, puts the environment over it, and validates.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let mut figment = Figment::new();
    if let Some(file) = file {
        if !file.exists() {
            return Err(ConfigError::Missing(file.to_path_buf()));
        }
        figment = match file.extension().is_some_and(|it| it == "json") {
            true => figment.merge(Json::file_exact(file)),
            false => figment.merge(Toml::file_exact(file)),
        };
    }
    let environment = Env::prefixed(ENV_PREFIX)
        .filter(|key| key.as_str().contains("__"))
        .split("__");
    let config: Config = figment
        .merge(environment)
        .extract()
        .map_err(|error| ConfigError::Invalid(Box::new(error)))?;
    validate::check(&config)?;
    Ok(config)
}

/// One line per problem, each with the key and where it came from.
fn describe(error: &figment::Error) -> String {
    let line = |error: figment::Error| {
        let key = error.path.join(".");
        let source = error
            .metadata
            .as_ref()
            .map(|from| format!(" (in {})", from.name));
        let source = source.unwrap_or_default();
        if key.is_empty() {
            format!("{}{source}", error.kind)
        } else {
            format!("{key}: {}{source}", error.kind)
        }
    };
    error
        .clone()
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let config: Config = Figment::new()
            .merge(Toml::string(text))
            .extract()
            .map_err(|error| ConfigError::Invalid(Box::new(error)))?;
        validate::check(&config)?;
        Ok(config)
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = parse("[gateway]\nlisten_port = 1\n").expect_err("unknown key");
        assert!(error.to_string().contains("listen_port"), "{error}");
    }

    #[test]
    fn a_bad_value_names_its_key() {
        let error = parse("[gateway]\nmax_message = \"many\"\n").expect_err("bad size");
        assert!(error.to_string().contains("gateway.max_message"), "{error}");
    }

    #[test]
    fn only_a_namespace_with_history_can_be_caught_up_with() {
        let text = "[[namespace]]\nname = \"a\"\noverflow = \"catch_up\"\n";
        let error = parse(text).expect_err("there is no history");
        assert!(
            error.to_string().contains("namespace.a.overflow"),
            "{error}"
        );
        let history = "history = { messages = 10, age = \"1m\" }\n";
        parse(&format!("{text}{history}")).expect("there is");
    }

    #[test]
    fn only_so_many_namespaces_are_counted_apart() {
        let entry = |n| format!("[[namespace]]\nname = \"a{n}\"\nmetrics = true\n");
        let entries = |count: usize| (0..count).map(entry).collect::<String>();
        parse(&entries(64)).expect("as many as there may be");
        let error = parse(&entries(65)).expect_err("one too many");
        assert!(error.to_string().contains("metrics"), "{error}");
        let error = parse("[[namespace]]\nname = \"a\"\npriority = 10\n");
        let error = error.expect_err("above the highest");
        assert!(
            error.to_string().contains("namespace.a.priority"),
            "{error}"
        );
    }

    #[test]
    fn a_namespace_may_not_stand_twice_whatever_its_case() {
        for other in ["a", "A"] {
            let text = format!("[[namespace]]\nname = \"a\"\n[[namespace]]\nname = \"{other}\"\n");
            let error = parse(&text).expect_err("twice");
            let place = format!("namespace.{other}");
            assert!(error.to_string().starts_with(&place), "{error}");
        }
    }

    #[test]
    fn proxies_are_networks_and_needed_where_their_protocol_is() {
        let gateway = |lines: &str| parse(&format!("[gateway]\n{lines}\n"));
        let trusted = "trusted_proxies = [\"10.0.0.0/8\", \"2001:db8::/32\"]";
        gateway(trusted).expect("valid");
        gateway(&format!("{trusted}\nproxy_protocol = \"required\"")).expect("valid");
        for (lines, key) in [
            ("trusted_proxies = [\"10.0.0.0/33\"]", "trusted_proxies"),
            ("proxy_protocol = \"required\"", "proxy_protocol"),
            ("proxy_protocol = \"v1\"", "proxy_protocol"),
            ("unfinished_percent = 0", "unfinished_percent"),
            ("unfinished_percent = 101", "unfinished_percent"),
        ] {
            let error = gateway(lines).expect_err(lines);
            assert!(error.to_string().contains(key), "{error}");
        }
        let many = vec!["\"10.0.0.0/8\""; 65].join(",");
        let error = gateway(&format!("trusted_proxies = [{many}]")).expect_err("too many");
        assert!(error.to_string().contains("trusted_proxies"), "{error}");
    }

    #[test]
    fn traces_go_to_an_address_without_tls_and_are_a_share() {
        let traces = |line: &str| parse(&format!("[telemetry.traces]\n{line}\n"));
        traces("endpoint = \"http://collector:4317\"\nsample = 1.0").expect("valid");
        for (line, key) in [
            ("endpoint = \"https://collector:4317\"", "endpoint"),
            ("endpoint = \"http://\"", "endpoint"),
            ("endpoint = \"collector:4317\"", "endpoint"),
            ("sample = 1.5", "sample"),
            ("sample = nan", "sample"),
            ("timeout = \"0s\"", "timeout"),
        ] {
            let error = traces(line).expect_err(line);
            let key = format!("telemetry.traces.{key}");
            assert!(error.to_string().starts_with(&key), "{error}");
        }
    }

    #[test]
    fn the_defaults_are_valid() {
        parse("").expect("defaults");
    }

    #[test]
    fn a_file_of_json_says_what_one_of_toml_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let toml = file(
            "a.toml",
            "[gateway]\nmax_connections = 7\nheartbeat = \"9s\"",
        );
        let json = file(
            "a.json",
            r#"{"gateway": {"max_connections": 7, "heartbeat": "9s"}}"#,
        );
        for path in [toml, json] {
            let gateway = load(Some(&path)).expect("right").gateway;
            assert_eq!(gateway.max_connections, 7);
            assert_eq!(gateway.heartbeat, std::time::Duration::from_secs(9));
        }
        let wrong = load(Some(&file("b.json", r#"{"gateway": {"max": 7}}"#)));
        assert!(wrong.expect_err("unknown").to_string().contains("max"));
    }
}
