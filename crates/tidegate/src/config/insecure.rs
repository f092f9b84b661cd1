//! What a configuration allows that it had better not: settings that work, and that
//! somebody will regret on the internet.

use std::{net::IpAddr, path::Path};

use serde::Serialize;
use toml::{Table, Value};

use super::{Access, Config, KeyAlgorithm};

/// Keys of files whose values are secrets.
const SECRET_KEYS: [&str; 5] = [
    "secret",
    "private_key",
    "ticket_secrets",
    "password",
    "token",
];

/// A setting that is not safe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// A stable name, e.g. `any_origin`.
    pub code: &'static str,
    /// Path of the key.
    pub key: String,
    /// What may happen, and what to do.
    pub problem: &'static str,
}

/// Gathers warnings.
#[derive(Default)]
struct Findings(Vec<Warning>);

// === impl Config ===

impl Config {
    /// What of it is not safe; in the order of the file. What depends on where secrets
    /// stand is told by [`warnings_of_file`].
    pub fn warnings(&self) -> Vec<Warning> {
        let mut found = Findings::default();
        self.look_at_the_gateway(&mut found);
        self.look_at_the_inside(&mut found);
        self.look_at_tokens(&mut found);
        let anonymous = self.auth.anonymous.enabled;
        for namespace in &self.namespace {
            found.when(
                anonymous && namespace.publish == Access::Anonymous,
                "anonymous_publish",
                &format!("namespace.{}.publish", namespace.name),
                "anybody on the internet may write here: use token or anyone",
            );
        }
        found.0
    }

    fn look_at_the_gateway(&self, found: &mut Findings) {
        let gateway = &self.gateway;
        let is_loopback = gateway.listen.ip().is_loopback();
        found.when(
            !is_loopback && gateway.tls.is_none() && gateway.trusted_proxies.is_empty(),
            "clients_in_the_clear",
            "gateway.listen",
            "clients' tokens cross the network unencrypted: set gateway.tls, or end TLS at a proxy \
             that gateway.trusted_proxies names",
        );
        found.when(
            gateway.allowed_origins.iter().any(|origin| origin == "*"),
            "any_origin",
            "gateway.allowed_origins",
            "every page may connect with its visitors' browsers: list your own",
        );
        let is_all = |network: &ipnet::IpNet| network.prefix_len() == 0;
        found.when(
            gateway.trusted_proxies.iter().any(is_all),
            "everybody_is_a_proxy",
            "gateway.trusted_proxies",
            "everybody may say who they are: list your proxies alone",
        );
        found.when(
            gateway.echo && !is_loopback,
            "echo",
            "gateway.echo",
            "anybody may have messages sent back, without a token and without limits: turn it off",
        );
        found.when(
            gateway.admission.rate == 0,
            "no_admission_rate",
            "gateway.admission.rate",
            "all clients may come at once: set the rate that the machine can serve",
        );
        let upstream = &gateway.upstream;
        found.when(
            upstream.messages_per_second == 0 || upstream.bytes_per_second.bytes() == 0,
            "no_upstream_rate",
            "gateway.upstream",
            "one client may use all of the gateway: set both rates",
        );
    }

    fn look_at_the_inside(&self, found: &mut Findings) {
        let control = &self.control;
        let is_open = control.key.is_empty() && control.client.is_empty();
        found.when(
            is_open,
            "grpc_open",
            "control.key",
            "every process of the machine may do everything: make keys with `tidegate key new`",
        );
        found.when(
            control.tls.is_none() && !control.listen.ip().is_loopback(),
            "grpc_in_the_clear",
            "control.listen",
            "keys of backends cross the network unencrypted: set control.tls",
        );
        found.when(
            !self.admin.listen.ip().is_loopback(),
            "admin_public",
            "admin.listen",
            "metrics are for everybody who reaches this address: keep it in a network of your own",
        );
        let nats = &self.nats;
        let leaves = nats
            .servers
            .iter()
            .any(|server| leaves_in_the_clear(server));
        found.when(
            leaves && !nats.tls.required,
            "nats_in_the_clear",
            "nats.servers",
            "everything crosses the network unencrypted: use tls:// or nats.tls.required",
        );
        let has_credentials = nats.credentials_file.is_some()
            || nats.nkey_file.is_some()
            || nats.token.is_some()
            || nats.user.is_some()
            || nats.tls.certificate_file.is_some();
        found.when(
            leaves && !has_credentials,
            "nats_open",
            "nats",
            "everybody who reaches NATS may do what gateways do: give it accounts",
        );
    }

    fn look_at_tokens(&self, found: &mut Findings) {
        let auth = &self.auth;
        let own = auth.key.iter().map(|key| ("auth.key", key));
        let others = auth.trusted_issuer.iter().flat_map(|it| &it.key);
        for (place, key) in own.chain(others.map(|key| ("auth.trusted_issuer.key", key))) {
            found.when(
                key.algorithm == KeyAlgorithm::Hs256,
                "shared_secret_tokens",
                place,
                "whoever can verify tokens can make them: use EdDSA",
            );
        }
        found.when(
            !auth.key.is_empty() && auth.issuer.is_none(),
            "any_issuer",
            "auth.issuer",
            "tokens that these keys signed for something else are taken",
        );
        found.when(
            !auth.key.is_empty() && auth.audience.is_none(),
            "any_audience",
            "auth.audience",
            "tokens name no audience, so those for other services may be taken",
        );
        found.when(
            auth.ticket_secrets.is_empty(),
            "tickets_of_one_process",
            "auth.ticket_secrets",
            "no session outlives its gateway, and none is taken up at another one",
        );
    }
}

/// What is not safe about the file itself.
pub fn warnings_of_file(file: &Path) -> Vec<Warning> {
    let mut found = Findings::default();
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let table: Table = text.parse().unwrap_or_default();
    let mut secrets = Vec::new();
    find_secrets("", &table, &mut secrets);
    for key in &secrets {
        found.when(
            true,
            "secret_in_file",
            key,
            "files are copied and committed: give it in the environment (TIDEGATE_…)",
        );
    }
    found.when(
        !secrets.is_empty() && others_may_read(file),
        "file_for_everybody",
        &file.display().to_string(),
        "other users of the machine may read its secrets: chmod 600",
    );
    found.0
}

// === impl Findings ===

impl Findings {
    fn when(&mut self, is_so: bool, code: &'static str, key: &str, problem: &'static str) {
        if is_so {
            let key = key.to_owned();
            self.0.push(Warning { code, key, problem });
        }
    }
}

/// Whether a NATS server is on another machine and not named as one with TLS.
fn leaves_in_the_clear(server: &str) -> bool {
    let (scheme, rest) = server.split_once("://").unwrap_or(("nats", server));
    let authority = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split([':', '/']).next().unwrap_or_default(),
    };
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    !is_here && !matches!(scheme, "tls" | "wss")
}

/// Paths of the secrets in a table.
fn find_secrets(path: &str, table: &Table, found: &mut Vec<String>) {
    for (key, value) in table {
        let path = match path {
            "" => key.clone(),
            path => format!("{path}.{key}"),
        };
        match value {
            Value::Table(table) => find_secrets(&path, table, found),
            Value::String(_) if SECRET_KEYS.contains(&key.as_str()) => found.push(path),
            Value::Array(values) if SECRET_KEYS.contains(&key.as_str()) => {
                found.extend((!values.is_empty()).then_some(path));
            }
            Value::Array(values) => {
                for table in values.iter().filter_map(Value::as_table) {
                    find_secrets(&path, table, found);
                }
            }
            _ => {}
        }
    }
}

#[cfg(unix)]
fn others_may_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|it| it.permissions().mode() & 0o044 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_file: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        let config: Config = toml::from_str(text).expect("readable");
        config.warnings().iter().map(|it| it.code).collect()
    }

    /// Nothing to say against it.
    const SAFE: &str = r#"
        [gateway]
        listen = "127.0.0.1:7400"
        [control]
        key = [{ name = "shop", sha256 = "x", scopes = [] }]
        [auth]
        issuer = "https://accounts.example"
        audience = "tidegate"
        ticket_secrets = ["…"]
        [[auth.key]]
        algorithm = "EdDSA"
        [[namespace]]
        name = "chat"
        publish = "anyone"
    "#;

    #[test]
    fn a_safe_configuration_gets_no_warning() {
        assert_eq!(codes(SAFE), [""; 0]);
        let behind_proxies = SAFE.replace(
            r#"listen = "127.0.0.1:7400""#,
            "listen = \"0.0.0.0:7400\"\ntrusted_proxies = [\"10.0.0.0/8\"]",
        );
        assert_eq!(codes(&behind_proxies), [""; 0]);
    }

    #[test]
    fn each_unsafe_setting_is_named_by_its_code() {
        for (from, to, code) in [
            ("127.0.0.1:7400", "0.0.0.0:7400", "clients_in_the_clear"),
            (
                "[gateway]",
                "[gateway]\nallowed_origins = [\"*\"]",
                "any_origin",
            ),
            (
                "[gateway]",
                "[gateway]\ntrusted_proxies = [\"::/0\"]",
                "everybody_is_a_proxy",
            ),
            (
                "[control]",
                "[gateway.admission]\nrate = 0\n[control]",
                "no_admission_rate",
            ),
            (
                "[control]",
                "[gateway.upstream]\nmessages_per_second = 0\n[control]",
                "no_upstream_rate",
            ),
            (
                "[control]",
                "[control]\nlisten = \"0.0.0.0:7410\"\nallow_plaintext = true",
                "grpc_in_the_clear",
            ),
            ("key = [{", "client = []\n#", "grpc_open"),
            (
                "[control]",
                "[admin]\nlisten = \"0.0.0.0:7420\"\n[control]",
                "admin_public",
            ),
            ("EdDSA", "HS256", "shared_secret_tokens"),
            ("issuer =", "#", "any_issuer"),
            ("audience =", "#", "any_audience"),
            ("ticket_secrets =", "#", "tickets_of_one_process"),
        ] {
            assert_eq!(codes(&SAFE.replacen(from, to, 1)), [code], "{to}");
        }
        let open = SAFE.replace("[gateway]", "[gateway]\necho = true");
        let open = open.replace("127.0.0.1:7400", "[::]:7400");
        assert_eq!(codes(&open), ["clients_in_the_clear", "echo"]);
        let anonymous = SAFE.replace("\"anyone\"", "\"anonymous\"");
        let anonymous = format!("{anonymous}\n[auth.anonymous]\nenabled = true");
        assert_eq!(codes(&anonymous), ["anonymous_publish"]);
        let nats = format!("{SAFE}\n[nats]\nservers = [\"nats://10.0.0.1:4222\"]");
        assert_eq!(codes(&nats), ["nats_in_the_clear", "nats_open"]);
    }

    #[test]
    fn servers_are_judged_by_where_they_are() {
        for safe in [
            "nats://127.0.0.1:4222",
            "localhost",
            "nats://me:secret@[::1]:4222",
            "tls://nats.example",
        ] {
            assert!(!leaves_in_the_clear(safe), "{safe}");
        }
        for open in ["nats://nats.example:4222", "10.0.0.1", "ws://[2001:db8::1]"] {
            assert!(leaves_in_the_clear(open), "{open}");
        }
    }

    #[test]
    fn secrets_in_a_file_are_found_wherever_they_stand() {
        let text = r#"
            [nats]
            password = "x"
            [auth]
            ticket_secrets = ["y"]
            [[auth.key]]
            id = "k"
            secret = "z"
        "#;
        let mut found = Vec::new();
        find_secrets("", &text.parse().expect("TOML"), &mut found);
        assert_eq!(
            found,
            ["auth.key.secret", "auth.ticket_secrets", "nats.password"]
        );
    }
}
