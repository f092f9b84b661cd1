//! Runs `channel_names` of crates/fuzzing.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::check("channel_names", data));
