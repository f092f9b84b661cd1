//! Who listens to what on one shard, and what each connection has yet to be
//! written: subscriptions, outboxes and the policy for slow connections.
//!
//! Sans-I/O: a [`Hub`] reads no clock, writes no socket and logs nothing. It is
//! told what happened, keeps bytes ready for writing, and returns [`Fact`]s.
//! It belongs to one thread, so what many outboxes share is counted without
//! atomics.

mod channel;
mod chunk;
mod fact;
mod frame;
mod gap;
mod hub;
mod member;
mod outbox;
mod policy;
mod publication;
mod queue;

pub use fact::{Fact, Receipt, Totals};
pub use hub::{AlreadySubscribed, Hub, Left};
pub use member::MemberId;
pub use outbox::{ITEM_OVERHEAD, Outbox};
pub use policy::{DeliveryPolicy, OutboxLimits, Overflow};
pub use publication::EncodedPublication;
