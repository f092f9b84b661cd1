//! Tells the cluster who is connected here.

use std::num::NonZeroU32;

use registry::{ConnectionRecord, Written};
use wire::{CloseCause, gateway::RegisteredConnection};

use super::{Core, Mail, Shard, connection::Connection, mail::ConnectionKey, mailboxes::News};
use crate::{fencing::Claim, mailbox::Mailbox, user_limit::Look};

impl Shard {
    /// The registry has lost this gateway: whoever lives here is told anew.
    pub(super) fn announce(&mut self) {
        let Some(registrar) = &self.core.gateway.registrar else {
            return;
        };
        for (slot, connection) in &self.connections {
            if let Some(record) = self.core.record(slot, connection) {
                registrar.renewed(record);
            }
        }
    }
}

impl Core {
    /// A connection was established.
    pub(super) fn register(&self, slot: usize, connection: &Connection) {
        let key = connection.key(slot);
        if let Some(registrar) = &self.gateway.registrar
            && let Some(record) = self.record(slot, connection)
        {
            let identity = connection.profile.identity.as_ref();
            let at_most = identity.and_then(|it| it.limits.max_connections());
            let written = self.look_at(&record, at_most, key);
            registrar.opened(record, Some(written));
        } else if self.gateway.config.mailboxes {
            registered(self.mailbox(), key);
        }
    }

    /// What follows once the entry is in the registry: the user's connections are
    /// counted, if there is a limit, older ones of the session are ended, and the
    /// user's mailbox is read. There is room for every connection that may be open.
    fn look_at(
        &self,
        record: &ConnectionRecord,
        at_most: Option<NonZeroU32>,
        key: ConnectionKey,
    ) -> Written {
        let reads = self.gateway.config.mailboxes;
        let mailbox = reads.then(|| self.mailbox().clone());
        let limited = at_most.is_some() || self.gateway.config.user_limit.is_some();
        let looks = self.gateway.desks.user_looks.clone().filter(|_| limited);
        let claims = self.gateway.desks.claims.clone();
        let claim = Claim::of(record);
        Box::new(move || {
            if let Some(looks) = looks {
                let user = claim.user.clone();
                drop(looks.try_send(Look { user, at_most }));
            }
            if let Some(claims) = claims.filter(|_| claim.may_have_rivals()) {
                drop(claims.try_send(claim));
            }
            if let Some(mailbox) = mailbox {
                registered(&mailbox, key);
            }
        })
    }

    /// The connection ended; nothing happens if it was never established.
    pub(super) fn deregister(&self, slot: usize, connection: &Connection, cause: CloseCause) {
        if let Some(registrar) = &self.gateway.registrar
            && let Some(record) = self.record(slot, connection)
        {
            registrar.closed(record, cause.label());
        }
    }

    fn record(&self, slot: usize, connection: &Connection) -> Option<ConnectionRecord> {
        let profile = &connection.profile;
        let identity = profile.identity.as_ref()?;
        let id = self.connection_id(slot, connection.generation);
        let labels = identity.labels.iter();
        let entry = RegisteredConnection {
            connection_id: id.to_string(),
            session_id: profile.session.to_string(),
            user: identity.user.to_string(),
            remote_address: profile.peer.to_string(),
            client_name: profile.client_name.to_string(),
            client_version: profile.client_version.to_string(),
            connected_at_ms: profile.connected_at_ms,
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            session_epoch: profile.session_epoch,
            // The registrar's to say.
            registered_anew_at: 0,
        };
        Some(ConnectionRecord {
            id,
            session: profile.session,
            user: identity.user.clone(),
            entry,
        })
    }
}

fn registered(mailbox: &Mailbox, connection: ConnectionKey) {
    let news = News::Registered;
    mailbox.push(Mail::Mailbox { connection, news });
}
