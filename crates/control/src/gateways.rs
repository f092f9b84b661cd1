//! Asking gateways: which hold what is meant, and what they answer.
//!
//! A gateway that nobody serves any more holds nobody: that is an answer. One
//! that is silent may hold somebody, and whoever asks is told so.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Request, RequestContext, Subject};
use bytes::Bytes;
use futures_util::future::join_all;
use prost::Message;
use thiserror::Error;
use tokio::time::{Instant, error::Elapsed, timeout, timeout_at};
use tonic::{Code, Status};
use wire::{
    GatewayId,
    gateway::{Command, CommandReply, RegisteredGateway, command, command_reply::Reply},
};

use crate::{directory::Directory, meant::Meant, metrics::Commands, status::rich};

/// The way to the gateways. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateways {
    bus: Arc<dyn Bus>,
    directory: Arc<dyn Directory>,
    commands: Arc<Commands>,
}

/// A gateway whose server went away is at another one within this time.
const RECONNECTION: Duration = Duration::from_millis(300);

/// What one gateway said.
pub(crate) struct Answer<T> {
    pub(crate) gateway: GatewayId,
    pub(crate) outcome: Result<T, GatewayError>,
}

/// Why a gateway's answer is missing.
#[derive(Debug, Error)]
pub(crate) enum GatewayError {
    /// It has ended: it holds nobody.
    #[error("is gone")]
    Gone,
    #[error("did not answer in time")]
    Timeout,
    #[error("can't be reached: {0}")]
    Unreachable(BusError),
    #[error("answered with something else than asked")]
    Malformed,
    #[error("could not do it: {0}")]
    Failed(String),
}

// === impl Gateways ===

impl Gateways {
    pub(crate) fn new(bus: Arc<dyn Bus>, directory: Arc<dyn Directory>) -> Self {
        Self {
            bus,
            directory,
            commands: Arc::new(Commands::new()),
        }
    }

    /// All gateways, in order, with what they say of themselves.
    ///
    /// # Errors
    /// If the registry can't be read, or not in time.
    pub(crate) async fn everywhere(
        &self,
        until: Instant,
    ) -> Result<BTreeMap<GatewayId, RegisteredGateway>, Status> {
        let found = timeout_at(until, self.directory.gateways()).await;
        sure(found).map(BTreeMap::from_iter)
    }

    /// The gateways that hold what is meant, in order; nobody else need be
    /// asked.
    ///
    /// # Errors
    /// If the registry can't be read, or not in time: that nobody is there must
    /// not be concluded from it.
    pub(crate) async fn of(&self, meant: &Meant, until: Instant) -> Result<Vec<GatewayId>, Status> {
        let found = timeout_at(until, self.look_up(meant)).await;
        let mut found = sure(found)?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    async fn look_up(&self, meant: &Meant) -> Result<Vec<GatewayId>, BusError> {
        match meant {
            Meant::Everybody => {
                let gateways = self.directory.gateways().await?;
                Ok(gateways.into_iter().map(|(gateway, _)| gateway).collect())
            }
            Meant::Connection(id) => Ok(vec![id.gateway.clone()]),
            Meant::User(user) => self.directory.of_user(user).await,
            Meant::Session(session) => self.directory.of_session(*session).await,
            Meant::Label { name, value } => self.directory.of_label(name, value).await,
        }
    }

    /// Asks one gateway; `pick` takes the kind of reply that belongs to the
    /// command.
    pub(crate) async fn ask<T>(
        &self,
        gateway: &GatewayId,
        command: Bytes,
        until: Instant,
        pick: fn(Reply) -> Option<T>,
    ) -> Result<T, GatewayError> {
        let asked_at = Instant::now();
        let outcome = self.exchange(gateway, command, until, pick).await;
        self.commands.count(&outcome, asked_at.elapsed());
        outcome
    }

    async fn exchange<T>(
        &self,
        gateway: &GatewayId,
        command: Bytes,
        until: Instant,
        pick: fn(Reply) -> Option<T>,
    ) -> Result<T, GatewayError> {
        let deadline = until.saturating_duration_since(Instant::now());
        let request = Request {
            subject: Subject::of_gateway(gateway),
            payload: command,
            deadline,
            context: RequestContext::default(),
        };
        // The bus enforces deadlines at its own pace; the caller's is exact.
        let reply = timeout(deadline, self.bus.ask(request))
            .await
            .map_err(|_| GatewayError::Timeout)??;
        match CommandReply::decode(reply.payload) {
            Ok(CommandReply {
                reply: Some(Reply::Failure(problem)),
            }) => Err(GatewayError::Failed(problem)),
            Ok(CommandReply { reply: Some(reply) }) => pick(reply).ok_or(GatewayError::Malformed),
            _ => Err(GatewayError::Malformed),
        }
    }

    /// Asks, at once, every gateway that holds what is meant. Those that are
    /// gone are left out.
    ///
    /// # Errors
    /// If it can't be found out which gateways these are.
    pub(crate) async fn ask_all<T>(
        &self,
        meant: &Meant,
        command: command::Command,
        until: Instant,
        pick: fn(Reply) -> Option<T>,
    ) -> Result<Vec<Answer<T>>, Status> {
        let gateways = self.of(meant, until).await?;
        let command = encode(command);
        let asked = gateways.into_iter().map(|gateway| {
            let command = command.clone();
            async move {
                let outcome = self.ask(&gateway, command, until, pick).await;
                Answer { gateway, outcome }
            }
        });
        let mut answers = join_all(asked).await;
        self.ask_again(&mut answers, &command, until, pick).await;
        answers.retain(|answer| !answer.is_gone());
        Ok(answers)
    }

    /// A gateway that has just lost its server looks as if it were gone, and is
    /// back in a moment.
    async fn ask_again<T>(
        &self,
        answers: &mut [Answer<T>],
        command: &Bytes,
        until: Instant,
        pick: fn(Reply) -> Option<T>,
    ) {
        if !answers.iter().any(Answer::is_gone) {
            return;
        }
        tokio::time::sleep_until(until.min(Instant::now() + RECONNECTION)).await;
        let gone = answers.iter_mut().filter(|answer| answer.is_gone());
        let asked = gone.map(|answer| async move {
            answer.outcome = self
                .ask(&answer.gateway, command.clone(), until, pick)
                .await;
        });
        join_all(asked).await;
    }
}

// === impl Answer ===

impl<T> Answer<T> {
    fn is_gone(&self) -> bool {
        matches!(self.outcome, Err(GatewayError::Gone))
    }
}

/// What a look-up found, or the status of a call that must not guess.
fn sure<T>(found: Result<Result<T, BusError>, Elapsed>) -> Result<T, Status> {
    let found = found.map_err(|_| {
        let message = "the registry was not read in time".into();
        rich(Code::DeadlineExceeded, "REGISTRY_TIMEOUT", message)
    })?;
    found.map_err(|error| {
        let code = match error {
            BusError::Overloaded => Code::ResourceExhausted,
            _ => Code::Unavailable,
        };
        let message = format!("the registry can't be read: {error}");
        rich(code, "REGISTRY_UNAVAILABLE", message)
    })
}

/// Every gateway's answer, or the status of the first that gave none: a part
/// must not pass for the whole.
pub(crate) fn all<T>(answers: Vec<Answer<T>>) -> Result<Vec<(GatewayId, T)>, Status> {
    answers
        .into_iter()
        .map(|Answer { gateway, outcome }| match outcome {
            Ok(answer) => Ok((gateway, answer)),
            Err(error) => Err(error.status(&gateway)),
        })
        .collect()
}

/// A command as it travels.
pub(crate) fn encode(command: command::Command) -> Bytes {
    let command = Some(command);
    Command { command }.encode_to_vec().into()
}

// === impl GatewayError ===

impl From<BusError> for GatewayError {
    fn from(error: BusError) -> Self {
        match error {
            BusError::NoResponders => Self::Gone,
            BusError::DeadlineExceeded => Self::Timeout,
            error => Self::Unreachable(error),
        }
    }
}

impl GatewayError {
    /// The status of a call that can't do without this gateway.
    pub(crate) fn status(&self, gateway: &GatewayId) -> Status {
        let (code, reason) = match self {
            Self::Gone => (Code::NotFound, "NO_SUCH_GATEWAY"),
            Self::Timeout => (Code::DeadlineExceeded, "GATEWAY_TIMEOUT"),
            Self::Unreachable(BusError::TooLarge) => (Code::InvalidArgument, "MESSAGE_TOO_LARGE"),
            Self::Unreachable(BusError::Overloaded) => (Code::ResourceExhausted, "OVERLOADED"),
            Self::Unreachable(_) => (Code::Unavailable, "GATEWAY_UNREACHABLE"),
            Self::Malformed | Self::Failed(_) => (Code::Internal, "GATEWAY_FAILED"),
        };
        rich(code, reason, format!("gateway {gateway} {self}"))
    }
}
