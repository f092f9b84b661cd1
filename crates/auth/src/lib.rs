//! Tokens, keys and permissions.
//!
//! A client proves who it is with a signed token (JWT, RFC 7519). A [`Verifier`]
//! turns it into an [`Identity`], or says why not; a [`Signer`] makes tokens.
//! Where keys come from is not known here; each is pinned to one algorithm: a
//! token never chooses how it is checked. [`TicketKeys`] seal what clients take a
//! session up again with, and [`Handle`]s; [`SigningKeys`] are those that sign, as they come and go.

mod api_key;
mod claims;
mod handle;
mod identity;
mod jwk;
mod key;
mod key_config;
mod key_set;
mod labels;
mod limits;
mod pattern;
mod signer;
mod signing_keys;
mod statement;
mod ticket;
mod verifier;

pub use api_key::{ApiKey, ApiKeyHash};
pub use handle::Handle;
pub use identity::{Identity, Permission, Permissions};
pub use jwk::PublicKeysError;
pub use key::{KeyError, KeyPair};
pub use key_config::{Algorithm, KeyConfig, KeyMaterial};
pub use key_set::{KeySet, KeySetError};
pub use labels::{LabelError, Labels};
pub use limits::{RateClass, RateClassError, TokenLimits};
pub use pattern::{Pattern, PatternError, Patterns};
pub use signer::{NewToken, Signer};
pub use signing_keys::{Rotation, SigningKey, SigningKeys};
pub use statement::{Ceilings, Statement};
pub use ticket::{Ticket, TicketError, TicketKey, TicketKeys};
pub use verifier::{
    IssuerId, MAX_TOKEN_ID_BYTES, TokenError, Verifier, VerifierConfig, is_opaque, token_digest,
};
