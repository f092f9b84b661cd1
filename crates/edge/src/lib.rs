//! The edge: client connections, from accept to close.
//!
//! Two kinds of threads. The *front* runs on the process's tokio runtime: it
//! accepts, reads the HTTP head, checks the upgrade and verifies tokens. Each
//! *shard* is a thread that owns its connections outright and polls their
//! sockets itself; the front hands it a socket once the upgrade is answered.
//! They share [`gateway::Gateway`] and talk by [`mailbox::Mailbox`].

mod acks;
mod allowance;
mod authenticate;
mod budget;
mod clock;
mod command;
mod config;
mod desks;
mod drain;
mod edge;
mod fallback;
mod fanout;
mod fencing;
mod front;
mod gateway;
mod hook;
mod mailbox;
mod metrics;
mod namespace;
mod parties;
mod past;
mod peers;
mod refreshing;
mod revoking;
mod route;
mod shard;
mod table;
mod tcp;
mod trace;
mod transport;
mod user_limit;
mod wills;

pub use allowance::UpstreamRates;
pub use config::{EdgeConfig, SessionLimits};
pub use drain::{Drain, DrainPlan, DrainStage};
pub use edge::{Edge, EdgeError};
pub use front::{AdmissionLimits, FlappingLimits, Proxies};
pub use hook::HookPolicy;
pub use namespace::{Access, BreakerPolicy, FanoutMode, NamespacePolicy, Policies, RoutePolicy};
pub use user_limit::{UserLimit, WhenFull};
pub use wills::WillLimits;
