//! Requests with a deadline on this side, and those with an idempotency key
//! again and again until it.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};
use wire::client::{ErrorCode, Request};

use crate::{client::Client, error::Error, in_flight::Operation};

/// What a deadline is stretched by on this side, so that the gateway's answer,
/// which says more, has time to arrive.
const GRACE: Duration = Duration::from_secs(1);

/// Between two tries: doubled each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(2);

impl Client {
    /// Repeats the request until it has a definite outcome; the last failure if
    /// the deadline is sooner.
    pub(crate) async fn request_until(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let mut most = FIRST_PAUSE;
        loop {
            let answer = self.request_once(request.clone(), deadline).await;
            // Half of it at least, so that the gateway is not asked in a rush.
            let pause = most.mul_f64(0.5 + fastrand::f64() / 2.0);
            let has_time = Instant::now() + pause < deadline;
            match answer {
                Err(error) if error.retryable() && has_time => sleep(pause).await,
                answer => return answer,
            }
            most = (most * 2).min(LAST_PAUSE);
        }
    }

    /// Sends the request with the time that is left.
    pub(crate) async fn request_once(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<Bytes, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would be the route's default.
        let deadline_ms = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        let request = Request {
            deadline_ms,
            ..request
        };
        let answer = self.perform(|reply| Operation::Request(request, reply));
        timeout_at(deadline + GRACE, answer)
            .await
            .unwrap_or_else(|_| Err(Error::of_code(ErrorCode::DeadlineExceeded)))
    }
}
