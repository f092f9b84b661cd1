//! The WebSocket codec: reading what clients send, small and large, and
//! writing headers.

#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use wire::websocket::{
    Incoming, MAX_SERVER_HEADER, OpCode, Reader, ReaderLimits, client_frame, server_header,
};

const LIMITS: ReaderLimits = ReaderLimits {
    max_message_bytes: 64 << 10,
    max_fragments: 16,
};
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// Frames that a busy client has waiting when its socket is read.
const SMALL_FRAMES: u64 = 32;
const SMALL_BYTES: usize = 100;
const LARGE_BYTES: usize = 60_000;
/// What one read from a socket gives of a large message.
const CHUNK_BYTES: usize = 16 << 10;

fn frames(count: u64, payload_bytes: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        client_frame(OpCode::Binary, MASK, &vec![7; payload_bytes], &mut bytes);
    }
    bytes
}

/// Reads `bytes` as they come in chunks; returns the sum of the messages' lengths.
fn read(bytes: &mut [u8], chunk: usize) -> usize {
    let (mut reader, mut total) = (Reader::default(), 0);
    for part in bytes.chunks_mut(chunk) {
        let mut messages = reader.read(&LIMITS, part);
        while let Some(message) = messages.next() {
            if let Ok(Incoming::Binary(payload)) = message {
                total += black_box(payload).len();
            }
        }
    }
    total
}

fn reader(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reader");
    let small = frames(SMALL_FRAMES, SMALL_BYTES);
    group.throughput(Throughput::Elements(SMALL_FRAMES));
    // Reading unmasks in place, so each round needs fresh bytes.
    group.bench_function("32 small messages in one read", |bencher| {
        let round = |bytes: &mut Vec<u8>| read(bytes, usize::MAX);
        bencher.iter_batched_ref(|| small.clone(), round, BatchSize::SmallInput);
    });
    let large = frames(1, LARGE_BYTES);
    group.throughput(Throughput::Bytes(LARGE_BYTES as u64));
    for (name, chunk) in [
        ("60 KB message in one read", usize::MAX),
        ("60 KB message in 16 KiB reads", CHUNK_BYTES),
    ] {
        group.bench_function(name, |bencher| {
            let round = |bytes: &mut Vec<u8>| read(bytes, chunk);
            bencher.iter_batched_ref(|| large.clone(), round, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("header");
    for payload_bytes in [SMALL_BYTES, LARGE_BYTES, 1 << 20] {
        group.bench_function(format!("{payload_bytes} bytes"), |bencher| {
            let mut into = [0; MAX_SERVER_HEADER];
            bencher.iter(|| server_header(OpCode::Binary, black_box(payload_bytes), &mut into));
        });
    }
    group.finish();
}

criterion_group!(benches, reader, header);
criterion_main!(benches);
