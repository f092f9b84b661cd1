//! A newer token for a connection that stays: asked for when the gateway says that
//! the old one ends.

use std::{future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    time::{Instant, sleep_until, timeout},
};

use crate::{builder::Config, error::Error, in_flight::Operation};

/// Names of the notices that ask for a newer token.
const WANTED: [&str; 2] = ["token_expiring", "token_revoked"];

/// After a token that could not be had, or was not taken.
const RETRY: Duration = Duration::from_secs(5);

/// Where it stands.
#[derive(Default)]
pub(crate) enum Renewal {
    #[default]
    Idle,
    /// The application is asked for a token.
    Asking(BoxFuture<'static, Result<String, Error>>),
    /// The gateway has it.
    Sent(oneshot::Receiver<Result<(), Error>>),
    /// It failed, and is tried again then.
    Later(Instant),
}

// === impl Renewal ===

impl Renewal {
    /// Begins if the notice asks for it, unless it has begun.
    pub(crate) fn hear(&mut self, notice: &str, config: &Arc<Config>) {
        if !WANTED.contains(&notice) || !config.token.is_fresh() {
            return;
        }
        let has_begun = match self {
            Self::Idle | Self::Later(_) => false,
            Self::Asking(_) => true,
            // Once it is answered, a notice that follows is about the new token.
            Self::Sent(answer) => matches!(answer.try_recv(), Err(TryRecvError::Empty)),
        };
        if !has_begun {
            *self = Self::ask(config);
        }
    }

    /// The next operation to send; never, while there is none. Can be dropped at any
    /// time without loss.
    pub(crate) async fn next(&mut self, config: &Arc<Config>) -> Operation {
        loop {
            let outcome = match self {
                Self::Idle => future::pending().await,
                Self::Asking(asking) => match asking.await {
                    Ok(token) => {
                        let (reply, answer) = oneshot::channel();
                        *self = Self::Sent(answer);
                        return Operation::Refresh(token, reply);
                    }
                    Err(error) => Err(error),
                },
                Self::Sent(answer) => answer.await.unwrap_or(Err(Error::ConnectionLost)),
                Self::Later(at) => {
                    sleep_until(*at).await;
                    *self = Self::ask(config);
                    continue;
                }
            };
            *self = match outcome {
                // The next connection asks for a token of its own.
                Ok(()) | Err(Error::ConnectionLost | Error::Closed(_)) => Self::Idle,
                Err(error) => {
                    tracing::warn!(%error, "the token could not be refreshed");
                    Self::Later(Instant::now() + RETRY)
                }
            };
        }
    }

    /// The connection is gone.
    pub(crate) fn stop(&mut self) {
        *self = Self::Idle;
    }

    fn ask(config: &Arc<Config>) -> Self {
        let config = config.clone();
        Self::Asking(Box::pin(async move { token(&config).await }))
    }
}

/// A token from the application.
///
/// # Errors
/// If it has none, in time.
pub(crate) async fn token(config: &Config) -> Result<String, Error> {
    match timeout(config.connect_timeout, config.token.get()).await {
        Ok(Ok(token)) => Ok(token),
        Ok(Err(error)) => Err(Error::no_token(&error.to_string())),
        Err(_) => Err(Error::no_token("none came in time")),
    }
}
