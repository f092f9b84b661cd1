//! Handles of connections that plain HTTP requests carry: what a client shows with each
//! request, so that any gateway knows whose connection is meant without a look-up.
//!
//! Sealed with the keys of tickets, and not to be taken for one:
//!
//! ```text
//! version 2 | key id 4 | number 16 | gateway 1..=255 | HMAC-SHA256 32
//! ```
//!
//! A handle is worth as much as its connection, and nothing once that has ended.

use wire::GatewayId;

use crate::{
    TicketError, TicketKeys,
    ticket::{KEY_ID_BYTES, TAG_BYTES},
};

const VERSION: u8 = 2;

const MAX_GATEWAY_BYTES: usize = 255;

/// Which connection is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Who holds it.
    pub gateway: GatewayId,
    /// Its number there; no other connection has had it.
    pub number: u128,
}

// === impl Handle ===

impl Handle {
    /// The longest sealed handle, in bytes.
    pub const MAX_BYTES: usize = 1 + KEY_ID_BYTES + 16 + MAX_GATEWAY_BYTES + TAG_BYTES;
}

// === impl TicketKeys ===

impl TicketKeys {
    /// Seals a handle; [`Handle::MAX_BYTES`] at most.
    pub fn seal_handle(&self, handle: &Handle) -> Vec<u8> {
        let mut sealed = self.begin(VERSION);
        sealed.extend(handle.number.to_be_bytes());
        sealed.extend(handle.gateway.as_str().as_bytes());
        self.finish(sealed)
    }

    /// Opens what a client says is a handle.
    ///
    /// # Errors
    /// If it is none of ours. It is never [`TicketError::Expired`].
    pub fn open_handle(&self, sealed: &[u8]) -> Result<Handle, TicketError> {
        if sealed.len() > Handle::MAX_BYTES {
            return Err(TicketError::Malformed);
        }
        self.read(VERSION, sealed, |content| {
            let (number, gateway) = content.split_first_chunk()?;
            let gateway = GatewayId::new(str::from_utf8(gateway).ok()?)?;
            let number = u128::from_be_bytes(*number);
            Some(Handle { gateway, number })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use wire::{SessionId, UserId};

    use super::*;
    use crate::Ticket;

    fn handle() -> Handle {
        Handle {
            gateway: GatewayId::new("gw-1").expect("a name"),
            number: 7 << 64 | 9,
        }
    }

    #[test]
    fn a_handle_opens_where_the_keys_are_and_nowhere_else() {
        let keys = TicketKeys::random();
        let sealed = keys.seal_handle(&handle());
        assert_eq!(keys.open_handle(&sealed), Ok(handle()));
        let others = TicketKeys::random().open_handle(&sealed);
        assert_eq!(others, Err(TicketError::UnknownKey));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(keys.open_handle(&changed).is_err(), "{place}");
            assert!(keys.open_handle(&sealed[..place]).is_err(), "{place}");
        }
    }

    #[test]
    fn tickets_are_no_handles_and_handles_no_tickets() {
        let keys = TicketKeys::random();
        let now = SystemTime::now();
        let ticket = Ticket {
            session: SessionId(1),
            user: UserId::new("alice").expect("a name"),
            epoch: 1,
        };
        let sealed = keys.seal(&ticket, now);
        assert_eq!(keys.open_handle(&sealed), Err(TicketError::Malformed));
        let sealed = keys.seal_handle(&handle());
        assert_eq!(keys.open(&sealed, now), Err(TicketError::Malformed));
    }
}
