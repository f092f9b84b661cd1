//! A backend that publishes to one channel by gRPC and does not let go of a
//! publication until it is acknowledged: the same id again, at any control plane.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use control::client::PublishServiceClient;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::transport::Channel;
use wire::control::{NewPublication, PublishRequest};

use super::{
    record::{Attempt, Keeps, PublicationId, Published},
    run::Shared,
};

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// After so long a publication is given up. The log knows its id for longer.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Between attempts.
const AGAIN: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Debug)]
pub(super) struct Publisher {
    shared: Arc<Shared>,
    number: u32,
    /// Index among the channels.
    channel: usize,
    backend: Option<PublishServiceClient<Channel>>,
}

// === impl Publisher ===

impl Publisher {
    pub(super) fn new(shared: Arc<Shared>, number: usize, channel: usize) -> Self {
        Self {
            shared,
            number: number as u32,
            channel,
            backend: None,
        }
    }

    /// Publishes once every `period` until told to stop.
    pub(super) async fn run(mut self, period: Duration) -> Published {
        let mut published = Published {
            channel: self.channel,
            attempts: Vec::new(),
        };
        let mut clock = interval(period);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // So that they do not all publish in the same moment.
        sleep(period.mul_f64(fastrand::f64())).await;
        let mut stop = self.shared.publishers_stop.subscribe();
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return published,
                _ = clock.tick() => {}
            }
            let id = PublicationId {
                publisher: self.number,
                sequence: published.attempts.len() as u32,
            };
            let attempt = self.publish(id).await;
            published.attempts.push(attempt);
            self.shared.published(id, attempt.acknowledged.is_some());
        }
    }

    async fn publish(&mut self, id: PublicationId) -> Attempt {
        let started = self.shared.now();
        // Without a log nobody knows what was published before: one attempt.
        let give_up = match self.shared.channels[self.channel].keeps {
            Keeps::Log(_) => started + GIVE_UP,
            Keeps::Nothing => started,
        };
        loop {
            match self.attempt(id).await {
                Ok(offset) => {
                    let acknowledged = Some((self.shared.now(), offset));
                    return Attempt {
                        started,
                        acknowledged,
                    };
                }
                Err(error) => {
                    self.backend = None;
                    self.shared.publish_failed(&error);
                }
            }
            sleep(AGAIN).await;
            if self.shared.now() >= give_up {
                return Attempt {
                    started,
                    acknowledged: None,
                };
            }
        }
    }

    async fn attempt(&mut self, id: PublicationId) -> Result<u64> {
        if self.backend.is_none() {
            let place = self.shared.places.control().context("no control plane")?;
            let channel = control::client::connect(&place.to_string()).await?;
            self.backend = Some(PublishServiceClient::new(channel));
        }
        let backend = self.backend.as_mut().context("just made")?;
        let channel = &self.shared.channels[self.channel].name;
        let publication = NewPublication {
            channel: channel.clone(),
            payload: id.payload(channel, self.shared.size).into(),
            publication_id: format!("{}-{id}", self.shared.name),
            ..NewPublication::default()
        };
        let mut request = tonic::Request::new(PublishRequest {
            publication: Some(publication),
        });
        request.set_timeout(ATTEMPT);
        // The server's word for the deadline may never come, so ours holds too.
        let answer = tokio::time::timeout(ATTEMPT, backend.publish(request)).await??;
        Ok(answer.into_inner().offset)
    }
}
