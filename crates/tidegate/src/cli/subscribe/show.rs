//! How the events of a subscriber look: for people on one line each, for scripts
//! as one JSON object each.

use std::{fmt::Display, io};

use client::{Direct, DirectEvent, Gap, GapCause, Publication, State, SubscriptionEvent, Verdict};
use serde_json::{Value, json};

use super::members::Change;
use crate::cli::output::{self, BOLD, DIM, or_dash};

/// In place of a channel's name.
const DIRECT: &str = "(direct)";

/// How publications look.
#[derive(Clone, Copy, Debug)]
pub(super) enum Style {
    /// Columns for people; what is no message goes to stderr.
    Text,
    /// Payloads as they are; all else goes to stderr.
    Raw,
    /// Everything goes to stdout.
    Json,
}

// === impl Style ===

impl Style {
    pub(super) fn new(json: bool, raw: bool) -> Self {
        match (json, raw) {
            (true, _) => Self::Json,
            (false, true) => Self::Raw,
            (false, false) => Self::Text,
        }
    }

    pub(super) fn publication(self, channel: &str, publication: &Publication) -> io::Result<()> {
        match self {
            Self::Text => output::line(as_text(channel, publication)),
            Self::Raw => output::raw_line(&publication.payload),
            Self::Json => output::line(as_json(channel, publication)),
        }
    }

    pub(super) fn direct(self, event: &DirectEvent) -> io::Result<()> {
        let Direct {
            offset, payload, ..
        } = match event {
            DirectEvent::Message(direct) => direct,
            DirectEvent::Gap(gap) => return self.gap(DIRECT, gap),
            _ => return Ok(()),
        };
        let mut object = json!({ "event": "direct", "offset": offset });
        output::put_payload(&mut object, payload);
        let (offset, payload) = (output::offset(*offset), output::payload(payload));
        match self {
            Self::Text => output::line(format_args!(
                "- {BOLD}{DIRECT}{BOLD:#} {offset} - {payload}"
            )),
            Self::Raw | Self::Json => self.say(object, format_args!("{DIRECT} {payload}")),
        }
    }

    /// Who came and who left.
    pub(super) fn members(self, change: &Change) -> io::Result<()> {
        let Change {
            channel,
            joined,
            left,
            sessions,
            users,
            sampled,
        } = change;
        let event = json!({
            "event": "presence",
            "channel": &**channel,
            "joined": joined,
            "left": left,
            "sessions": sessions,
            "users": users,
            "sampled": sampled,
        });
        let signed = |sign: char, users: &[String]| {
            let one = |user: &String| format!("{sign}{} ", output::printable(user));
            users.iter().map(one).collect::<String>()
        };
        let named = match sampled {
            true => String::new(),
            false => signed('+', joined) + &signed('-', left),
        };
        let text = format_args!("{channel}: {named}({sessions} sessions of {users} users)");
        self.say(event, text)
    }

    pub(super) fn subscribed(self, channel: &str) -> io::Result<()> {
        let event = json!({ "event": "subscribed", "channel": channel });
        self.say(event, format_args!("subscribed to {channel}"))
    }

    /// What happens to a subscription besides publications.
    pub(super) fn other(self, channel: &str, event: &SubscriptionEvent) -> io::Result<()> {
        match event {
            SubscriptionEvent::Gap(gap) => self.gap(channel, gap),
            SubscriptionEvent::Resubscribed { verdict } => {
                let (name, meaning) = describe(*verdict);
                let event = json!({ "event": "resubscribed", "channel": channel, "verdict": name });
                self.say(
                    event,
                    format_args!("{channel}: subscribed again, {meaning}"),
                )
            }
            other => {
                let event = json!({ "event": "other", "channel": channel });
                self.say(event, format_args!("{channel}: {other:?}"))
            }
        }
    }

    /// What happens to the connection.
    pub(super) fn state(self, state: &State) -> io::Result<()> {
        match state {
            State::Connected { connection_id, .. } => {
                let event = json!({ "event": "connected", "connection_id": &**connection_id });
                self.say(event, format_args!("connected as {connection_id}"))
            }
            State::Disconnected { cause, retry_in } => {
                let retry_in_ms = retry_in.as_millis() as u64;
                let event = json!({
                    "event": "disconnected",
                    "code": cause.code(),
                    "cause": cause.cause(),
                    "retry_in_ms": retry_in_ms,
                });
                self.say(
                    event,
                    format_args!("disconnected: {cause}; next try in {retry_in_ms} ms"),
                )
            }
            // Neither tells anything: one comes before `Connected`, the other
            // with the end of every subscription.
            State::Connecting | State::Closed { .. } => Ok(()),
        }
    }

    fn gap(self, channel: &str, gap: &Gap) -> io::Result<()> {
        let Gap {
            dropped,
            conflated,
            from,
            to,
            cause,
        } = gap;
        let event = json!({
            "event": "gap",
            "channel": channel,
            "dropped": dropped,
            "conflated": conflated,
            "from": from,
            "to": to,
            "cause": cause_name(*cause),
        });
        self.say(event, gap_text(channel, gap))
    }

    /// To stdout for scripts, to stderr for people.
    fn say(self, event: Value, text: impl Display) -> io::Result<()> {
        match self {
            Self::Json => output::line(event),
            Self::Text | Self::Raw => {
                output::note(text);
                Ok(())
            }
        }
    }
}

/// Time, channel, offset, key, payload.
fn as_text(channel: &str, publication: &Publication) -> String {
    let Publication {
        offset,
        key,
        payload,
        published_at_us,
        is_snapshot: _,
    } = publication;
    let (time, offset) = (output::time_us(*published_at_us), output::offset(*offset));
    let (key, payload) = (or_dash(key), output::payload(payload));
    format!("{DIM}{time}{DIM:#} {BOLD}{channel}{BOLD:#} {offset} {key} {payload}")
}

fn as_json(channel: &str, publication: &Publication) -> Value {
    let Publication {
        offset,
        key,
        payload,
        published_at_us,
        is_snapshot,
    } = publication;
    let mut object = json!({
        "event": "publication",
        "channel": channel,
        "offset": offset,
        "key": key,
        "published_at": output::time_us(*published_at_us),
    });
    if *is_snapshot {
        object["snapshot"] = true.into();
    }
    output::put_payload(&mut object, payload);
    object
}

fn gap_text(channel: &str, gap: &Gap) -> String {
    let lost = match (gap.dropped, gap.conflated) {
        (0, 0) => "publications are missing".to_owned(),
        (dropped, 0) => format!("{dropped} publications are missing"),
        (dropped, conflated) => {
            format!("{dropped} publications are missing, {conflated} were replaced")
        }
    };
    let range = if gap.from == 0 {
        String::new()
    } else {
        format!(", {} to {}", gap.from, gap.to)
    };
    format!("{channel}: {lost}{range} ({})", cause_name(gap.cause))
}

/// As in the protocol, where it has the cause.
fn cause_name(cause: GapCause) -> &'static str {
    match cause {
        GapCause::SlowConnection => "SLOW_CONNECTION",
        GapCause::GatewayOverloaded => "GATEWAY_OVERLOADED",
        GapCause::Bus => "BUS",
        GapCause::SlowReader => "SLOW_READER",
        GapCause::BrokenChain => "BROKEN_CHAIN",
        _ => "OTHER",
    }
}

/// A verdict's name, and what it means to people.
fn describe(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Fresh => ("FRESH", "without what came in between"),
        Verdict::Recovered => ("RECOVERED", "nothing was missed"),
        Verdict::Resnapshot => ("RESNAPSHOT", "with the latest state"),
        Verdict::Lost => ("LOST", "something was missed that can't be recovered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(key: &str, payload: &'static [u8]) -> Publication {
        Publication {
            offset: 7,
            key: key.to_owned(),
            payload: payload.into(),
            published_at_us: 1_795_398_300_250_000,
            is_snapshot: false,
        }
    }

    #[test]
    fn a_publication_is_one_line_of_five_columns() {
        let text = as_text("demo.a", &publication("", b"two\nlines"));
        let text = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(text, "2026-11-23T01:45:00.250Z demo.a 7 - two\\nlines");
    }

    #[test]
    fn a_publication_is_one_object_for_scripts() {
        let object = as_json("demo.a", &publication("k", b"\xff"));
        assert_eq!(object["event"], "publication");
        assert_eq!(object["offset"], 7);
        assert_eq!(object["key"], "k");
        assert_eq!(object["payload_base64"], "/w==");
        assert_eq!(object.get("payload"), None);
    }

    #[test]
    fn a_gap_says_how_much_is_missing_and_where() {
        let cause = GapCause::SlowConnection;
        let gap = Gap {
            dropped: 3,
            conflated: 0,
            from: 5,
            to: 7,
            cause,
        };
        assert_eq!(
            gap_text("demo.a", &gap),
            "demo.a: 3 publications are missing, 5 to 7 (SLOW_CONNECTION)"
        );
    }
}
