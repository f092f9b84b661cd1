//! Fan-out on one shard: publications in, bytes for every listener's socket out.
//!
//! Each round publishes a batch, fans it out, and for every listener gathers
//! what is to be written and notes it as written, as the shard does. Figures
//! are per delivery: one publication for one listener.

use std::{hint::black_box, sync::Arc};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hub::{
    Class, DeliveryPolicy, EncodedPublication, Hub, MemberId, OutboxLimits, Overflow, Source, Start,
};
use wire::{Channel, Subprotocol, client::Publication};

const ALIAS: u32 = 1;
const PAYLOAD_BYTES: usize = 128;
const POLICY: DeliveryPolicy = DeliveryPolicy {
    class: Class::All,
    overflow: Overflow::DropOldest,
    priority: 0,
    account: None,
};
const LIMITS: OutboxLimits = OutboxLimits {
    bytes: 1 << 20,
    items: 1024,
};
/// What the shard gathers into its scratch buffer at most.
const GATHER_BYTES: usize = 16 * 1024;

fn hub(listeners: u32) -> Hub {
    let mut hub = Hub::new(LIMITS);
    let channel = Channel::parse("bench.room", 255).expect("a valid name");
    let source = Source {
        alias: ALIAS,
        policy: POLICY,
        place: None,
        torn: false,
    };
    for member in (0..listeners).map(MemberId) {
        hub.join(member, Subprotocol::Protobuf);
        hub.subscribe(member, &channel, source, Start::Now)
            .expect("a new listener");
    }
    hub
}

fn batch(publications: u64) -> Vec<Arc<EncodedPublication>> {
    let payload = vec![b'x'; PAYLOAD_BYTES];
    let publication = |offset| Publication {
        alias: ALIAS,
        offset,
        previous: offset - 1,
        payload: payload.clone().into(),
        published_at_us: 1_700_000_000_000_000,
        ..Default::default()
    };
    (1..=publications)
        .map(|offset| Arc::new(EncodedPublication::new(&publication(offset))))
        .collect()
}

/// One turn of the shard, every socket taking all it is given.
fn turn(hub: &mut Hub, batch: &[Arc<EncodedPublication>], scratch: &mut Vec<u8>) {
    batch
        .iter()
        .for_each(|publication| hub.publish(publication));
    hub.fan_out();
    write_all(hub, scratch);
}

fn write_all(hub: &mut Hub, scratch: &mut Vec<u8>) {
    while let Some(member) = hub.next_dirty() {
        while !hub.outbox(member).is_empty() {
            let bytes = black_box(hub.outbox(member).gather(scratch, GATHER_BYTES)).len();
            hub.wrote(member, bytes);
        }
    }
}

/// Listeners keep up: each turn's batch is one frame, written at once.
fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan_out");
    for listeners in [1_000, 10_000] {
        for publications in [1, 32] {
            let (mut hub, batch, mut scratch) = (hub(listeners), batch(publications), Vec::new());
            group.throughput(Throughput::Elements(u64::from(listeners) * publications));
            group.bench_function(
                BenchmarkId::new(format!("batch_{publications}"), listeners),
                |bencher| {
                    bencher.iter(|| turn(&mut hub, &batch, &mut scratch));
                },
            );
        }
    }
    group.finish();
}

/// Listeners write after every eighth turn, so frames queue up and are copied
/// into one write.
fn fan_out_queued(criterion: &mut Criterion) {
    const TURNS: u64 = 8;
    let mut group = criterion.benchmark_group("fan_out_queued");
    for listeners in [1_000, 10_000] {
        let (mut hub, batch, mut scratch) = (hub(listeners), batch(1), Vec::new());
        group.throughput(Throughput::Elements(u64::from(listeners) * TURNS));
        group.bench_function(BenchmarkId::from_parameter(listeners), |bencher| {
            bencher.iter(|| {
                for _ in 0..TURNS {
                    hub.publish(&batch[0]);
                    hub.fan_out();
                }
                write_all(&mut hub, &mut scratch);
            });
        });
    }
    group.finish();
}

/// Nobody reads: every publication takes the place of an older one.
fn fan_out_stalled(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan_out_stalled");
    let (mut hub, batch) = (hub(1_000), batch(1));
    for _ in 0..2 * LIMITS.items {
        hub.publish(&batch[0]);
        hub.fan_out();
    }
    group.throughput(Throughput::Elements(1_000));
    group.bench_function(BenchmarkId::from_parameter(1_000), |bencher| {
        bencher.iter(|| {
            hub.publish(&batch[0]);
            hub.fan_out();
        });
    });
    group.finish();
}

criterion_group!(benches, fan_out, fan_out_queued, fan_out_stalled);
criterion_main!(benches);
