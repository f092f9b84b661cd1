//! Runs `http_heads` of crates/fuzzing.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::check("http_heads", data));
