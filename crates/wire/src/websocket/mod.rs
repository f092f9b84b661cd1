//! RFC 6455 frames, sans-I/O.
