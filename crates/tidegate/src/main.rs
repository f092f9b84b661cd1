//! Tidegate: the gateway cluster for real-time clients.

fn main() {}
