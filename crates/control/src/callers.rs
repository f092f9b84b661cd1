//! Who may call, and what for: credentials, scopes, the one check before every
//! service, and what is written down of it.

mod audit;
mod call;
mod credentials;
mod guard;
mod methods;
mod scopes;

pub(crate) use self::{call::Caller, credentials::Peer, guard::GuardLayer};
pub use self::{
    credentials::{ClientCredential, Credentials, KeyCredential},
    scopes::{CallScope, CallScopes, ScopeError},
};
