//! AuthService: tokens for clients.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{Labels, NewToken, Patterns, RateClass, SigningKeys, TokenLimits};
use tonic::{Code, Request, Response, Status};
use wire::{
    UserId,
    control::{
        IntrospectRequest, IntrospectResponse, IssueTokenRequest, IssueTokenResponse, JwksRequest,
        JwksResponse, RevokeResponse, RevokeSessionRequest, RevokeTokenRequest, RevokeUserRequest,
    },
};

use crate::{
    callers::Caller,
    config::{ControlConfig, Lifetimes},
    deadline,
    generated::auth_service_server::AuthService,
    metrics::Method,
    revoking::Revoking,
    status::{invalid, rich},
};

/// A shorter one ends before it is used.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

/// Serves AuthService.
pub(crate) struct Issuing {
    keys: Option<Arc<SigningKeys>>,
    issuer: Option<String>,
    audience: Option<String>,
    lifetimes: Lifetimes,
    issue_token: Arc<Method>,
    jwks: Arc<Method>,
    revoking: Revoking,
    revoke_user: Arc<Method>,
    revoke_token: Arc<Method>,
    revoke_session: Arc<Method>,
    introspect: Arc<Method>,
}

// === impl Issuing ===

impl Issuing {
    pub(crate) fn new(
        keys: Option<Arc<SigningKeys>>,
        config: &ControlConfig,
        revoking: Revoking,
    ) -> Self {
        let method = |name| Method::new("AuthService", name);
        Self {
            keys,
            revoking,
            issuer: config.token_issuer.clone(),
            audience: config.token_audience.clone(),
            lifetimes: config.token_lifetimes,
            issue_token: method("IssueToken"),
            jwks: method("Jwks"),
            revoke_user: method("RevokeUser"),
            revoke_token: method("RevokeToken"),
            revoke_session: method("RevokeSession"),
            introspect: method("Introspect"),
        }
    }

    fn issue(
        &self,
        request: &IssueTokenRequest,
        caller: &Caller,
    ) -> Result<IssueTokenResponse, Status> {
        let now = SystemTime::now();
        let signer = self.keys.as_ref().and_then(|keys| keys.signer(now));
        let signer = signer.ok_or_else(|| {
            let message = "no signing key is configured, or none may sign yet".into();
            rich(Code::FailedPrecondition, "NO_SIGNING_KEY", message)
        })?;
        let user = UserId::new(&request.user)
            .ok_or_else(|| invalid("user", "must be 1 to 255 bytes without control characters"))?;
        caller.acts_on("user", &user);
        let token = NewToken {
            subscribe: patterns("subscribe", &request.subscribe)?,
            publish: patterns("publish", &request.publish)?,
            presence: patterns("presence", &request.presence)?,
            history: patterns("history", &request.history)?,
            routes: patterns("routes", &request.routes)?,
            labels: Labels::new(request.labels.clone())
                .map_err(|error| invalid("labels", error))?,
            limits: limits(request)?,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            ..NewToken::new(user, self.lifetime(request.lifetime)?)
        };
        let (token, expires_at) = signer.issue(&token, now);
        Ok(IssueTokenResponse {
            token,
            expires_at: Some(expires_at.into()),
        })
    }

    fn lifetime(&self, asked: Option<prost_types::Duration>) -> Result<Duration, Status> {
        let Some(asked) = asked else {
            return Ok(self.lifetimes.default);
        };
        let max = self.lifetimes.max;
        Duration::try_from(asked)
            .ok()
            .filter(|lifetime| (MIN_LIFETIME..=max).contains(lifetime))
            .ok_or_else(|| {
                invalid(
                    "lifetime",
                    format_args!("must be 1 s to {} s", max.as_secs()),
                )
            })
    }
}

#[tonic::async_trait]
impl AuthService for Issuing {
    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<IssueTokenResponse>, Status> {
        let caller = Caller::of(&request);
        let work = async { self.issue(request.get_ref(), &caller) };
        self.issue_token.observe(work).await
    }

    async fn jwks(&self, _: Request<JwksRequest>) -> Result<Response<JwksResponse>, Status> {
        let none = || r#"{"keys":[]}"#.to_owned();
        let jwks = self.keys.as_ref().map_or_else(none, |keys| keys.jwks());
        let work = async { Ok(JwksResponse { jwks }) };
        self.jwks.observe(work).await
    }

    async fn revoke_user(
        &self,
        request: Request<RevokeUserRequest>,
    ) -> Result<Response<RevokeResponse>, Status> {
        let (caller, until) = (Caller::of(&request), deadline::of(request.metadata()));
        let work = self.revoking.user(request.get_ref(), &caller, until);
        self.revoke_user.observe(work).await
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeResponse>, Status> {
        let (caller, until) = (Caller::of(&request), deadline::of(request.metadata()));
        let work = self.revoking.token(request.get_ref(), &caller, until);
        self.revoke_token.observe(work).await
    }

    async fn revoke_session(
        &self,
        request: Request<RevokeSessionRequest>,
    ) -> Result<Response<RevokeResponse>, Status> {
        let (caller, until) = (Caller::of(&request), deadline::of(request.metadata()));
        let work = self.revoking.session(request.get_ref(), &caller, until);
        self.revoke_session.observe(work).await
    }

    async fn introspect(
        &self,
        request: Request<IntrospectRequest>,
    ) -> Result<Response<IntrospectResponse>, Status> {
        let (caller, until) = (Caller::of(&request), deadline::of(request.metadata()));
        let work = self.revoking.introspect(request.get_ref(), &caller, until);
        self.introspect.observe(work).await
    }
}

/// What is zero or empty sets no limit.
fn limits(request: &IssueTokenRequest) -> Result<TokenLimits, Status> {
    let rate = match &*request.rate_class {
        "" => None,
        name => Some(RateClass::parse(name).map_err(|error| invalid("rate_class", error))?),
    };
    let (connections, subscriptions) = (request.max_connections, request.max_subscriptions);
    let (connections, subscriptions) =
        (NonZeroU32::new(connections), NonZeroU32::new(subscriptions));
    Ok(TokenLimits::new(connections, subscriptions, rate))
}

/// No patterns: the token says nothing of it.
fn patterns(field: &str, texts: &[String]) -> Result<Option<Patterns>, Status> {
    if texts.is_empty() {
        return Ok(None);
    }
    Patterns::parse(texts)
        .map(Some)
        .map_err(|error| invalid(field, error))
}
