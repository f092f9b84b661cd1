//! TLS of the client port.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tls::{CertificateFiles, ClientCertificates, ServerConfig};

/// TLS for clients: 1.3 and 1.2, with resumption. All files are PEM.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayTlsConfig {
    /// Our certificates. A client gets the one of the name that it asks for, or the
    /// first.
    pub certificate: Vec<CertificateEntry>,
    /// Certificates of the authorities of clients; absent: clients show none. Read at
    /// the start only.
    pub client_ca_file: Option<PathBuf>,
    /// Refuse clients without a certificate. It says nothing of who they are: tokens do.
    #[serde(default)]
    pub client_required: bool,
    /// How often certificates are read again; connections that are there keep theirs.
    #[serde(with = "humantime_serde", default = "ten_seconds")]
    #[schemars(with = "String")]
    pub reload: Duration,
}

/// A certificate and its key.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateEntry {
    /// The certificate, and those between it and its authority.
    pub certificate_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

// === impl GatewayTlsConfig ===

impl GatewayTlsConfig {
    pub(super) fn server(&self) -> ServerConfig {
        let certificates = self.certificate.iter().map(|entry| CertificateFiles {
            certificate: entry.certificate_file.clone(),
            key: entry.key_file.clone(),
        });
        ServerConfig {
            certificates: certificates.collect(),
            client_ca: self.client_ca_file.clone(),
            client_certificates: match self.client_required {
                true => ClientCertificates::Required,
                false => ClientCertificates::Optional,
            },
            period: self.reload,
        }
    }

    /// What a type can't say: the key, and what is wrong with it.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.certificate.is_empty() {
            Some(("gateway.tls.certificate", "must have one entry at least"))
        } else if self.client_required && self.client_ca_file.is_none() {
            Some(("gateway.tls.client_required", "needs client_ca_file"))
        } else if self.reload < Duration::from_millis(100) {
            Some(("gateway.tls.reload", "must be 100 ms at least"))
        } else {
            None
        }
    }
}
