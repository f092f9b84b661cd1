//! Tokens, keys and permissions.
//!
//! A client proves who it is with a signed token (JWT, RFC 7519). A [`Verifier`]
//! turns it into an [`Identity`], or says why not; a [`Signer`] makes tokens.
//! Keys come from the configuration alone, and each is pinned to one algorithm:
//! a token never chooses how it is checked. [`TicketKeys`] seal what clients take a
//! session up again with.

mod claims;
mod identity;
mod key;
mod key_config;
mod key_set;
mod labels;
mod pattern;
mod signer;
mod ticket;
mod verifier;

pub use identity::{Identity, Permission, Permissions};
pub use key::{KeyError, KeyPair};
pub use key_config::{Algorithm, KeyConfig, KeyMaterial};
pub use key_set::{KeySet, KeySetError};
pub use labels::{LabelError, Labels};
pub use pattern::{Pattern, PatternError, Patterns};
pub use signer::{NewToken, Signer};
pub use ticket::{Ticket, TicketError, TicketKey, TicketKeys};
pub use verifier::{TokenError, Verifier, VerifierConfig};
