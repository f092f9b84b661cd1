//! The set of an issuer that publishes it at an address.

use std::time::{Duration, Instant};

use auth::{Algorithm, IssuerId, KeySet, Verifier};
use futures_util::FutureExt;
use hyper::{Uri, header::HeaderValue};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::{
    demand::{Demand, Ruling},
    fetch::{Answer, FetchError, Fetcher},
    keyring::{Settings, VerifyError},
    metrics::SourceMetrics,
};

/// However short an issuer lets its set be kept.
const SHORTEST_PERIOD: Duration = Duration::from_secs(60);

/// Between a fetch that failed and the next, which is longer after several.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// How much longer than a fetch may take is waited for its end.
const WAIT_MARGIN: Duration = Duration::from_millis(500);

/// Fetches a set again and again, and when a key is missing.
pub(crate) struct Remote {
    pub(crate) issuer: IssuerId,
    name: Box<str>,
    url: Uri,
    algorithms: Box<[Algorithm]>,
    fetcher: Fetcher,
    /// Between fetches, if the issuer does not ask for a shorter one.
    period: Duration,
    gap: Duration,
    deadline: Duration,
    // A lock: held for a few comparisons, and only for unknown keys.
    demand: Mutex<Demand>,
    wanted: Notify,
    /// Whether the last fetch succeeded; changes with each.
    ended: watch::Sender<bool>,
    metrics: SourceMetrics,
}

/// What is kept from one fetch to the next.
#[derive(Default)]
struct Last {
    tag: Option<HeaderValue>,
    text: String,
    failures: u32,
}

// === impl Remote ===

impl Remote {
    pub(crate) fn new(
        issuer: IssuerId,
        name: &str,
        url: Uri,
        algorithms: &[Algorithm],
        fetcher: Fetcher,
        settings: &Settings,
    ) -> Self {
        Self {
            issuer,
            name: name.into(),
            url,
            algorithms: algorithms.into(),
            fetcher,
            period: settings.refresh,
            gap: settings.gap,
            deadline: settings.deadline + WAIT_MARGIN,
            demand: Mutex::new(Demand::new(settings.gap)),
            wanted: Notify::new(),
            ended: watch::Sender::new(false),
            metrics: SourceMetrics::new(name),
        }
    }

    /// Fetches the set now and from time to time; never ends.
    pub(crate) async fn keep_fresh(&self, verifier: &Verifier) {
        let mut last = Last::default();
        loop {
            self.demand.lock().fetch_begins();
            // Who wanted it before it began is served by it.
            let _ = self.wanted.notified().now_or_never();
            let fetched = self.fetch(verifier, &mut last).await;
            self.demand.lock().fetch_ended(Instant::now());
            self.ended.send_replace(fetched.is_ok());
            let pause = fetched.unwrap_or_else(|error| {
                self.metrics.failed(&error);
                let error: &dyn std::error::Error = &error;
                let cause = error.source().map(tracing::field::display);
                tracing::warn!(issuer = &*self.name, %error, cause, "keys could not be fetched");
                last.failures = last.failures.saturating_add(1);
                let factor = 1 << last.failures.min(10);
                let pause = self.gap.max(SHORTEST_PAUSE).saturating_mul(factor);
                pause.min(self.period)
            });
            // In time, or earlier if somebody misses a key.
            let _ = timeout(pause, self.wanted.notified()).await;
        }
    }

    /// Has the set fetched because it lacks this key, and waits for the end; an
    /// error where there is nothing to wait for, or it was in vain. Says whether the
    /// issuer was asked after the key was missed, so that its answer is about it.
    pub(crate) async fn look_for(&self, id: &str) -> Result<bool, VerifyError> {
        let mut ended = self.ended.subscribe();
        let ruling = self.demand.lock().rule(id, Instant::now());
        self.metrics.ruled(ruling);
        match ruling {
            Ruling::Fetch => self.wanted.notify_one(),
            Ruling::Wait => {}
            Ruling::Unknown => return Err(VerifyError::Token(auth::TokenError::UnknownKey)),
            Ruling::TooSoon => return Err(VerifyError::Unavailable),
        }
        let waited = timeout(self.deadline, ended.changed()).await;
        match waited.is_ok_and(|changed| changed.is_ok()) && *ended.borrow() {
            true => Ok(ruling == Ruling::Fetch),
            false => Err(VerifyError::Unavailable),
        }
    }

    /// The issuer was asked and has no such key.
    pub(crate) fn remember(&self, id: &str) {
        self.demand.lock().remember(id, Instant::now());
    }

    /// Fetches once; gives the time until the next one.
    async fn fetch(&self, verifier: &Verifier, last: &mut Last) -> Result<Duration, FetchError> {
        let answer = self.fetcher.fetch(&self.url, last.tag.as_ref()).await?;
        let max_age = match answer {
            Answer::Unchanged { max_age } => {
                self.metrics.unchanged();
                max_age
            }
            Answer::Set(document) => {
                if document.text == last.text {
                    self.metrics.unchanged();
                } else {
                    let keys = KeySet::read_public(&document.text, &self.algorithms)?;
                    self.metrics.updated(keys.len());
                    tracing::info!(issuer = &*self.name, keys = keys.len(), "keys were fetched");
                    verifier.replace_keys(self.issuer, keys);
                    last.text = document.text;
                }
                last.tag = document.tag;
                document.max_age
            }
        };
        last.failures = 0;
        let period = max_age.map_or(self.period, |age| age.max(SHORTEST_PERIOD));
        Ok(period.min(self.period))
    }
}
