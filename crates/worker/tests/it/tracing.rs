//! The spans of requests that the gateway has recorded.

use std::collections::HashMap;

use bus::{Bus, BusExt, Request, RequestContext};
use opentelemetry::{
    global,
    trace::{SpanId, Status, Tracer},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use worker::{Worker, WorkerError};

use crate::{during, memory_bus, question, start};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What a handler does by the process's own means.
fn look_up() {
    drop(global::tracer("test").start("look-up"));
}

async fn ask(bus: &dyn Bus, route: &str, traceparent: &str) {
    let context = RequestContext {
        traceparent: traceparent.into(),
        ..RequestContext::default()
    };
    let question = Request {
        context,
        ..question(route, "")
    };
    // How it is answered is in the spans.
    let _ = bus.ask(question).await;
}

/// Spans that belong to `parent`, by name.
fn below(parent: SpanId, spans: &[SpanData]) -> HashMap<&str, &SpanData> {
    let below = spans.iter().filter(|span| span.parent_span_id == parent);
    below.map(|span| (&*span.name, span)).collect()
}

/// The provider is the whole process's: one test.
#[tokio::test]
async fn a_request_s_span_holds_what_its_handler_does_and_how_it_ends() {
    let exported = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exported.clone());
    global::set_tracer_provider(provider.build());
    let bus = memory_bus();
    let worker = Worker::new("shop")
        .on("buy", async |_| {
            // Another poll is in the same context.
            tokio::task::yield_now().await;
            look_up();
            Ok("".into())
        })
        .on_sync("price", |_| {
            look_up();
            Err(WorkerError::new("sold-out", "no price"))
        });
    during(start(worker, &bus), async {
        for route in ["shop.buy", "shop.price"] {
            ask(&*bus, route, CALLER).await;
            for none in ["", "nonsense", &CALLER.replace("-01", "-00")] {
                ask(&*bus, route, none).await;
            }
        }
    })
    .await;

    let spans = exported.get_finished_spans().expect("in memory");
    let caller = SpanId::from_hex("00f067aa0ba902b7").expect("an id");
    let handled = below(caller, &spans);
    assert_eq!(handled.len(), 2, "{handled:?}");
    let (buy, price) = (handled["handle shop.buy"], handled["handle shop.price"]);
    for span in [buy, price] {
        let inner = below(span.span_context.span_id(), &spans);
        assert_eq!(inner.keys().copied().collect::<Vec<_>>(), ["look-up"]);
    }
    assert_eq!(buy.status, Status::Unset);
    assert_eq!(price.status, Status::error(""));
    let error = |span: &SpanData| {
        let mut attributes = span.attributes.iter();
        let error = attributes.find(|it| it.key.as_str() == "error.type");
        error.map(|it| it.value.to_string())
    };
    assert_eq!(
        (error(buy), error(price)),
        (None, Some("worker".to_owned()))
    );
    let handles = spans.iter().filter(|span| span.name.starts_with("handle"));
    assert_eq!(handles.count(), 2, "nobody else asked for it");
}
