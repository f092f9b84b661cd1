//! The Rust worker SDK.
