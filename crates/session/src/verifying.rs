//! The second phase: a token is being verified elsewhere. Ends with the verdict.
//!
//! The owner of the socket reads nothing more in this phase, so the events that
//! arrive are the rest of the message that held Hello. They are kept, and
//! replayed in order.

use std::collections::VecDeque;

use wire::{CloseCause, client::ClientEvent};

use crate::{
    action::{Action, Actions},
    config::{Grants, SessionConfig},
    established::{Established, Stage},
};

/// Waits for the verdict on a token.
#[derive(Debug)]
pub struct Verifying {
    next: Stage,
    kept: VecDeque<ClientEvent>,
}

// === impl Verifying ===

impl Verifying {
    /// Starts with the token of the upgrade request, which stands for Hello:
    /// the client is welcomed as soon as it is verified. One later Hello with
    /// an empty token is welcomed once more, so that a client may always send
    /// Hello.
    pub fn from_upgrade() -> Self {
        Self {
            next: Stage::HelloMayCome,
            kept: VecDeque::new(),
        }
    }

    pub(crate) fn after_hello() -> Self {
        Self {
            next: Stage::Open,
            kept: VecDeque::new(),
        }
    }

    /// Keeps an event of a message already read.
    pub fn handle(&mut self, event: ClientEvent) {
        self.kept.push_back(event);
    }

    /// The token is valid: welcomes the client, then handles the events kept.
    pub fn authenticated(
        self,
        config: &SessionConfig,
        grants: &dyn Grants,
        actions: &mut Actions,
    ) -> Established {
        actions.push(Action::Welcome);
        let mut established = Established::new(self.next, config);
        for event in self.kept {
            established.handle(event, config, grants, actions);
        }
        established
    }

    /// The token is not valid, or could not be verified: closes the connection.
    pub fn rejected(self, cause: CloseCause, actions: &mut Actions) {
        actions.close(cause);
    }
}

#[cfg(test)]
mod tests {
    use wire::client::{Ping, client_event::Event};

    use super::*;
    use crate::{established::testing::AllowAll, established::testing::config, reply};

    fn ping(nonce: u32) -> ClientEvent {
        ClientEvent {
            event: Some(Event::Ping(Ping { nonce })),
        }
    }

    #[test]
    fn events_behind_hello_are_handled_in_order_after_welcome() {
        let mut actions = Actions::new();
        let mut verifying = Verifying::after_hello();
        verifying.handle(ping(1));
        verifying.handle(ping(2));
        assert!(actions.is_empty());
        verifying.authenticated(&config(), &AllowAll, &mut actions);
        assert_eq!(actions.pop(), Some(Action::Welcome));
        assert_eq!(actions.pop(), Some(Action::Send(reply::pong(1))));
        assert_eq!(actions.pop(), Some(Action::Send(reply::pong(2))));
        assert!(actions.is_empty());
    }

    #[test]
    fn rejected_token_closes_with_the_cause() {
        let mut actions = Actions::new();
        let mut verifying = Verifying::after_hello();
        verifying.handle(ping(1));
        verifying.rejected(CloseCause::InvalidToken, &mut actions);
        assert_eq!(
            actions.pop(),
            Some(Action::Send(reply::closing(
                CloseCause::InvalidToken,
                0,
                false
            )))
        );
        assert_eq!(actions.pop(), Some(Action::Close(CloseCause::InvalidToken)));
        assert!(actions.is_empty());
    }
}
