//! The audit log: one line for each administrative call and each denied one, with
//! target `audit`. Who, what, about whom, from where, and how it ended; never a
//! payload, a token or a key.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use metrics::counter;
use parking_lot::Mutex;
use tonic::Code;

use super::Caller;

/// Lines about denied calls in a second: whoever knocks without a key must not
/// fill the disk. Metrics count all.
const MAX_DENIALS: u32 = 100;

/// An administrative call under way; written down when it ends, or when its caller
/// goes away.
pub(super) struct Record {
    caller: Caller,
    method: Box<str>,
    peer: Option<SocketAddr>,
    started: Instant,
    code: Code,
}

/// Writes down denied calls, not too many.
#[derive(Default)]
pub(super) struct Denials(Mutex<Second>);

/// What was written in the current second.
#[derive(Default)]
struct Second {
    began: Option<Instant>,
    written: u32,
    suppressed: u64,
}

// === impl Record ===

impl Record {
    pub(super) fn begin(caller: Caller, method: &str, peer: Option<SocketAddr>) -> Self {
        Self {
            caller,
            method: method.into(),
            peer,
            started: Instant::now(),
            code: Code::Cancelled,
        }
    }

    /// Says how the call ended.
    pub(super) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        tracing::info!(
            target: "audit",
            caller = self.caller.name(),
            method = &*self.method,
            subject = self.caller.subject(),
            peer = peer(self.peer),
            outcome = outcome(self.code),
            seconds = self.started.elapsed().as_secs_f64(),
            "call"
        );
    }
}

// === impl Denials ===

impl Denials {
    /// Counts and writes down a denied call. `caller` is empty if nobody knows.
    pub(super) fn write(
        &self,
        caller: &str,
        method: &str,
        address: Option<SocketAddr>,
        code: Code,
        reason: &'static str,
    ) {
        counter!("tidegate_control_denied_total", "reason" => reason.to_ascii_lowercase())
            .increment(1);
        let Some(suppressed) = self.0.lock().take(Instant::now()) else {
            return;
        };
        tracing::warn!(
            target: "audit",
            caller,
            method,
            subject = "",
            peer = peer(address),
            outcome = outcome(code),
            reason,
            suppressed,
            "denied"
        );
    }
}

// === impl Second ===

impl Second {
    /// Whether one more may be written, and how many were not since the last.
    fn take(&mut self, now: Instant) -> Option<u64> {
        let over = |began| now.duration_since(began) >= Duration::from_secs(1);
        if self.began.is_none_or(over) {
            self.began = Some(now);
            self.written = 0;
        }
        if self.written == MAX_DENIALS {
            self.suppressed += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

fn peer(address: Option<SocketAddr>) -> String {
    address.map_or_else(String::new, |address| address.to_string())
}

fn outcome(code: Code) -> &'static str {
    crate::metrics::label(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_denials_is_cut_and_counted() {
        let (mut second, start) = (Second::default(), Instant::now());
        for _ in 0..MAX_DENIALS {
            assert_eq!(second.take(start), Some(0));
        }
        assert_eq!(second.take(start), None);
        assert_eq!(second.take(start + Duration::from_millis(999)), None);
        let later = start + Duration::from_secs(1);
        assert_eq!(second.take(later), Some(2));
        assert_eq!(second.take(later), Some(0));
    }
}
