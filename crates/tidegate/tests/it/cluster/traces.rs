//! Traces of requests and publications through real processes, as a collector
//! gets them.

use std::{future::pending, net::TcpListener, time::Duration};

use client::{Client, RequestOptions};
use lifecycle::Scope;
use telemetry::{Traces, TracesConfig};
use testkit::{Cluster, Collector, Layout, SeenSpan, eventually, within};
use tonic::metadata::MetadataValue;
use wire::control::PublishRequest;
use worker::{Request, Worker};

use super::{CONFIG, connect, grpc, next, publication, subscribe, within_a_minute};
use control::client::PublishServiceClient;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

async fn traced_cluster(endpoint: &str, sample: f64) -> Cluster {
    let config = format!(
        "{CONFIG}\n[telemetry.traces]\nendpoint = {endpoint:?}\nsample = {sample:?}\ntimeout = \"1s\"\n"
    );
    Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &["gw1"],
        controls: &["control1"],
        config: &config,
    })
    .await
}

/// Has the workers of this process record what gateways have recorded.
fn trace_workers(collector: &Collector, scope: &Scope) {
    let config = TracesConfig {
        endpoint: collector.endpoint(),
        sample: 0.0,
        max_followed_per_second: 100,
        timeout: Duration::from_secs(5),
        service: "shop".to_owned(),
        instance: "shop-1".to_owned(),
    };
    let traces = Traces::install(&config).expect("an address");
    scope.spawn("traces", traces.run(scope.clone()));
}

/// Answers with the trace context that it was given.
fn shop() -> Worker {
    Worker::new("shop").on("buy", |request: Request| async move {
        Ok(request.traceparent().unwrap_or_default().to_owned().into())
    })
}

async fn buy(client: &Client, traceparent: &str) -> String {
    let options = RequestOptions {
        traceparent: traceparent.to_owned(),
        ..RequestOptions::default()
    };
    let answer = within("an answer", client.request_with("shop.buy", "", options));
    let answer = answer.await.expect("it is answered");
    String::from_utf8(answer.into()).expect("a header")
}

async fn when_the_worker_answers(client: &Client) {
    eventually("the worker answers", async || {
        client.request("shop.buy", "").await.is_ok()
    })
    .await;
}

fn named<'a>(spans: &'a [SeenSpan], name: &str) -> &'a SeenSpan {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found
        .next()
        .unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
    assert!(found.next().is_none(), "{name} is there twice: {spans:#?}");
    span
}

fn assert_request(spans: &[SeenSpan], answered: &str) {
    let [request, send, handle] =
        ["request shop.buy", "send shop.buy", "handle shop.buy"].map(|name| named(spans, name));
    assert_eq!(request.parent_id, CALLER);
    assert_eq!(send.parent_id, request.span_id);
    assert_eq!(handle.parent_id, send.span_id);
    assert_eq!(answered, format!("00-{TRACE}-{}-01", handle.span_id));
    assert_eq!(request.service, "tidegate-gateway");
    assert_eq!(handle.service, "shop");
    assert_eq!(request.attributes["rpc.method"], "shop.buy");
    assert_eq!(
        send.attributes["messaging.destination.name"],
        "tg.rq.shop.buy"
    );
    assert_eq!(send.attributes["messaging.system"], "nats");
    assert!(!spans.iter().any(|span| span.is_failed), "{spans:#?}");
}

/// A request that nobody serves, and one that the journal puts to a worker.
async fn assert_other_requests(client: &Client, collector: &Collector) {
    let trace = |digit| TRACE.replace('4', digit);
    let options = |trace_id, key: &str| RequestOptions {
        traceparent: format!("00-{trace_id}-{CALLER}-01"),
        idempotency_key: key.to_owned(),
        ..RequestOptions::default()
    };
    let nobody = client.request_with("shop.buy_exactly", "", options(trace("6"), ""));
    within("a refusal", nobody)
        .await
        .expect_err("nobody serves it");
    let keyed = client.request_with("shop.buy", "", options(trace("7"), "once"));
    within("an answer", keyed).await.expect("it is answered");
    eventually("their spans have come", async || {
        collector.trace(&trace("6")).len() >= 2 && collector.trace(&trace("7")).len() >= 2
    })
    .await;
    for span in collector.trace(&trace("6")) {
        assert!(span.is_failed, "{span:?}");
        assert_eq!(span.attributes["error.type"], "NO_WORKER");
    }
    let spans = collector.trace(&trace("7"));
    let request = named(&spans, "request shop.buy");
    assert_eq!(named(&spans, "handle shop.buy").parent_id, request.span_id);
}

/// Publishes by the control plane as part of a trace.
async fn publish_traced(cluster: &Cluster, traceparent: &str) {
    let mut publisher = PublishServiceClient::new(grpc(cluster, "control1").await);
    let mut request = tonic::Request::new(PublishRequest {
        publication: Some(publication("live.traced", "payload")),
    });
    let value = MetadataValue::try_from(traceparent).expect("a header");
    request.metadata_mut().insert("traceparent", value);
    let published = within("published", publisher.publish(request)).await;
    published.expect("the namespace may be published to");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_a_publication_are_one_trace_each() {
    let collector = Collector::start().await;
    let scope = Scope::root();
    trace_workers(&collector, &scope);
    let cluster = traced_cluster(&collector.endpoint(), 0.0).await;
    let bus = cluster.nats.bus().await;
    let serving = shop().start(&bus).expect("starts").until(pending());
    let asking = async {
        let client = connect(&cluster, "gw1", "ann").await;
        when_the_worker_answers(&client).await;
        let recorded = format!("00-{TRACE}-{CALLER}-01");
        let answered = buy(&client, &recorded).await;
        // None of these is recorded: others do not want it, or can't say.
        let unrecorded = format!("00-{TRACE}-{CALLER}-00");
        assert_eq!(buy(&client, &unrecorded).await, unrecorded);
        for malformed in ["nonsense", "00-0-0-01", &format!("{recorded}\u{1f980}")] {
            assert_eq!(buy(&client, malformed).await, "");
        }
        eventually("the request's spans have come", async || {
            collector.trace(TRACE).len() >= 3
        })
        .await;
        assert_request(&collector.trace(TRACE), &answered);

        let mut subscription = subscribe(&client, "live.traced").await;
        let other = TRACE.replace('4', "5");
        publish_traced(&cluster, &format!("00-{other}-{CALLER}-01")).await;
        assert_eq!(next(&mut subscription).await, "payload");
        eventually("the publication's spans have come", async || {
            collector.trace(&other).len() >= 2
        })
        .await;
        let spans = collector.trace(&other);
        let (publish, deliver) = (named(&spans, "Publish"), named(&spans, "deliver live"));
        assert_eq!(publish.parent_id, CALLER);
        assert_eq!(deliver.parent_id, publish.span_id);
        assert_eq!(publish.service, "tidegate-control");
        assert_eq!(publish.attributes["rpc.grpc.status_code"], "0");
        assert_eq!(deliver.attributes["tidegate.namespace"], "live");
        // Workers of other tests in this process may report here as well.
        let mut ours = collector.spans();
        ours.retain(|span| span.service.starts_with("tidegate"));
        assert_eq!(ours.len(), 4, "{ours:#?}");
        assert_other_requests(&client, &collector).await;
    };
    tokio::select! {
        () = serving => unreachable!("it serves until it is dropped"),
        () = within_a_minute("the traces", asking) => {}
    }
    // What waits here goes to a collector that is still there.
    let _ = scope.drain(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_begin_traces_and_a_collector_that_is_down_costs_only_those() {
    // A port that nobody listens at.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let mut cluster = traced_cluster(&format!("http://{address}"), 1.0).await;
    let bus = cluster.nats.bus().await;
    let serving = shop().start(&bus).expect("starts").until(pending());
    let asking = async {
        let client = connect(&cluster, "gw1", "ann").await;
        when_the_worker_answers(&client).await;
        let begun = buy(&client, "").await;
        assert!(
            begun.ends_with("-01"),
            "{begun:?} is what the gateway began"
        );
        let gateway = cluster.process("gw1");
        eventually("its spans are lost, and counted", async || {
            let dropped = "tidegate_telemetry_spans_dropped_total";
            gateway.metric(dropped, &["reason=\"collector\""]).await >= 2.0
        })
        .await;
        assert_eq!(buy(&client, "").await.len(), begun.len());

        let collector = Collector::start_at(address).await;
        eventually("spans come once it is there", async || {
            buy(&client, "").await;
            let spans = collector.spans();
            spans.iter().any(|span| span.parent_id.is_empty())
        })
        .await;
        drop(collector);
    };
    tokio::select! {
        () = serving => unreachable!("it serves until it is dropped"),
        () = within_a_minute("the gateway's traces", asking) => {}
    }
    let gateway = cluster.take("gw1");
    gateway.terminate();
    let ended = within_a_minute("the gateway's end", gateway.ended()).await;
    assert!(ended.success(), "{ended}");
}
