//! AuthService: tokens for clients.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use auth::{Labels, NewToken, Patterns, Signer};
use tonic::{Code, Request, Response, Status};
use wire::{
    UserId,
    control::{IssueTokenRequest, IssueTokenResponse},
};

use crate::{
    config::ControlConfig,
    generated::auth_service_server::AuthService,
    metrics::Method,
    status::{invalid, rich},
};

/// How long tokens count, if the request does not say.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A shorter one ends before it is used.
const MIN_LIFETIME: Duration = Duration::from_secs(1);

/// A longer one is hard to take back.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Serves AuthService.
pub(crate) struct Issuing {
    signer: Option<Arc<Signer>>,
    issuer: Option<String>,
    audience: Option<String>,
    issue_token: Arc<Method>,
}

// === impl Issuing ===

impl Issuing {
    pub(crate) fn new(signer: Option<Arc<Signer>>, config: &ControlConfig) -> Self {
        Self {
            signer,
            issuer: config.token_issuer.clone(),
            audience: config.token_audience.clone(),
            issue_token: Method::new("AuthService", "IssueToken"),
        }
    }

    fn issue(&self, request: &IssueTokenRequest) -> Result<IssueTokenResponse, Status> {
        let signer = self.signer.as_ref().ok_or_else(|| {
            let message = "no signing key is configured".into();
            rich(Code::FailedPrecondition, "NO_SIGNING_KEY", message)
        })?;
        let user = UserId::new(&request.user)
            .ok_or_else(|| invalid("user", "must be 1 to 255 bytes without control characters"))?;
        let token = NewToken {
            user,
            lifetime: lifetime(request.lifetime)?,
            subscribe: patterns("subscribe", &request.subscribe)?,
            publish: patterns("publish", &request.publish)?,
            routes: None,
            labels: Labels::new(request.labels.clone())
                .map_err(|error| invalid("labels", error))?,
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
        };
        let (token, expires_at) = signer.issue(&token, SystemTime::now());
        Ok(IssueTokenResponse {
            token,
            expires_at: Some(expires_at.into()),
        })
    }
}

#[tonic::async_trait]
impl AuthService for Issuing {
    async fn issue_token(
        &self,
        request: Request<IssueTokenRequest>,
    ) -> Result<Response<IssueTokenResponse>, Status> {
        let work = async { self.issue(request.get_ref()) };
        self.issue_token.observe(work).await
    }
}

fn lifetime(asked: Option<prost_types::Duration>) -> Result<Duration, Status> {
    let Some(asked) = asked else {
        return Ok(DEFAULT_LIFETIME);
    };
    Duration::try_from(asked)
        .ok()
        .filter(|lifetime| (MIN_LIFETIME..=MAX_LIFETIME).contains(lifetime))
        .ok_or_else(|| invalid("lifetime", "must be 1 s to 24 h"))
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
