//! Runs `forwarded_for` of crates/fuzzing.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::check("forwarded_for", data));
