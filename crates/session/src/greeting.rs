//! The first phase: nothing is known of the client. Ends with its first event.

use wire::{
    CloseCause,
    client::{ClientEvent, client_event::Event},
};

use crate::{
    action::{Action, Actions},
    hidden::Hidden,
    introduction::Introduction,
    verifying::Verifying,
};

/// Waits for Hello.
#[derive(Clone, Copy, Debug, Default)]
pub struct Greeting {
    /// It is known who the client is, without a token.
    tokenless: bool,
}

// === impl Greeting ===

impl Greeting {
    /// Waits for a Hello that needs no token, as the verdict is there already.
    pub fn tokenless() -> Self {
        Self { tokenless: true }
    }

    /// Handles the first event. Hello with a token asks for
    /// [`Action::Authenticate`] and gives the next phase; anything else closes
    /// the connection and gives `None`.
    pub fn handle(self, event: ClientEvent, actions: &mut Actions) -> Option<Verifying> {
        let Some(Event::Hello(hello)) = event.event else {
            actions.close(CloseCause::NotAuthenticated);
            return None;
        };
        let mut hello = *hello;
        let token = std::mem::take(&mut hello.token);
        if token.is_empty() && !self.tokenless {
            actions.close(CloseCause::NotAuthenticated);
            return None;
        }
        match Introduction::read(hello) {
            Ok(introduction) => {
                actions.push(Action::Authenticate {
                    token: Hidden(token),
                    introduction,
                });
                Some(Verifying::after_hello())
            }
            Err(cause) => {
                actions.close(cause);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wire::client::{Hello, Ping};

    use super::*;
    use crate::reply;

    fn greet(event: Option<Event>) -> (Option<Verifying>, Actions) {
        let mut actions = Actions::new();
        let next = Greeting::default().handle(ClientEvent { event }, &mut actions);
        (next, actions)
    }

    fn assert_closes(event: Option<Event>, cause: CloseCause) {
        let (next, mut actions) = greet(event);
        assert!(next.is_none());
        assert_eq!(
            actions.pop(),
            Some(Action::Send(reply::closing(cause, 0, false)))
        );
        assert_eq!(actions.pop(), Some(Action::Close(cause)));
        assert!(actions.is_empty());
    }

    #[test]
    fn hello_needs_no_token_where_somebody_vouches() {
        let hello = Event::Hello(Hello::default().into());
        let event = ClientEvent { event: Some(hello) };
        let mut actions = Actions::new();
        assert!(Greeting::tokenless().handle(event, &mut actions).is_some());
        let asked = actions.pop();
        assert!(
            matches!(asked, Some(Action::Authenticate { .. })),
            "{asked:?}"
        );
    }

    #[test]
    fn hello_with_a_token_asks_to_authenticate() {
        let client_name = "n".repeat(64);
        let hello = Hello {
            token: "t".into(),
            client_name: client_name.clone(),
            client_version: "1.0".into(),
            capabilities: vec!["migrate".into()],
            session_ticket: Bytes::from_static(b"ticket"),
            ..Hello::default()
        };
        let (next, mut actions) = greet(Some(Event::Hello(hello.into())));
        assert!(next.is_some());
        let expected = Action::Authenticate {
            token: Hidden("t".into()),
            introduction: Introduction {
                client_name,
                client_version: "1.0".into(),
                migrates: true,
                ticket: Bytes::from_static(b"ticket"),
                mailbox_offset: 0,
            },
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
