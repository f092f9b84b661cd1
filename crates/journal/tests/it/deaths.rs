//! Gateways that die at the worst moments.

use std::{sync::Arc, time::Duration};

use bus::Incoming;
use journal::NotDone;
use tokio::time::sleep;

use crate::{
    stage::{Command, LAPSED, Stage, Worker, executes},
    unsteady::{Fate, Kind, Op},
};

/// Deaths come in the middle of this.
const SLOW: Duration = Duration::from_millis(100);

/// A gateway dies while its write number `fatal` is under way, which is done or
/// never will be; then another is asked again and again. Gives what that one told.
async fn told_after_death(command: &Command, fatal: usize, done: bool) -> (Vec<NotDone>, String) {
    let stage = Stage::new().await;
    let (one, two) = (stage.gateway(), stage.gateway());
    stage.serve(|worker, request| match &*request.context.idempotency_key {
        "exact" => executes_once(worker, request),
        _ => executes(worker, request),
    });
    let mut writes = 0;
    stage.bus.follow(move |op| {
        writes += usize::from(op == Op::Put);
        let is_it = op == Op::Put && writes == fatal;
        let fate = match done {
            true => Fate {
                after: SLOW,
                ..Fate::default()
            },
            false => Fate {
                before: SLOW,
                kind: Kind::Fails,
                ..Fate::default()
            },
        };
        if is_it { fate } else { Fate::default() }
    });
    let death = async {
        sleep(SLOW / 2).await;
        one.die();
    };
    let (told, ()) = tokio::join!(one.ask(command), death);
    assert_eq!(told, None);
    let mut refusals = Vec::new();
    let answer = loop {
        match two.ask(command).await.expect("alive") {
            Ok(answer) => break String::from_utf8(answer.into()).expect("text"),
            Err(NotDone::OutcomeUnknown) => {
                refusals.push(NotDone::OutcomeUnknown);
                break String::new();
            }
            Err(told) => refusals.push(told),
        }
        assert!(refusals.len() < 60, "no end: {refusals:?}");
    };
    let executions = stage.worker.executions(&command.key);
    assert!(executions <= 1, "executed {executions} times");
    sleep(LAPSED).await;
    stage.end().await;
    (refusals, answer)
}

fn executes_once(worker: &Arc<Worker>, request: Incoming) {
    let payload = worker.execute_once(&request);
    request.responder.reply(Ok(payload));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_dies_with_a_claim_leaves_an_unknown_outcome() {
    let (told, answer) = told_after_death(&Command::new("k"), 1, true).await;
    let (last, before) = told.split_last().expect("told");
    assert_eq!((last, &*answer), (&NotDone::OutcomeUnknown, ""));
    assert!(
        before.iter().all(|one| *one == NotDone::InProgress),
        "{before:?}"
    );
    assert!(!before.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_died_with_its_gateway_is_never_told() {
    let (told, answer) = told_after_death(&Command::new("k"), 2, false).await;
    assert_eq!(told.last(), Some(&NotDone::OutcomeUnknown));
    assert_eq!(answer, "");
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_journal_survives_its_gateway() {
    let (told, answer) = told_after_death(&Command::new("k"), 2, true).await;
    assert_eq!((told, &*answer), (Vec::new(), "k 0"));
}

#[tokio::test(start_paused = true)]
async fn workers_that_deduplicate_make_the_outcome_known_after_a_deadline() {
    for (fatal, done) in [(1, true), (2, false)] {
        let command = Command::deduplicated("exact");
        let (told, answer) = told_after_death(&command, fatal, done).await;
        assert_eq!(answer, "exact 0");
        assert!(told.len() <= 1, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_ends_in_order_finishes_what_it_has_and_takes_no_more() {
    let stage = Stage::new().await;
    let (gateway, stop, ended) = stage.ending_gateway();
    stage.serve(|worker, request| worker.hold(request));
    let (finished, unfinished) = (Command::new("1"), Command::new("2"));
    let ends = async {
        sleep(SLOW).await;
        drop(stop);
        sleep(SLOW).await;
        assert!(
            gateway
                .desk()
                .hand_in(Command::new("3").call(Box::new(|_| {})))
                .is_err()
        );
        let mut held = stage.worker.take();
        executes(&stage.worker, held.remove(0));
        ended.await.expect("it ends");
    };
    let (told, lost, ()) = tokio::join!(gateway.ask(&finished), gateway.ask(&unfinished), ends);
    assert_eq!(told, Some(Ok("1 0".into())));
    // Its client is told by the next gateway, when it repeats the request.
    assert_eq!(lost, None);
    stage.end().await;
}
