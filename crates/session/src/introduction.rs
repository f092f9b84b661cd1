//! What Hello says about the client, besides its token.

use bytes::Bytes;
use wire::{CloseCause, client::Hello};

/// Longest `client_name` and `client_version`, in bytes; part of the contract
/// of `Hello`.
const MAX_CLIENT_TEXT_BYTES: usize = 64;

/// The capability to follow `Migrate`, as Hello and Welcome name it.
pub(crate) const MIGRATE: &str = "migrate";

/// How a client introduced itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// Name of the client program, at most 64 bytes.
    pub client_name: String,
    /// Version of the client program, at most 64 bytes.
    pub client_version: String,
    /// It follows `Migrate`.
    pub migrates: bool,
    /// The session that it wants to take up again, unchecked; empty: none.
    pub ticket: Bytes,
    /// Offset of the last durable `Direct` handled; zero: none.
    pub mailbox_offset: u64,
}

// === impl Introduction ===

impl Introduction {
    /// Reads what concerns the client.
    ///
    /// # Errors
    /// If a text is longer than the contract allows.
    pub(crate) fn read(hello: Hello) -> Result<Self, CloseCause> {
        let Hello {
            client_name,
            client_version,
            capabilities,
            session_ticket,
            mailbox_offset,
            token: _,
        } = hello;
        if client_name.len().max(client_version.len()) > MAX_CLIENT_TEXT_BYTES {
            return Err(CloseCause::ProtocolViolation);
        }
        Ok(Self {
            client_name,
            client_version,
            migrates: capabilities.iter().any(|name| name == MIGRATE),
            ticket: session_ticket,
            mailbox_offset,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_capability_that_exists_is_taken_down() {
        let read = |capabilities: &[&str]| {
            let capabilities = capabilities.iter().map(ToString::to_string).collect();
            let hello = Hello {
                capabilities,
                ..Hello::default()
            };
            Introduction::read(hello).expect("short").migrates
        };
        assert!(read(&["fly", "migrate"]));
        assert!(!read(&["fly", "Migrate"]));
        assert!(!read(&[]));
    }
}
