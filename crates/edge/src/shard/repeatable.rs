//! Requests with an idempotency key: the journal asks the workers, and the
//! connection hears what it says. Nothing is cancelled when the client gives up
//! or is gone: a repetition finds the outcome.

use std::{sync::Arc, time::Duration};

use bus::{BusError, Reply, RequestContext};
use bytes::Bytes;
use journal::{Call, NotDone, Outcome, Refusal, Report};
use wire::{
    client::{ErrorCode, Failure},
    failure,
};

use super::{Core, Mail, connection::Connection, post::request_failure};
use crate::{route::Route, trace::RequestTrace};

/// What a client wants of a route.
pub(super) struct Wanted {
    pub(super) id: u32,
    pub(super) name: Box<str>,
    pub(super) route: Arc<Route>,
    pub(super) payload: Bytes,
    pub(super) deadline: Duration,
    /// With the idempotency key.
    pub(super) context: RequestContext,
    pub(super) trace: RequestTrace,
}

impl Core {
    /// Hands the request to the journal.
    pub(super) fn request_once(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        wanted: Wanted,
    ) {
        let Wanted {
            id,
            name,
            route,
            payload,
            deadline,
            context,
            trace,
        } = wanted;
        let Some(identity) = &connection.profile.identity else {
            return;
        };
        let (mailbox, key) = (self.mailbox().clone(), connection.key(slot));
        let span = trace.into_span();
        let tell = move |outcome: Outcome| {
            mailbox.push(Mail::Settled {
                connection: key,
                id,
                outcome: outcome.map_err(|not_done| why(&not_done)),
                span,
            })
        };
        let call = Call {
            user: identity.user.clone(),
            idempotency_key: context.idempotency_key.clone(),
            route: name,
            subject: route.policy.subject.clone(),
            payload,
            deadline,
            context,
            redelivery: route.policy.redelivery,
            admit: Box::new(move || admit(&route, deadline)),
            tell: Some(Box::new(tell)),
        };
        if self.gateway.journal.hand_in(call).is_err() {
            let full = failure(ErrorCode::Overloaded, "too many requests with a key");
            self.refuse(connection, id, full);
        }
    }
}

/// Leave to ask the route's workers once.
fn admit(route: &Arc<Route>, deadline: Duration) -> Result<Report, Failure> {
    let passage = route.enter(deadline).map_err(|refusal| refusal.failure())?;
    Ok(Box::new(move |outcome: &Result<Reply, BusError>| {
        passage.end(outcome)
    }))
}

/// What a client is told.
fn why(not_done: &NotDone) -> Failure {
    match not_done {
        NotDone::Failed(worker) => request_failure(&BusError::Worker(worker.clone())),
        NotDone::Refused {
            refusal,
            not_executed,
        } => {
            let refused = match refusal {
                Refusal::Gateway(failure) => failure.clone(),
                Refusal::Bus(error) => request_failure(error),
            };
            Failure {
                not_executed: *not_executed,
                ..refused
            }
        }
        NotDone::InProgress => failure(ErrorCode::InProgress, ""),
        NotDone::KeyReused => failure(ErrorCode::IdempotencyKeyReused, ""),
        NotDone::OutcomeUnknown => failure(ErrorCode::OutcomeUnknown, ""),
        NotDone::DeadlineExceeded => failure(ErrorCode::DeadlineExceeded, ""),
        NotDone::Unavailable => failure(ErrorCode::Unavailable, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_attempt_that_was_refused_is_certainly_not_executed() {
        let refused = |not_executed| NotDone::Refused {
            refusal: Refusal::Bus(BusError::NoResponders),
            not_executed,
        };
        for not_executed in [true, false] {
            let told = why(&refused(not_executed));
            assert_eq!(told.code(), ErrorCode::NoWorker);
            assert_eq!((told.not_executed, told.retryable), (not_executed, true));
        }
    }

    #[test]
    fn what_may_be_known_later_is_worth_a_repetition_and_what_never_will_is_not() {
        let later = [
            NotDone::InProgress,
            NotDone::DeadlineExceeded,
            NotDone::Unavailable,
        ];
        for not_done in later {
            let told = why(&not_done);
            assert!(told.retryable && !told.not_executed, "{told:?}");
        }
        for not_done in [NotDone::KeyReused, NotDone::OutcomeUnknown] {
            assert!(!why(&not_done).retryable);
        }
    }
}
