//! Who is connected where: written by gateways, read by control planes.
