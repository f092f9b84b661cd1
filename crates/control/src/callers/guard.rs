//! The one check before every service: a tower layer, since it must see the path
//! and the connection, and how calls end.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response};
use tonic::{Code, Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    CallScope, Caller, Credentials, Peer,
    audit::{Denials, Record},
    credentials::{Callers, Stranger},
    methods::{self, Audited, Needs, Rule, Rules},
};
use crate::status::rich_with;

/// Lets calls through, or not.
#[derive(Clone)]
pub(crate) struct GuardLayer(Arc<Gate>);

/// A service behind the gate.
#[derive(Clone)]
pub(crate) struct Guard<S> {
    inner: S,
    gate: Arc<Gate>,
}

/// What the check needs.
struct Gate {
    callers: Callers,
    rules: Rules,
    denials: Denials,
}

/// Why a call is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denial {
    Stranger(Stranger),
    /// There is no such method.
    Unknown,
    Scope(CallScope),
}

/// How a call is let through.
struct Passed {
    caller: Caller,
    audited: Audited,
}

// === impl GuardLayer ===

impl GuardLayer {
    pub(crate) fn new(credentials: &Credentials) -> Self {
        Self(Arc::new(Gate {
            callers: Callers::new(credentials),
            rules: methods::rules(),
            denials: Denials::default(),
        }))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard {
            inner,
            gate: self.0.clone(),
        }
    }
}

// === impl Guard ===

impl<S, B> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let peer = request
            .extensions()
            .get::<Peer>()
            .cloned()
            .unwrap_or_default();
        let path = request.uri().path();
        let passed = match self.gate.check(path, request.headers(), &peer) {
            Ok(passed) => passed,
            Err(status) => return Box::pin(async move { Ok(status.into_http()) }),
        };
        let record = match passed.audited {
            Audited::Calls => Some(Record::begin(passed.caller.clone(), path, peer.address)),
            Audited::Denials => None,
        };
        // No service needs the key, and none must be able to log it.
        request.headers_mut().remove(http::header::AUTHORIZATION);
        request.extensions_mut().insert(passed.caller);
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            if let Some(record) = record {
                // Unary calls that fail say so in the head.
                let status = Status::from_header_map(response.headers());
                record.end(status.map_or(Code::Ok, |status| status.code()));
            }
            Ok(response)
        })
    }
}

// === impl Gate ===

impl Gate {
    fn check(&self, path: &str, headers: &HeaderMap, peer: &Peer) -> Result<Passed, Status> {
        let known = self.callers.identify(headers, peer);
        let caller = known.cloned().map(Caller::new);
        let denied = |denial: Denial| {
            let name = caller.as_ref().map_or("", Caller::name);
            let status = denial.status();
            // Of what is no method nothing is written but that it was asked for.
            let method = self.rules.get_key_value(path).map_or("", |(path, _)| path);
            self.denials
                .write(name, method, peer.address, status.code(), denial.reason());
            status
        };
        let Some(&Rule { needs, audited }) = self.rules.get(path) else {
            return Err(denied(match caller {
                Ok(_) => Denial::Unknown,
                Err(stranger) => Denial::Stranger(stranger),
            }));
        };
        let allowed = match (needs, &caller) {
            (Needs::Nothing, _) => Ok(()),
            (_, Err(stranger)) => Err(Denial::Stranger(*stranger)),
            (Needs::Credentials, Ok(_)) => Ok(()),
            (Needs::Scope(scope), Ok(caller)) if caller.scopes().allow(scope) => Ok(()),
            (Needs::Scope(scope), Ok(_)) => Err(Denial::Scope(scope)),
        };
        allowed.map_err(denied)?;
        let caller = caller.unwrap_or_else(|_| Caller::nobody());
        Ok(Passed { caller, audited })
    }
}

// === impl Denial ===

impl Denial {
    fn reason(self) -> &'static str {
        match self {
            Self::Stranger(Stranger::Missing) => "MISSING_CREDENTIALS",
            Self::Stranger(Stranger::Key) => "UNKNOWN_KEY",
            Self::Stranger(Stranger::Certificate) => "UNKNOWN_CERTIFICATE",
            Self::Unknown => "UNKNOWN_METHOD",
            Self::Scope(_) => "SCOPE_TOO_SMALL",
        }
    }

    fn status(self) -> Status {
        let reason = self.reason();
        let (code, metadata) = match self {
            Self::Stranger(_) => (Code::Unauthenticated, None),
            Self::Unknown => (Code::Unimplemented, None),
            Self::Scope(scope) => (Code::PermissionDenied, Some(("scope", scope.name()))),
        };
        rich_with(code, reason, self.to_string(), metadata)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger(Stranger::Missing) => {
                f.write_str("credentials are missing: a bearer key or a certificate")
            }
            Self::Stranger(Stranger::Key) => f.write_str("the key is not known"),
            Self::Stranger(Stranger::Certificate) => {
                f.write_str("the certificate's names are not known")
            }
            Self::Unknown => f.write_str("there is no such method"),
            Self::Scope(scope) => write!(f, "the caller lacks the scope {scope}"),
        }
    }
}
