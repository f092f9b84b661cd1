//! TLS for client connections (RFC 8446, RFC 5246), without I/O but for the front's
//! adapter.
//!
//! A [`Link`] is one connection's TLS: ciphertext in, plaintext out, and the reverse.
//! While it is idle it holds no buffer, so that a gateway can have very many. The
//! front shakes hands by a [`Stream`] around it; then the shard drives the link
//! itself. [`Server`] is who we are: certificates by name, read again when their
//! files change, which no connection that is there notices.

mod certificates;
mod link;
mod metrics;
mod server;
mod stream;

pub use certificates::CertificateFiles;
pub use link::{Link, LinkError, MAX_RECORD_BYTES, Progress};
pub use server::{ClientCertificates, Server, ServerConfig, ServerError};
pub use stream::Stream;
