//! What concerns other members of a channel: who they are, and signals to them.

use wire::{
    Channel, ConnectionId, UserId,
    client::{
        ErrorCode, Failure, Presence, PresenceResult, Signal, SubscribeOptions,
        server_event::Event, signal::To,
    },
};

use super::{Context, Established, refuse};
use crate::{
    action::{Action, Actions, Addressee},
    in_flight::Operation,
    reply,
};

/// Largest payload of a signal, in bytes: offers of WebRTC have a few KiB.
const MAX_SIGNAL_BYTES: usize = 16 << 10;

// === impl Established ===

impl Established {
    /// Answers [`Action::Presence`]; the result's id is put in here.
    pub fn presence(
        &mut self,
        id: u32,
        outcome: Result<PresenceResult, ErrorCode>,
        actions: &mut Actions,
    ) {
        if !self.in_flight.end(id, Operation::Presence) {
            return;
        }
        match outcome {
            Ok(result) => {
                let result = PresenceResult { id, ..result };
                actions.push(Action::Send(reply::event(Event::PresenceResult(result))));
            }
            Err(code) => refuse(id, code, actions),
        }
    }

    /// Answers [`Action::Signal`]: so many connections were reached, at least one.
    pub fn signalled(&mut self, id: u32, outcome: Result<u32, Failure>, actions: &mut Actions) {
        if !self.in_flight.end(id, Operation::Signal) {
            return;
        }
        match outcome {
            Ok(reached) => actions.push(Action::Send(reply::reached(id, reached))),
            Err(failure) => actions.push(Action::Send(reply::failed(id, failure))),
        }
    }

    pub(super) fn ask_presence(&mut self, presence: Presence, ctx: &mut Context<'_>) {
        let Presence { id, channel } = presence;
        match self.check_presence(id, &channel, ctx) {
            Ok(channel) => {
                self.in_flight.begin(id, Operation::Presence);
                ctx.actions.push(Action::Presence { id, channel });
            }
            Err(code) => refuse(id, code, ctx.actions),
        }
    }

    pub(super) fn signal(&mut self, signal: Signal, ctx: &mut Context<'_>) {
        let Signal {
            id,
            channel,
            to,
            payload,
        } = signal;
        let to = to.and_then(addressee).ok_or(ErrorCode::MalformedMessage);
        let fits = match payload.len() <= MAX_SIGNAL_BYTES {
            true => Ok(()),
            false => Err(ErrorCode::MessageTooLarge),
        };
        let checked = self.check_presence(id, &channel, ctx);
        let checked = checked.and_then(|channel| {
            ctx.grants.signal(&channel)?;
            fits.and(to).map(|to| (channel, to))
        });
        match checked {
            Ok((channel, to)) => {
                self.in_flight.begin(id, Operation::Signal);
                ctx.actions.push(Action::Signal {
                    id,
                    channel,
                    to,
                    payload,
                });
            }
            Err(code) => refuse(id, code, ctx.actions),
        }
    }

    fn check_presence(
        &self,
        id: u32,
        channel: &str,
        ctx: &Context<'_>,
    ) -> Result<Channel, ErrorCode> {
        self.check_id(id)?;
        let channel = ctx.config.channel(channel)?;
        ctx.grants.presence(&channel)?;
        Ok(channel)
    }
}

/// Whether these options may be had.
pub(super) fn check_options(
    options: Option<&SubscribeOptions>,
    channel: &Channel,
    ctx: &Context<'_>,
) -> Result<(), ErrorCode> {
    match options.is_some_and(|options| options.presence) {
        true => ctx.grants.presence(channel),
        false => Ok(()),
    }
}

fn addressee(to: To) -> Option<Addressee> {
    match to {
        To::User(user) => UserId::new(&user).map(Addressee::User),
        To::SessionId(session) => session.parse().ok().map(Addressee::Session),
        To::ConnectionId(connection) => {
            let connection: Option<ConnectionId> = connection.parse().ok();
            connection.map(Addressee::Connection)
        }
    }
}
