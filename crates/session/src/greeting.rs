//! The first phase: nothing is known of the client. Ends with its first event.

use wire::{
    CloseCause,
    client::{ClientEvent, Hello, client_event::Event},
};

use crate::{
    action::{Action, Actions},
    verifying::Verifying,
};

/// Longest `client_name` and `client_version`, in bytes; part of the contract
/// of `Hello`.
const MAX_CLIENT_TEXT_BYTES: usize = 64;

/// Waits for Hello.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greeting;

// === impl Greeting ===

impl Greeting {
    /// Handles the first event. Hello with a token asks for
    /// [`Action::Authenticate`] and gives the next phase; anything else closes
    /// the connection and gives `None`.
    ///
    /// What Hello says about resuming is ignored: no gateway hands out the
    /// ticket that it takes.
    pub fn handle(self, event: ClientEvent, actions: &mut Actions) -> Option<Verifying> {
        let Some(Event::Hello(hello)) = event.event else {
            actions.close(CloseCause::NotAuthenticated);
            return None;
        };
        let Hello {
            token,
            client_name,
            client_version,
            ..
        } = *hello;
        if token.is_empty() {
            actions.close(CloseCause::NotAuthenticated);
            return None;
        }
        if client_name.len().max(client_version.len()) > MAX_CLIENT_TEXT_BYTES {
            actions.close(CloseCause::ProtocolViolation);
            return None;
        }
        actions.push(Action::Authenticate {
            token,
            client_name,
            client_version,
        });
        Some(Verifying::after_hello())
    }
}

#[cfg(test)]
mod tests {
    use wire::client::Ping;

    use super::*;
    use crate::reply;

    fn greet(event: Option<Event>) -> (Option<Verifying>, Actions) {
        let mut actions = Actions::new();
        let next = Greeting.handle(ClientEvent { event }, &mut actions);
        (next, actions)
    }

    fn assert_closes(event: Option<Event>, cause: CloseCause) {
        let (next, mut actions) = greet(event);
        assert!(next.is_none());
        assert_eq!(actions.pop(), Some(Action::Send(reply::closing(cause, 0))));
        assert_eq!(actions.pop(), Some(Action::Close(cause)));
        assert!(actions.is_empty());
    }

    #[test]
    fn hello_with_a_token_asks_to_authenticate() {
        let client_name = "n".repeat(64);
        let hello = Hello {
            token: "t".into(),
            client_name: client_name.clone(),
            client_version: "1.0".into(),
            ..Hello::default()
        };
        let (next, mut actions) = greet(Some(Event::Hello(hello.into())));
        assert!(next.is_some());
        let expected = Action::Authenticate {
            token: "t".into(),
            client_name,
            client_version: "1.0".into(),
        };
        assert_eq!(actions.pop(), Some(expected));
        assert!(actions.is_empty());
    }

    #[test]
    fn anything_before_hello_closes_with_not_authenticated() {
        assert_closes(
            Some(Event::Ping(Ping { nonce: 1 })),
            CloseCause::NotAuthenticated,
        );
        assert_closes(None, CloseCause::NotAuthenticated);
    }

    #[test]
    fn hello_without_a_token_closes_with_not_authenticated() {
        assert_closes(
            Some(Event::Hello(Box::default())),
            CloseCause::NotAuthenticated,
        );
    }

    #[test]
    fn hello_with_an_endless_client_name_closes_with_protocol_violation() {
        let long = "n".repeat(65);
        let named = Hello {
            token: "t".into(),
            client_name: long.clone(),
            ..Hello::default()
        };
        assert_closes(
            Some(Event::Hello(named.into())),
            CloseCause::ProtocolViolation,
        );
        let versioned = Hello {
            token: "t".into(),
            client_version: long,
            ..Hello::default()
        };
        assert_closes(
            Some(Event::Hello(versioned.into())),
            CloseCause::ProtocolViolation,
        );
    }
}
