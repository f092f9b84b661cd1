//! The gRPC services of the control plane.
