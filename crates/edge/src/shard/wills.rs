//! Wills that clients leave here.

use std::time::Duration;

use journal::Redelivery;
use session::Action;
use wills::NewWill;
use wire::{
    client::{ErrorCode, Failure},
    failure,
};

use super::{
    Core, Shard,
    connection::{Connection, Phase},
    mail::ConnectionKey,
};
use crate::wills::Order;

impl Shard {
    /// An order was done, or not.
    pub(super) fn will_settled(
        &mut self,
        key: ConnectionKey,
        id: u32,
        outcome: Result<(), Failure>,
    ) {
        self.tell(key, |session, actions| {
            session.will_settled(id, outcome, actions);
        });
    }
}

impl Core {
    /// Arms a will ([`Action::ArmWill`]).
    pub(super) fn arm_will(&mut self, slot: usize, connection: &mut Connection, action: Action) {
        let Action::ArmWill {
            id,
            route,
            payload,
            grace_ms,
        } = action
        else {
            return;
        };
        let grace = Duration::from_millis(grace_ms.into());
        let limits = self.gateway.config.wills;
        if let Err(failure) = limits.check(payload.len(), grace) {
            return self.refuse_will(connection, id, failure);
        }
        let (Some(identity), Some(route_of)) = (
            &connection.profile.identity,
            self.gateway.routes.get(&*route),
        ) else {
            // Permitted a moment ago by the same table; kept total all the same.
            return self.refuse_will(connection, id, failure(ErrorCode::UnknownRoute, &route));
        };
        let will = NewWill {
            user: identity.user.clone(),
            session: connection.profile.session,
            connection: self.connection_id(slot, connection.generation),
            subject: route_of.policy.subject.clone(),
            deadline: route_of.policy.deadline,
            redelivers: route_of.policy.redelivery == Redelivery::WorkerDeduplicates,
            route,
            payload,
            grace,
        };
        self.order(slot, connection, id, Some(will));
    }

    /// Takes the session's will back.
    pub(super) fn disarm_will(&mut self, slot: usize, connection: &mut Connection, id: u32) {
        self.order(slot, connection, id, None);
    }

    fn order(&mut self, slot: usize, connection: &mut Connection, id: u32, will: Option<NewWill>) {
        let Some(identity) = &connection.profile.identity else {
            return;
        };
        let order = Order {
            connection: connection.key(slot),
            id,
            user: identity.user.clone(),
            session: connection.profile.session,
            will,
            mailbox: self.mailbox().clone(),
        };
        let code = match &self.gateway.desks.wills {
            // A gateway whose connections nobody can look up.
            None => ErrorCode::Unimplemented,
            Some(_) if self.degraded => ErrorCode::Unavailable,
            Some(orders) => match orders.try_send(order) {
                Ok(()) => return,
                Err(_) => ErrorCode::Overloaded,
            },
        };
        self.refuse_will(connection, id, failure(code, ""));
    }

    fn refuse_will(&mut self, connection: &mut Connection, id: u32, failure: Failure) {
        if let Phase::Established(session) = &mut connection.phase {
            session.will_settled(id, Err(failure), &mut self.actions);
        }
    }
}
