//! Credentials: who shows what, and what for.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use auth::ApiKeyHash;
use http::{HeaderMap, header::AUTHORIZATION};

use super::{CallScopes, scopes};

/// All callers that there are. None: whoever reaches the port may do everything,
/// so the port must be loopback's.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Callers with a bearer key.
    pub keys: Vec<KeyCredential>,
    /// Callers with a certificate.
    pub clients: Vec<ClientCredential>,
}

/// A caller that shows a key.
#[derive(Clone, Debug)]
pub struct KeyCredential {
    /// Its name, for logs.
    pub name: String,
    /// The hash of its key. Two callers must not have the same.
    pub hash: ApiKeyHash,
    /// What it may.
    pub scopes: CallScopes,
}

/// A caller that shows a certificate of an authority that is trusted.
#[derive(Clone, Debug)]
pub struct ClientCredential {
    /// A name in the certificate: of its alternative names a URI
    /// (`spiffe://…`) or a DNS name.
    pub name: String,
    /// What it may.
    pub scopes: CallScopes,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    pub(crate) address: Option<SocketAddr>,
    /// The names in its certificate, verified; none without one.
    pub(crate) names: Arc<[Box<str>]>,
}

/// A caller who is known.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: Box<str>,
    pub(super) scopes: CallScopes,
}

/// Why a caller is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stranger {
    /// It showed nothing.
    Missing,
    /// No caller has that key.
    Key,
    /// No caller has a name of that certificate.
    Certificate,
}

/// Everybody who may call.
#[derive(Debug)]
pub(super) struct Callers {
    /// Without credentials: this one is everybody.
    anybody: Option<Arc<Known>>,
    keys: HashMap<u64, Vec<(ApiKeyHash, Arc<Known>)>>,
    clients: HashMap<Box<str>, Arc<Known>>,
}

// === impl Credentials ===

impl Credentials {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.clients.is_empty()
    }
}

// === impl Callers ===

impl Callers {
    pub(super) fn new(credentials: &Credentials) -> Self {
        let known = |name: &str, scopes: &CallScopes| {
            Arc::new(Known {
                name: name.into(),
                scopes: scopes.clone(),
            })
        };
        let anybody = || known("anybody", &scopes::CallScopes::ADMIN);
        let mut keys: HashMap<_, Vec<_>> = HashMap::new();
        for key in &credentials.keys {
            let entry = (key.hash, known(&key.name, &key.scopes));
            keys.entry(key.hash.bucket()).or_default().push(entry);
        }
        let clients = credentials.clients.iter();
        let clients = clients.map(|it| (it.name.as_str().into(), known(&it.name, &it.scopes)));
        Self {
            anybody: credentials.is_empty().then(anybody),
            keys,
            clients: clients.collect(),
        }
    }

    /// Who calls. A key that is shown decides, whatever the certificate says.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<&Arc<Known>, Stranger> {
        if let Some(anybody) = &self.anybody {
            return Ok(anybody);
        }
        if let Some(header) = headers.get(AUTHORIZATION) {
            let key = header.to_str().ok().and_then(bearer);
            let hash = ApiKeyHash::of(key.ok_or(Stranger::Key)?);
            let bucket = self.keys.get(&hash.bucket()).ok_or(Stranger::Key)?;
            let found = bucket.iter().find(|(one, _)| *one == hash);
            return found.map(|(_, known)| known).ok_or(Stranger::Key);
        }
        if peer.names.is_empty() {
            return Err(Stranger::Missing);
        }
        let mut found = peer.names.iter().filter_map(|name| self.clients.get(name));
        found.next().ok_or(Stranger::Certificate)
    }
}

/// The key in `Bearer <key>`; the scheme's case does not matter (RFC 9110 section
/// 11.1).
fn bearer(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().expect("a header"));
        headers
    }

    fn peer(names: &[&str]) -> Peer {
        Peer {
            address: None,
            names: names.iter().map(|name| (*name).into()).collect(),
        }
    }

    fn callers() -> Callers {
        let key = |name: &str, text| KeyCredential {
            name: name.to_owned(),
            hash: ApiKeyHash::of(text),
            scopes: CallScopes::ADMIN,
        };
        let client = ClientCredential {
            name: "spiffe://example/billing".to_owned(),
            scopes: CallScopes::ADMIN,
        };
        Callers::new(&Credentials {
            keys: vec![key("a", "key of a"), key("b", "key-of-b")],
            clients: vec![client],
        })
    }

    fn name<'a>(callers: &'a Callers, header: &str, peer: &Peer) -> Result<&'a str, Stranger> {
        let headers = if header.is_empty() {
            HeaderMap::new()
        } else {
            headers(header)
        };
        callers.identify(&headers, peer).map(|known| &*known.name)
    }

    #[test]
    fn a_key_is_known_by_its_hash() {
        let (callers, nobody) = (callers(), peer(&[]));
        assert_eq!(name(&callers, "Bearer key-of-b", &nobody), Ok("b"));
        assert_eq!(name(&callers, "bearer key of a", &nobody), Ok("a"));
        for header in [
            "Bearer key-of-c",
            "Bearer ",
            "Bearer",
            "Basic key-of-b",
            "key-of-b",
        ] {
            assert_eq!(
                name(&callers, header, &nobody),
                Err(Stranger::Key),
                "{header}"
            );
        }
        assert_eq!(name(&callers, "", &nobody), Err(Stranger::Missing));
    }

    #[test]
    fn a_certificate_is_known_by_its_names_unless_a_key_is_shown() {
        let callers = callers();
        let billing = peer(&["billing", "spiffe://example/billing"]);
        let found = Ok("spiffe://example/billing");
        assert_eq!(name(&callers, "", &billing), found);
        assert_eq!(name(&callers, "Bearer key-of-b", &billing), Ok("b"));
        assert_eq!(name(&callers, "Bearer no", &billing), Err(Stranger::Key));
        let other = peer(&["spiffe://example/billing2"]);
        assert_eq!(name(&callers, "", &other), Err(Stranger::Certificate));
    }

    #[test]
    fn without_credentials_everybody_is_anybody() {
        let callers = Callers::new(&Credentials::default());
        assert_eq!(name(&callers, "Bearer what", &peer(&[])), Ok("anybody"));
    }
}
