//! The Rust client SDK.
//!
//! ```no_run
//! use client::{Client, SubscriptionEvent};
//! use futures_util::StreamExt;
//!
//! # async fn example() -> Result<(), client::Error> {
//! let client = Client::builder("ws://127.0.0.1:7400/v1/ws")
//!     .token("eyJ…")
//!     .connect()
//!     .await?;
//!
//! let answer = client.request("echo", "hello").await?;
//! client.publish("chat.lobby", answer).await?;
//!
//! let mut ticks = client.subscribe("market.BTC-USD").await?;
//! while let Some(event) = ticks.next().await {
//!     match event {
//!         SubscriptionEvent::Publication(tick) => println!("{}", tick.offset),
//!         SubscriptionEvent::Gap(gap) => println!("{} missing", gap.dropped),
//!         other => println!("{other:?}"),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] reconnects by itself, with full-jitter exponential back-off (200 ms
//! to 20 s, never before the gateway's own `retry_after`), until it is closed or the
//! gateway says that coming back makes no sense. It subscribes again to everything,
//! from the positions held. What is not delivered is reported, always: by
//! [`SubscriptionEvent::Gap`] and [`SubscriptionEvent::Resubscribed`].
//!
//! When a gateway is going away and says so, the client opens a connection to
//! another one first, subscribes there to everything, goes over, and then leaves
//! the old one. Nothing is lost or delivered twice meanwhile, on channels with a
//! log and without; should the old connection die too early, that is reported as
//! after any reconnect.
//!
//! Operations wait while there is no connection or the window that the gateway
//! grants is full. One that was sent and not answered when its connection was lost
//! fails with [`Error::ConnectionLost`], unless an idempotency key, a publication id
//! or [`PublishOptions::retry`] makes it safe to repeat: then it is repeated. A request with a key and a deadline
//! is repeated after every failure that may pass, until then.
//!
//! One client is the only one of its session: should another connection take the
//! session over, the client ends with `session_replaced` (4009) instead of taking it
//! back.

mod acks;
mod backoff;
mod batch;
mod builder;
mod chain;
mod client;
mod connection;
mod direct;
mod error;
mod exchange;
mod feed;
mod greeting;
mod history;
mod in_flight;
mod ledger;
mod line;
mod link;
mod moving;
mod notices;
mod presence;
mod queue;
mod renewal;
mod repeating;
mod signals;
mod socket;
mod state;
mod subscription;
mod subscriptions;
mod tls;
mod will;

pub use builder::Builder;
pub use client::{Accepted, Client, PublishOptions, RequestOptions, SubscribeOptions};
pub use direct::{Direct, DirectEvent, DirectMessages};
pub use error::Error;
pub use history::{History, HistoryPage, Position};
pub use notices::{Notice, Notices};
pub use presence::{Member, Presence};
pub use signals::{Addressee, Signal, Signals};
pub use state::{Ending, State};
pub use subscription::{Gap, GapCause, Publication, Subscription, SubscriptionEvent, Verdict};
pub use wire::client::ErrorCode;
