//! The auth hook: tokens that the gateway can't read are shown to a worker.
//!
//! Everybody who shows the same token at the same time waits for one request. What a
//! worker answers is kept for a while under the token's SHA-256. Workers that do not
//! answer are left alone for a while (the route's breaker), and their clients told
//! to come back later, which is not the same as being refused.

mod verdicts;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use auth::{Ceilings, Identity, Statement};
use bus::{Bus, BusExt, Request, RequestContext};
use foldhash::HashMap;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use metrics::{Counter, counter};
use parking_lot::Mutex;
use prost::Message;
use wire::{
    UserId,
    worker::{AuthAccepted, AuthRequest, AuthResult, PatternList, auth_result},
};

use self::verdicts::{Digest, Verdicts};
use crate::{
    authenticate::{Attempt, Rejection},
    namespace::RoutePolicy,
    route::Route,
};

/// Whoever is let in without an end is let in for so long: no longer than
/// revocations are kept.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Who reads tokens that the gateway can't.
#[derive(Clone, Debug)]
pub struct HookPolicy {
    /// The route's name, for metrics. Clients can't call it.
    pub name: Box<str>,
    /// Where its workers are, how long they may take, and when they are left alone.
    pub route: RoutePolicy,
    /// Verdicts kept of each kind, valid and not; each takes some hundred bytes.
    pub kept: usize,
    /// For how long a token counts as valid without asking again; never beyond its
    /// expiry.
    pub valid_for: Duration,
    /// For how long one counts as not valid.
    pub denied_for: Duration,
}

/// Asks, and remembers answers.
pub(crate) struct Hook {
    bus: Arc<dyn Bus>,
    route: Arc<Route>,
    // A lock: held for a look-up, never while asking.
    memory: Arc<Mutex<Memory>>,
    remembered: Counter,
}

type Answer = Result<Arc<Identity>, Rejection>;
type Asking = BoxFuture<'static, Answer>;

struct Memory {
    valid: Verdicts<Arc<Identity>>,
    denied: Verdicts<()>,
    /// Under way, as many as the route lets in at most.
    asked: HashMap<Digest, WeakShared<Asking>>,
}

/// Takes a request out of `asked` once it has ended, or nobody waits for it.
struct Asked {
    memory: Arc<Mutex<Memory>>,
    token: Digest,
}

// === impl Hook ===

impl Hook {
    pub(crate) fn new(policy: HookPolicy, bus: Arc<dyn Bus>) -> Self {
        let memory = Memory {
            valid: Verdicts::new(policy.kept, policy.valid_for),
            denied: Verdicts::new(policy.kept, policy.denied_for),
            asked: HashMap::default(),
        };
        Self {
            bus,
            route: Route::new(&policy.name, policy.route),
            memory: Arc::new(Mutex::new(memory)),
            remembered: counter!("tidegate_edge_hook_remembered_total"),
        }
    }

    /// Finds out who shows this token: at once if it is remembered, else when a
    /// worker has answered, within the route's deadline.
    pub(crate) async fn identify(&self, attempt: Attempt<'_>) -> Result<Identity, Rejection> {
        let token = auth::token_digest(attempt.token);
        let answer = {
            let mut memory = self.memory.lock();
            match memory.recall(&token, Instant::now()) {
                Some(answer) => Err(answer),
                None => Ok(
                    match memory.asked.get(&token).and_then(WeakShared::upgrade) {
                        Some(asking) => asking,
                        None => self.begin(token, attempt, &mut memory),
                    },
                ),
            }
        };
        let answer = match answer {
            Ok(asking) => asking.await,
            Err(remembered) => {
                self.remembered.increment(1);
                remembered
            }
        };
        answer.map(|identity| Identity::clone(&identity))
    }

    fn begin(&self, token: Digest, attempt: Attempt<'_>, memory: &mut Memory) -> Shared<Asking> {
        let Attempt {
            token: text,
            peer,
            origin,
            client_name,
        } = attempt;
        let request = AuthRequest {
            token: text.to_owned(),
            peer_address: peer.to_string(),
            origin: origin.unwrap_or_default().to_owned(),
            client_name: client_name.to_owned(),
        };
        let asked = Asked {
            memory: self.memory.clone(),
            token,
        };
        let (route, bus) = (self.route.clone(), self.bus.clone());
        let asking = async move {
            let answer = ask(&route, &*bus, &request).await;
            asked.end(&answer);
            answer
        };
        let asking = asking.boxed().shared();
        let weak = asking.downgrade().expect("it has not been polled");
        memory.asked.insert(token, weak);
        asking
    }
}

/// Puts a token to a worker.
async fn ask(route: &Arc<Route>, bus: &dyn Bus, request: &AuthRequest) -> Answer {
    let deadline = route.policy.deadline;
    let passage = route.enter(deadline).map_err(|_| Rejection::Unavailable)?;
    let question = Request {
        subject: route.policy.subject.clone(),
        payload: request.encode_to_vec().into(),
        deadline,
        context: RequestContext::default(),
    };
    let outcome = bus.ask(question).await;
    passage.end(&outcome);
    let reply = outcome.map_err(|error| {
        tracing::debug!(%error, "no worker says whether a token is valid");
        Rejection::Unavailable
    })?;
    let result = AuthResult::decode(reply.payload).ok();
    match result.and_then(|result| result.result) {
        Some(auth_result::Result::Accepted(accepted)) => {
            let identity = read(accepted, SystemTime::now());
            identity.map(Arc::new).map_err(|problem| {
                tracing::warn!(problem, "a worker lets somebody in who can't be");
                Rejection::Unavailable
            })
        }
        Some(auth_result::Result::Denied(denied)) => {
            let reason = denied.reason.escape_debug();
            tracing::debug!(%reason, "a worker denies a token");
            Err(Rejection::Denied)
        }
        None => {
            tracing::warn!("a worker's answer on a token is malformed");
            Err(Rejection::Unavailable)
        }
    }
}

fn read(accepted: AuthAccepted, now: SystemTime) -> Result<Identity, String> {
    let list = |list: Option<PatternList>| list.map(|list| list.patterns);
    let user = UserId::new(&accepted.user).ok_or("no user id")?;
    let statement = Statement {
        subscribe: list(accepted.subscribe),
        publish: list(accepted.publish),
        presence: list(accepted.presence),
        history: list(accepted.history),
        routes: list(accepted.routes),
        labels: Some(accepted.labels.into_iter().collect()),
        max_connections: accepted.max_connections.try_into().ok(),
        max_subscriptions: accepted.max_subscriptions.try_into().ok(),
        rate: (!accepted.rate.is_empty()).then_some(accepted.rate),
    };
    let identity = statement.of(user, &Arc::<Ceilings>::default());
    let identity = identity.map_err(|error| error.to_string())?;
    let issued_at = date(accepted.issued_at_ms)?;
    let latest = issued_at.unwrap_or(now) + LONGEST;
    let expires_at = date(accepted.expires_at_ms)?;
    let expires_at = expires_at.map_or(latest, |end| end.min(latest));
    let token_id = match accepted.token_id.len() {
        0 => None,
        1..=auth::MAX_TOKEN_ID_BYTES => Some(accepted.token_id.into()),
        _ => return Err("token id is too long".to_owned()),
    };
    if expires_at <= now {
        return Err("has expired".to_owned());
    }
    Ok(Identity {
        expires_at: Some(expires_at),
        issued_at,
        token_id,
        ..identity
    })
}

/// A date of a worker's, in Unix milliseconds; zero: none.
fn date(ms: i64) -> Result<Option<SystemTime>, String> {
    let since = u64::try_from(ms).map(Duration::from_millis);
    let since = since.map_err(|_| "names a time before 1970")?;
    Ok((ms > 0).then(|| SystemTime::UNIX_EPOCH + since))
}

// === impl Memory ===

impl Memory {
    fn recall(&self, token: &Digest, now: Instant) -> Option<Answer> {
        let valid = self.valid.get(token, now).map(Ok);
        valid.or_else(|| self.denied.get(token, now).map(|()| Err(Rejection::Denied)))
    }
}

// === impl Asked ===

impl Asked {
    fn end(self, answer: &Answer) {
        let (mut memory, now) = (self.memory.lock(), Instant::now());
        match answer {
            Ok(identity) => {
                let left = identity
                    .expires_at
                    .map(|end| end.duration_since(SystemTime::now()));
                let left = left.map_or(LONGEST, Result::unwrap_or_default);
                memory.valid.keep(self.token, identity.clone(), left, now);
            }
            Err(Rejection::Denied) => memory.denied.keep(self.token, (), LONGEST, now),
            // What is not known is asked again.
            Err(_) => {}
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.memory.lock().asked.remove(&self.token);
    }
}
