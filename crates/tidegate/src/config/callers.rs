//! The configuration's part about who may call the control plane.

use std::path::PathBuf;

use auth::ApiKeyHash;
use control::{CallScopes, ClientCredential, Credentials, KeyCredential, TlsFiles};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, ControlConfig};

/// A caller with a bearer key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerKey {
    /// Its name, for logs.
    pub name: String,
    /// The SHA-256 of the key's text, in hexadecimal or base64url.
    pub sha256: String,
    /// What it may; docs/control-plane-auth.md has the table.
    pub scopes: Vec<String>,
}

/// A caller with a certificate.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerCertificate {
    /// A name in the certificate: a URI (`spiffe://…`) or a DNS name of its
    /// alternative names.
    pub name: String,
    /// What it may.
    pub scopes: Vec<String>,
}

/// TLS for callers. The files are PEM, and read again every 30 s.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlTlsConfig {
    /// Our certificate, and those between it and its authority.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Certificates of the authorities of callers; absent: they show keys alone.
    pub client_ca_file: Option<PathBuf>,
    /// Refuse connections without a certificate.
    #[serde(default)]
    pub client_required: bool,
}

// === impl ControlTlsConfig ===

impl ControlTlsConfig {
    pub(super) fn files(&self) -> TlsFiles {
        TlsFiles {
            certificate: self.certificate_file.clone(),
            key: self.key_file.clone(),
            client_ca: self.client_ca_file.clone(),
            client_required: self.client_required,
        }
    }
}

// === impl ControlConfig ===

impl ControlConfig {
    /// Who may call.
    ///
    /// # Errors
    /// If a hash or a scope is none, or two callers have the same key or name.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let mut credentials = Credentials::default();
        for CallerKey {
            name,
            sha256,
            scopes,
        } in &self.key
        {
            let problem = |what, problem| nonsense(&format!("control.key.{name}{what}"), problem);
            let hash = ApiKeyHash::parse(sha256).ok_or_else(|| {
                problem(".sha256", "must be a SHA-256 in hexadecimal or base64url")
            })?;
            if credentials.keys.iter().any(|other| other.hash == hash) {
                return Err(problem(".sha256", "is another caller's as well"));
            }
            let scopes = parse("control.key", name, scopes)?;
            let name = name.clone();
            credentials.keys.push(KeyCredential { name, hash, scopes });
        }
        let has_authorities = |tls: &ControlTlsConfig| tls.client_ca_file.is_some();
        let shown = self.tls.as_ref().is_some_and(has_authorities);
        if !shown && !self.client.is_empty() {
            let problem = "needs control.tls.client_ca_file";
            return Err(nonsense("control.client", problem));
        }
        if !shown && self.tls.as_ref().is_some_and(|tls| tls.client_required) {
            let problem = "needs client_ca_file";
            return Err(nonsense("control.tls.client_required", problem));
        }
        for CallerCertificate { name, scopes } in &self.client {
            if credentials.clients.iter().any(|other| other.name == *name) {
                let place = format!("control.client.{name}");
                return Err(nonsense(&place, "stands here twice"));
            }
            let scopes = parse("control.client", name, scopes)?;
            let name = name.clone();
            credentials.clients.push(ClientCredential { name, scopes });
        }
        Ok(credentials)
    }
}

fn parse(section: &str, name: &str, scopes: &[String]) -> Result<CallScopes, ConfigError> {
    if name.is_empty() {
        return Err(nonsense(&format!("{section}.name"), "must not be empty"));
    }
    let place = format!("{section}.{name}.scopes");
    if scopes.is_empty() {
        return Err(nonsense(&place, "must not be empty"));
    }
    CallScopes::parse(scopes).map_err(|error| nonsense(&place, &error.to_string()))
}

fn nonsense(key: &str, problem: &str) -> ConfigError {
    ConfigError::Nonsense {
        key: key.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, sha256: &str, scope: &str) -> CallerKey {
        CallerKey {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            scopes: vec![scope.to_owned()],
        }
    }

    #[test]
    fn callers_are_checked_by_name() {
        let hash = ApiKeyHash::of("a").to_string();
        let other = ApiKeyHash::of("b").to_string();
        let read = |keys: &[CallerKey]| {
            let control = ControlConfig {
                key: keys.to_vec(),
                ..ControlConfig::default()
            };
            control.credentials().map_err(|error| error.to_string())
        };
        let good = [key("a", &hash, "send"), key("a", &other, "publish:x.>")];
        assert_eq!(read(&good).expect("valid").keys.len(), 2);
        for (keys, place) in [
            (vec![key("a", "x", "send")], "control.key.a.sha256"),
            (vec![key("a", &hash, "sent")], "control.key.a.scopes"),
            (vec![key("", &hash, "send")], "control.key.name"),
            (
                vec![key("a", &hash, "send"), key("b", &hash, "send")],
                "control.key.b.sha256",
            ),
        ] {
            let error = read(&keys).expect_err(place);
            assert!(error.starts_with(place), "{error}");
        }
    }
}
