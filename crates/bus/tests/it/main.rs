//! The buses, from outside.

mod logs;
mod memory;
mod nats;
mod tables;

/// The suite that every adapter passes, on the in-memory bus.
mod contract {
    use std::sync::Arc;

    use bus::{MemoryBus, contract::Fixture};

    bus::contract::tests!(make);

    async fn make() -> Fixture {
        let bus = Arc::new(MemoryBus::new());
        let runs = Arc::clone(&bus);
        Fixture {
            bus,
            background: Box::pin(async move { runs.run().await }),
        }
    }
}
