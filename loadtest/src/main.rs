//! The load generator: idle, fanout, echo and storm, beside a bare baseline.

fn main() {}
