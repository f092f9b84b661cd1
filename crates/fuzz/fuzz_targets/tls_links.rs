//! Runs `tls_links` of crates/fuzzing.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::check("tls_links", data));
