//! What concerns things that the cluster keeps: logs, mailboxes and wills.

use wire::{
    Channel,
    client::{
        Ack, ArmWill, ErrorCode, Failure, History, HistoryResult, Position, Publication,
        server_event::Event,
    },
};

use super::{Context, Established, refuse};
use crate::{
    action::{Action, Actions, HistoryStart},
    in_flight::Operation,
    reply,
};

// === impl Established ===

impl Established {
    /// Answers [`Action::History`] with publications in order of offset, the
    /// position of the log when it was read, and whether there are more.
    pub fn history(
        &mut self,
        id: u32,
        outcome: Result<(Vec<Publication>, Position, bool), ErrorCode>,
        actions: &mut Actions,
    ) {
        if !self.in_flight.end(id, Operation::History) {
            return;
        }
        match outcome {
            Ok((publications, position, more)) => {
                let result = HistoryResult {
                    id,
                    publications,
                    position: Some(position),
                    more,
                };
                actions.push(Action::Send(reply::event(Event::HistoryResult(result))));
            }
            Err(code) => refuse(id, code, actions),
        }
    }

    /// Answers [`Action::ArmWill`] and [`Action::DisarmWill`].
    pub fn will_settled(&mut self, id: u32, outcome: Result<(), Failure>, actions: &mut Actions) {
        if !self.in_flight.end(id, Operation::Will) {
            return;
        }
        match outcome {
            Ok(()) => actions.push(Action::Send(reply::accepted(id, wire::Offset::NONE))),
            Err(failure) => actions.push(Action::Send(reply::failed(id, failure))),
        }
    }

    pub(super) fn ack(&mut self, ack: Ack, actions: &mut Actions) {
        let Ack { up_to, ack_id } = ack;
        actions.push(Action::Acked { up_to, ack_id });
    }

    pub(super) fn read_history(&mut self, history: History, ctx: &mut Context<'_>) {
        let History {
            id,
            channel,
            since,
            limit,
            since_time_ms,
        } = history;
        let start = match (since, since_time_ms) {
            (None, 0) => Ok(HistoryStart::Oldest),
            (Some(since), 0) => Ok(HistoryStart::After(since)),
            (None, time @ 1..) => Ok(HistoryStart::Time(time)),
            _ => Err(ErrorCode::MalformedMessage),
        };
        let checked = self.check_history(id, &channel, ctx);
        match checked.and_then(|channel| Ok((channel, start?))) {
            Ok((channel, start)) => {
                self.in_flight.begin(id, Operation::History);
                ctx.actions.push(Action::History {
                    id,
                    channel,
                    start,
                    limit,
                });
            }
            Err(code) => refuse(id, code, ctx.actions),
        }
    }

    fn check_history(
        &self,
        id: u32,
        channel: &str,
        ctx: &Context<'_>,
    ) -> Result<Channel, ErrorCode> {
        self.check_id(id)?;
        let channel = ctx.config.channel(channel)?;
        ctx.grants.history(&channel)?;
        Ok(channel)
    }

    pub(super) fn arm_will(&mut self, will: ArmWill, ctx: &mut Context<'_>) {
        let ArmWill {
            id,
            route,
            payload,
            grace_ms,
        } = will;
        match self.check_id(id).and_then(|()| ctx.grants.call(&route)) {
            Ok(()) => {
                self.in_flight.begin(id, Operation::Will);
                ctx.actions.push(Action::ArmWill {
                    id,
                    route,
                    payload,
                    grace_ms,
                });
            }
            Err(code) => refuse(id, code, ctx.actions),
        }
    }

    pub(super) fn disarm_will(&mut self, id: u32, actions: &mut Actions) {
        match self.check_id(id) {
            Ok(()) => {
                self.in_flight.begin(id, Operation::Will);
                actions.push(Action::DisarmWill { id });
            }
            Err(code) => refuse(id, code, actions),
        }
    }
}
