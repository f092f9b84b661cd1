//! Tracing set-up, the metrics recorder and the admin HTTP server.
