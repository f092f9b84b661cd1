//! Runs `protobuf_events` of crates/fuzzing.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::check("protobuf_events", data));
