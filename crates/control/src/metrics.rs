//! The control plane's metrics.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_control_calls_total` | `service`, `method`, `code` | calls ended, by gRPC status; a caller that went away counts as `cancelled` |
//! | `tidegate_control_call_seconds` | `service`, `method` | how long unary calls took |
//! | `tidegate_control_denied_total` | `reason` | calls denied before they began: `missing_credentials`, `unknown_key`, `unknown_certificate`, `scope_too_small`, `unknown_method` |
//! | `tidegate_control_handshakes_failed_total` | | TLS handshakes of callers that failed or took too long |
//! | `tidegate_control_publications_total` | `result` | publications: `ok`, `failed` (refused ones included) |
//! | `tidegate_control_commands_total` | `outcome` | commands to gateways: `ok`, `gone` (the gateway has ended), `timeout`, `unreachable`, `failed` |
//! | `tidegate_control_command_seconds` | | how long gateways took to answer, those that did |
//! | `tidegate_control_receipts_total` | `outcome` | what became of sent messages, by connection: the level reached, or `refused`, `gone`, `timeout` |
//! | `tidegate_control_watches` | | streams of Watch that are open |
//! | `tidegate_control_watch_events_total` | `result` | events for watchers, each for each: `queued`, `missed` (its queue was full, or the bus lost it) |

use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use tonic::{Code, Response, Status};
use wire::control::{DeliveryLevel, SendReceipt};

use crate::gateways::GatewayError;

/// Status codes of gRPC, from OK to UNAUTHENTICATED.
const CODES: usize = 17;

/// Counts publications.
#[derive(Clone)]
pub(crate) struct Publications {
    ok: Counter,
    failed: Counter,
}

/// Counts commands to gateways.
pub(crate) struct Commands {
    ok: Counter,
    gone: Counter,
    timeout: Counter,
    unreachable: Counter,
    failed: Counter,
    seconds: Histogram,
}

/// Counts what became of sent messages.
pub(crate) struct Receipts {
    enqueued: Counter,
    written: Counter,
    acknowledged: Counter,
    refused: Counter,
    gone: Counter,
    timeout: Counter,
}

/// Counts watches and their events.
#[derive(Clone)]
pub(crate) struct Watched {
    open: Gauge,
    pub(crate) queued: Counter,
    pub(crate) missed: Counter,
}

/// A watch that is open, until dropped.
pub(crate) struct Open(Gauge);

/// Counts the calls of one method.
pub(crate) struct Method {
    service: &'static str,
    method: &'static str,
    seconds: Histogram,
    // Resolved when a code is first seen: most never are, and each would be an
    // empty series.
    codes: [OnceLock<Counter>; CODES],
}

/// A call under way; counted when dropped.
pub(crate) struct Call {
    method: Arc<Method>,
    code: Code,
}

// === impl Publications ===

impl Publications {
    pub(crate) fn new() -> Self {
        let result = |label: &'static str| counter!("tidegate_control_publications_total", "result" => label);
        Self {
            ok: result("ok"),
            failed: result("failed"),
        }
    }

    pub(crate) fn count(&self, ok: usize, failed: usize) {
        self.ok.increment(ok as u64);
        self.failed.increment(failed as u64);
    }
}

// === impl Commands ===

impl Commands {
    pub(crate) fn new() -> Self {
        let outcome =
            |label: &'static str| counter!("tidegate_control_commands_total", "outcome" => label);
        Self {
            ok: outcome("ok"),
            gone: outcome("gone"),
            timeout: outcome("timeout"),
            unreachable: outcome("unreachable"),
            failed: outcome("failed"),
            seconds: histogram!("tidegate_control_command_seconds"),
        }
    }

    pub(crate) fn count<T>(&self, outcome: &Result<T, GatewayError>, took: Duration) {
        let counter = match outcome {
            Ok(_) => &self.ok,
            Err(GatewayError::Gone) => &self.gone,
            Err(GatewayError::Timeout) => &self.timeout,
            Err(GatewayError::Unreachable(_)) => &self.unreachable,
            Err(GatewayError::Malformed | GatewayError::Failed(_)) => &self.failed,
        };
        counter.increment(1);
        if outcome.is_ok() {
            self.seconds.record(took);
        }
    }
}

// === impl Receipts ===

impl Receipts {
    pub(crate) fn new() -> Self {
        let outcome =
            |label: &'static str| counter!("tidegate_control_receipts_total", "outcome" => label);
        Self {
            enqueued: outcome("enqueued"),
            written: outcome("written"),
            acknowledged: outcome("acknowledged"),
            refused: outcome("refused"),
            gone: outcome("gone"),
            timeout: outcome("timeout"),
        }
    }

    /// Counts so many connections with this receipt.
    pub(crate) fn count(&self, receipt: &SendReceipt, connections: u64) {
        let counter = match (&*receipt.failure, receipt.level()) {
            ("timeout", _) => &self.timeout,
            ("gone", _) => &self.gone,
            ("", DeliveryLevel::Enqueued) => &self.enqueued,
            ("", DeliveryLevel::Written) => &self.written,
            ("", DeliveryLevel::Acknowledged) => &self.acknowledged,
            _ => &self.refused,
        };
        counter.increment(connections);
    }
}

// === impl Watched ===

impl Watched {
    pub(crate) fn new() -> Self {
        let result = |label: &'static str| counter!("tidegate_control_watch_events_total", "result" => label);
        Self {
            open: gauge!("tidegate_control_watches"),
            queued: result("queued"),
            missed: result("missed"),
        }
    }

    /// Counts a watch as open until the guard is dropped.
    pub(crate) fn open(&self) -> Open {
        self.open.increment(1);
        Open(self.open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

// === impl Method ===

impl Method {
    pub(crate) fn new(service: &'static str, method: &'static str) -> Arc<Self> {
        Arc::new(Self {
            service,
            method,
            seconds: histogram!(
                "tidegate_control_call_seconds", "service" => service, "method" => method
            ),
            codes: [const { OnceLock::new() }; CODES],
        })
    }

    /// Runs a unary call, counts it and takes its time.
    pub(crate) async fn observe<T>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<Response<T>, Status> {
        let mut call = self.start();
        let started = Instant::now();
        let result = work.await;
        self.seconds.record(started.elapsed());
        call.end(result.as_ref().map_or_else(Status::code, |_| Code::Ok));
        result.map(Response::new)
    }

    /// Begins a call that is counted when it is dropped.
    pub(crate) fn start(self: &Arc<Self>) -> Call {
        Call {
            method: self.clone(),
            code: Code::Cancelled,
        }
    }

    fn count(&self, code: Code) {
        let resolve = || {
            counter!(
                "tidegate_control_calls_total",
                "service" => self.service, "method" => self.method, "code" => label(code)
            )
        };
        self.codes[code as usize].get_or_init(resolve).increment(1);
    }
}

// === impl Call ===

impl Call {
    /// Says how the call ended.
    pub(crate) fn end(&mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.method.count(self.code);
    }
}

/// A status code in words.
pub(crate) fn label(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}
