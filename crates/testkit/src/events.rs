//! What clients say, in a word each.

use bytes::Bytes;
use wire::client::{
    Ack, ArmWill, Cancel, ClientEvent, DisarmWill, Hello, History, Ping, Position, Presence,
    Publish, Refresh, Request, SetSubscription, Signal, Subscribe, SubscribeOptions, Unsubscribe,
    client_event::Event, signal::To,
};

/// A Hello; an empty `token` means that the upgrade request carried it.
pub fn hello(token: &str) -> ClientEvent {
    let hello = Hello {
        token: token.to_owned(),
        client_name: "testkit".to_owned(),
        client_version: "1".to_owned(),
        ..Hello::default()
    };
    event(Event::Hello(hello.into()))
}

/// A Hello of a client that follows Migrate, with a session ticket or without
/// (empty).
pub fn hello_again(token: &str, ticket: impl Into<Bytes>) -> ClientEvent {
    let hello = Hello {
        token: token.to_owned(),
        capabilities: vec!["migrate".to_owned()],
        session_ticket: ticket.into(),
        ..Hello::default()
    };
    event(Event::Hello(hello.into()))
}

/// A Subscribe that holds no position.
pub fn subscribe(id: u32, channel: &str) -> ClientEvent {
    subscribe_at(id, channel, None)
}

/// A Subscribe that continues from `since`.
pub fn subscribe_since(id: u32, channel: &str, since: Position) -> ClientEvent {
    subscribe_at(id, channel, Some(since))
}

/// A SetSubscription.
pub fn set_subscription(id: u32, channel: &str, options: SubscribeOptions) -> ClientEvent {
    event(Event::SetSubscription(SetSubscription {
        id,
        channel: channel.to_owned(),
        options: Some(options),
    }))
}

/// An Unsubscribe.
pub fn unsubscribe(id: u32, channel: &str) -> ClientEvent {
    let channel = channel.to_owned();
    event(Event::Unsubscribe(Unsubscribe { id, channel }))
}

/// A Publish without a key; with `id` zero it is not answered.
pub fn publish(id: u32, channel: &str, payload: impl Into<Bytes>) -> ClientEvent {
    let publish = Publish {
        id,
        channel: channel.to_owned(),
        payload: payload.into(),
        ..Publish::default()
    };
    event(Event::Publish(publish))
}

/// An ArmWill.
pub fn arm_will(id: u32, route: &str, payload: impl Into<Bytes>, grace_ms: u32) -> ClientEvent {
    let will = ArmWill {
        id,
        route: route.to_owned(),
        payload: payload.into(),
        grace_ms,
    };
    event(Event::ArmWill(will))
}

/// A DisarmWill.
pub fn disarm_will(id: u32) -> ClientEvent {
    event(Event::DisarmWill(DisarmWill { id }))
}

/// A Request with its route's own deadline.
pub fn request(id: u32, route: &str, payload: impl Into<Bytes>) -> ClientEvent {
    request_within(id, route, payload, 0)
}

/// A Request with a deadline in milliseconds.
pub fn request_within(
    id: u32,
    route: &str,
    payload: impl Into<Bytes>,
    deadline_ms: u32,
) -> ClientEvent {
    let request = Request {
        id,
        route: route.to_owned(),
        payload: payload.into(),
        deadline_ms,
        ..Request::default()
    };
    event(Event::Request(request))
}

/// Gives up on the request with this id.
pub fn cancel(id: u32) -> ClientEvent {
    event(Event::Cancel(Cancel { id }))
}

/// Confirms Direct messages that are not durable, up to an `ack_id`.
pub fn ack(ack_id: u64) -> ClientEvent {
    event(Event::Ack(Ack { up_to: 0, ack_id }))
}

/// Reads a channel's log from its beginning.
pub fn history(id: u32, channel: &str) -> ClientEvent {
    event(Event::History(History {
        id,
        channel: channel.to_owned(),
        ..Default::default()
    }))
}

/// A Subscribe that asks to be told who comes and goes.
pub fn subscribe_told(id: u32, channel: &str) -> ClientEvent {
    event(Event::Subscribe(Subscribe {
        id,
        channel: channel.to_owned(),
        since: None,
        options: Some(SubscribeOptions {
            presence: true,
            ..SubscribeOptions::default()
        }),
    }))
}

/// Asks who is in a channel.
pub fn presence(id: u32, channel: &str) -> ClientEvent {
    let channel = channel.to_owned();
    event(Event::Presence(Presence { id, channel }))
}

/// A Signal to all sessions of a user.
pub fn signal_user(id: u32, channel: &str, user: &str, payload: &str) -> ClientEvent {
    signal(id, channel, To::User(user.to_owned()), payload)
}

/// A Signal to a session.
pub fn signal_session(id: u32, channel: &str, session: &str, payload: &str) -> ClientEvent {
    signal(id, channel, To::SessionId(session.to_owned()), payload)
}

/// A Signal to a connection.
pub fn signal_connection(id: u32, channel: &str, connection: &str, payload: &str) -> ClientEvent {
    let to = To::ConnectionId(connection.to_owned());
    signal(id, channel, to, payload)
}

/// Presents a newer token.
pub fn refresh(id: u32, token: &str) -> ClientEvent {
    let token = token.to_owned();
    event(Event::Refresh(Refresh { id, token }))
}

/// A Ping event, which a Pong event answers.
pub fn ping(nonce: u32) -> ClientEvent {
    event(Event::Ping(Ping { nonce }))
}

fn subscribe_at(id: u32, channel: &str, since: Option<Position>) -> ClientEvent {
    let subscribe = Subscribe {
        id,
        channel: channel.to_owned(),
        since,
        options: None,
    };
    event(Event::Subscribe(subscribe))
}

fn signal(id: u32, channel: &str, to: To, payload: &str) -> ClientEvent {
    event(Event::Signal(Signal {
        id,
        channel: channel.to_owned(),
        to: Some(to),
        payload: payload.to_owned().into(),
    }))
}

fn event(event: Event) -> ClientEvent {
    ClientEvent { event: Some(event) }
}
