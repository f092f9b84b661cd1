//! Checks of requests: who gets them, and that each has exactly one outcome.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use wire::{ConnectionId, GatewayId, SessionId, UserId};

use super::{
    PATIENCE,
    probes::{Answers, Seen, answer, listen, message, numbers, question, subject},
};
use crate::{
    BusExt,
    port::{
        Bus, BusError, Handler, Incoming, Reply, Request, RequestContext, Responder, WorkerFailure,
    },
};

/// Soon enough not to hold up the tests, late enough to be in the future.
const SHORT: Duration = Duration::from_millis(30);

type Kept = Arc<Mutex<Vec<Responder>>>;

/// The payload goes there and comes back.
pub async fn a_request_gets_its_reply(bus: Arc<dyn Bus>) {
    let echo = Answers(|request: Incoming| request.responder.reply(Ok(request.payload)));
    bus.serve(subject("q"), Arc::new(echo));
    assert_eq!(
        bus.ask(question("q", "ping")).await,
        Ok(Reply {
            payload: "ping".into()
        })
    );
}

/// Subject, deadline and context arrive unchanged.
pub async fn a_request_carries_its_context(bus: Arc<dyn Bus>) {
    let seen = Seen::new();
    let record = Arc::clone(&seen);
    let handler = Answers(move |request: Incoming| {
        record.push((request.subject, request.deadline, request.context));
        request.responder.reply(Ok(Bytes::new()));
    });
    bus.serve(subject("q"), Arc::new(handler));
    let gateway = GatewayId::new("gw").expect("valid");
    let connection = ConnectionId {
        gateway,
        shard: 1,
        slot: 2,
        generation: 3,
    };
    let context = RequestContext {
        user: UserId::new("alice"),
        connection: Some(connection.clone()),
        session: Some(SessionId(7)),
        idempotency_key: "key".into(),
        attempt: 2,
        traceparent: "00-trace".into(),
    };
    let reply = bus
        .ask(Request {
            context,
            ..question("q", "")
        })
        .await;
    assert_eq!(
        reply,
        Ok(Reply {
            payload: Bytes::new()
        })
    );
    let requests = seen.wait(1).await;
    let (to, deadline, context) = &requests[0];
    assert_eq!(*to, subject("q"));
    assert!(*deadline <= PATIENCE && *deadline > PATIENCE / 2);
    assert_eq!(context.user, UserId::new("alice"));
    assert_eq!(context.connection.as_ref(), Some(&connection));
    assert_eq!(context.session, Some(SessionId(7)));
    assert_eq!((&*context.idempotency_key, context.attempt), ("key", 2));
    assert_eq!(&*context.traceparent, "00-trace");
}

/// Each gets its share, by turns or by chance.
pub async fn handlers_of_a_subject_share_the_work(bus: Arc<dyn Bus>) {
    let names = ["one", "two", "three"];
    for name in names {
        bus.serve(subject("q"), answer(name));
    }
    let mut replies = Vec::new();
    for _ in 0..300 {
        replies.push(
            bus.ask(question("q", ""))
                .await
                .expect("is answered")
                .payload,
        );
    }
    for name in names {
        let share = replies.iter().filter(|reply| **reply == name).count();
        assert!(
            (50..=150).contains(&share),
            "{name} answered {share} of 300"
        );
    }
}

/// However many there are.
pub async fn a_request_goes_to_one_handler(bus: Arc<dyn Bus>) {
    let seen = Seen::new();
    for name in ["red", "blue"] {
        let record = Arc::clone(&seen);
        let handler = Answers(move |request: Incoming| {
            record.push(name);
            request.responder.reply(Ok(Bytes::new()));
        });
        bus.serve(subject("q"), Arc::new(handler));
    }
    for _ in 0..10 {
        bus.ask(question("q", "")).await.expect("is answered");
    }
    assert_eq!(seen.items().len(), 10);
}

/// So that it can stop.
pub async fn a_cancelled_request_reaches_its_handler(bus: Arc<dyn Bus>) {
    let (seen, kept) = (Seen::new(), Kept::default());
    let (record, keep) = (Arc::clone(&seen), Arc::clone(&kept));
    let handler = Answers(move |request: Incoming| {
        keep.lock().push(request.responder);
        record.push(request.cancelled);
    });
    bus.serve(subject("q"), Arc::new(handler));
    let outcomes = Seen::new();
    let token = bus.request(question("q", ""), outcomes.done());
    let cancelled = seen.wait(1).await.remove(0);
    assert!(!cancelled.is_cancelled());
    bus.cancel(token);
    let told = tokio::time::timeout(PATIENCE, cancelled.cancelled()).await;
    assert!(told.is_ok(), "the handler is not told");
    assert_eq!(outcomes.wait(1).await, [Err(BusError::Cancelled)]);
}

/// Without waiting for the deadline.
pub async fn nobody_serving_is_told_at_once(bus: Arc<dyn Bus>) {
    bus.serve(subject("other"), answer("other"));
    assert_eq!(
        bus.ask(question("q", "")).await,
        Err(BusError::NoResponders)
    );
}

/// The others go on.
pub async fn an_ended_service_gets_nothing(bus: Arc<dyn Bus>) {
    let one = bus.serve(subject("q"), answer("one"));
    let two = bus.serve(subject("q"), answer("two"));
    bus.unsubscribe(one);
    for _ in 0..4 {
        assert_eq!(
            bus.ask(question("q", "")).await,
            Ok(Reply {
                payload: "two".into()
            })
        );
    }
    bus.unsubscribe(two);
    assert_eq!(
        bus.ask(question("q", "")).await,
        Err(BusError::NoResponders)
    );
}

/// A handler that never answers holds nobody up.
pub async fn a_deadline_ends_a_request(bus: Arc<dyn Bus>) {
    let (handler, _kept) = silent();
    bus.serve(subject("q"), handler);
    let request = Request {
        deadline: SHORT,
        ..question("q", "")
    };
    let outcome = tokio::time::timeout(PATIENCE, bus.ask(request)).await;
    assert_eq!(outcome, Ok(Err(BusError::DeadlineExceeded)));
}

/// The caller has its outcome already.
pub async fn a_late_reply_changes_nothing(bus: Arc<dyn Bus>) {
    let (handler, kept) = silent();
    bus.serve(subject("q"), handler);
    let outcomes = Seen::new();
    bus.request(
        Request {
            deadline: SHORT,
            ..question("q", "")
        },
        outcomes.done(),
    );
    outcomes.wait(1).await;
    for responder in kept.lock().drain(..) {
        responder.reply(Ok("late".into()));
    }
    bus.serve(subject("other"), answer("other"));
    bus.ask(question("other", "")).await.expect("is answered");
    assert_eq!(outcomes.items(), [Err(BusError::DeadlineExceeded)]);
}

/// And a reply after that finds nobody.
pub async fn a_cancelled_request_is_told_so(bus: Arc<dyn Bus>) {
    let (handler, kept) = silent();
    bus.serve(subject("q"), handler);
    let outcomes = Seen::new();
    let token = bus.request(question("q", ""), outcomes.done());
    bus.cancel(token);
    assert_eq!(outcomes.wait(1).await, [Err(BusError::Cancelled)]);
    for responder in kept.lock().drain(..) {
        responder.reply(Ok("late".into()));
    }
    bus.cancel(token);
    assert_eq!(outcomes.items().len(), 1);
}

/// Giving up on [`BusExt::ask`] leaves later requests alone.
pub async fn a_dropped_question_is_cancelled(bus: Arc<dyn Bus>) {
    let (handler, _kept) = silent();
    bus.serve(subject("q"), handler);
    bus.serve(subject("other"), answer("other"));
    tokio::select! {
        biased;
        outcome = bus.ask(question("q", "")) => panic!("nobody answers, but: {outcome:?}"),
        outcome = bus.ask(question("other", "")) => {
            assert_eq!(outcome, Ok(Reply { payload: "other".into() }));
        }
    }
    assert_eq!(
        bus.ask(question("other", "")).await,
        Ok(Reply {
            payload: "other".into()
        })
    );
}

/// Dropping a responder is an answer.
pub async fn a_handler_that_drops_a_request_is_told_gone(bus: Arc<dyn Bus>) {
    bus.serve(subject("q"), Arc::new(Answers(drop)));
    assert_eq!(bus.ask(question("q", "")).await, Err(BusError::HandlerGone));
}

/// Code, text and verdict arrive unchanged.
pub async fn a_workers_failure_passes_through(bus: Arc<dyn Bus>) {
    let failure = WorkerFailure {
        code: "broke".into(),
        message: "no money left".into(),
        retryable: true,
    };
    let said = failure.clone();
    let handler = Answers(move |request: Incoming| {
        request.responder.reply(Err(BusError::Worker(said.clone())));
    });
    bus.serve(subject("q"), Arc::new(handler));
    assert_eq!(
        bus.ask(question("q", "")).await,
        Err(BusError::Worker(failure))
    );
}

/// Reply, cancellation, deadline and a lost handler may race.
pub async fn an_outcome_comes_exactly_once(bus: Arc<dyn Bus>) {
    let (handler, kept) = silent();
    bus.serve(subject("q"), handler);
    let outcomes: Vec<_> = (0..200).map(|_| Seen::new()).collect();
    let tokens: Vec<_> = outcomes
        .iter()
        .map(|seen| {
            let request = Request {
                deadline: SHORT,
                ..question("q", "")
            };
            bus.request(request, seen.done())
        })
        .collect();
    let replier = tokio::task::spawn_blocking(move || {
        for (index, responder) in kept.lock().drain(..).enumerate() {
            match index % 2 {
                0 => responder.reply(Ok(Bytes::new())),
                _ => drop(responder),
            }
        }
    });
    for token in tokens {
        bus.cancel(token);
    }
    super::probes::joined(replier).await;
    for seen in &outcomes {
        seen.wait(1).await;
    }
    // The bus has noticed every deadline of before once it noticed a later one.
    let (handler, _kept) = silent();
    bus.serve(subject("later"), handler);
    let later = bus
        .ask(Request {
            deadline: SHORT,
            ..question("later", "")
        })
        .await;
    assert_eq!(later, Err(BusError::DeadlineExceeded));
    assert!(outcomes.iter().all(|seen| seen.items().len() == 1));
}

/// Long after `handle` has returned.
pub async fn a_handler_may_answer_from_another_thread(bus: Arc<dyn Bus>) {
    let (handler, kept) = silent();
    bus.serve(subject("q"), handler);
    let outcomes = Seen::new();
    bus.request(question("q", ""), outcomes.done());
    let replier = tokio::task::spawn_blocking(move || {
        let answered = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < answered {
            if let Some(responder) = kept.lock().pop() {
                return responder.reply(Ok("there".into()));
            }
            std::thread::yield_now();
        }
    });
    assert_eq!(
        outcomes.wait(1).await,
        [Ok(Reply {
            payload: "there".into()
        })]
    );
    super::probes::joined(replier).await;
}

/// Handlers are called with nothing of the bus locked.
pub async fn a_handler_may_use_the_bus(bus: Arc<dyn Bus>) {
    let seen = listen(&bus, "a").await;
    bus.serve(subject("inner"), answer("inner"));
    let onward = Arc::downgrade(&bus);
    let handler = Answers(move |request: Incoming| {
        let Some(bus) = onward.upgrade() else { return };
        bus.publish(message("a", 5), Box::new(drop));
        let responder = request.responder;
        let pass_on = Box::new(move |outcome: Result<Reply, BusError>| {
            responder.reply(outcome.map(|reply| reply.payload));
        });
        bus.request(question("inner", ""), pass_on);
    });
    bus.serve(subject("outer"), Arc::new(handler));
    assert_eq!(
        bus.ask(question("outer", "")).await,
        Ok(Reply {
            payload: "inner".into()
        })
    );
    assert_eq!(numbers(&seen.wait(1).await), [5]);
}

/// A handler that keeps requests unanswered, and where it keeps them.
fn silent() -> (Arc<dyn Handler>, Kept) {
    let kept = Kept::default();
    let keeps = Arc::clone(&kept);
    (
        Arc::new(Answers(move |request: Incoming| {
            keeps.lock().push(request.responder)
        })),
        kept,
    )
}
