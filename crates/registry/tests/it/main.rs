//! Gateways that register, and control planes that read and bury, on one bus.

mod burying;
mod faulty;
mod outages;
mod registering;
mod stage;
