//! Answers the control plane's commands from what this shard holds.

use std::sync::Arc;

use wire::{
    Channel, CloseCause, ConnectionId,
    client::{ErrorCode, Member, ServerEvent, Signalled, server_event::Event},
    gateway::{
        self, Changed, Disconnect, Fence, ListConnections, Target, command::Command,
        target::Target as Kind,
    },
};

use super::{
    Shard,
    channels::Live,
    connection::{Connection, Phase},
    directory::fingerprint,
    member,
};
use crate::command::{Answer, Query};

impl Shard {
    /// Answers a command now, or a Deliver when its outcome is known. One that has
    /// waited for too long is not carried out: its asker may have begun again.
    pub(super) fn answer(&mut self, query: &Arc<Query>) {
        // However late: nobody wants back what is revoked.
        if let Command::Revoke(revoke) = &query.command {
            return query.answer(self.revoke_now(revoke));
        }
        if query.is_late() {
            self.look_at_mailboxes(query);
            return query.answer(Answer::Late);
        }
        let answer = match (&query.command, &query.channel) {
            (Command::Deliver(deliver), _) => return self.deliver(deliver, query),
            (Command::Disconnect(disconnect), _) => self.disconnect(disconnect),
            (Command::Fence(fence), _) => self.fence(fence),
            (Command::ListConnections(list), _) => self.page(list, query),
            (Command::CountConnections(_), _) => self.count(query.target()),
            (Command::Explain(explain), _) => self.explain(explain),
            (Command::Subscribe(_), Some(channel)) => self.subscribe_all(channel, query),
            (Command::Unsubscribe(_), Some(channel)) => self.unsubscribe_all(channel, query),
            (Command::Signal(signal), Some(channel)) => self.pass_on(signal, channel),
            (Command::Subscribe(_) | Command::Unsubscribe(_) | Command::Signal(_), None)
            | (Command::Drain(_) | Command::Status(_) | Command::Revoke(_), _)
            | (Command::CarrySend(_) | Command::CarryPoll(_), _) => {
                unreachable!("refused or answered before")
            }
        };
        query.answer(answer);
    }

    fn disconnect(&mut self, disconnect: &Disconnect) -> Answer {
        let slots = self.targets(disconnect.target.as_ref());
        let limited = u32::from(CloseCause::UserLimit.code());
        let cause = match disconnect.may_reconnect {
            true => CloseCause::ReconnectRequested,
            false if disconnect.close_code == limited => CloseCause::UserLimit,
            false => CloseCause::DisconnectedByServer,
        };
        let message = match &*disconnect.reason {
            "" => cause.message(),
            reason => reason,
        };
        let code = match u16::try_from(disconnect.close_code) {
            Ok(code) if code > 0 => code,
            _ => cause.code(),
        };
        for &slot in &slots {
            self.close_with(slot, cause, code, message);
        }
        Answer::Disconnected(slots.len() as u64)
    }

    /// Closes the connections of a session that are older than the one that took
    /// it over.
    fn fence(&mut self, fence: &Fence) -> Answer {
        let id = fence.connection_id.parse().ok();
        let newest = (fence.session_epoch, fence.connected_at_ms, id);
        let mut slots = self.targets(fence.target.as_ref());
        slots.retain(|&slot| {
            let connection = &self.connections[slot];
            let id = self.core.connection_id(slot, connection.generation);
            let profile = &connection.profile;
            let is_older = (profile.session_epoch, profile.connected_at_ms, Some(id)) < newest;
            is_older && !connection.flow.asked_to_move
        });
        let cause = CloseCause::SessionReplaced;
        for &slot in &slots {
            self.close_with(slot, cause, cause.code(), cause.message());
        }
        let count = slots.len() as u64;
        Answer::Changed(Changed { count, refused: 0 })
    }

    /// Subscribes everybody meant, whatever their tokens say.
    fn subscribe_all(&mut self, channel: &Channel, query: &Query) -> Answer {
        let mut changed = Changed::default();
        for slot in self.targets(query.target()) {
            match self.subscribe_by_server(slot, channel) {
                Ok(()) => changed.count += 1,
                Err(_) => changed.refused += 1,
            }
        }
        Answer::Changed(changed)
    }

    fn subscribe_by_server(&mut self, slot: usize, channel: &Channel) -> Result<(), ErrorCode> {
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return Ok(());
        };
        let Phase::Established(session) = &mut connection.phase else {
            return Ok(());
        };
        if core.hub.is_subscribed(member(slot), channel) {
            return Ok(());
        }
        session.subscribe_by_server(channel, &core.session, &mut core.actions)?;
        connection.was_given(channel);
        self.perform(slot);
        Ok(())
    }

    fn unsubscribe_all(&mut self, channel: &Channel, query: &Query) -> Answer {
        let slots = self.targets(query.target());
        let count = slots.len() as u64;
        for slot in slots {
            let connection = self.connections.get_mut(slot);
            if let Some(Phase::Established(session)) = connection.map(|it| &mut it.phase) {
                session.unsubscribe_by_server(channel, &mut self.core.actions);
                self.perform(slot);
            }
        }
        Answer::Changed(Changed { count, refused: 0 })
    }

    /// Gives a client's signal to those meant who are subscribed to the channel.
    fn pass_on(&mut self, signal: &gateway::Signal, channel: &Channel) -> Answer {
        let mut changed = Changed::default();
        let Some(alias) = self.core.channels.live(channel).map(Live::alias) else {
            return Answer::Changed(changed);
        };
        let from = signal.from.clone().unwrap_or_default();
        let sender = from.connection_id.clone();
        let event = ServerEvent {
            event: Some(Event::Signalled(Signalled {
                alias,
                from: Some(Member {
                    user: from.user,
                    connection_id: from.connection_id,
                    session_id: from.session_id,
                }),
                payload: signal.payload.clone(),
            })),
        };
        for slot in self.targets(signal.target.as_ref()) {
            let is_there = self.core.hub.is_subscribed(member(slot), channel)
                && self.id_of(slot).to_string() != sender;
            match is_there && self.send_direct(slot, &event, None) {
                true => changed.count += 1,
                false => changed.refused += 1,
            }
        }
        Answer::Changed(changed)
    }

    fn page(&self, list: &ListConnections, query: &Query) -> Answer {
        let size = query.page_size();
        let after: Option<ConnectionId> = list.after_connection_id.parse().ok();
        let mut slots = match &list.target {
            Some(_) => self.targets(list.target.as_ref()),
            None => self.everybody(),
        };
        if let Some(channel) = &query.channel {
            slots.retain(|&slot| self.core.hub.is_subscribed(member(slot), channel));
        }
        slots.sort_unstable();
        let ids = slots.into_iter().map(|slot| {
            let generation = self.connections[slot].generation;
            (self.core.connection_id(slot, generation), slot)
        });
        let mut rest = ids.filter(|(id, _)| after.as_ref().is_none_or(|after| id > after));
        let connections = rest
            .by_ref()
            .take(size)
            .map(|(id, slot)| {
                let entry = self.describe(slot, &id, list.with_channels);
                (id, entry)
            })
            .collect();
        Answer::Page {
            connections,
            more: rest.next().is_some(),
        }
    }

    pub(super) fn describe(
        &self,
        slot: usize,
        id: &ConnectionId,
        with_channels: bool,
    ) -> gateway::Connection {
        let Connection { profile, .. } = &self.connections[slot];
        let hub = &self.core.hub;
        let channels = match with_channels {
            true => hub
                .channels_of(member(slot))
                .map(ToString::to_string)
                .collect(),
            false => Vec::new(),
        };
        let identity = profile.identity.as_ref();
        let labels = identity.map(|identity| {
            let labels = identity.labels.iter();
            labels.map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        gateway::Connection {
            connection_id: id.to_string(),
            session_id: profile.session.to_string(),
            user: identity.map_or_else(String::new, |identity| identity.user.to_string()),
            remote_address: profile.peer.to_string(),
            transport: profile.transport.label().to_owned(),
            subprotocol: profile.subprotocol.name().to_owned(),
            client_name: profile.client_name.to_string(),
            client_version: profile.client_version.to_string(),
            connected_at_ms: profile.connected_at_ms,
            subscriptions: u32::try_from(hub.subscription_count(member(slot))).unwrap_or(u32::MAX),
            channels,
            outbox_bytes: hub.outbox(member(slot)).bytes() as u64,
            labels: labels.into_iter().flatten().collect(),
            session_epoch: profile.session_epoch,
        }
    }

    fn count(&self, target: Option<&Target>) -> Answer {
        match target.and_then(|target| target.target.as_ref()) {
            None | Some(Kind::Everybody(_)) => Answer::Count {
                connections: self.everybody().len() as u64,
                users: self.core.directory.users().collect(),
            },
            Some(_) => {
                let slots = self.targets(target);
                let identity = |&slot: &usize| self.connections[slot].profile.identity.as_deref();
                let identities = slots.iter().filter_map(identity);
                Answer::Count {
                    connections: slots.len() as u64,
                    users: identities
                        .map(|identity| fingerprint(&identity.user))
                        .collect(),
                }
            }
        }
    }
}
