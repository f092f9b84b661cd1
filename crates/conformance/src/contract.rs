//! How a client is told what to do, and tells what it saw: a JSON object a line.
//!
//! `docs/protocol.md` explains each to authors of SDKs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One line to the program of the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// Make a client. Each time that the SDK asks for a token it gets another one:
    /// `token-1`, `token-2`, …
    Connect {
        /// `ws://…/v1/ws`.
        url: String,
    },
    /// Subscribe, without options.
    Subscribe {
        /// Name of the channel.
        channel: String,
    },
    /// Publish, and report the answer.
    Publish {
        /// Stands in the answer's report.
        call: u32,
        /// Name of the channel.
        channel: String,
        /// UTF-8.
        payload: String,
        /// Empty: none.
        #[serde(default)]
        publication_id: String,
    },
    /// Call a route, and report the answer.
    Request {
        /// Stands in the answer's report.
        call: u32,
        /// Name of the route.
        route: String,
        /// UTF-8.
        payload: String,
        /// Empty: none.
        #[serde(default)]
        idempotency_key: String,
    },
    /// Close the client for good.
    Close,
}

/// Where a client says that it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A connection is being made, or will be.
    Connecting,
    /// There is one.
    Connected,
    /// The client will not connect again.
    Closed,
}

/// One line from the program of the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "saw", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Report {
    /// The client stands elsewhere now.
    State {
        /// Where.
        state: State,
        /// With `closed`: the close code.
        #[serde(default)]
        code: u16,
        /// With `closed`: the name of the cause.
        #[serde(default)]
        cause: String,
    },
    /// A subscription stands, for the first time or again.
    Subscribed {
        /// Name of the channel.
        channel: String,
        /// `fresh`, `recovered`, `resnapshot` or `lost`.
        verdict: String,
    },
    /// A publication was delivered.
    Publication {
        /// Name of the channel.
        channel: String,
        /// Zero: the channel keeps no log.
        #[serde(default)]
        offset: u64,
        /// UTF-8.
        #[serde(default)]
        payload: String,
        /// It is of the state that the subscription began with.
        #[serde(default)]
        snapshot: bool,
    },
    /// Publications are missing here.
    Gap {
        /// Name of the channel.
        channel: String,
        /// First offset; zero: not known.
        #[serde(default)]
        from: u64,
        /// Last offset; zero: not known.
        #[serde(default)]
        to: u64,
    },
    /// A subscription has ended without being asked to.
    Ended {
        /// Name of the channel.
        channel: String,
    },
    /// An operation has ended.
    Answer {
        /// As in the task.
        call: u32,
        /// Of a request that succeeded, UTF-8.
        #[serde(default)]
        payload: String,
        /// The name of the gateway's code (`UNKNOWN_ROUTE`), `connection_lost` where
        /// nobody knows whether it was done, or any other word for what the client
        /// itself found. Empty: it succeeded.
        #[serde(default)]
        error: String,
    },
    /// A message to this user was delivered.
    Direct {
        /// Zero: not durable.
        #[serde(default)]
        offset: u64,
        /// UTF-8.
        #[serde(default)]
        payload: String,
    },
    /// Messages to this user are missing here.
    DirectGap {
        /// First offset.
        from: u64,
        /// Last offset.
        to: u64,
    },
    /// The gateway said something that needs no answer.
    Notice {
        /// Its name.
        kind: String,
    },
}

// === impl Report ===

impl Report {
    /// Whether it is of a channel; the order among those counts.
    pub(crate) fn is_of_channel(&self) -> bool {
        matches!(
            self,
            Self::Subscribed { .. }
                | Self::Publication { .. }
                | Self::Gap { .. }
                | Self::Ended { .. }
        )
    }

    /// Whether it is of the messages to this user; likewise.
    pub(crate) fn is_direct(&self) -> bool {
        matches!(self, Self::Direct { .. } | Self::DirectGap { .. })
    }
}

impl fmt::Display for Report {
    /// As scripts name what they expect: `publication 6`, `gap 7-8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { state, .. } => write!(f, "{state:?}"),
            Self::Subscribed { verdict, .. } => write!(f, "subscribed {verdict}"),
            Self::Publication {
                offset: 0, payload, ..
            } => write!(f, "publication {payload}"),
            Self::Publication {
                offset, snapshot, ..
            } => match snapshot {
                true => write!(f, "snapshot {offset}"),
                false => write!(f, "publication {offset}"),
            },
            Self::Gap { from, to, .. } => write!(f, "gap {from}-{to}"),
            Self::Ended { .. } => write!(f, "ended"),
            Self::Answer { call, error, .. } => write!(f, "answer {call} {error}"),
            Self::Direct {
                offset: 0, payload, ..
            } => write!(f, "direct {payload}"),
            Self::Direct { offset, .. } => write!(f, "direct {offset}"),
            Self::DirectGap { from, to } => write!(f, "direct gap {from}-{to}"),
            Self::Notice { kind } => write!(f, "notice {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_the_guide_shows_them() {
        let task = Task::Request {
            call: 1,
            route: "echo".into(),
            payload: "hi".into(),
            idempotency_key: String::new(),
        };
        let line = serde_json::to_string(&task).expect("plain");
        let expected =
            r#"{"do":"request","call":1,"route":"echo","payload":"hi","idempotency_key":""}"#;
        assert_eq!(line, expected);
        let line = r#"{"saw":"publication","channel":"market.a","offset":6}"#;
        let report: Report = serde_json::from_str(line).expect("the rest has defaults");
        assert_eq!(report.to_string(), "publication 6");
    }

    #[test]
    fn the_guide_names_every_task_and_report() {
        let guide = include_str!("../../../docs/protocol.md");
        let tasks = ["connect", "subscribe", "publish", "request", "close"];
        let reports = [
            "state",
            "subscribed",
            "publication",
            "gap",
            "ended",
            "answer",
            "direct",
            "direct_gap",
            "notice",
        ];
        for name in tasks {
            assert!(guide.contains(&format!(r#"{{"do":"{name}""#)), "{name}");
        }
        for name in reports {
            assert!(guide.contains(&format!(r#"{{"saw":"{name}""#)), "{name}");
        }
    }
}
