//! The in-memory bus: a publication to its sinks, a request to its reply.
//!
//! Everything happens on the calling thread, as it does on a shard. Figures
//! are per publication and per request, the boxed `done` included.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bus::{
    Bus, Log, LogLimits, MemoryBus, Message, Outgoing, Pattern, Request, RequestContext, Sink,
    Subject,
};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use worker::Worker;

const CHANNEL: &str = "tg.ch.market.BTC-USD.trades";
const PAYLOAD: &[u8] = &[b'x'; 128];

/// Counts, so that a delivery is not optimised away.
#[derive(Default)]
struct Count(AtomicU64);

impl Sink for Count {
    fn deliver(&self, message: &Message) {
        self.0
            .fetch_add(message.payload.len() as u64, Ordering::Relaxed);
    }

    fn lost(&self, _dropped: u64) {}
}

fn subscribed(sinks: usize) -> MemoryBus {
    let bus = MemoryBus::new();
    for _ in 0..sinks {
        let pattern = Pattern::new(CHANNEL).expect("valid");
        bus.subscribe(pattern, Arc::new(Count::default()), Box::new(drop));
    }
    bus
}

fn publish(bus: &MemoryBus, subject: &Subject) {
    let outgoing = Outgoing {
        subject: subject.clone(),
        payload: Bytes::from_static(PAYLOAD),
        key: "".into(),
        published_at_us: 0,
        message_id: "".into(),
        traceparent: Box::default(),
    };
    bus.publish(outgoing, Box::new(|outcome| drop(black_box(outcome))));
}

fn publishing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bus/publish");
    group.throughput(Throughput::Elements(1));
    let subject = Subject::new(CHANNEL).expect("valid");
    for sinks in [0, 1, 8] {
        let bus = subscribed(sinks);
        group.bench_function(BenchmarkId::new("sinks", sinks), |bencher| {
            bencher.iter(|| publish(&bus, &subject));
        });
    }
    let bus = subscribed(1);
    let limits = LogLimits {
        messages: 1_000,
        age: Duration::from_secs(600),
    };
    let log = Log {
        name: "bench".into(),
        patterns: vec![subject.clone().into()],
        limits,
    };
    bus.declare_log(log, Box::new(drop));
    group.bench_function("logged", |bencher| bencher.iter(|| publish(&bus, &subject)));
    group.finish();
}

fn requesting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bus/request");
    group.throughput(Throughput::Elements(1));
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let worker = Worker::new("bench").on_sync("echo", |request| Ok(request.payload().clone()));
    let _running = worker.start(&bus).expect("starts");
    let subject = Subject::of_route("bench.echo").expect("valid");
    group.bench_function("on_sync", |bencher| {
        bencher.iter(|| {
            let request = Request {
                subject: subject.clone(),
                payload: Bytes::from_static(PAYLOAD),
                deadline: Duration::from_secs(5),
                context: RequestContext::default(),
            };
            bus.request(request, Box::new(|outcome| drop(black_box(outcome))))
        });
    });
    group.finish();
}

criterion_group!(benches, publishing, requesting);
criterion_main!(benches);
