//! Until when a call may wait: what its request asks for and what its own
//! `grpc-timeout` leaves, whichever ends first.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Status, metadata::MetadataMap};

use crate::status::invalid;

/// What gateways get to answer unless the caller says otherwise. They answer in
/// milliseconds; the rest is patience with a slow network.
pub(crate) const DEFAULT: Duration = Duration::from_secs(5);

/// Longest wait that a request may ask for.
const MAX: Duration = Duration::from_secs(60);

/// Until when a request waits that does not say.
pub(crate) fn of(metadata: &MetadataMap) -> Instant {
    Instant::now() + within(DEFAULT, metadata)
}

/// Until when a request waits that may say how long.
///
/// # Errors
/// If it is not above zero, or longer than a minute.
pub(crate) fn asked(
    timeout: Option<prost_types::Duration>,
    metadata: &MetadataMap,
) -> Result<Instant, Status> {
    Ok(Instant::now() + within(wanted(timeout)?, metadata))
}

fn wanted(timeout: Option<prost_types::Duration>) -> Result<Duration, Status> {
    let Some(timeout) = timeout else {
        return Ok(DEFAULT);
    };
    Duration::try_from(timeout)
        .ok()
        .filter(|timeout| !timeout.is_zero() && *timeout <= MAX)
        .ok_or_else(|| invalid("timeout", "must be above zero and at most 60 s"))
}

/// A tenth of the caller's time is kept for the way back: an answer that says
/// what is known must arrive before the caller gives up.
fn within(wanted: Duration, metadata: &MetadataMap) -> Duration {
    let left = metadata
        .get("grpc-timeout")
        .and_then(|value| parse(value.to_str().ok()?));
    left.map_or(wanted, |left| wanted.min(left * 9 / 10))
}

/// `TimeoutValue TimeoutUnit` of the gRPC protocol: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_timeout(text: &'static str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", text.parse().expect("ascii"));
        metadata
    }

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn the_earlier_of_both_deadlines_holds() {
        assert_eq!(within(DEFAULT, &MetadataMap::new()), DEFAULT);
        assert_eq!(within(DEFAULT, &with_timeout("1H")), DEFAULT);
        assert_eq!(
            within(DEFAULT, &with_timeout("1000m")),
            Duration::from_millis(900)
        );
    }

    #[test]
    fn timeouts_are_above_zero_and_at_most_a_minute() {
        assert_eq!(wanted(None).ok(), Some(DEFAULT));
        assert_eq!(wanted(seconds(60)).ok(), Some(MAX));
        for timeout in [seconds(0), seconds(-1), seconds(61)] {
            assert!(wanted(timeout).is_err(), "{timeout:?}");
        }
    }

    #[test]
    fn malformed_grpc_timeouts_are_ignored() {
        for text in ["", "S", "5", "5x", "123456789S", "-1S"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
