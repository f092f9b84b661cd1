//! The control plane's metrics.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_control_calls_total` | `service`, `method`, `code` | calls ended, by gRPC status; a caller that went away counts as `cancelled` |
//! | `tidegate_control_call_seconds` | `service`, `method` | how long unary calls took |
//! | `tidegate_control_publications_total` | `result` | publications: `ok`, `failed` (refused ones included) |

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use metrics::{Counter, Histogram, counter, histogram};
use tonic::{Code, Response, Status};

/// Status codes of gRPC, from OK to UNAUTHENTICATED.
const CODES: usize = 17;

/// Counts publications.
#[derive(Clone)]
pub(crate) struct Publications {
    ok: Counter,
    failed: Counter,
}

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

fn label(code: Code) -> &'static str {
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
