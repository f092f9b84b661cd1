//! A newer token for a connection that stays.

use wire::client::{ErrorCode, Refresh};

use super::{Established, refuse};
use crate::{
    action::{Action, Actions},
    hidden::Hidden,
    in_flight::Operation,
    reply,
};

// === impl Established ===

impl Established {
    /// Answers [`Action::Refresh`] with the new expiry, Unix time in milliseconds
    /// (zero: never). If it failed, the old token counts as before.
    pub fn refreshed(&mut self, id: u32, outcome: Result<i64, ErrorCode>, actions: &mut Actions) {
        if !self.in_flight.end(id, Operation::Refresh) {
            return;
        }
        match outcome {
            Ok(expires_at_ms) => {
                actions.push(Action::Send(reply::refreshed(id, expires_at_ms)));
            }
            Err(code) => refuse(id, code, actions),
        }
    }

    /// One at a time, so that the newest token is the last to take effect.
    pub(super) fn refresh(&mut self, refresh: Refresh, actions: &mut Actions) {
        let Refresh { id, token } = refresh;
        let checked = match self.check_id(id) {
            Ok(()) if token.is_empty() => Err(ErrorCode::MalformedMessage),
            Ok(()) if self.in_flight.has(Operation::Refresh) => Err(ErrorCode::Overloaded),
            checked => checked,
        };
        match checked {
            Ok(()) => {
                self.in_flight.begin(id, Operation::Refresh);
                let token = Hidden(token);
                actions.push(Action::Refresh { id, token });
            }
            Err(code) => refuse(id, code, actions),
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::client::client_event::Event;

    use super::*;
    use crate::established::testing::Bench;

    fn refresh(id: u32, token: &str) -> Event {
        let token = token.to_owned();
        Event::Refresh(Refresh { id, token })
    }

    #[test]
    fn one_token_is_verified_at_a_time_and_each_has_one_answer() {
        let mut bench = Bench::new();
        let refused = |id, code| vec![Action::Send(reply::error(id, code))];
        let token = Hidden("new".to_owned());
        assert_eq!(
            bench.handle(refresh(1, "new")),
            [Action::Refresh { id: 1, token }]
        );
        let second = bench.handle(refresh(2, "newer"));
        assert_eq!(second, refused(2, ErrorCode::Overloaded));
        let empty = bench.handle(refresh(3, ""));
        assert_eq!(empty, refused(3, ErrorCode::MalformedMessage));
        let done = bench.answer(|session, actions| session.refreshed(1, Ok(77), actions));
        assert_eq!(done, [Action::Send(reply::refreshed(1, 77))]);
        let again = bench.answer(|session, actions| session.refreshed(1, Ok(78), actions));
        assert_eq!(again, []);
        bench.handle(refresh(2, "bad"));
        let invalid = Err(ErrorCode::InvalidToken);
        let done = bench.answer(|session, actions| session.refreshed(2, invalid, actions));
        assert_eq!(done, refused(2, ErrorCode::InvalidToken));
    }
}
