//! Who listens to what on one shard, and what each connection has yet to be
//! written: subscriptions, outboxes and the policy for slow connections.
//!
//! Sans-I/O: a [`Hub`] reads no clock, writes no socket and logs nothing. It is
//! told what happened, keeps bytes ready for writing, and returns [`Fact`]s.
//! It belongs to one thread, so what many outboxes share is counted without
//! atomics.

mod backlog;
mod channel;
mod chunk;
mod class;
mod explain;
mod fact;
mod feeding;
mod following;
mod frame;
mod gap;
mod hub;
mod item;
mod log_read;
mod losses;
mod member;
mod newest;
mod outbox;
mod place;
mod policy;
mod pressure;
mod publication;
mod queue;
mod recovery;
mod run;
mod sending;
mod snapshot;
mod subscription;
mod verdict;

pub use channel::Source;
pub use class::{Account, Class, Rate, Share};
pub use explain::{Departure, DepartureKind, Lane, Listening, Lot, WaitsFor};
pub use fact::{Fact, Receipt, Totals};
pub use hub::{AlreadySubscribed, Hub, Left, NotSubscribed};
pub use log_read::{LogPage, LogRead, ReadOutcome};
pub use losses::Loss;
pub use member::MemberId;
pub use outbox::{ITEM_OVERHEAD, Outbox};
pub use place::Place;
pub use policy::{BacklogLimits, DeliveryPolicy, OutboxLimits, Overflow};
pub use publication::EncodedPublication;
pub use snapshot::{frame, frames};
pub use verdict::{Answer, Entrance, Start, Ticket, Verdict};
