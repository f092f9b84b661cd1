//! Service discovery (NATS ADR-32): answers PING, INFO and STATS, so that
//! `nats micro` sees our workers.

use std::{sync::Arc, time::SystemTime};

use async_nats::Message;
use futures_util::{StreamExt, stream::select_all};
use serde_json::{Value, json};

use super::{
    feed::Feed,
    lane::{Lane, Outbound},
    serving::{EndpointStats, GROUP},
};
use crate::port::Service;

const VERBS: [&str; 3] = ["PING", "INFO", "STATS"];

/// One instance of a service.
pub(super) struct Announced {
    id: String,
    service: Service,
    /// For each endpoint.
    stats: Vec<Arc<EndpointStats>>,
    started: String,
    lane: Arc<Lane>,
}

// === impl Announced ===

impl Announced {
    pub(super) fn new(service: Service, stats: Vec<Arc<EndpointStats>>, lane: Arc<Lane>) -> Self {
        Self {
            id: format!("{:016x}", fastrand::u64(..)),
            started: rfc3339(SystemTime::now()),
            service,
            stats,
            lane,
        }
    }

    /// What to subscribe to, each with what it asks for.
    pub(super) fn questions(&self) -> Vec<(&'static str, String)> {
        let name = &self.service.name;
        let of = |verb: &'static str| {
            [
                (verb, format!("$SRV.{verb}")),
                (verb, format!("$SRV.{verb}.{name}")),
                (verb, format!("$SRV.{verb}.{name}.{}", self.id)),
            ]
        };
        VERBS.into_iter().flat_map(of).collect()
    }

    /// Answers until it is dropped, or the connection ends.
    pub(super) async fn run(self, feeds: Vec<(&'static str, Feed)>) {
        let feeds = feeds
            .into_iter()
            .map(|(verb, feed)| feed.map(move |question| (verb, question)));
        let mut questions = select_all(feeds);
        while let Some((verb, question)) = questions.next().await {
            self.answer(verb, question);
        }
    }

    fn answer(&self, verb: &str, question: Message) {
        let Some(reply) = question.reply else { return };
        let answer = match verb {
            "PING" => self.described("ping", json!({})),
            "INFO" => self.described("info", self.info()),
            _ => self.described("stats", self.stats()),
        };
        // An answer that can't be sent is asked for again.
        self.lane.push(Outbound {
            subject: reply,
            reply: None,
            headers: None,
            payload: answer.to_string().into(),
            done: None,
        });
    }

    /// What all three have in common, and `more`.
    fn described(&self, kind: &str, more: Value) -> Value {
        let mut answer = json!({
            "type": format!("io.nats.micro.v1.{kind}_response"),
            "name": self.service.name,
            "id": self.id,
            "version": self.service.version,
            "metadata": {},
        });
        if let (Some(answer), Value::Object(more)) = (answer.as_object_mut(), more) {
            answer.extend(more);
        }
        answer
    }

    fn info(&self) -> Value {
        let endpoint = |(name, subject): &(Box<str>, _)| {
            let subject: &crate::subject::Subject = subject;
            json!({
                "name": name, "subject": subject.as_str(), "queue_group": GROUP, "metadata": {},
            })
        };
        let endpoints: Vec<_> = self.service.endpoints.iter().map(endpoint).collect();
        json!({ "description": self.service.description, "endpoints": endpoints })
    }

    fn stats(&self) -> Value {
        let endpoints = self.service.endpoints.iter().zip(&self.stats);
        let endpoints: Vec<_> = endpoints
            .map(|((name, subject), stats)| {
                let counts = stats.counts();
                let nanos = u64::try_from(counts.processing.as_nanos()).unwrap_or(u64::MAX);
                json!({
                    "name": name,
                    "subject": subject.as_str(),
                    "queue_group": GROUP,
                    "num_requests": counts.requests,
                    "num_errors": counts.errors,
                    "last_error": counts.last_error,
                    "processing_time": nanos,
                    "average_processing_time": nanos / counts.requests.max(1),
                })
            })
            .collect();
        json!({ "started": self.started, "endpoints": endpoints })
    }
}

/// UTC, to the second (RFC 3339).
fn rfc3339(at: SystemTime) -> String {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date of a day since 1970, counted in eras of 400 years that begin in
/// March, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        let at = |seconds| rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(at(1_795_392_000), "2026-11-23T00:00:00Z");
    }
}
