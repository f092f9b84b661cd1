//! Real nats-servers as child processes, and a client that knows only the
//! protocol's text, as a stranger's program would.

mod cluster;
mod raw;
mod server;

pub use cluster::NatsCluster;
pub use raw::{RawMessage, RawNats};
pub use server::NatsServer;
