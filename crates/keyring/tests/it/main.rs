//! Key sets of an issuer that is a small HTTP server here, or a file.

mod issuer;
mod over_tls;
mod remote;
mod watched_file;
