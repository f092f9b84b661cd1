//! The life of wills, as messages for backends.
//!
//! A step has one id, whoever tells it and however often: the log keeps it once.

use bus::{Outgoing, Revision, Subject};
use prost::Message;
use prost_types::Timestamp;
use wire::{
    control::{self, WillEvent, WillEventKind, WillOutcome, WillState},
    gateway::{Will, will::State},
};

use crate::will;

/// Where all steps are told: `tg.ev.will.<kind>`.
pub const EVENTS_PATTERN: &str = "tg.ev.will.*";

/// A step in the life of a will.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Armed,
    Refreshed,
    Cancelled,
    Lost,
    Returned,
    Fired {
        outcome: WillOutcome,
        message: String,
    },
    Failed {
        message: String,
    },
}

// === impl Step ===

impl Step {
    /// The message that tells it. `revision` is of the entry that it led to.
    pub(crate) fn message(self, will: &Will, revision: Revision, now_ms: i64) -> Outgoing {
        let (kind, word) = self.kind();
        let event_id = match self {
            // What may happen to one will repeatedly.
            Self::Refreshed | Self::Lost | Self::Returned => {
                format!("{}.{word}.{}", will.will_id, revision.0)
            }
            Self::Armed | Self::Cancelled => format!("{}.{word}", will.will_id),
            // One of both, once.
            Self::Fired { .. } | Self::Failed { .. } => format!("{}.ended", will.will_id),
        };
        let cause = match (&self, will::lost(will)) {
            (Self::Lost, Some(lost)) => lost.cause.clone(),
            _ => String::new(),
        };
        let (outcome, message) = match self {
            Self::Fired { outcome, message } => (outcome, message),
            Self::Failed { message } => (WillOutcome::Unspecified, message),
            _ => (WillOutcome::Unspecified, String::new()),
        };
        let event = WillEvent {
            event_id: event_id.clone(),
            kind: kind.into(),
            at: Some(timestamp(now_ms)),
            will: describe(will),
            cause,
            outcome: outcome.into(),
            message,
        };
        Outgoing {
            subject: Subject::new(&format!("tg.ev.will.{word}")).expect("made of tokens"),
            payload: event.encode_to_vec().into(),
            key: Box::default(),
            published_at_us: 0,
            message_id: event_id.into(),
            traceparent: Box::default(),
        }
    }

    fn kind(&self) -> (WillEventKind, &'static str) {
        match self {
            Self::Armed => (WillEventKind::Armed, "armed"),
            Self::Refreshed => (WillEventKind::Refreshed, "refreshed"),
            Self::Cancelled => (WillEventKind::Cancelled, "cancelled"),
            Self::Lost => (WillEventKind::Lost, "lost"),
            Self::Returned => (WillEventKind::Returned, "returned"),
            Self::Fired { .. } => (WillEventKind::Fired, "fired"),
            Self::Failed { .. } => (WillEventKind::Failed, "failed"),
        }
    }
}

/// What backends may know of a will: all but its payload.
pub(crate) fn describe(will: &Will) -> Option<control::Will> {
    let state = match &will.state {
        None => WillState::Armed,
        Some(State::Lost(_)) => WillState::Lost,
        Some(State::Firing(_)) => WillState::Firing,
        Some(State::Fired(_)) => WillState::Fired,
        Some(State::Cancelled(_)) => return None,
    };
    Some(control::Will {
        will_id: will.will_id.clone(),
        user: will.user.clone(),
        session_id: will.session_id.clone(),
        connection_id: will.connection_id.clone(),
        route: will.route.clone(),
        grace_ms: will.grace_ms,
        armed_at: Some(timestamp(will.armed_at_ms)),
        state: state.into(),
        lost_at: will::lost(will).map(|lost| timestamp(lost.at_ms)),
    })
}

fn timestamp(unix_ms: i64) -> Timestamp {
    Timestamp {
        seconds: unix_ms.div_euclid(1_000),
        nanos: i32::try_from(unix_ms.rem_euclid(1_000)).unwrap_or_default() * 1_000_000,
    }
}
