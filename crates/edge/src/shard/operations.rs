//! What clients ask for: subscriptions, publishes and requests, put to the bus.

use std::{sync::Arc, time::Duration};

use bus::{Outgoing, Request, RequestContext, Subject};
use hub::{Class, Rate};
use session::Action;
use spans::Span;
use wire::{
    Channel,
    client::{ErrorCode, Failure, SubscribeOptions},
    failure,
};

use super::{
    Core, Mail,
    channels::{Latest, Local, Waiting},
    connection::{Connection, Phase},
    member,
    repeatable::Wanted,
};
use crate::{
    fanout::Join,
    trace::{self, RequestTrace},
};

impl Core {
    pub(super) fn subscribe(&mut self, slot: usize, connection: &mut Connection, action: Action) {
        let Action::Subscribe {
            id,
            channel,
            since,
            options,
        } = action
        else {
            return;
        };
        let options = options.unwrap_or_default();
        self.wish(slot, &channel, &options);
        let latest = match options.latest {
            true => Latest::Wanted,
            false => Latest::Unwanted,
        };
        let waiting = Waiting {
            connection: connection.key(slot),
            id,
            since,
            latest,
            class: class_asked(&options),
        };
        self.listen(slot, connection, channel, waiting);
    }

    /// Lets the connection in now, or when the channel flows.
    pub(super) fn listen(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        channel: Channel,
        waiting: Waiting,
    ) {
        match self.channels.get_mut(&channel) {
            Some(Local::Live(_)) => return self.enter(slot, connection, &channel, waiting),
            Some(Local::Joining(others)) if !self.degraded => return others.push(waiting),
            Some(Local::Joining(_)) => {
                return self.refuse_subscribe(connection, &channel, waiting.id);
            }
            None => {}
        }
        let asking = !self.degraded;
        match self.gateway.fanout.join(self.index, &channel, asking) {
            Join::Active(entry) => {
                self.channels.insert_live(channel.clone(), entry);
                self.enter(slot, connection, &channel, waiting);
            }
            Join::Pending => self.channels.begin(channel, waiting),
            Join::Refused => self.refuse_subscribe(connection, &channel, waiting.id),
        }
    }

    pub(super) fn unsubscribe(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        id: u32,
        channel: &Channel,
    ) {
        connection.gave_up(channel);
        self.absent(slot, connection, channel, false);
        let Phase::Established(session) = &mut connection.phase else {
            return;
        };
        match self.hub.unsubscribe(member(slot), channel) {
            Some(left) => {
                session.unsubscribed(id, channel, left.alias, &mut self.actions);
                if left.last {
                    self.abandon(channel);
                }
            }
            None => session.unsubscribe_failed(id, ErrorCode::NotSubscribed, &mut self.actions),
        }
    }

    /// Whether little shall wait in the kernel for who subscribes to the channel:
    /// what is newer, or more urgent, could not go before it there.
    pub(super) fn is_lean(&self, slot: usize, channel: &Channel) -> bool {
        let policy = self.gateway.config.policies.of(channel);
        policy.is_some_and(|policy| policy.delivery.priority > 0)
            || self.hub.conflates(member(slot), channel)
    }

    /// Changes what a subscription gets.
    pub(super) fn set_subscription(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        action: Action,
    ) {
        let Action::SetSubscription {
            id,
            channel,
            options,
        } = action
        else {
            return;
        };
        let policy = self.gateway.config.policies.of(&channel);
        let given = policy.map_or(Class::All, |policy| policy.delivery.class);
        let options = options.unwrap_or_default();
        let class = given.at_most(class_asked(&options));
        let outcome = self.hub.set_class(member(slot), &channel, class);
        self.set_watch(slot, &channel, options.presence);
        if self.is_lean(slot, &channel) {
            connection.keep_lean(self.gateway.config.unsent_bytes);
        }
        if let Phase::Established(session) = &mut connection.phase {
            let outcome = outcome.map_err(|_| ErrorCode::NotSubscribed);
            session.subscription_set(id, outcome, &mut self.actions);
        }
    }

    /// Nobody here listens to the channel any more.
    pub(super) fn abandon(&mut self, channel: &Channel) {
        self.channels.remove(channel);
        self.gateway.fanout.leave(self.index, channel);
    }

    pub(super) fn publish(&mut self, slot: usize, connection: &mut Connection, action: Action) {
        let Action::Publish {
            id,
            channel,
            payload,
            key,
            publication_id,
        } = action
        else {
            return;
        };
        if self.degraded {
            if let (1.., Phase::Established(session)) = (id, &mut connection.phase) {
                session.published(id, Err(ErrorCode::Unavailable), &mut self.actions);
            }
            return;
        }
        let span = trace::publish(self.gateway.tracer.as_deref(), channel.namespace());
        let outgoing = Outgoing {
            subject: Subject::of_channel(&channel),
            payload,
            key: key.into(),
            published_at_us: 0,
            message_id: publication_id.into(),
            traceparent: trace::of(span.as_ref().map(Span::traceparent)),
        };
        let key = connection.key(slot);
        if id == 0 {
            // The client wants no answer.
            let done = |outcome: Result<_, _>| trace::end(span, &outcome);
            return self.gateway.bus.publish(outgoing, Box::new(done));
        }
        let mailbox = self.mailbox().clone();
        let done = move |outcome| {
            trace::end(span, &outcome);
            mailbox.push(Mail::Published {
                connection: key,
                id,
                outcome,
            })
        };
        self.gateway.bus.publish(outgoing, Box::new(done));
    }

    pub(super) fn request(&mut self, slot: usize, connection: &mut Connection, action: Action) {
        let Action::Request {
            id,
            route: name,
            payload,
            deadline_ms,
            idempotency_key,
            traceparent,
        } = action
        else {
            return;
        };
        if self.degraded {
            return self.refuse(connection, id, failure(ErrorCode::Unavailable, ""));
        }
        let trace = RequestTrace::begin(self.gateway.tracer.as_deref(), &name, &traceparent);
        let Some(route) = self.gateway.routes.get(&*name) else {
            // Permitted a moment ago by the same table; kept total all the same.
            return self.refuse(connection, id, failure(ErrorCode::UnknownRoute, &name));
        };
        let deadline = match deadline_ms {
            0 => route.policy.deadline,
            asked => Duration::from_millis(asked.into()),
        };
        let context = RequestContext {
            user: connection
                .profile
                .identity
                .as_ref()
                .map(|identity| identity.user.clone()),
            connection: Some(self.connection_id(slot, connection.generation)),
            session: Some(connection.profile.session),
            idempotency_key: idempotency_key.into(),
            attempt: 0,
            traceparent: trace.header(None),
        };
        let wanted = Wanted {
            id,
            name: name.into(),
            route: Arc::clone(route),
            payload,
            deadline,
            context,
            trace,
        };
        match wanted.context.idempotency_key.is_empty() {
            true => self.request_now(slot, connection, wanted),
            false => self.request_once(slot, connection, wanted),
        }
    }

    /// Puts a request to the bus.
    fn request_now(&mut self, slot: usize, connection: &mut Connection, wanted: Wanted) {
        let Wanted {
            id,
            name,
            route,
            payload,
            deadline,
            mut context,
            trace,
        } = wanted;
        let tracer = self.gateway.tracer.as_deref();
        let sending = trace.send(tracer, &name, &route.policy.subject);
        if sending.is_some() {
            context.traceparent = trace.header(sending.as_ref());
        }
        let passage = match route.enter(deadline) {
            Ok(passage) => passage,
            Err(refusal) => {
                let refused = refusal.failure();
                trace.fail(refused.code());
                return self.refuse(connection, id, refused);
            }
        };
        let request = Request {
            subject: route.policy.subject.clone(),
            payload,
            deadline,
            context,
        };
        let (mailbox, key) = (self.mailbox().clone(), connection.key(slot));
        let span = trace.into_span();
        let done = move |outcome| {
            passage.end(&outcome);
            trace::end(sending, &outcome);
            mailbox.push(Mail::Replied {
                connection: key,
                id,
                outcome,
                span,
            })
        };
        let token = self.gateway.bus.request(request, Box::new(done));
        connection.requests.push((id, token));
    }

    /// Answers a request that is not put to the bus.
    pub(super) fn refuse(&mut self, connection: &mut Connection, id: u32, failure: Failure) {
        let outcome = Err(failure);
        self.counters.request_ended(&outcome);
        if let Phase::Established(session) = &mut connection.phase {
            session.replied(id, outcome, &mut self.actions);
        }
    }

    /// The bus answers the request with "cancelled", unless a reply was faster.
    pub(super) fn cancel(&self, connection: &Connection, id: u32) {
        let request = connection
            .requests
            .iter()
            .find(|(request, _)| *request == id);
        if let Some(&(_, token)) = request {
            self.gateway.bus.cancel(token);
        }
    }
}

/// What of a channel these options ask for, at most.
fn class_asked(options: &SubscribeOptions) -> Class {
    match Rate::new(options.max_per_second) {
        Some(rate) => Class::Sampled(rate),
        None if options.conflate => Class::Latest,
        None => Class::All,
    }
}
