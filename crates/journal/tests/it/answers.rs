//! What callers are told while nobody dies.

use std::{sync::Arc, time::Duration};

use bus::{BusError, WorkerFailure};
use journal::{NotDone, Refusal, Settings};
use parking_lot::Mutex;
use tokio::time::sleep;
use wire::{client::ErrorCode, failure};

use crate::{
    stage::{Command, DEADLINE, Gateway, KEPT, LAPSED, LATE, Stage, executes, settings},
    unsteady::{Fate, Kind, Op},
};

async fn answered(gateway: &Gateway, command: &Command) -> String {
    let told = gateway.ask(command).await.expect("alive");
    String::from_utf8(told.expect("answered").into()).expect("text")
}

async fn not_done(gateway: &Gateway, command: &Command) -> NotDone {
    let told = gateway.ask(command).await.expect("alive");
    told.expect_err("not answered")
}

fn refused(error: BusError, not_executed: bool) -> NotDone {
    NotDone::Refused {
        refusal: Refusal::Bus(error),
        not_executed,
    }
}

fn failure_of_worker(retryable: bool) -> WorkerFailure {
    WorkerFailure {
        code: "sold_out".into(),
        message: "none left".into(),
        retryable,
    }
}

#[tokio::test(start_paused = true)]
async fn two_gateways_that_get_a_key_at_once_execute_it_once_and_answer_alike() {
    let stage = Stage::new().await;
    let (one, two) = (stage.gateway(), stage.gateway());
    stage.serve(executes);
    stage.bus.follow(|_| Fate {
        before: Duration::from_millis(3),
        after: Duration::from_millis(3),
        ..Fate::default()
    });
    let command = Command::new("k");
    let answers = tokio::join!(answered(&one, &command), answered(&two, &command));
    assert_eq!(answers, ("k 0".to_owned(), "k 0".to_owned()));
    assert_eq!(stage.worker.executions("k"), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_repetition_gets_the_first_answer_until_it_is_forgotten() {
    let stage = Stage::new().await;
    let (one, two) = (stage.gateway(), stage.gateway());
    stage.serve(executes);
    let command = Command::new("k");
    assert_eq!(answered(&one, &command).await, "k 0");
    sleep(KEPT / 2).await;
    assert_eq!(answered(&two, &command).await, "k 0");
    sleep(KEPT).await;
    assert_eq!(answered(&two, &command).await, "k 1");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_s_final_refusal_is_an_answer_too() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    stage.serve(|worker, request| {
        worker.execute(&request);
        let failure = failure_of_worker(false);
        request.responder.reply(Err(BusError::Worker(failure)));
    });
    let failed = NotDone::Failed(failure_of_worker(false));
    for _ in 0..2 {
        assert_eq!(not_done(&gateway, &Command::new("k")).await, failed);
    }
    assert_eq!(stage.worker.executions("k"), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_certainly_not_executed_says_so_and_frees_the_key() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    let command = Command::new("k");
    let nobody = not_done(&gateway, &command).await;
    assert_eq!(nobody, refused(BusError::NoResponders, true));
    for error in [
        BusError::Overloaded,
        BusError::Worker(failure_of_worker(true)),
    ] {
        let says = error.clone();
        let token = stage.serve(move |_, request| request.responder.reply(Err(says.clone())));
        assert_eq!(not_done(&gateway, &command).await, refused(error, true));
        stage.stop_serving(token);
    }
    stage.serve(executes);
    assert_eq!(answered(&gateway, &command).await, "k 0");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_does_not_ask_says_why_and_frees_the_key() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    stage.serve(executes);
    let full = failure(ErrorCode::Overloaded, "too many");
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut call = Command::new("k").call(Box::new(move |outcome| drop(tell.send(outcome))));
    let says = full.clone();
    call.admit = Box::new(move || Err(says.clone()));
    gateway.desk().hand_in(call).expect("room");
    let expected = NotDone::Refused {
        refusal: Refusal::Gateway(full),
        not_executed: true,
    };
    assert_eq!(told.await.expect("told"), Err(expected));
    assert_eq!(answered(&gateway, &Command::new("k")).await, "k 0");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_good_for_one_request_of_one_user() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    stage.serve(executes);
    assert_eq!(answered(&gateway, &Command::new("k")).await, "k 0");
    let other = Command {
        payload: "two",
        ..Command::new("k")
    };
    assert_eq!(not_done(&gateway, &other).await, NotDone::KeyReused);
    let of_bob = Command {
        user: "bob",
        ..other
    };
    assert_eq!(answered(&gateway, &of_bob).await, "k 1");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_is_kept_for_the_repetition() {
    let stage = Stage::new().await;
    let patient = Settings {
        late: 2 * DEADLINE,
        ..settings()
    };
    let (one, two) = (stage.gateway_with(patient), stage.gateway());
    stage.serve(|worker, request| worker.hold(request));
    let command = Command::new("k");
    assert_eq!(not_done(&one, &command).await, NotDone::DeadlineExceeded);
    assert_eq!(not_done(&two, &command).await, NotDone::InProgress);
    // The worker is not told that nobody waits: somebody does.
    let [request] = stage.worker.take().try_into().expect("one request");
    assert!(!request.cancelled.is_cancelled());
    executes(&stage.worker, request);
    assert_eq!(answered(&two, &command).await, "k 0");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_never_answers_leaves_the_outcome_unknown_for_good() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    let token = stage.serve(|worker, request| worker.hold(request));
    let command = Command::new("k");
    let told = not_done(&gateway, &command).await;
    assert_eq!(told, NotDone::DeadlineExceeded);
    sleep(LATE + DEADLINE).await;
    stage.stop_serving(token);
    stage.serve(executes);
    for _ in 0..2 {
        let told = not_done(&gateway, &command).await;
        assert_eq!(told, NotDone::OutcomeUnknown);
    }
    assert_eq!(stage.worker.executions("k"), 0);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_ended_is_followed_by_another_only_if_workers_deduplicate() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let seen = attempts.clone();
    stage.serve(move |worker, request| {
        seen.lock().push(request.context.attempt);
        let payload = worker.execute_once(&request);
        // The first one dies between doing and answering.
        if request.context.attempt > 1 {
            request.responder.reply(Ok(payload));
        }
    });
    let unknown = not_done(&gateway, &Command::new("never")).await;
    assert_eq!(unknown, NotDone::OutcomeUnknown);
    let again = answered(&gateway, &Command::deduplicated("again")).await;
    assert_eq!(again, "again 0");
    assert_eq!(*attempts.lock(), [1, 1, 2]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_repetition_does_not_say_that_nothing_was_executed() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    let token = stage.serve(|worker, request| worker.hold(request));
    let command = Command::deduplicated("k");
    let told = not_done(&gateway, &command).await;
    assert_eq!(told, NotDone::DeadlineExceeded);
    stage.stop_serving(token);
    for _ in 0..2 {
        let told = not_done(&gateway, &command).await;
        assert_eq!(told, refused(BusError::NoResponders, false));
    }
    stage.serve(executes);
    assert_eq!(answered(&gateway, &command).await, "k 0");
    stage.end().await;
}

/// Some operations of a kind, counted from zero, are done and an error is told.
fn lying(op: Op, which: &'static [usize]) -> impl FnMut(Op) -> Fate + Send {
    let mut count = 0;
    move |of| {
        let lies = of == op && which.contains(&count);
        count += usize::from(of == op);
        let kind = if lies { Kind::Lies } else { Kind::Works };
        Fate {
            kind,
            ..Fate::default()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn writes_that_are_done_but_not_acknowledged_change_nothing() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    stage.bus.follow(lying(Op::Put, &[0, 2]));
    stage.serve(executes);
    let command = Command::new("k");
    assert_eq!(answered(&gateway, &command).await, "k 0");
    assert_eq!(stage.worker.executions("k"), 1);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_free_without_anybody_knowing_is_used_again() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    stage.bus.follow(lying(Op::Remove, &[0]));
    let nobody = refused(BusError::NoResponders, true);
    assert_eq!(not_done(&gateway, &Command::new("k")).await, nobody);
    stage.serve(executes);
    assert_eq!(answered(&gateway, &Command::new("k")).await, "k 0");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_the_journal_no_worker_is_asked_and_nothing_is_left_behind() {
    let stage = Stage::new().await;
    let gateway = stage.gateway();
    stage.serve(executes);
    // Claims arrive, but nobody learns of it until the caller has gone.
    stage.bus.follow(|op| Fate {
        kind: if op == Op::Put {
            Kind::Lies
        } else {
            Kind::Fails
        },
        ..Fate::default()
    });
    let command = Command::new("k");
    let told = not_done(&gateway, &command).await;
    assert_eq!(told, NotDone::Unavailable);
    assert_eq!(stage.worker.executions("k"), 0);
    stage.bus.follow(|_| Fate::default());
    sleep(DEADLINE).await;
    assert_eq!(answered(&gateway, &command).await, "k 0");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn more_than_may_be_under_way_are_handed_back() {
    let stage = Stage::new().await;
    let gateway = stage.gateway_with(Settings {
        max_under_way: 1,
        ..settings()
    });
    stage.serve(|worker, request| worker.hold(request));
    let first = Command::new("1");
    let told = not_done(&gateway, &first).await;
    assert_eq!(told, NotDone::DeadlineExceeded);
    // It still listens for a late answer.
    let call = Command::new("2").call(Box::new(|_| panic!("not begun")));
    assert!(gateway.desk().hand_in(call).is_err());
    sleep(LAPSED).await;
    let told = not_done(&gateway, &Command::new("3")).await;
    assert_eq!(told, NotDone::DeadlineExceeded);
    stage.end().await;
}
