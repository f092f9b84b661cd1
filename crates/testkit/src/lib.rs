//! The language of end-to-end tests: scripted clients that may break every
//! rule, tokens, real nats-servers, a proxy that cuts off, and waiting with a
//! deadline.
//!
//! Made for tests, so whatever does not happen panics and says what was
//! expected and what came instead. Every wait ends after [`DEADLINE`].

mod client;
mod cluster;
mod collector;
mod dial;
mod events;
mod expect;
mod nats;
mod plain;
mod process;
mod proxy;
mod throttle;
mod tokens;
mod wait;

pub use client::{Close, Frame, RawClient};
pub use cluster::{Cluster, Layout};
pub use collector::{Collector, SeenSpan};
pub use dial::{Dial, HttpAnswer};
pub use events::{
    ack, arm_will, cancel, disarm_will, hello, hello_again, history, ping, presence, publish,
    refresh, request, request_within, set_subscription, signal_connection, signal_session,
    signal_user, subscribe, subscribe_since, subscribe_told, unsubscribe,
};
pub use nats::{NatsCluster, NatsServer, RawMessage, RawNats};
pub use plain::{EventStream, Plain, SentEvent, server_events};
pub use process::{AdminAnswer, Process};
pub use proxy::Proxy;
pub use throttle::{Rate, Throttled};
pub use tokens::{Tokens, forge_hs256};
pub use wait::{DEADLINE, eventually, within};
