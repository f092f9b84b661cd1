//! What tests of several modules need.

use wire::{ConnectionId, GatewayId, SessionId, UserId};

use crate::member::Member;

pub(crate) fn gateway(name: &str) -> GatewayId {
    GatewayId::new(name).expect("a token")
}

pub(crate) fn member(user: &str, session: u128, at: &str) -> Member {
    Member {
        user: UserId::new(user).expect("valid"),
        session: SessionId(session),
        connection: ConnectionId {
            gateway: gateway(at),
            shard: 0,
            slot: session as u32,
            generation: 1,
        },
    }
}
