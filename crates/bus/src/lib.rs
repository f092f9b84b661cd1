//! The bus: how gateways, control planes and workers reach each other.
//!
//! [`Bus`] is a port with one adapter so far, [`MemoryBus`]. Every adapter
//! passes the suite in [`contract`] unchanged. [`BusExt`] offers the port's
//! operations as futures, for code that may wait.

pub mod contract;
mod ext;
mod memory;
mod port;
mod subject;

pub use ext::BusExt;
pub use memory::{MemoryBus, MemoryLimits};
pub use port::{
    Bus, BusError, Done, Handler, HistoryPage, HistoryRead, Incoming, LogLimits, Message, Outgoing,
    Position, Published, Reply, Request, RequestContext, RequestToken, Responder, Sink, Subscribed,
    SubscriptionToken, WorkerFailure,
};
pub use subject::{Pattern, Subject, SubjectError};
