//! Waiting for what must happen, never for time to pass.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep, timeout};

/// How long anything may take. Never reached unless something is broken, so it
/// is generous: machines that run tests are shared and slow.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Pause between two looks of [`eventually`].
const POLL: Duration = Duration::from_millis(5);

/// Awaits `future`; `what` names it should it fail.
///
/// # Panics
/// After [`DEADLINE`].
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {DEADLINE:?} in vain for {what}"),
    }
}

/// Looks at `condition` until it holds; `what` names it should it never.
///
/// # Panics
/// After [`DEADLINE`].
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(
            Instant::now() < end,
            "waited {DEADLINE:?} in vain until {what}"
        );
        sleep(POLL).await;
    }
}
