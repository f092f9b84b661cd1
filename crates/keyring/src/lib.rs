//! Where the keys of issuers come from: files, and addresses of JWKS.
//!
//! A [`Keyring`] keeps the key sets of an [`auth::Verifier`] fresh. Verifying with a
//! known key costs nothing more than it does without; a token of an unknown one has
//! the set of its issuer fetched, at a bounded rate.
//!
//! ```text
//!   verify --> known key -------------------------------> identity, or why not
//!          \-> unknown key --> remembered as such ------> not valid
//!                          \-> fetched a moment ago ----> unavailable, try again
//!                          \-> fetch, wait for its end -> verify once more
//! ```
//!
//! Whatever fails, the last good set stays.

mod cache_control;
mod demand;
mod fetch;
mod file;
mod keyring;
mod metrics;
mod remote;

pub use fetch::FetchError;
pub use keyring::{Keyring, KeyringError, Origin, Settings, Source, VerifyError};
