//! What the owner of the socket tells an established session.
//!
//! An answer to an operation that is not in flight is ignored, so that a late
//! or repeated one can't reach the client.

use bytes::Bytes;
use wire::{
    Channel, Offset,
    client::{ErrorCode, Failure, Position, Subscribed, Verdict, server_event::Event},
};

use super::{Established, refuse};
use crate::{
    action::{Action, Actions},
    in_flight::Operation,
    reply,
};

/// How a subscription begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Entered {
    /// What became of the position asked for.
    pub verdict: Verdict,
    /// Where the chain continues from; absent: the channel keeps no log.
    pub position: Option<Position>,
    /// The channel's number.
    pub alias: u32,
    /// Publications may be replaced by newer ones of the same key.
    pub conflates: bool,
}

// === impl Established ===

impl Established {
    /// Answers [`Action::Subscribe`]: the subscription is in effect from
    /// `position` on (absent: the channel keeps no log). Publications may be
    /// sent after this call, not before.
    ///
    /// The answers to subscribes of the control plane, whose id is zero, are
    /// told apart by their channels.
    pub fn subscribed(
        &mut self,
        id: u32,
        channel: &Channel,
        entered: Entered,
        actions: &mut Actions,
    ) {
        if !self.end_subscribing(id, channel) {
            return;
        }
        let Entered {
            verdict,
            position,
            alias,
            conflates,
        } = entered;
        let subscribed = Subscribed {
            id,
            channel: channel.to_string(),
            verdict: verdict.into(),
            position,
            alias,
            conflates,
        };
        actions.push(Action::Send(reply::event(Event::Subscribed(subscribed))));
        if let Some(id) = self.waiting.end_subscribe(id, channel) {
            let channel = channel.clone();
            actions.push(Action::Unsubscribe { id, channel });
        }
    }

    /// Answers [`Action::Subscribe`]: there is no such subscription, or (with
    /// [`ErrorCode::AlreadySubscribed`]) it is an earlier one. A client that did
    /// not ask is not told.
    pub fn subscribe_failed(
        &mut self,
        id: u32,
        channel: &Channel,
        code: ErrorCode,
        actions: &mut Actions,
    ) {
        if !self.end_subscribing(id, channel) {
            return;
        }
        self.forget_subscription();
        if id != 0 {
            refuse(id, code, actions);
        }
        let Some(unsubscribe) = self.waiting.end_subscribe(id, channel) else {
            return;
        };
        if code == ErrorCode::AlreadySubscribed {
            actions.push(Action::Unsubscribe {
                id: unsubscribe,
                channel: channel.clone(),
            });
        } else {
            self.unsubscribe_failed(unsubscribe, ErrorCode::NotSubscribed, actions);
        }
    }

    /// Answers [`Action::Unsubscribe`]: no publication of the channel comes
    /// after this.
    pub fn unsubscribed(&mut self, id: u32, channel: &Channel, alias: u32, actions: &mut Actions) {
        if id == 0 {
            let code = ErrorCode::UnsubscribedByServer;
            self.unsubscribed_by_server(channel, alias, code, actions);
        } else if self.in_flight.end(id, Operation::Unsubscribe) {
            self.forget_subscription();
            actions.push(Action::Send(reply::unsubscribed(
                id,
                channel,
                alias,
                ErrorCode::Unspecified,
            )));
        }
    }

    /// Answers [`Action::Unsubscribe`]: nothing was unsubscribed.
    pub fn unsubscribe_failed(&mut self, id: u32, code: ErrorCode, actions: &mut Actions) {
        if self.in_flight.end(id, Operation::Unsubscribe) {
            refuse(id, code, actions);
        }
    }

    /// Answers [`Action::SetSubscription`].
    pub fn subscription_set(
        &mut self,
        id: u32,
        outcome: Result<(), ErrorCode>,
        actions: &mut Actions,
    ) {
        if self.in_flight.end(id, Operation::SetSubscription) {
            match outcome {
                Ok(()) => actions.push(Action::Send(reply::accepted(id, Offset::NONE))),
                Err(code) => refuse(id, code, actions),
            }
        }
    }

    /// The gateway ended a live subscription by itself.
    pub fn unsubscribed_by_server(
        &mut self,
        channel: &Channel,
        alias: u32,
        code: ErrorCode,
        actions: &mut Actions,
    ) {
        if self.stage != super::Stage::Closed {
            self.forget_subscription();
            actions.push(Action::Send(reply::unsubscribed(0, channel, alias, code)));
        }
    }

    /// Answers [`Action::Publish`] with an id: the bus has the publication, at
    /// this offset, or it failed.
    pub fn published(
        &mut self,
        id: u32,
        outcome: Result<Offset, ErrorCode>,
        actions: &mut Actions,
    ) {
        if self.in_flight.end(id, Operation::Publish) {
            match outcome {
                Ok(offset) => actions.push(Action::Send(reply::accepted(id, offset))),
                Err(code) => refuse(id, code, actions),
            }
        }
    }

    /// Answers [`Action::Request`]. If the request was cancelled this only
    /// frees its id: the client has its Response.
    pub fn replied(&mut self, id: u32, outcome: Result<Bytes, Failure>, actions: &mut Actions) {
        if self.in_flight.end(id, Operation::Request) {
            actions.push(Action::Send(reply::response(id, outcome)));
        } else {
            self.in_flight.end(id, Operation::Cancelled);
        }
    }

    /// Frees the id of a pending subscribe, if there is one.
    fn end_subscribing(&mut self, id: u32, channel: &Channel) -> bool {
        match id {
            0 => self.waiting.awaits(0, channel),
            _ => self.in_flight.end(id, Operation::Subscribe),
        }
    }

    fn forget_subscription(&mut self) {
        self.subscriptions = self.subscriptions.saturating_sub(1);
    }
}
