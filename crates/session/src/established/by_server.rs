//! What the control plane does to a client's subscriptions, with id zero: the
//! client is told as if it had asked.

use wire::{Channel, client::ErrorCode};

use super::{Established, Stage};
use crate::{
    action::{Action, Actions},
    config::{Grants, SessionConfig},
};

// === impl Established ===

impl Established {
    /// Subscribes the client to a channel that it does not listen to yet,
    /// whatever it may do by itself. Nothing more is asked for if a subscribe
    /// of the client's own is pending.
    ///
    /// # Errors
    /// [`ErrorCode::TooManySubscriptions`]: the gateway's limit holds for these, too; a
    /// token's is for what the client wants itself.
    pub fn subscribe_by_server(
        &mut self,
        channel: &Channel,
        config: &SessionConfig,
        actions: &mut Actions,
    ) -> Result<(), ErrorCode> {
        if self.stage == Stage::Closed || self.waiting.keep_subscribing(channel) {
            return Ok(());
        }
        self.check_room(config, None)?;
        self.waiting.begin_subscribe(0, channel.clone());
        self.subscriptions += 1;
        actions.push(Action::Subscribe {
            id: 0,
            channel: channel.clone(),
            since: None,
            options: None,
        });
        Ok(())
    }

    /// What the client may do has changed: its own subscribes that are pending and not
    /// allowed any more end right after they have begun.
    pub fn withdraw_pending(&mut self, grants: &dyn Grants) {
        let forbidden = |channel: &Channel| grants.subscribe(channel).is_err();
        self.waiting.unsubscribe_those(forbidden);
    }

    /// Ends the client's subscription to a channel, if there is one; a pending
    /// one right after it has begun.
    pub fn unsubscribe_by_server(&mut self, channel: &Channel, actions: &mut Actions) {
        if self.stage != Stage::Closed && self.waiting.unsubscribe_later(0, channel).is_none() {
            let channel = channel.clone();
            actions.push(Action::Unsubscribe { id: 0, channel });
        }
    }
}
