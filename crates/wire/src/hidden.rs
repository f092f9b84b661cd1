//! How messages that hold secrets are printed: without them.

use std::fmt;

use crate::client::{Hello, Refresh};

const HIDDEN: &str = "(hidden)";

impl fmt::Debug for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hello")
            .field("token", &HIDDEN)
            .field("client_name", &self.client_name)
            .field("client_version", &self.client_version)
            .field("capabilities", &self.capabilities)
            .field("session_ticket", &HIDDEN)
            .field("mailbox_offset", &self.mailbox_offset)
            .finish()
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh")
            .field("id", &self.id)
            .field("token", &HIDDEN)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{ClientEvent, client_event::Event};

    #[test]
    fn tokens_and_tickets_are_not_printed() {
        let hello = Hello {
            token: "s3cret".into(),
            session_ticket: "s3cret".into(),
            client_name: "shown".into(),
            ..Hello::default()
        };
        let refresh = Refresh {
            id: 7,
            token: "s3cret".into(),
        };
        for event in [Event::Hello(hello.into()), Event::Refresh(refresh)] {
            let printed = format!("{:?}", ClientEvent { event: Some(event) });
            assert!(!printed.contains("s3cret"), "{printed}");
            assert!(
                printed.contains("shown") || printed.contains('7'),
                "{printed}"
            );
        }
    }
}
