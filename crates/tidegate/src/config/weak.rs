//! Keys and secrets that everybody knows: those of this repository, and those that
//! anybody would try first.

use auth::ApiKeyHash;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Config, ConfigError, Secret};

/// SHA-256 of the texts of keys, secrets and seeds that stand in this repository,
/// without white space, padding and the armor of PEM. A test finds those that are missing.
const PUBLISHED: &[&str] = &[
    // README.md, deploy/config: the public key of RFC 8037 appendix A.
    "e3cacd5c2d931295a64f6c3bb3f6ea58c3a9b253b990e32c5abce43c2f94c564",
    // its private key.
    "190edf59d5736c3b3ea6bb36d57f5eb415a9b79f3201b381b8f3cb089135981f",
    // Tests of auth: a pair in PEM.
    "rSAWgJIdMo3I1u9IwA63EF39PFt77Ql11ytKMc-L3Do",
    "T_lqYJNISaf3x3M_FjgkzCK-faMzhLvQtd6ZKXLqVYY",
];

/// What people write who mean to change it later.
const WORDS: [&str; 5] = ["secret", "changeme", "password", "example", "0123456789"];

// === impl Config ===

impl Config {
    /// Refuses keys and secrets that others know. `tidegate dev` takes them.
    ///
    /// # Errors
    /// Names the first such key.
    pub fn refuse_known_secrets(&self) -> Result<(), ConfigError> {
        // What can't be read is refused by whoever needs it.
        let signing = self.read_signing_keys().unwrap_or_default();
        let signing = signing.iter().filter_map(|it| it.key.private_key.as_ref());
        let signing = signing.map(|key| ("control.signing_key".to_owned(), key.expose()));
        let mut texts = self.secrets();
        texts.extend(signing);
        let known = texts
            .iter()
            .filter_map(|(key, text)| Some((key, why(text)?)));
        known.take(1).try_for_each(|(key, why)| {
            Err(ConfigError::Nonsense {
                key: key.clone(),
                problem: format!("{why}; only tidegate dev takes such keys (DEMO_KEY)"),
            })
        })
    }

    /// All keys and secrets, each with its place. Public keys as well: of those in
    /// the repository everybody has the private ones.
    fn secrets(&self) -> Vec<(String, &str)> {
        let mut all = Vec::new();
        let own = self.auth.key.iter().map(|key| ("auth.key".to_owned(), key));
        let others = self.auth.trusted_issuer.iter().flat_map(|trusted| {
            let place = format!("auth.trusted_issuer.{}", trusted.issuer);
            trusted.key.iter().map(move |key| (place.clone(), key))
        });
        for (place, key) in own.chain(others) {
            let private = [&key.secret, &key.private_key].into_iter().flatten();
            let texts = private.map(Secret::expose).chain(key.public_key.as_deref());
            all.extend(texts.map(|text| (place.clone(), text)));
        }
        let place = |name: &str| name.to_owned();
        let tickets = self.auth.ticket_secrets.iter().map(Secret::expose);
        all.extend(tickets.map(|text| (place("auth.ticket_secrets"), text)));
        let callers = self.control.key.iter();
        all.extend(callers.map(|key| (format!("control.key.{}", key.name), &*key.sha256)));
        for (name, secret) in [
            ("nats.token", &self.nats.token),
            ("nats.password", &self.nats.password),
        ] {
            all.extend(secret.iter().map(|text| (place(name), text.expose())));
        }
        all
    }
}

/// Why others know it; absent: they do not.
fn why(text: &str) -> Option<&'static str> {
    let text = normal(text);
    let hash = ApiKeyHash::of(&text);
    if PUBLISHED
        .iter()
        .any(|known| ApiKeyHash::parse(known) == Some(hash))
    {
        return Some("stands in the public repository");
    }
    let decoded = URL_SAFE_NO_PAD.decode(&text).unwrap_or_default();
    let bytes = if decoded.is_empty() {
        text.as_bytes()
    } else {
        &decoded
    };
    let step = |pair: &[u8]| pair[1].wrapping_sub(pair[0]);
    let mut steps = bytes.windows(2).map(step);
    if steps
        .next()
        .is_none_or(|first| first < 2 && steps.all(|next| next == first))
    {
        return Some("is trivial: its bytes are all the same, or count up");
    }
    let has_word = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).to_lowercase();
        WORDS.iter().any(|word| text.contains(word))
    };
    (has_word(text.as_bytes()) || has_word(&decoded)).then_some("is made of words")
}

/// Without armor, white space and padding.
fn normal(text: &str) -> String {
    let body = text.lines().filter(|line| !line.starts_with("-----"));
    let body: String = body.map(str::trim).collect();
    body.trim_end_matches('=').to_owned()
}

#[cfg(test)]
mod tests;
