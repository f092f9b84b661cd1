//! The last phase: an authenticated client at work. Ends with the connection.
//!
//! The window: operations with an id count from their event to their answer.
//! While it is full, or events wait, [`Established::is_full`] holds and the
//! owner reads nothing from the socket, which is TCP's own backpressure. The
//! rest of a message already read is kept, in order, and taken up by
//! [`Established::resume`] as answers make room. So a client may send a batch
//! longer than the window; nothing is dropped, nothing runs beyond the window,
//! and what is kept is less than one message.

use std::num::NonZeroU32;

use wire::{
    Channel, CloseCause,
    client::{
        ClientEvent, ErrorCode, Hello, Publish, Request, SetSubscription, Subscribe,
        SubscribeOptions, Unsubscribe, client_event::Event,
    },
};

pub use self::answers::Entered;
use crate::{
    action::{Action, Actions},
    config::{Grants, SessionConfig},
    in_flight::{InFlight, Operation},
    introduction::Introduction,
    reply,
    waiting::Waiting,
};

mod among;
mod answers;
mod by_server;
mod kept;
mod refreshing;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

/// Longest key, publication id and idempotency key, in bytes.
const MAX_HEADER_BYTES: usize = 255;

/// Serves an authenticated client.
///
/// Small when idle: 64 bytes at most and no heap.
#[derive(Debug)]
pub struct Established {
    in_flight: InFlight,
    waiting: Waiting,
    /// Live ones and pending ones.
    subscriptions: u32,
    /// `max_in_flight` as Welcome told it; zero: no limit.
    window: u32,
    stage: Stage,
}

/// Where an established session stands.
///
/// ```text
///   HelloMayCome --Hello{no token}--> Open
///        |                             |
///        | Hello{token}                | Hello
///        +----------> Closed <---------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The upgrade request stood for Hello; one without a token is welcome.
    HelloMayCome,
    /// Hello has come.
    Open,
    /// Closed by this session; whatever comes is ignored.
    Closed,
}

/// What handling an event needs besides the session.
struct Context<'a> {
    config: &'a SessionConfig,
    grants: &'a dyn Grants,
    actions: &'a mut Actions,
}

// === impl Established ===

impl Established {
    pub(crate) fn new(stage: Stage, config: &SessionConfig) -> Self {
        Self {
            in_flight: InFlight::default(),
            waiting: Waiting::default(),
            subscriptions: 0,
            window: config.limits.max_in_flight,
            stage,
        }
    }

    /// Handles one event of a client, or keeps it while [`Self::is_full`].
    pub fn handle(
        &mut self,
        event: ClientEvent,
        config: &SessionConfig,
        grants: &dyn Grants,
        actions: &mut Actions,
    ) {
        if self.stage == Stage::Closed {
            return;
        }
        if self.is_full() {
            return self.waiting.keep_event(event);
        }
        self.apply(
            event,
            &mut Context {
                config,
                grants,
                actions,
            },
        );
    }

    /// Handles kept events as far as the window allows. To be called after
    /// answers, and cheap if nothing is kept.
    pub fn resume(&mut self, config: &SessionConfig, grants: &dyn Grants, actions: &mut Actions) {
        let mut ctx = Context {
            config,
            grants,
            actions,
        };
        while !self.is_window_full() {
            let Some(event) = self.waiting.next_event() else {
                return;
            };
            self.apply(event, &mut ctx);
        }
    }

    /// Whether the socket must not be read: the window is full, or events wait.
    pub fn is_full(&self) -> bool {
        self.is_window_full() || self.waiting.has_events()
    }

    /// Operations that await their answer.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Subscriptions held or asked for.
    pub fn subscriptions(&self) -> u32 {
        self.subscriptions
    }

    fn is_window_full(&self) -> bool {
        self.window != 0 && self.in_flight.len() >= self.window as usize
    }

    fn apply(&mut self, event: ClientEvent, ctx: &mut Context<'_>) {
        match event.event {
            Some(Event::Request(request)) => self.request(request, ctx),
            Some(Event::Publish(publish)) => self.publish(publish, ctx),
            Some(Event::Subscribe(subscribe)) => self.subscribe(subscribe, ctx),
            Some(Event::Unsubscribe(unsubscribe)) => self.unsubscribe(unsubscribe, ctx),
            Some(Event::Cancel(cancel)) => self.cancel(cancel.id, ctx.actions),
            Some(Event::Ack(ack)) => self.ack(ack, ctx.actions),
            Some(Event::Ping(ping)) => ctx.actions.push(Action::Send(reply::pong(ping.nonce))),
            Some(Event::Hello(hello)) => self.hello(*hello, ctx.actions),
            Some(Event::Refresh(refresh)) => self.refresh(refresh, ctx.actions),
            Some(Event::History(history)) => self.read_history(history, ctx),
            Some(Event::ArmWill(will)) => self.arm_will(will, ctx),
            Some(Event::DisarmWill(disarm)) => self.disarm_will(disarm.id, ctx.actions),
            Some(Event::Presence(presence)) => self.ask_presence(presence, ctx),
            Some(Event::Signal(signal)) => self.signal(signal, ctx),
            Some(Event::SetSubscription(set)) => self.set_subscription(set, ctx),
            // An event that a later version of the protocol defines.
            None => refuse(0, ErrorCode::Unimplemented, ctx.actions),
        }
    }

    fn hello(&mut self, hello: Hello, actions: &mut Actions) {
        let expected = self.stage == Stage::HelloMayCome && hello.token.is_empty();
        match Introduction::read(hello) {
            Ok(introduction) if expected => {
                self.stage = Stage::Open;
                actions.push(Action::Introduce(introduction));
                actions.push(Action::Welcome);
            }
            _ => self.close(CloseCause::ProtocolViolation, actions),
        }
    }

    fn request(&mut self, request: Request, ctx: &mut Context<'_>) {
        let Request {
            id,
            route,
            payload,
            deadline_ms,
            idempotency_key,
            traceparent,
        } = request;
        // Not a Response: that one belongs to the request which has the id.
        if let Err(code) = self.check_id(id) {
            return refuse(id, code, ctx.actions);
        }
        let fits = fits_header(&idempotency_key) && fits_header(&traceparent);
        let allowed = match fits {
            true => ctx.grants.call(&route),
            false => Err(ErrorCode::MalformedMessage),
        };
        if let Err(code) = allowed {
            let failure = wire::failure(code, "");
            return ctx
                .actions
                .push(Action::Send(reply::response(id, Err(failure))));
        }
        self.in_flight.begin(id, Operation::Request);
        let deadline_ms = ctx.config.deadline_ms(deadline_ms);
        ctx.actions.push(Action::Request {
            id,
            route,
            payload,
            deadline_ms,
            idempotency_key,
            traceparent,
        });
    }

    fn publish(&mut self, publish: Publish, ctx: &mut Context<'_>) {
        let Publish {
            id,
            channel,
            payload,
            key,
            publication_id,
        } = publish;
        let header_texts = [&*key, &*publication_id];
        match self.check_publish(id, &channel, header_texts, ctx) {
            Ok(channel) => {
                if id != 0 {
                    self.in_flight.begin(id, Operation::Publish);
                }
                ctx.actions.push(Action::Publish {
                    id,
                    channel,
                    payload,
                    key,
                    publication_id,
                });
            }
            // With id zero the client wants no answer, whatever happens.
            Err(_) if id == 0 => {}
            Err(code) => refuse(id, code, ctx.actions),
        }
    }

    fn check_publish(
        &self,
        id: u32,
        channel: &str,
        header_texts: [&str; 2],
        ctx: &Context<'_>,
    ) -> Result<Channel, ErrorCode> {
        if id != 0 {
            self.check_id(id)?;
        }
        if !header_texts.into_iter().all(fits_header) {
            return Err(ErrorCode::MalformedMessage);
        }
        let channel = ctx.config.channel(channel)?;
        ctx.grants.publish(&channel)?;
        Ok(channel)
    }

    fn subscribe(&mut self, subscribe: Subscribe, ctx: &mut Context<'_>) {
        let Subscribe {
            id,
            channel,
            since,
            options,
        } = subscribe;
        match self.check_subscribe(id, &channel, options.as_ref(), ctx) {
            Ok(channel) => {
                self.in_flight.begin(id, Operation::Subscribe);
                self.waiting.begin_subscribe(id, channel.clone());
                self.subscriptions += 1;
                ctx.actions.push(Action::Subscribe {
                    id,
                    channel,
                    since,
                    options,
                });
            }
            Err(code) => refuse(id, code, ctx.actions),
        }
    }

    fn set_subscription(&mut self, set: SetSubscription, ctx: &mut Context<'_>) {
        let SetSubscription {
            id,
            channel,
            options,
        } = set;
        let checked = self.check_id(id);
        let checked = checked.and_then(|()| {
            let channel = ctx.config.channel(&channel)?;
            among::check_options(options.as_ref(), &channel, ctx)?;
            Ok(channel)
        });
        match checked {
            Ok(channel) => {
                self.in_flight.begin(id, Operation::SetSubscription);
                ctx.actions.push(Action::SetSubscription {
                    id,
                    channel,
                    options,
                });
            }
            Err(code) => refuse(id, code, ctx.actions),
        }
    }

    fn check_subscribe(
        &self,
        id: u32,
        channel: &str,
        options: Option<&SubscribeOptions>,
        ctx: &Context<'_>,
    ) -> Result<Channel, ErrorCode> {
        self.check_id(id)?;
        let channel = ctx.config.channel(channel)?;
        ctx.grants.subscribe(&channel)?;
        among::check_options(options, &channel, ctx)?;
        if self.waiting.is_subscribing(&channel) {
            return Err(ErrorCode::AlreadySubscribed);
        }
        let of_token = ctx.grants.max_subscriptions();
        self.check_room(ctx.config, of_token).map(|()| channel)
    }

    fn check_room(
        &self,
        config: &SessionConfig,
        of_token: Option<NonZeroU32>,
    ) -> Result<(), ErrorCode> {
        let limits = [
            config.limits.max_subscriptions,
            of_token.map_or(0, NonZeroU32::get),
        ];
        let is_full = |limit| limit != 0 && self.subscriptions >= limit;
        match limits.into_iter().any(is_full) {
            true => Err(ErrorCode::TooManySubscriptions),
            false => Ok(()),
        }
    }

    /// An Unsubscribe whose Subscribe is pending takes effect right behind it:
    /// the client gets Subscribed, then Unsubscribed, as if it had waited.
    fn unsubscribe(&mut self, unsubscribe: Unsubscribe, ctx: &mut Context<'_>) {
        let Unsubscribe { id, channel } = unsubscribe;
        let checked = self
            .check_id(id)
            .and_then(|()| ctx.config.channel(&channel));
        let channel = match checked {
            Ok(channel) => channel,
            Err(code) => return refuse(id, code, ctx.actions),
        };
        match self.waiting.unsubscribe_later(id, &channel) {
            Some(true) => self.in_flight.begin(id, Operation::Unsubscribe),
            Some(false) => refuse(id, ErrorCode::NotSubscribed, ctx.actions),
            None => {
                self.in_flight.begin(id, Operation::Unsubscribe);
                ctx.actions.push(Action::Unsubscribe { id, channel });
            }
        }
    }

    fn cancel(&mut self, id: u32, actions: &mut Actions) {
        if self.in_flight.cancel(id) {
            let failure = wire::failure(ErrorCode::Cancelled, "");
            actions.push(Action::Send(reply::response(id, Err(failure))));
            actions.push(Action::CancelRequest { id });
        }
    }

    fn check_id(&self, id: u32) -> Result<(), ErrorCode> {
        match id {
            0 => Err(ErrorCode::ProtocolViolation),
            _ if self.in_flight.contains(id) => Err(ErrorCode::DuplicateId),
            _ => Ok(()),
        }
    }

    fn close(&mut self, cause: CloseCause, actions: &mut Actions) {
        self.in_flight = InFlight::default();
        self.waiting = Waiting::default();
        self.stage = Stage::Closed;
        actions.close(cause);
    }
}

/// Whether a client's text may become a header on the bus.
fn fits_header(text: &str) -> bool {
    text.len() <= MAX_HEADER_BYTES && !text.chars().any(char::is_control)
}

/// Answers any operation but a request that is in flight.
fn refuse(id: u32, code: ErrorCode, actions: &mut Actions) {
    actions.push(Action::Send(reply::error(id, code)));
}
