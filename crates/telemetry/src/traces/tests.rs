//! Spans on their way to a collector that takes them, or does not.

use lifecycle::DrainOutcome;
use spans::{Kind, Tracer};
use testkit::{Collector, eventually, within};
use wire::Traceparent;

use super::*;
use crate::Metrics;

const EXPORTED: &str = "tidegate_telemetry_spans_exported_total ";
const QUEUE_FULL: &str = "tidegate_telemetry_spans_dropped_total{reason=\"queue_full\"} ";
const NOT_TAKEN: &str = "tidegate_telemetry_spans_dropped_total{reason=\"collector\"} ";

fn count(metrics: &Metrics, series: &str) -> u64 {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |value| value.trim().parse().expect("a number"))
}

fn config(endpoint: &str) -> TracesConfig {
    TracesConfig {
        endpoint: endpoint.to_owned(),
        sample: 0.0,
        max_followed_per_second: u32::MAX,
        timeout: Duration::from_millis(200),
        service: "test".to_owned(),
        instance: "test-1".to_owned(),
    }
}

/// Counters are of the whole process: one test, one story.
#[tokio::test]
async fn spans_reach_the_collector_and_are_counted_where_they_do_not() {
    let metrics = Metrics::install().expect("ours");
    let exported = || count(&metrics, EXPORTED);
    let lost = |series| count(&metrics, series);
    let collector = Collector::start().await;
    let config = config(&collector.endpoint());
    let traces = Traces::install(&config).expect("an address");
    let tracer = Tracer::of_process("test");
    let parent = Traceparent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let parent = parent.expect("valid");
    let make = |spans: usize| {
        for _ in 0..spans {
            let attributes = [("messaging.system", "nats")];
            drop(tracer.follow(parent, Kind::Server, "made", attributes));
        }
    };
    assert!(tracer.begin(Kind::Server, "a share of 0", []).is_none());

    // Nobody sends yet: the queue takes what it holds, and nobody waits.
    make(QUEUED_SPANS + 7);
    assert_eq!(lost(QUEUE_FULL), 7);

    let scope = Scope::root();
    scope.spawn("traces", traces.run(scope.clone()));
    eventually("all that waited have come", async || {
        collector.spans().len() == QUEUED_SPANS && exported() == QUEUED_SPANS as u64
    })
    .await;
    let first = &collector.spans()[0];
    assert_eq!((&*first.service, &*first.name), ("test", "made"));
    assert_eq!(first.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(first.parent_id, "00f067aa0ba902b7");
    assert_eq!(first.attributes["messaging.system"], "nats");

    collector.hang();
    make(5);
    eventually("those are given up", async || lost(NOT_TAKEN) == 5).await;

    let address = collector.address();
    drop(collector);
    make(3);
    eventually("these too", async || lost(NOT_TAKEN) == 8).await;

    let collector = Collector::start_at(address).await;
    let before = exported();
    eventually("the new collector gets spans", async || {
        make(1);
        exported() > before
    })
    .await;

    // What waits at the end is sent at once.
    eventually("nothing is under way", async || {
        exported() as usize == QUEUED_SPANS + collector.spans().len()
    })
    .await;
    make(2);
    let ended = within("the end", scope.drain(Duration::from_secs(10))).await;
    assert_eq!(ended, DrainOutcome::Finished);
    assert_eq!(exported() as usize, QUEUED_SPANS + collector.spans().len());
    assert_eq!(lost(QUEUE_FULL), 7);
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    let refused = Traces::install(&config("not an address")).expect_err("no address");
    assert!(matches!(refused, TracesError::Endpoint { .. }));
}
