//! Who a client is and what it may do, while it stays: its token expires, a newer
//! one comes, or it is revoked.

use std::{
    mem,
    time::{Duration, SystemTime},
};

use auth::{Identity, Permissions};
use revocations::{Bearer, Revocation, Whom};
use session::Grants;
use wire::{
    Channel, CloseCause, SessionId,
    client::ErrorCode,
    gateway::{Changed, Revoke},
};

use super::{
    Core, Shard,
    connection::{Connection, Phase, slot_number},
    mail::ConnectionKey,
    member,
};
use crate::{
    authenticate::Verdict,
    clock::{Tick, unix_ms},
    command::Answer,
    namespace::ConnectionGrants,
    refreshing::Renewal,
};

/// Shorter is no notice, as each connection is looked at once a second.
const MIN_NOTICE: Duration = Duration::from_secs(2);

// === impl Shard ===

impl Shard {
    /// A newer token was verified, or refused.
    pub(super) fn refreshed(&mut self, key: ConnectionKey, id: u32, verdict: Verdict) {
        let slot = key.slot as usize;
        let Self {
            connections, core, ..
        } = self;
        let connection = connections.get_mut(slot);
        let Some(connection) = connection.filter(|it| it.generation == key.generation) else {
            return;
        };
        let outcome = core.renew(slot, connection, verdict);
        self.tell(key, |session, actions| {
            session.refreshed(id, outcome, actions);
        });
    }

    /// The token's time is nearly over, or over.
    pub(super) fn token_is_due(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        let now = SystemTime::now();
        let left = match &connection.profile.identity {
            Some(identity) => identity.left(now),
            None => return,
        };
        if !mem::replace(&mut connection.profile.told_expiry, true) && !left.is_zero() {
            connection.token_due = self.core.clock.now().after(left);
            let event = session::token_expiring(millis(left));
            return self.core.hub.send(member(slot), &event, None);
        }
        let is_revoked = self.core.is_revoked(connection);
        self.close(
            slot,
            match is_revoked {
                true => CloseCause::Revoked,
                false => CloseCause::TokenExpired,
            },
        );
    }

    /// Acts on a revocation that the control plane wants confirmed.
    pub(super) fn revoke_now(&mut self, revoke: &Revoke) -> Answer {
        let revocation = revoke.revocation.clone().map(Revocation::read);
        let count = match revocation {
            Some(Ok(revocation)) => self.revoke(&revocation),
            // Refused before it is put to a shard.
            None | Some(Err(_)) => 0,
        };
        Answer::Changed(Changed { count, refused: 0 })
    }

    /// Closes the connections that are meant, or takes their permissions away for as
    /// long as their clients may take to refresh their token; how many they are.
    pub(super) fn revoke(&mut self, revocation: &Revocation) -> u64 {
        let slots = self.meant(revocation);
        for &slot in &slots {
            match revocation.grace_ms {
                0 => self.close(slot, CloseCause::Revoked),
                grace_ms => self.suspend(slot, grace_ms),
            }
        }
        slots.len() as u64
    }

    /// Slots of the established connections whose access was taken back.
    fn meant(&self, revocation: &Revocation) -> Vec<usize> {
        let directory = &self.core.directory;
        let mut slots: Vec<usize> = match &revocation.whom {
            Whom::User(user) => directory.of_user(user).map(|slot| slot as usize).collect(),
            Whom::Session(id) => directory
                .of_session(*id)
                .map(|slot| slot as usize)
                .collect(),
            Whom::Token(_) => self.everybody(),
        };
        slots.retain(|&slot| {
            let connection = self.connections.get(slot);
            let bearer = connection.filter(|_| self.is_established(slot));
            let bearer = bearer.and_then(bearer_of);
            bearer.is_some_and(|bearer| revocation.means(&bearer))
        });
        slots
    }

    fn suspend(&mut self, slot: usize, grace_ms: u32) {
        let Self {
            connections, core, ..
        } = self;
        let connection = &mut connections[slot];
        let Some(identity) = &mut connection.profile.identity else {
            return;
        };
        let grace = Duration::from_millis(grace_ms.into());
        let left = identity.left(SystemTime::now()).min(grace);
        identity.permissions = Permissions::nothing();
        connection.token_due = core.clock.now().after(left);
        connection.profile.told_expiry = true;
        let event = session::token_revoked(millis(left));
        core.hub.send(member(slot), &event, None);
        core.withdraw(slot, connection);
        self.perform(slot);
    }
}

// === impl Core ===

impl Core {
    /// Has a token verified; the answer comes as [`super::Mail::Refreshed`].
    pub(super) fn refresh(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        id: u32,
        token: String,
    ) {
        let renewal = Renewal {
            connection: connection.key(slot),
            id,
            token,
            peer: connection.profile.peer.ip(),
            client_name: connection.profile.client_name.clone(),
            mailbox: self.mailbox().clone(),
        };
        if self.gateway.desks.refreshes.try_send(renewal).is_err()
            && let Phase::Established(session) = &mut connection.phase
        {
            session.refreshed(id, Err(ErrorCode::Overloaded), &mut self.actions);
        }
    }

    /// Whether access was taken back from whoever is connected there.
    pub(super) fn is_revoked(&self, connection: &Connection) -> bool {
        let bearer = bearer_of(connection);
        bearer.is_some_and(|bearer| self.gateway.revoked.covers(&bearer))
    }

    /// Whether access was taken back from who wants to be let in.
    pub(super) fn is_shut_out(&self, identity: &Identity, session: SessionId) -> bool {
        self.gateway.revoked.covers(&bearer(identity, session))
    }

    /// When to look at the connection's token next.
    pub(super) fn watch_token(&self, connection: &mut Connection) {
        let identity = connection.profile.identity.as_ref();
        let until = identity.and_then(|identity| identity.expires_at);
        connection.profile.told_expiry = false;
        connection.token_due = match until {
            None => Tick::NEVER,
            Some(until) => {
                let left = until.duration_since(SystemTime::now()).unwrap_or_default();
                // One that lives for a minute is not to be refreshed at once.
                let notice = self.gateway.config.token_notice.min(left / 4);
                let notice = notice.max(MIN_NOTICE).min(left);
                self.clock.now().after(left - notice)
            }
        };
    }

    /// Puts a newer token of the same user in the place of the old one; gives its
    /// expiry, Unix time in milliseconds.
    fn renew(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        verdict: Verdict,
    ) -> Result<i64, ErrorCode> {
        let mut identity = verdict.map_err(|rejection| {
            self.counters.token_refused(rejection);
            match rejection.cause() {
                CloseCause::InvalidToken => ErrorCode::InvalidToken,
                _ => ErrorCode::Unavailable,
            }
        })?;
        let Some(old) = &mut connection.profile.identity else {
            return Err(ErrorCode::Internal);
        };
        if identity.user != old.user {
            return Err(ErrorCode::PermissionDenied);
        }
        if self.is_shut_out(&identity, connection.profile.session) {
            return Err(ErrorCode::InvalidToken);
        }
        // The registry and commands know the connection by them.
        identity.labels = mem::take(&mut old.labels);
        let expires_at_ms = identity.expires_at.map_or(0, unix_ms);
        *old = identity;
        self.entitle(connection);
        self.watch_token(connection);
        self.withdraw(slot, connection);
        Ok(expires_at_ms)
    }

    /// Ends the client's own subscriptions that it may not have any more.
    fn withdraw(&mut self, slot: usize, connection: &mut Connection) {
        let Some(identity) = &connection.profile.identity else {
            return;
        };
        let Phase::Established(session) = &mut connection.phase else {
            return;
        };
        let policies = &self.gateway.config.policies;
        let grants = ConnectionGrants { policies, identity };
        let given = connection.profile.given.as_deref();
        let is_lost = |channel: &&Channel| {
            grants.subscribe(channel).is_err()
                && !given.is_some_and(|given| given.0.contains(channel))
        };
        let lost: Vec<Channel> = self
            .hub
            .channels_of(member(slot))
            .filter(is_lost)
            .cloned()
            .collect();
        let watched = self.attendance.watched(slot_number(slot));
        let unseen = watched.filter(|it| grants.presence(it).is_err());
        let unseen: Vec<Channel> = unseen.cloned().collect();
        session.withdraw_pending(&grants);
        let code = ErrorCode::PermissionDenied;
        let mut abandoned = Vec::new();
        for channel in &lost {
            if let Some(left) = self.hub.unsubscribe(member(slot), channel) {
                session.unsubscribed_by_server(channel, left.alias, code, &mut self.actions);
                if left.last {
                    abandoned.push(channel.clone());
                }
            }
        }
        for channel in abandoned {
            self.abandon(&channel);
        }
        for channel in unseen {
            self.set_watch(slot, &channel, false);
        }
        for channel in lost {
            self.absent(slot, connection, &channel, false);
        }
    }
}

// === impl Connection ===

impl Connection {
    /// The control plane subscribed the client, whatever its token says.
    pub(super) fn was_given(&mut self, channel: &Channel) {
        let given = self.profile.given.get_or_insert_default();
        if !given.0.contains(channel) {
            given.0.push(channel.clone());
        }
    }

    /// It is subscribed no more.
    pub(super) fn gave_up(&mut self, channel: &Channel) {
        if let Some(given) = &mut self.profile.given {
            given.0.retain(|held| held != channel);
            if given.0.is_empty() {
                self.profile.given = None;
            }
        }
    }
}

fn bearer_of(connection: &Connection) -> Option<Bearer<'_>> {
    let identity = connection.profile.identity.as_deref()?;
    Some(bearer(identity, connection.profile.session))
}

fn bearer(identity: &Identity, session: SessionId) -> Bearer<'_> {
    Bearer {
        user: &identity.user,
        token_id: identity.token_id.as_deref(),
        issued_at_ms: identity.issued_at.map(unix_ms),
        session: Some(session),
    }
}

fn millis(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
}
