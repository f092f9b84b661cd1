//! From what a client shows to who it is, or to why it can't come in.

use std::{net::IpAddr, time::SystemTime};

use auth::{Identity, TokenError};
use keyring::VerifyError;
use thiserror::Error;
use wire::CloseCause;

use crate::gateway::Gateway;

/// The verdict on a client's token.
pub(crate) type Verdict = Result<Box<Identity>, Rejection>;

/// A token and who shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    /// Never logged.
    pub(crate) token: &'a str,
    pub(crate) peer: IpAddr,
    /// The page that a browser's script came with.
    pub(crate) origin: Option<&'a str>,
    /// What the client calls itself; empty: it has not said it yet.
    pub(crate) client_name: &'a str,
}

/// Why a client is not let in. Holds nothing of the token, so it can be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum Rejection {
    /// The token is not valid, and never will be.
    #[error("the token is not valid")]
    Invalid(#[from] TokenError),
    /// Whoever could say whether it is valid can't be asked now.
    #[error("whether the token is valid can't be found out now")]
    Unavailable,
    /// A worker says that it is not.
    #[error("a worker denies the token")]
    Denied,
}

// === impl Gateway ===

impl Gateway {
    /// Who a client without a token is; absent: such are not let in.
    pub(crate) fn anonymous(&self) -> Option<Box<Identity>> {
        let anonymous = || Box::new(Identity::anonymous());
        self.config.anonymous.then(anonymous)
    }

    /// Finds out who shows a token, as of now. Needs no await for tokens of known
    /// keys; ends within a few seconds for others.
    pub(crate) async fn authenticate(&self, attempt: Attempt<'_>) -> Verdict {
        let verdict = self.keyring.verify(attempt.token, SystemTime::now()).await;
        let verdict = match (verdict.map_err(Rejection::from), &self.hook) {
            (Err(Rejection::Invalid(error)), Some(hook)) if is_foreign(error, attempt.token) => {
                // Boxed: rare, and the path of those with a known key stays small.
                Box::pin(hook.identify(attempt)).await
            }
            (verdict, _) => verdict,
        };
        verdict.map(Box::new).inspect_err(|error| {
            let Attempt {
                peer,
                origin,
                client_name,
                token: _,
            } = attempt;
            tracing::debug!(%peer, origin, client_name, %error, "a token was refused");
        })
    }
}

/// Whether the token is nothing that any of our issuers can have made.
fn is_foreign(error: TokenError, token: &str) -> bool {
    match error {
        TokenError::Issuer => true,
        TokenError::Malformed => !token.is_empty() && auth::is_opaque(token),
        _ => false,
    }
}

// === impl Rejection ===

impl Rejection {
    /// How the connection is closed.
    pub(crate) fn cause(self) -> CloseCause {
        match self {
            Self::Invalid(_) | Self::Denied => CloseCause::InvalidToken,
            Self::Unavailable => CloseCause::UpstreamUnavailable,
        }
    }

    /// Stable name; a metric label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Invalid(error) => error.label(),
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
        }
    }
}

impl From<VerifyError> for Rejection {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Token(error) => Self::Invalid(error),
            VerifyError::Unavailable => Self::Unavailable,
        }
    }
}
