//! A session that is subscribed to a channel.

use wire::{ConnectionId, SessionId, UserId, client, control, gateway::PresentMember};

/// A member of a channel. It is the same one as long as its session is the same,
/// whichever connection that has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whose session it is.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
    /// Its newest connection, as far as is known.
    pub connection: ConnectionId,
}

// === impl Member ===

impl Member {
    /// What it takes in a message, in bytes, about.
    pub(crate) fn cost(&self) -> usize {
        // 32 digits of the session, three tags and lengths, numbers of the connection.
        self.user.as_str().len() + self.connection.gateway.as_str().len() + 80
    }

    /// Reads what another gateway says; `None` if it says nonsense.
    pub(crate) fn read(message: &PresentMember) -> Option<Self> {
        Some(Self {
            user: UserId::new(&message.user)?,
            session: message.session_id.parse().ok()?,
            connection: message.connection_id.parse().ok()?,
        })
    }

    /// As gateways tell it each other.
    pub fn message(&self) -> PresentMember {
        PresentMember {
            user: self.user.to_string(),
            session_id: self.session.to_string(),
            connection_id: self.connection.to_string(),
        }
    }

    /// As clients are told.
    pub fn for_clients(&self) -> client::Member {
        client::Member {
            user: self.user.to_string(),
            session_id: self.session.to_string(),
            connection_id: self.connection.to_string(),
        }
    }

    /// As backends are told.
    pub fn for_backends(&self) -> control::ChannelMember {
        control::ChannelMember {
            user: self.user.to_string(),
            session_id: self.session.to_string(),
            connection_id: self.connection.to_string(),
        }
    }
}
