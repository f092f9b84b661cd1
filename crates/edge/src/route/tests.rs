//! Places and signals of one route.

use bus::Subject;
use bytes::Bytes;
use journal::Redelivery;

use super::*;
use crate::namespace::BreakerPolicy;

const DEADLINE: Duration = Duration::from_secs(5);

fn route(max_in_flight: u32, failures: u32) -> Arc<Route> {
    let breaker = BreakerPolicy {
        failures,
        pause: Duration::from_secs(3600),
    };
    let policy = RoutePolicy {
        anonymous: false,
        subject: Subject::of_route("test").expect("valid"),
        deadline: DEADLINE,
        max_in_flight,
        breaker: (failures > 0).then_some(breaker),
        redelivery: Redelivery::default(),
    };
    Route::new("test", policy)
}

fn answered() -> Result<Reply, BusError> {
    Ok(Reply {
        payload: Bytes::new(),
    })
}

fn refusal(route: &Arc<Route>) -> Refusal {
    match route.enter(DEADLINE) {
        Ok(_) => panic!("it must be refused"),
        Err(refusal) => refusal,
    }
}

#[test]
fn a_place_is_taken_until_the_outcome_is_known_or_given_up() {
    let route = route(2, 0);
    let first = route.enter(DEADLINE).ok();
    let second = route.enter(DEADLINE).ok();
    assert!(first.is_some() && second.is_some());
    assert_eq!(refusal(&route), Refusal::Full);
    drop(first);
    let third = route.enter(DEADLINE).expect("a place is free");
    assert_eq!(refusal(&route), Refusal::Full);
    third.end(&answered());
    assert!(route.enter(DEADLINE).is_ok());
}

#[test]
fn places_are_never_given_out_twice_by_many_threads() {
    let route = route(3, 0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let passage = route.enter(DEADLINE);
                    assert!(route.in_flight.load(Ordering::Relaxed) <= 3);
                    drop(passage);
                }
            });
        }
    });
    assert_eq!(route.in_flight.load(Ordering::Relaxed), 0);
}

#[test]
fn a_broken_route_takes_no_place() {
    let route = route(1, 1);
    let passage = route.enter(DEADLINE).expect("closed");
    passage.end(&Err(BusError::NoResponders));
    for _ in 0..3 {
        assert_eq!(refusal(&route), Refusal::Broken(Trip::NoWorker));
    }
    assert_eq!(route.in_flight.load(Ordering::Relaxed), 0);
}

#[test]
fn only_those_who_waited_as_long_as_the_route_says_break_it() {
    let route = route(0, 1);
    let hasty = route.enter(DEADLINE / 2).expect("closed");
    hasty.end(&Err(BusError::DeadlineExceeded));
    let patient = route.enter(DEADLINE).expect("still closed");
    patient.end(&Err(BusError::DeadlineExceeded));
    assert_eq!(refusal(&route), Refusal::Broken(Trip::TooSlow));
}

#[test]
fn refusals_can_be_retried_and_say_that_nothing_was_executed() {
    let refusals = [
        (Refusal::Full, ErrorCode::Overloaded),
        (Refusal::Broken(Trip::NoWorker), ErrorCode::NoWorker),
        (Refusal::Broken(Trip::TooSlow), ErrorCode::Overloaded),
        (Refusal::Broken(Trip::Unavailable), ErrorCode::Unavailable),
    ];
    for (refusal, code) in refusals {
        let failure = refusal.failure();
        assert_eq!((failure.code(), failure.retryable), (code, true));
    }
}
