//! The two subprotocols: encoding a publication, which is done once per gateway
//! and subprotocol, and decoding what clients send.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use prost::Message;
use wire::Subprotocol;
use wire::client::{
    ClientEvent, ClientMessage, Publication, Request, ServerEvent, client_event, server_event,
};

const PAYLOAD_BYTES: usize = 128;
/// Requests that a client batches in one message.
const BATCH: usize = 16;

fn publication() -> ServerEvent {
    ServerEvent {
        event: Some(server_event::Event::Publication(Publication {
            alias: 17,
            offset: 1_000_001,
            previous: 1_000_000,
            key: "BTC-USD".to_owned(),
            payload: vec![7; PAYLOAD_BYTES].into(),
            published_at_us: 1_763_856_000_000_000,
        })),
    }
}

fn requests(count: usize) -> ClientMessage {
    let request = |id| ClientEvent {
        event: Some(client_event::Event::Request(Request {
            id,
            route: "echo".to_owned(),
            payload: vec![7; PAYLOAD_BYTES].into(),
            ..Request::default()
        })),
    };
    ClientMessage {
        events: (1..).take(count).map(request).collect(),
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode publication");
    let event = publication();
    for subprotocol in Subprotocol::ALL {
        group.bench_function(subprotocol.name(), |bencher| {
            let mut into = Vec::new();
            bencher.iter(|| {
                into.clear();
                subprotocol.encode_event(black_box(&event), &mut into);
                into.len()
            });
        });
    }
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode requests");
    for count in [1, BATCH] {
        let message = requests(count);
        let json = serde_json::to_vec(&message).expect("a Vec takes every byte");
        for (subprotocol, bytes) in [
            (Subprotocol::Protobuf, message.encode_to_vec()),
            (Subprotocol::Json, json),
        ] {
            group.bench_function(format!("{}, {count}", subprotocol.name()), |bencher| {
                bencher.iter(|| subprotocol.decode(black_box(&bytes)).expect("well-formed"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);
