//! What the unit tests of the phases share.

use bytes::Bytes;
use wire::{
    Channel, GatewayId,
    client::{
        Cancel, ClientEvent, ErrorCode, Hello, Limits, Publish, Request, Subscribe, Unsubscribe,
        client_event::Event,
    },
};

use super::{Established, Stage};
use crate::{
    action::{Action, Actions},
    config::{Grants, SessionConfig},
};

/// Grants everything.
pub(crate) struct AllowAll;

/// Knows no namespace but `open` and no route but `echo`.
pub(crate) struct OnlyOpen;

/// An established session with what it takes to talk to it.
pub(crate) struct Bench {
    pub(crate) session: Established,
    pub(crate) config: SessionConfig,
    pub(crate) actions: Actions,
}

pub(crate) fn config() -> SessionConfig {
    let limits = Limits {
        max_subscriptions: 2,
        max_in_flight: 3,
        max_channel_bytes: 16,
        max_deadline_ms: 1_000,
        ..Limits::default()
    };
    SessionConfig {
        gateway: GatewayId::new("gw-1").expect("valid"),
        limits,
        default_deadline_ms: 500,
    }
}

pub(crate) fn channel(name: &str) -> Channel {
    Channel::parse(name, 255).expect("valid")
}

pub(crate) fn hello(token: &str) -> Event {
    let hello = Hello {
        token: token.into(),
        ..Hello::default()
    };
    Event::Hello(hello.into())
}

pub(crate) fn request(id: u32, route: &str) -> Event {
    Event::Request(Request {
        id,
        route: route.into(),
        payload: Bytes::from_static(b"q"),
        ..Request::default()
    })
}

pub(crate) fn cancel(id: u32) -> Event {
    Event::Cancel(Cancel { id })
}

pub(crate) fn publish(id: u32, channel: &str) -> Event {
    let payload = Bytes::from_static(b"p");
    Event::Publish(Publish {
        id,
        channel: channel.into(),
        payload,
        key: "k".into(),
        publication_id: "i".into(),
    })
}

pub(crate) fn subscribe(id: u32, channel: &str) -> Event {
    Event::Subscribe(Subscribe {
        id,
        channel: channel.into(),
        since: None,
        options: None,
    })
}

pub(crate) fn unsubscribe(id: u32, channel: &str) -> Event {
    Event::Unsubscribe(Unsubscribe {
        id,
        channel: channel.into(),
    })
}

// === impl Bench ===

impl Bench {
    /// As after Hello.
    pub(crate) fn new() -> Self {
        Self::at(Stage::Open)
    }

    pub(crate) fn at(stage: Stage) -> Self {
        let config = config();
        Self {
            session: Established::new(stage, &config),
            config,
            actions: Actions::new(),
        }
    }

    /// Handles an event and gives everything the session wants done.
    pub(crate) fn handle(&mut self, event: Event) -> Vec<Action> {
        self.handle_any(Some(event))
    }

    pub(crate) fn handle_any(&mut self, event: Option<Event>) -> Vec<Action> {
        self.session.handle(
            ClientEvent { event },
            &self.config,
            &OnlyOpen,
            &mut self.actions,
        );
        self.done()
    }

    /// Gives an answer and gives everything the session wants done.
    pub(crate) fn answer(
        &mut self,
        answer: impl FnOnce(&mut Established, &mut Actions),
    ) -> Vec<Action> {
        answer(&mut self.session, &mut self.actions);
        self.session
            .resume(&self.config, &OnlyOpen, &mut self.actions);
        self.done()
    }

    fn done(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.actions.pop()).collect()
    }
}

// === impl Grants ===

impl Grants for AllowAll {
    fn subscribe(&self, _: &Channel) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn history(&self, _: &Channel) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn presence(&self, _: &Channel) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn signal(&self, _: &Channel) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn publish(&self, _: &Channel) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn call(&self, _: &str) -> Result<(), ErrorCode> {
        Ok(())
    }
}

impl Grants for OnlyOpen {
    fn subscribe(&self, channel: &Channel) -> Result<(), ErrorCode> {
        if channel.namespace() == "open" {
            Ok(())
        } else {
            Err(ErrorCode::UnknownNamespace)
        }
    }

    fn history(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.subscribe(channel)
    }

    fn presence(&self, channel: &Channel) -> Result<(), ErrorCode> {
        match channel.as_str() {
            "open.quiet" => Err(ErrorCode::NoPresence),
            _ => self.subscribe(channel),
        }
    }

    fn signal(&self, channel: &Channel) -> Result<(), ErrorCode> {
        match channel.as_str() {
            "open.mute" => Err(ErrorCode::NoSignals),
            _ => Ok(()),
        }
    }

    fn publish(&self, channel: &Channel) -> Result<(), ErrorCode> {
        if channel.namespace() == "open" {
            Ok(())
        } else {
            Err(ErrorCode::PermissionDenied)
        }
    }

    fn call(&self, route: &str) -> Result<(), ErrorCode> {
        if route == "echo" {
            Ok(())
        } else {
            Err(ErrorCode::UnknownRoute)
        }
    }
}
