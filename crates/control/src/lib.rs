//! The control plane: how backend services publish to channels, send to users,
//! see who is connected and issue tokens, by gRPC.
//!
//! [`Control`] serves `tidegate.control.v1` with health and reflection. It holds
//! no state of its own: publications go to the bus, and everything that concerns
//! connections is asked of the gateways that a [`Directory`] names. Replicas are
//! equal. [`client`] is the way in for Rust callers.

pub mod client;

mod auth;
mod callers;
mod channel_service;
mod channels;
mod config;
mod connections;
mod deadline;
mod directory;
mod durable;
mod explain;
mod findings;
mod gateway_service;
mod gateways;
mod generated;
mod list;
mod meant;
mod metrics;
mod publish;
mod publish_batch;
mod publish_stream;
mod revoking;
mod send;
mod server;
mod socket;
mod status;
mod tls;
mod trace;
mod watch;
mod will_service;

pub use callers::{
    CallScope, CallScopes, ClientCredential, Credentials, KeyCredential, ScopeError,
};
pub use config::{ControlConfig, Lifetimes};
pub use directory::Directory;
pub use server::{Control, ControlDeps, ControlError};
pub use tls::{TlsError, TlsFiles};
