//! Sessions that outlive their connections: tickets given out and taken back.

use std::time::SystemTime;

use auth::Ticket;
use bytes::Bytes;
use session::Introduction;
use wire::UserId;

use super::{Core, connection::Connection};

// === impl Core ===

impl Core {
    /// Takes up the session that the client has a ticket of. With any other
    /// ticket it has the new session that it got: no fault of the client's, as
    /// keys change and tickets grow old.
    pub(super) fn take_up(
        &mut self,
        connection: &mut Connection,
        introduction: &Introduction,
        user: &UserId,
    ) {
        let sealed = &introduction.ticket;
        if sealed.is_empty() {
            return;
        }
        let profile = &mut connection.profile;
        match self.gateway.config.tickets.open(sealed, SystemTime::now()) {
            Ok(ticket) if ticket.user == *user => {
                profile.session = ticket.session;
                profile.session_epoch = ticket.epoch.saturating_add(1);
                self.counters.resumed += 1;
            }
            Ok(_) => self.counters.ticket_refused("other_user"),
            Err(error) => self.counters.ticket_refused(error.label()),
        }
    }

    /// A ticket of the connection's session as it is now; empty before it has a
    /// user.
    pub(super) fn ticket(&self, connection: &Connection) -> Bytes {
        let profile = &connection.profile;
        let Some(identity) = &profile.identity else {
            return Bytes::new();
        };
        let ticket = Ticket {
            session: profile.session,
            user: identity.user.clone(),
            epoch: profile.session_epoch,
        };
        let sealed = self.gateway.config.tickets.seal(&ticket, SystemTime::now());
        sealed.into()
    }
}
