//! What only the in-memory bus promises: its bounds, its clock and that it
//! forgets what nobody needs.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{
    Bus, BusError, BusExt, Handler, HistoryRead, Incoming, Log, LogLimits, MemoryBus, MemoryLimits,
    Message, Outgoing, Pattern, Request, RequestContext, Responder, Sink, Subject,
};
use parking_lot::Mutex;
use tokio::time::Instant;
use wire::Offset;

#[derive(Default)]
struct Count(AtomicUsize);

/// Panics at its first delivery.
#[derive(Default)]
struct Fragile(Count);

#[derive(Default)]
struct Silent(Mutex<Vec<Responder>>);

impl Sink for Count {
    fn deliver(&self, _: &Message) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn lost(&self, _dropped: u64) {}
}

impl Sink for Fragile {
    fn deliver(&self, message: &Message) {
        self.0.deliver(message);
        assert!(
            self.0.0.load(Ordering::Relaxed) > 1,
            "the first delivery fails"
        );
    }

    fn lost(&self, _dropped: u64) {}
}

impl Handler for Silent {
    fn handle(&self, request: Incoming) {
        self.0.lock().push(request.responder);
    }
}

fn outgoing(to: &str, message_id: &str) -> Outgoing {
    Outgoing {
        subject: Subject::new(to).expect("valid"),
        payload: "payload".into(),
        key: "".into(),
        published_at_us: 0,
        message_id: message_id.into(),
        traceparent: Box::default(),
    }
}

fn request(to: &str, deadline: Duration) -> Request {
    let subject = Subject::new(to).expect("valid");
    Request {
        subject,
        payload: "".into(),
        deadline,
        context: RequestContext::default(),
    }
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("valid")
}

fn log(of: &str, age: Duration) -> Log {
    Log {
        name: "log".into(),
        patterns: vec![pattern(of)],
        limits: LogLimits { messages: 10, age },
    }
}

async fn history(bus: &MemoryBus, of: &str) -> Vec<Offset> {
    let subject = Subject::new(of).expect("valid");
    let read = HistoryRead::after(subject, Offset::NONE, 100);
    let page = bus.read(read).await.expect("has a log");
    page.messages.iter().map(|message| message.offset).collect()
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_to_within_ten_milliseconds() {
    let bus = MemoryBus::new();
    bus.serve(
        Subject::new("q").expect("valid"),
        Arc::new(Silent::default()),
    );
    let asked = Instant::now();
    let outcome = tokio::select! {
        outcome = bus.ask(request("q", Duration::from_secs(5))) => outcome,
        () = bus.run() => unreachable!("runs for ever"),
    };
    assert_eq!(outcome, Err(BusError::DeadlineExceeded));
    let waited = asked.elapsed();
    assert!(
        waited >= Duration::from_secs(5) && waited <= Duration::from_millis(5_015),
        "{waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn requests_over_the_bound_are_refused() {
    let bus = MemoryBus::with_limits(MemoryLimits {
        pending_requests: 2,
        ..Default::default()
    });
    let handler = Arc::new(Silent::default());
    bus.serve(Subject::new("q").expect("valid"), handler.clone());
    for _ in 0..2 {
        bus.request(request("q", Duration::from_secs(5)), Box::new(drop));
    }
    let refused = bus.ask(request("q", Duration::from_secs(5))).await;
    assert_eq!(refused, Err(BusError::Overloaded));
    assert_eq!(handler.0.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_id_is_forgotten_after_two_minutes() {
    let bus = MemoryBus::new();
    bus.keep_log(log("a", Duration::from_secs(3_600)))
        .await
        .expect("declares");
    assert!(
        !bus.send(outgoing("a", "id"))
            .await
            .expect("publishes")
            .duplicate
    );
    tokio::time::advance(Duration::from_secs(119)).await;
    assert!(
        bus.send(outgoing("a", "id"))
            .await
            .expect("publishes")
            .duplicate
    );
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(
        !bus.send(outgoing("a", "id"))
            .await
            .expect("publishes")
            .duplicate
    );
}

#[tokio::test(start_paused = true)]
async fn age_is_counted_from_each_message() {
    let bus = MemoryBus::new();
    bus.keep_log(log("a", Duration::from_secs(10)))
        .await
        .expect("declares");
    for _ in 0..3 {
        bus.send(outgoing("a", "")).await.expect("publishes");
        tokio::time::advance(Duration::from_secs(4)).await;
    }
    assert_eq!(history(&bus, "a").await, [Offset(2), Offset(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_log_never_repeats_an_offset() {
    let bus = MemoryBus::new();
    bus.keep_log(log("a.*", Duration::from_secs(10)))
        .await
        .expect("declares");
    for _ in 0..3 {
        bus.send(outgoing("a.b", "")).await.expect("publishes");
    }
    tokio::time::advance(Duration::from_secs(11)).await;
    // Enough other subjects for the bus to look for idle ones.
    for number in 0..10_000 {
        bus.send(outgoing(&format!("a.{number}"), ""))
            .await
            .expect("publishes");
    }
    let sink = Arc::new(Count::default());
    let (_, subscribed) = bus.listen(pattern("a.b"), sink).await.expect("subscribes");
    assert_eq!(subscribed.position.expect("has a log").offset, Offset(3));
    assert_eq!(
        bus.send(outgoing("a.b", ""))
            .await
            .expect("publishes")
            .offset,
        Offset(4)
    );
}

#[test]
fn a_panicking_sink_does_not_stop_its_subject() {
    let bus = MemoryBus::new();
    let sink = Arc::new(Fragile::default());
    bus.subscribe(pattern("a"), sink.clone(), Box::new(drop));
    let publish = || bus.publish(outgoing("a", ""), Box::new(drop));
    catch_unwind(AssertUnwindSafe(publish)).expect_err("the sink panics");
    publish();
    assert_eq!(sink.0.0.load(Ordering::Relaxed), 2);
}
