//! Whom a command means.

use wire::{
    ConnectionId, SessionId, UserId,
    gateway::{Target, target::Target as Kind},
};

use super::{Shard, connection::Phase};

impl Shard {
    /// Slots of the established connections that are meant.
    pub(super) fn targets(&self, target: Option<&Target>) -> Vec<usize> {
        let Some(kind) = target.and_then(|target| target.target.as_ref()) else {
            return Vec::new();
        };
        let directory = &self.core.directory;
        match kind {
            Kind::User(user) => match UserId::new(user) {
                Some(user) => self.established(directory.of_user(&user)),
                None => Vec::new(),
            },
            Kind::ConnectionId(id) => self.established(self.find(id)),
            Kind::SessionId(id) => self.session(id),
            Kind::Label(label) => self.established(directory.of_label(&label.name, &label.value)),
            Kind::Everybody(_) => self.everybody(),
        }
    }

    /// Slots of all established connections.
    pub(super) fn everybody(&self) -> Vec<usize> {
        let established = |slot: &usize| self.is_established(*slot);
        let slots = self.connections.iter().map(|(slot, _)| slot);
        slots.filter(established).collect()
    }

    fn session(&self, id: &str) -> Vec<usize> {
        let Ok(session) = id.parse::<SessionId>() else {
            return Vec::new();
        };
        let holds = |slot: &u32| self.connections[*slot as usize].profile.session == session;
        self.established(self.core.directory.of_session(session).filter(holds))
    }

    fn established(&self, slots: impl IntoIterator<Item = u32>) -> Vec<usize> {
        let slots = slots.into_iter().map(|slot| slot as usize);
        slots.filter(|slot| self.is_established(*slot)).collect()
    }

    pub(super) fn is_established(&self, slot: usize) -> bool {
        let connection = self.connections.get(slot);
        connection.is_some_and(|found| matches!(found.phase, Phase::Established(_)))
    }

    fn find(&self, id: &str) -> Option<u32> {
        let id: ConnectionId = id.parse().ok()?;
        let here = id.gateway == self.core.gateway.config.gateway
            && usize::from(id.shard) == self.core.index;
        let connection = self.connections.get(id.slot as usize).filter(|_| here)?;
        (connection.generation == id.generation).then_some(id.slot)
    }
}
