//! TLS to a gateway.

use std::{io, sync::Arc};

use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::error::Error;

/// Makes TLS of TCP. Keeps tickets, so that the next connection is cheaper.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

// === impl Tls ===

impl Tls {
    /// Trusts these certificates (PEM), or those of the system.
    ///
    /// # Errors
    /// If there are none that can be used.
    pub(crate) fn new(roots: Option<&[u8]>) -> Result<Self, Error> {
        let unusable = |why: &dyn ToString| Error::Tls {
            reason: why.to_string(),
        };
        let certificates = match roots {
            Some(pem) => CertificateDer::pem_slice_iter(pem)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| unusable(&error))?,
            // Those that can't be read are no reason to do without the others.
            None => rustls_native_certs::load_native_certs().certs,
        };
        let mut store = RootCertStore::empty();
        let (usable, _) = store.add_parsable_certificates(certificates);
        if usable == 0 {
            return Err(unusable(&"there is no certificate to trust"));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands with the gateway of this name.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        self.0.connect(name, stream).await
    }
}
