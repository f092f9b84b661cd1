//! The streams behind logs and tables: their names and configurations. Pure.
//!
//! A stream that is there already keeps whatever we do not set, such as its
//! placement: operators may tune it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::port::{Log, LogLimits, TableSpec};

/// How long a log recognises a repeated message id.
const DEDUPLICATION: Duration = Duration::from_secs(120);

/// The same for the log of lifecycle events, whose writers may come back late:
/// whoever buries a gateway repeats what another one began.
const EVENT_DEDUPLICATION: Duration = Duration::from_secs(600);

/// The name of the log of lifecycle events.
const EVENTS: &str = "ev";

const CHANNELS: &str = "tg.ch.";
const CHANNEL_LOGS: &str = "tg.log.";
const OTHER_LOGS: &str = "tg.re.";

/// Where a log's stream republishes what it has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Republished {
    /// `tg.ch.<channel>` as `tg.log.<channel>`.
    Channels,
    /// `<subject>` as `tg.re.<subject>`.
    Others,
}

/// What a stream should be like, by the names of JetStream's API.
pub(super) type Config = Map<String, Value>;

/// The stream has a property that can't be changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixed(pub(super) &'static str);

// === impl Republished ===

impl Republished {
    pub(super) fn of(log: &Log) -> Self {
        let is_channel = |text: &str| text.starts_with(CHANNELS);
        match log
            .patterns
            .iter()
            .all(|pattern| is_channel(pattern.as_str()))
        {
            true => Self::Channels,
            false => Self::Others,
        }
    }

    /// What to subscribe to in order to get at least all that is republished
    /// of the subjects that `pattern` matches.
    pub(super) fn subject(self, pattern: &str) -> String {
        match (self, pattern.strip_prefix(CHANNELS)) {
            (Self::Others, _) => format!("{OTHER_LOGS}{pattern}"),
            (Self::Channels, Some(rest)) => format!("{CHANNEL_LOGS}{rest}"),
            (Self::Channels, None) => format!("{CHANNEL_LOGS}>"),
        }
    }

    fn config(self) -> Value {
        let (from, to) = match self {
            Self::Channels => (format!("{CHANNELS}>"), format!("{CHANNEL_LOGS}>")),
            Self::Others => (">".to_owned(), format!("{OTHER_LOGS}>")),
        };
        json!({ "src": from, "dest": to })
    }
}

/// `TG_CH_MARKET` for the log `ch_market`.
pub(super) fn log_stream(name: &str) -> Box<str> {
    format!("TG_{}", name.to_ascii_uppercase()).into()
}

/// `KV_tg_registry` for the table `tg_registry`, as NATS KV has it.
pub(super) fn table_stream(name: &str) -> Box<str> {
    format!("KV_{name}").into()
}

pub(super) fn of_log(log: &Log, replicas: usize) -> Config {
    let window = match &*log.name {
        EVENTS => EVENT_DEDUPLICATION,
        _ => DEDUPLICATION,
    };
    let subjects: Vec<_> = log
        .patterns
        .iter()
        .map(|pattern| pattern.as_str())
        .collect();
    let LogLimits { messages, age } = log.limits;
    object(json!({
        "name": log_stream(&log.name),
        "subjects": subjects,
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": replicas,
        "max_msgs_per_subject": messages.max(1),
        "max_age": nanoseconds(age),
        // The server takes no window that is longer than messages live.
        "duplicate_window": nanoseconds(window.min(age)),
        "allow_direct": true,
        "republish": Republished::of(log).config(),
    }))
}

pub(super) fn of_table(spec: &TableSpec, replicas: usize) -> Config {
    let name = spec.table.0;
    let age = spec.max_age.unwrap_or_default();
    let window = match spec.max_age {
        Some(age) => age.min(DEDUPLICATION),
        None => DEDUPLICATION,
    };
    object(json!({
        "name": table_stream(name),
        "subjects": [format!("$KV.{name}.>")],
        "retention": "limits",
        "storage": if spec.durable { "file" } else { "memory" },
        "discard": "new",
        "num_replicas": replicas,
        "max_msgs_per_subject": 1,
        "max_age": nanoseconds(age),
        "duplicate_window": nanoseconds(window),
        "allow_direct": true,
        "allow_rollup_hdrs": true,
        "allow_msg_ttl": true,
        "deny_delete": true,
    }))
}

/// The configuration that makes `present` what is `wanted`; nothing if it is.
pub(super) fn change(present: &Config, wanted: &Config) -> Result<Option<Config>, Fixed> {
    if present.get("storage") != wanted.get("storage") {
        return Err(Fixed("storage"));
    }
    let mut changed = present.clone();
    changed.extend(wanted.clone());
    Ok((changed != *present).then_some(changed))
}

fn nanoseconds(time: Duration) -> u64 {
    // What does not fit is for ever, which is no limit.
    u64::try_from(time.as_nanos())
        .ok()
        .filter(|nanoseconds| i64::try_from(*nanoseconds).is_ok())
        .unwrap_or(0)
}

fn object(value: Value) -> Config {
    match value {
        Value::Object(fields) => fields,
        _ => unreachable!("written as an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pattern, Table};

    fn log(name: &str, patterns: &[&str], age: Duration) -> Log {
        let patterns = patterns
            .iter()
            .map(|text| Pattern::new(text).expect("valid"));
        Log {
            name: name.into(),
            patterns: patterns.collect(),
            limits: LogLimits { messages: 5, age },
        }
    }

    #[test]
    fn the_log_of_a_namespace_is_a_stream_that_republishes() {
        let hour = Duration::from_secs(3_600);
        let config = of_log(
            &log("ch_market", &["tg.ch.market", "tg.ch.market.>"], hour),
            3,
        );
        assert_eq!(config["name"], "TG_CH_MARKET");
        assert_eq!(
            config["subjects"],
            json!(["tg.ch.market", "tg.ch.market.>"])
        );
        assert_eq!(config["max_msgs_per_subject"], 5);
        assert_eq!(config["max_age"], 3_600_000_000_000_u64);
        assert_eq!(config["duplicate_window"], 120_000_000_000_u64);
        assert_eq!(config["num_replicas"], 3);
        assert_eq!(
            config["republish"],
            json!({"src": "tg.ch.>", "dest": "tg.log.>"})
        );
    }

    #[test]
    fn events_are_recognised_for_longer_but_not_beyond_their_age() {
        let config = of_log(&log("ev", &["tg.ev.>"], Duration::from_secs(3_600)), 1);
        assert_eq!(config["duplicate_window"], 600_000_000_000_u64);
        let config = of_log(&log("ev", &["tg.ev.>"], Duration::from_secs(1)), 1);
        assert_eq!(config["duplicate_window"], 1_000_000_000);
    }

    #[test]
    fn republished_subjects_can_be_subscribed_to_by_pattern() {
        let cases = [
            (Republished::Channels, "tg.ch.a.*", "tg.log.a.*"),
            (Republished::Channels, "tg.*.a", "tg.log.>"),
            (Republished::Channels, ">", "tg.log.>"),
            (Republished::Others, "tg.ev.>", "tg.re.tg.ev.>"),
            (Republished::Others, "*", "tg.re.*"),
        ];
        for (republished, pattern, expected) in cases {
            assert_eq!(republished.subject(pattern), expected);
        }
        let second = Duration::from_secs(1);
        let mixed = log("x", &["tg.ch.a", "b"], second);
        assert_eq!(Republished::of(&mixed), Republished::Others);
    }

    #[test]
    fn a_table_is_a_bucket_of_nats_kv() {
        let spec = TableSpec {
            table: Table("tg_registry"),
            max_age: None,
            durable: false,
        };
        let config = of_table(&spec, 1);
        assert_eq!(config["name"], "KV_tg_registry");
        assert_eq!(config["subjects"], json!(["$KV.tg_registry.>"]));
        assert_eq!(
            (&config["storage"], &config["max_age"]),
            (&json!("memory"), &json!(0))
        );
    }

    #[test]
    fn a_change_keeps_what_operators_set() {
        let wanted = of_log(&log("a", &["a"], Duration::from_secs(1)), 1);
        let mut present = wanted.clone();
        present.insert("placement".into(), json!({"tags": ["ssd"]}));
        assert_eq!(change(&present, &wanted), Ok(None));
        present.insert("max_msgs_per_subject".into(), json!(1));
        let changed = change(&present, &wanted)
            .expect("possible")
            .expect("needed");
        assert_eq!(changed["max_msgs_per_subject"], 5);
        assert_eq!(changed["placement"], json!({"tags": ["ssd"]}));
        present.insert("storage".into(), json!("memory"));
        assert_eq!(change(&present, &wanted), Err(Fixed("storage")));
    }
}
