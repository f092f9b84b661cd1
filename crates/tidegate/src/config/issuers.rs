//! The configuration's part about other issuers of tokens, and where their keys
//! come from.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use auth::{Algorithm, Ceilings, KeyConfig, KeySet, Patterns, Verifier, VerifierConfig};
use keyring::{Keyring, Origin, Settings, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::{AuthConfig, KeyAlgorithm, KeyEntry};

/// Somebody else whose tokens are taken. Its keys are in one place: `key`,
/// `key_file` or `jwks_url`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustedIssuer {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The `aud` that its tokens must have; absent: they must have none.
    pub audience: Option<String>,
    /// How much its clock may differ from ours; absent: as `auth.leeway` says.
    #[serde(default, with = "humantime_serde")]
    #[schemars(with = "Option<String>")]
    pub leeway: Option<Duration>,
    /// Keys that verify its tokens.
    #[serde(default)]
    pub key: Vec<KeyEntry>,
    /// Public keys in a file, which is read anew when it changes: PEM, a JWK or a
    /// set of them.
    pub key_file: Option<PathBuf>,
    /// Where it publishes its keys: https, or http on this machine alone.
    pub jwks_url: Option<String>,
    /// What keys of `key_file` and `jwks_url` may be for; others are passed over.
    #[serde(default = "every_public_algorithm")]
    pub algorithms: Vec<KeyAlgorithm>,
    /// Patterns of channels that its tokens may let subscribe to at most, history
    /// and presence included; absent: any.
    pub subscribe: Option<Vec<String>>,
    /// Likewise to publish to.
    pub publish: Option<Vec<String>>,
    /// Patterns of routes that its tokens may let call at most; absent: any.
    pub routes: Option<Vec<String>>,
}

/// How keys of other issuers are kept fresh.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KeySources {
    /// Certificates (PEM) that addresses must show; absent: the system's.
    pub ca_file: Option<PathBuf>,
    /// Between fetches of a set; shorter where its `max-age` is, but a minute at
    /// least.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub refresh: Duration,
    /// Least time between fetches because of tokens with an unknown key, for each
    /// issuer.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub min_interval: Duration,
    /// For a fetch. A client whose key is unknown waits so long at most.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// How often key files are looked at.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub file_interval: Duration,
}

fn every_public_algorithm() -> Vec<KeyAlgorithm> {
    vec![
        KeyAlgorithm::EdDsa,
        KeyAlgorithm::Es256,
        KeyAlgorithm::Rs256,
    ]
}

// === impl KeySources ===

impl Default for KeySources {
    fn default() -> Self {
        let Settings {
            ca_file,
            refresh,
            gap,
            deadline,
            poll,
        } = Settings::default();
        Self {
            ca_file,
            refresh,
            min_interval: gap,
            timeout: deadline,
            file_interval: poll,
        }
    }
}

// === impl AuthConfig ===

impl AuthConfig {
    /// Verifies the tokens of all issuers; reads key files.
    ///
    /// # Errors
    /// If a key or a list of patterns can't be read, or an address is none.
    pub fn keyring(&self) -> Result<Keyring> {
        let mut verifier = Verifier::new(self.keys()?, self.verifier());
        let mut sources = Vec::new();
        for entry in &self.trusted_issuer {
            let name = &entry.issuer;
            let issuer = entry.add_to(&mut verifier, self.leeway);
            let issuer = issuer.with_context(|| format!("auth.trusted_issuer {name}"))?;
            sources.extend(entry.origin().map(|origin| Source {
                issuer,
                name: name.clone(),
                algorithms: entry.algorithms.iter().map(|it| it.get()).collect(),
                origin,
            }));
        }
        let KeySources {
            ca_file,
            refresh,
            min_interval,
            timeout,
            file_interval,
        } = self.key_sources.clone();
        let settings = Settings {
            ca_file,
            refresh,
            gap: min_interval,
            deadline: timeout,
            poll: file_interval,
        };
        Keyring::new(Arc::new(verifier), &sources, &settings).context("auth.trusted_issuer")
    }

    /// What a type can't say of other issuers; the key and the problem.
    pub(super) fn check_issuers(&self) -> Result<(), (&'static str, &'static str)> {
        // Ourselves, if our keys are published and not configured here.
        let own = self.issuer.iter().filter(|_| !self.key.is_empty());
        let mut names: Vec<_> = own.collect();
        for entry in &self.trusted_issuer {
            if entry.issuer.is_empty() || names.contains(&&entry.issuer) {
                return Err(("auth.trusted_issuer.issuer", "must be there, and unique"));
            }
            names.push(&entry.issuer);
            let places = [
                !entry.key.is_empty(),
                entry.key_file.is_some(),
                entry.jwks_url.is_some(),
            ];
            if places.into_iter().filter(|it| *it).count() != 1 {
                let problem = "must have one of key, key_file and jwks_url";
                return Err(("auth.trusted_issuer", problem));
            }
            let secret = entry.algorithms.contains(&KeyAlgorithm::Hs256);
            if entry.algorithms.is_empty() || secret {
                let problem = "must name some of EdDSA, ES256 and RS256";
                return Err(("auth.trusted_issuer.algorithms", problem));
            }
        }
        let sources = &self.key_sources;
        for (key, value) in [
            ("auth.key_sources.refresh", sources.refresh),
            ("auth.key_sources.min_interval", sources.min_interval),
            ("auth.key_sources.timeout", sources.timeout),
            ("auth.key_sources.file_interval", sources.file_interval),
        ] {
            if value < Duration::from_secs(1) {
                return Err((key, "must be 1s at least"));
            }
        }
        Ok(())
    }
}

// === impl TrustedIssuer ===

impl TrustedIssuer {
    fn add_to(&self, verifier: &mut Verifier, leeway: Duration) -> Result<auth::IssuerId> {
        let keys: Vec<KeyConfig> = self.key.iter().map(KeyEntry::config).collect();
        let list = |key: &'static str, texts: &Option<Vec<String>>| {
            let list = texts.as_deref().map(Patterns::parse).transpose();
            list.context(key)
        };
        let ceilings = Ceilings {
            subscribe: list("subscribe", &self.subscribe)?,
            publish: list("publish", &self.publish)?,
            routes: list("routes", &self.routes)?,
        };
        let config = VerifierConfig {
            issuer: Some(self.issuer.clone()),
            audience: self.audience.clone(),
            leeway: self.leeway.unwrap_or(leeway),
            ceilings: Arc::new(ceilings),
            ..VerifierConfig::default()
        };
        Ok(verifier.add_issuer(KeySet::new(&keys).context("key")?, config))
    }

    fn origin(&self) -> Option<Origin> {
        let file = self.key_file.clone().map(Origin::File);
        file.or_else(|| self.jwks_url.clone().map(Origin::Url))
    }
}

// === impl KeyAlgorithm ===

impl KeyAlgorithm {
    pub(super) fn get(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDsa,
            Self::Es256 => Algorithm::Es256,
            Self::Rs256 => Algorithm::Rs256,
            Self::Hs256 => Algorithm::Hs256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> AuthConfig {
        toml::from_str(text).expect("well-formed")
    }

    #[test]
    fn an_issuer_has_a_name_of_its_own_and_one_place_for_keys() {
        const URL: &str = "jwks_url = 'https://a.example/keys'";
        let good = format!("[[trusted_issuer]]\nissuer = 'a'\n{URL}\n");
        assert_eq!(config(&good).check_issuers(), Ok(()));
        let ourselves = format!("issuer = 'a'\n{good}");
        assert_eq!(config(&ourselves).check_issuers(), Ok(()));
        for bad in [
            format!("{good}{good}"),
            format!("issuer = 'a'\n[[key]]\nalgorithm = 'EdDSA'\npublic_key = 'x'\n{good}"),
            format!("{good}key_file = 'keys.pem'\n"),
            format!("{good}algorithms = ['HS256']\n"),
            format!("{good}algorithms = []\n"),
            "[[trusted_issuer]]\nissuer = 'a'\n".to_owned(),
            format!("[[trusted_issuer]]\nissuer = ''\n{URL}\n"),
            "[key_sources]\nmin_interval = '0s'\n".to_owned(),
        ] {
            assert!(config(&bad).check_issuers().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_can_not_be_used_is_found_at_the_start() {
        const URL: &str = "[[trusted_issuer]]\nissuer = 'a'\njwks_url";
        // A fetch needs no certificates of the system here.
        assert!(config("").keyring().is_ok());
        for bad in [
            format!("{URL} = 'http://a.example/keys'\n"),
            format!("{URL} = 'https://a.example/keys'\nsubscribe = ['a..b']\n"),
            "[[trusted_issuer]]\nissuer = 'a'\nkey_file = '/nowhere/keys.pem'\n".to_owned(),
        ] {
            assert!(config(&bad).keyring().is_err(), "{bad}");
        }
    }
}
