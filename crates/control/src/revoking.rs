//! The part of AuthService that takes access back, and says what a token is worth.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use auth::Identity;
use bus::{Bus, BusError};
use keyring::{Keyring, VerifyError};
use revocations::{Bearer, KEPT, Revocation, Whom};
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};
use wire::{
    SessionId, UserId,
    control::{
        IntrospectRequest, IntrospectResponse, RevokeResponse, RevokeSessionRequest,
        RevokeTokenRequest, RevokeUserRequest, revoke_token_request::Target,
    },
    gateway::{Changed, Revoke, command::Command, command_reply::Reply},
};

use crate::{
    callers::Caller,
    gateways::Gateways,
    meant::Meant,
    status::{invalid, rich},
};

/// Longest time that a client may be left to refresh its token.
const MAX_GRACE: Duration = Duration::from_secs(10 * 60);

/// How much the clocks of backends may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(5);

/// Takes access back, and knows from whom it was taken.
pub(crate) struct Revoking {
    bus: Arc<dyn Bus>,
    gateways: Gateways,
    keyring: Arc<Keyring>,
}

// === impl Revoking ===

impl Revoking {
    pub(crate) fn new(bus: Arc<dyn Bus>, gateways: Gateways, keyring: Arc<Keyring>) -> Self {
        Self {
            bus,
            gateways,
            keyring,
        }
    }

    pub(crate) async fn user(
        &self,
        request: &RevokeUserRequest,
        caller: &Caller,
        until: Instant,
    ) -> Result<RevokeResponse, Status> {
        let user = UserId::new(&request.user)
            .ok_or_else(|| invalid("user", "must be 1 to 255 bytes without control characters"))?;
        caller.acts_on("user", &user);
        let now = SystemTime::now();
        let issued_before = match request.issued_before {
            None => now,
            Some(time) => SystemTime::try_from(time)
                .ok()
                .filter(|time| *time <= now + AHEAD)
                .ok_or_else(|| invalid("issued_before", "must be a time that has passed"))?,
        };
        let revocation = Revocation {
            issued_before_ms: unix_ms(issued_before),
            grace_ms: grace(request.grace)?,
            ..kept(Whom::User(user), now)
        };
        self.revoke(revocation, until).await
    }

    pub(crate) async fn token(
        &self,
        request: &RevokeTokenRequest,
        caller: &Caller,
        until: Instant,
    ) -> Result<RevokeResponse, Status> {
        let now = SystemTime::now();
        let whom = match &request.target {
            Some(Target::Token(token)) => self.id_of(token, now).await?,
            Some(Target::TokenId(id)) if (1..=255).contains(&id.len()) => id.as_str().into(),
            Some(Target::TokenId(_)) => return Err(invalid("token_id", "must be 1 to 255 bytes")),
            None => return Err(invalid("target", "must be a token or the id of one")),
        };
        caller.acts_on("token", &whom);
        let revocation = Revocation {
            grace_ms: grace(request.grace)?,
            ..kept(Whom::Token(whom), now)
        };
        self.revoke(revocation, until).await
    }

    pub(crate) async fn session(
        &self,
        request: &RevokeSessionRequest,
        caller: &Caller,
        until: Instant,
    ) -> Result<RevokeResponse, Status> {
        let session = session(&request.session_id)?;
        caller.acts_on("session", session);
        let whom = Whom::Session(session);
        self.revoke(kept(whom, SystemTime::now()), until).await
    }

    pub(crate) async fn introspect(
        &self,
        request: &IntrospectRequest,
        caller: &Caller,
        until: Instant,
    ) -> Result<IntrospectResponse, Status> {
        let now = SystemTime::now();
        let identity = match self.keyring.verify(&request.token, now).await {
            Ok(identity) => identity,
            Err(VerifyError::Unavailable) => return Err(no_keys()),
            Err(VerifyError::Token(error)) => {
                return Ok(IntrospectResponse {
                    reason: error.label().to_owned(),
                    ..IntrospectResponse::default()
                });
            }
        };
        caller.acts_on("user", &identity.user);
        let is_revoked = sure(timeout_at(until, self.is_revoked(&identity)).await)?;
        Ok(describe(&identity, is_revoked))
    }

    /// Stores it, then tells every gateway. Those that don't answer will find it in the
    /// table.
    async fn revoke(
        &self,
        revocation: Revocation,
        until: Instant,
    ) -> Result<RevokeResponse, Status> {
        let stored = revocations::store(&*self.bus, &revocation);
        sure(timeout_at(until, stored).await)?;
        let command = Command::Revoke(Revoke {
            revocation: Some(revocation.message()),
        });
        let everybody = Meant::Everybody;
        let answers = self.gateways.ask_all(&everybody, command, until, changed);
        let mut response = RevokeResponse::default();
        for answer in answers.await? {
            match answer.outcome {
                Ok(changed) => {
                    response.gateways += 1;
                    response.connections += changed.count;
                }
                Err(_) => response.unreached_gateways.push(answer.gateway.to_string()),
            }
        }
        Ok(response)
    }

    async fn id_of(&self, token: &str, now: SystemTime) -> Result<Box<str>, Status> {
        let verified = self.keyring.verify(token, now).await;
        let identity = verified.map_err(|error| match error {
            VerifyError::Unavailable => no_keys(),
            VerifyError::Token(error) => invalid("token", error),
        })?;
        identity.token_id.ok_or_else(|| {
            let message = "the token has no id: revoke its user".into();
            rich(Code::FailedPrecondition, "TOKEN_HAS_NO_ID", message)
        })
    }

    async fn is_revoked(&self, identity: &Identity) -> Result<bool, BusError> {
        let bearer = Bearer {
            user: &identity.user,
            token_id: identity.token_id.as_deref(),
            issued_at_ms: identity.issued_at.map(unix_ms),
            session: None,
        };
        revocations::is_revoked(&*self.bus, &bearer).await
    }
}

/// Whose access is taken back for as long as any token or ticket counts.
fn kept(whom: Whom, now: SystemTime) -> Revocation {
    Revocation {
        whom,
        issued_before_ms: 0,
        until_ms: unix_ms(now + KEPT),
        grace_ms: 0,
    }
}

fn describe(identity: &Identity, is_revoked: bool) -> IntrospectResponse {
    let labels = identity.labels.iter();
    IntrospectResponse {
        active: !is_revoked,
        reason: match is_revoked {
            true => "revoked".to_owned(),
            false => String::new(),
        },
        user: identity.user.to_string(),
        token_id: identity.token_id.as_deref().unwrap_or("").to_owned(),
        issued_at: identity.issued_at.map(Into::into),
        expires_at: identity.expires_at.map(Into::into),
        labels: labels
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

fn grace(asked: Option<prost_types::Duration>) -> Result<u32, Status> {
    let Some(asked) = asked else {
        return Ok(0);
    };
    Duration::try_from(asked)
        .ok()
        .filter(|grace| *grace <= MAX_GRACE)
        .and_then(|grace| u32::try_from(grace.as_millis()).ok())
        .ok_or_else(|| invalid("grace", "must be at most 10 min"))
}

fn session(id: &str) -> Result<SessionId, Status> {
    match Meant::session(id)? {
        Meant::Session(session) => Ok(session),
        _ => unreachable!("it is a session"),
    }
}

fn no_keys() -> Status {
    let message = "the keys of the token's issuer can't be fetched now".into();
    rich(Code::Unavailable, "KEYS_UNAVAILABLE", message)
}

/// What the bus did in time, or the status of a call that did nothing.
fn sure<T, E>(outcome: Result<Result<T, BusError>, E>) -> Result<T, Status> {
    let late = |_| {
        let message = "the table of revocations did not answer in time: repeat the call".into();
        rich(Code::DeadlineExceeded, "REVOCATIONS_TIMEOUT", message)
    };
    outcome.map_err(late)?.map_err(|error| {
        let message = format!("the table of revocations can't be used: {error}");
        rich(Code::Unavailable, "REVOCATIONS_UNAVAILABLE", message)
    })
}

fn changed(reply: Reply) -> Option<Changed> {
    match reply {
        Reply::Changed(changed) => Some(changed),
        _ => None,
    }
}

fn unix_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
