//! A will as it is read from the table and written there.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bus::{Bus, BusError, BusExt, Entry, Expect, Put, Revision, Subject};
use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;
use wire::{
    SessionId, UserId,
    gateway::{CancelledWill, FiringWill, LostSession, Will, will::State},
};

use crate::{WILLS, event::Step, metrics};

/// An entry of the table.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) key: Subject,
    pub(crate) will: Will,
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) revision: Revision,
}

/// The time of day that runs with tokio's clock: tests can pause it, and it never
/// jumps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_at: Duration,
}

// === impl Kept ===

impl Kept {
    /// Reads an entry; `None`: nobody of ours has written it.
    pub(crate) fn read(entry: Entry) -> Option<Self> {
        let read = || {
            let will = Will::decode(entry.value.clone()).ok()?;
            let user = UserId::new(&will.user)?;
            let session = will.session_id.parse().ok()?;
            Some((will, user, session))
        };
        let Some((will, user, session)) = read() else {
            metrics::malformed().increment(1);
            return None;
        };
        Some(Self {
            key: entry.key,
            will,
            user,
            session,
            revision: entry.revision,
        })
    }

    /// The will under this key.
    pub(crate) async fn find(bus: &dyn Bus, key: &Subject) -> Result<Option<Self>, BusError> {
        let entries = bus.look_up(WILLS, vec![key.clone().into()]).await?;
        Ok(entries.into_iter().next().and_then(Self::read))
    }

    /// Writes the will over what was read; [`BusError::Conflict`] if somebody was
    /// faster.
    pub(crate) async fn write(&mut self, bus: &dyn Bus, now_ms: i64) -> Result<(), BusError> {
        let expect = Expect::At(self.revision);
        self.revision = write(bus, &self.key, &self.will, expect, now_ms).await?;
        Ok(())
    }

    /// Writes that it will not be fired, likewise.
    pub(crate) async fn cancel(&mut self, bus: &dyn Bus, now_ms: i64) -> Result<(), BusError> {
        let mut cancelled = self.clone();
        cancelled.will.payload.clear();
        cancelled.will.state = Some(State::Cancelled(CancelledWill { at_ms: now_ms }));
        cancelled.write(bus, now_ms).await?;
        self.revision = cancelled.revision;
        Ok(())
    }

    /// Whether there is nothing to be done about it any more.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.will.state, Some(State::Fired(_) | State::Cancelled(_)))
    }

    /// Tells a step.
    pub(crate) async fn tell(
        &self,
        bus: &dyn Bus,
        step: Step,
        now_ms: i64,
    ) -> Result<(), BusError> {
        let message = step.message(&self.will, self.revision, now_ms);
        bus.send(message).await.map(drop)
    }

    /// How the session was lost, where that is known.
    pub(crate) fn lost(&self) -> Option<&LostSession> {
        lost(&self.will)
    }

    /// How long the session may be without a connection.
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.will.grace_ms.into())
    }

    /// How long a worker may take.
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.will.deadline_ms.into())
    }
}

/// How the session of a will was lost.
pub(crate) fn lost(will: &Will) -> Option<&LostSession> {
    match will.state.as_ref()? {
        State::Lost(lost) => Some(lost),
        State::Firing(FiringWill { lost, .. }) => lost.as_ref(),
        State::Fired(_) | State::Cancelled(_) => None,
    }
}

/// Writes a will.
pub(crate) async fn write(
    bus: &dyn Bus,
    key: &Subject,
    will: &Will,
    expect: Expect,
    now_ms: i64,
) -> Result<Revision, BusError> {
    let will = Will {
        written_at_ms: now_ms,
        ..will.clone()
    };
    let put = Put {
        table: WILLS,
        key: key.clone(),
        value: Bytes::from(will.encode_to_vec()),
        expect,
    };
    bus.write(put).await
}

// === impl Clock ===

impl Clock {
    pub(crate) fn start() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started: Instant::now(),
            started_at: now.unwrap_or_default(),
        }
    }

    /// Unix time in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        let now = self.started_at + self.started.elapsed();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }
}
