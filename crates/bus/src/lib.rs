//! The bus: how gateways, control planes and workers reach each other.
//!
//! [`Bus`] is a port with two adapters: [`MemoryBus`] within one process, and
//! [`NatsBus`]. Each passes the suite in [`contract`] unchanged. [`BusExt`] offers the port's
//! operations as futures, for code that may wait.

pub mod contract;
mod ext;
mod memory;
mod metrics;
mod nats;
mod origin;
mod port;
mod subject;

pub use ext::BusExt;
pub use memory::{MemoryBus, MemoryLimits};
pub use nats::{NatsBus, NatsCredentials, NatsError, NatsOptions, NatsTls};
pub use origin::Origin;
pub use port::{
    Bus, BusError, BusState, Done, Entry, Expect, Handler, HistoryPage, HistoryRead, Incoming, Log,
    LogLimits, Message, Outgoing, Position, Published, Put, ReadFrom, Remove, Reply, Request,
    RequestContext, RequestToken, Responder, Revision, Service, Sink, Subscribed,
    SubscriptionToken, Table, TableSpec, WorkerFailure,
};
pub use subject::{Pattern, Subject, SubjectError};
