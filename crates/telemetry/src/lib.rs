//! Tracing set-up, the metrics recorder, the exporter of traces and the admin HTTP server.
//!
//! A leaf: it knows nothing of what it observes. Parts register conditions with
//! [`Health`] and record through the `metrics` facade.

mod admin;
mod chain;
mod health;
mod logs;
mod metrics;
mod recorder;
mod traces;

pub use admin::{Admin, BindError, Page};
pub use chain::chain;
pub use health::{Condition, Health};
pub use logs::{LogFormat, LogFormatError, LogsError, init_tracing};
pub use recorder::{Metrics, RecorderTaken};
pub use traces::{Traces, TracesConfig, TracesError};
