//! JetStream's API over the inbox, one question at a time.
//!
//! The client library's own JetStream calls leave an entry behind for each
//! question that times out; the inbox does not.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde::Deserialize;
use tokio::{sync::oneshot, time::Instant};

use super::{
    inbox::Inbox,
    log_api::{self, ApiError, Found, FoundMessage, StreamInfo},
    log_config::{self, Config, Fixed},
    log_message::{self, End},
};
use crate::port::{BusError, Done};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a stream may take to come to be, elections included.
const DECLARATION: Duration = Duration::from_secs(20);

/// Between attempts while JetStream has no leader.
const RETRY: Duration = Duration::from_millis(200);

/// The configuration is not valid, or overlaps another stream's subjects.
const HOPELESS: [u32; 2] = [10_052, 10_065];

/// Asks JetStream.
#[derive(Clone)]
pub(super) struct Streams {
    inbox: Arc<Inbox>,
    pub(super) replicas: usize,
}

/// The answer to a direct get.
pub(super) struct Batch {
    /// In order of sequence.
    pub(super) messages: Vec<async_nats::Message>,
    pub(super) end: End,
}

// === impl Streams ===

impl Streams {
    pub(super) fn new(inbox: Arc<Inbox>, replicas: usize) -> Self {
        Self { inbox, replicas }
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// A direct get: any replica answers. A stream that nobody has, or that
    /// has no leader yet, is unavailable.
    pub(super) async fn direct(&self, stream: &str, request: Vec<u8>) -> Result<Batch, BusError> {
        let (done, outcome) = outcome();
        let subject = format!("$JS.API.DIRECT.GET.{stream}");
        self.inbox.collect(subject, request.into(), ANSWER, done);
        let mut messages = settled(outcome).await?;
        let end = messages.pop().as_ref().and_then(End::of);
        // Whoever does not end a batch by a status does not know batches.
        let end = end.ok_or(BusError::Unavailable)?;
        // The inbox may have been full: a hole must not look like the log.
        match log_message::is_whole(&messages, &end) {
            true => Ok(Batch { messages, end }),
            false => Err(BusError::Unavailable),
        }
    }

    /// What the stream's leader says of it; with a filter, counts of messages
    /// by subject. [`BusError::NoLog`]: there is no such stream.
    pub(super) async fn info(
        &self,
        stream: &str,
        filter: Option<&str>,
    ) -> Result<StreamInfo, BusError> {
        let request = match filter {
            Some(filter) => serde_json::json!({ "subjects_filter": filter }).to_string(),
            None => String::new(),
        };
        let subject = format!("$JS.API.STREAM.INFO.{stream}");
        let answer = self.api(subject, request.into()).await?;
        answer.map_err(|refused: ApiError| match refused.err_code {
            log_api::STREAM_NOT_FOUND => BusError::NoLog,
            _ => BusError::Unavailable,
        })
    }

    /// The newest message of a subject, wildcards allowed, as the stream's
    /// leader knows it.
    pub(super) async fn newest(
        &self,
        stream: &str,
        subject: &str,
    ) -> Result<Option<FoundMessage>, BusError> {
        let request = serde_json::json!({ "last_by_subj": subject }).to_string();
        self.find(stream, request.into()).await
    }

    /// The first message of a subject that was stored at `time` or later, as the
    /// stream's leader knows it.
    pub(super) async fn first_since(
        &self,
        stream: &str,
        subject: &str,
        time: SystemTime,
    ) -> Result<Option<FoundMessage>, BusError> {
        let request = log_api::next_since(subject, time);
        self.find(stream, request.into()).await
    }

    async fn find(&self, stream: &str, request: Bytes) -> Result<Option<FoundMessage>, BusError> {
        let api = format!("$JS.API.STREAM.MSG.GET.{stream}");
        let answer = self.api::<Found>(api, request).await?;
        match answer {
            Ok(found) => Ok(Some(found.message)),
            Err(error) if error.err_code == log_api::NO_MESSAGE => Ok(None),
            Err(_refused) => Err(BusError::Unavailable),
        }
    }

    /// Makes the stream what is wanted, or leaves it as it is. Tries again
    /// while JetStream has no leader. [`BusError::Conflict`]: the stream is
    /// there with something that can't be changed, or the server refuses it.
    pub(super) async fn ensure(&self, wanted: &Config) -> Result<StreamInfo, BusError> {
        let until = Instant::now() + DECLARATION;
        loop {
            let refusal = match self.try_ensure(wanted).await {
                Ok(Ok(info)) => return Ok(info),
                Ok(Err(refused)) if HOPELESS.contains(&refused.err_code) => {
                    tracing::error!(stream = %wanted["name"], error = refused.description, "stream refused");
                    return Err(BusError::Conflict);
                }
                Ok(Err(_for_now)) => BusError::Unavailable,
                Err(BusError::Conflict) => return Err(BusError::Conflict),
                Err(error) => error,
            };
            if Instant::now() + RETRY >= until {
                return Err(refusal);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn try_ensure(&self, wanted: &Config) -> Result<Result<StreamInfo, ApiError>, BusError> {
        let name = wanted["name"].as_str().expect("a stream has a name");
        let request = serde_json::to_vec(wanted).expect("JSON of JSON");
        let created = self.api(format!("$JS.API.STREAM.CREATE.{name}"), request.into());
        match created.await? {
            Err(error) if error.err_code == log_api::NAME_IN_USE => {}
            created => return Ok(created),
        }
        let present = self.info(name, None).await?;
        match log_config::change(&present.config, wanted) {
            Ok(None) => Ok(Ok(present)),
            Ok(Some(changed)) => {
                let request = serde_json::to_vec(&changed).expect("JSON of JSON");
                self.api(format!("$JS.API.STREAM.UPDATE.{name}"), request.into())
                    .await
            }
            Err(Fixed(property)) => {
                tracing::error!(
                    stream = name,
                    property,
                    "stream has a property that is fixed"
                );
                Err(BusError::Conflict)
            }
        }
    }

    async fn api<T: for<'a> Deserialize<'a>>(
        &self,
        subject: String,
        request: Bytes,
    ) -> Result<Result<T, ApiError>, BusError> {
        let (done, outcome) = outcome();
        self.inbox.call(subject, None, request, ANSWER, done);
        match settled(outcome).await {
            Ok(answer) => Ok(log_api::answered(&answer.payload)),
            // Nobody serves the API: the server has no JetStream, or not yet.
            Err(BusError::NoResponders) => Err(BusError::Unavailable),
            Err(error) => Err(error),
        }
    }
}

fn outcome<T: Send + 'static>() -> (Done<T>, oneshot::Receiver<Result<T, BusError>>) {
    let (tx, rx) = oneshot::channel();
    (Box::new(move |outcome| drop(tx.send(outcome))), rx)
}

async fn settled<T>(outcome: oneshot::Receiver<Result<T, BusError>>) -> Result<T, BusError> {
    match outcome.await.unwrap_or(Err(BusError::Unavailable)) {
        Err(BusError::NoResponders) => Err(BusError::Unavailable),
        outcome => outcome,
    }
}
