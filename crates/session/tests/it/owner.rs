//! The owner of a socket, played: performs actions when it is told to, in any
//! order, and writes down what the client was asked and answered.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use session::{Action, Actions, Entered, Established, Grants, Greeting, SessionConfig};
use wire::{
    Channel, GatewayId, Offset,
    client::{
        ClientEvent, ErrorCode, Hello, Limits, PresenceResult, Verdict,
        client_event::Event as Asked, server_event::Event as Answer,
    },
};

/// Operations in flight at once.
pub(crate) const WINDOW: usize = 4;

const FRESH: Entered = Entered {
    verdict: Verdict::Fresh,
    position: None,
    alias: 1,
    conflates: false,
};

/// Grants everything but channels and routes called `shut`.
struct ButShut;

/// A session, its owner and the client's view of both.
pub(crate) struct Owner {
    pub(crate) session: Established,
    /// Channels subscribed to, as a hub would know.
    pub(crate) live: HashSet<Channel>,
    /// Actions that await their answer.
    pub(crate) owed: Vec<Action>,
    /// Events of the client by id, but for id zero.
    pub(crate) asked: HashMap<u32, Vec<Asked>>,
    /// Events to the client by id, but for id zero.
    pub(crate) answers: HashMap<u32, Vec<Answer>>,
    pub(crate) closed: bool,
    config: SessionConfig,
    actions: Actions,
}

// === impl Owner ===

impl Owner {
    /// A client that was just welcomed.
    pub(crate) fn new() -> Self {
        let limits = Limits {
            max_in_flight: WINDOW as u32,
            max_subscriptions: 2,
            ..Limits::default()
        };
        let gateway = GatewayId::new("gw-1").expect("valid");
        let config = SessionConfig {
            gateway,
            limits,
            default_deadline_ms: 500,
        };
        let mut actions = Actions::new();
        let hello = Hello {
            token: "t".into(),
            ..Hello::default()
        };
        let hello = ClientEvent {
            event: Some(Asked::Hello(Box::new(hello))),
        };
        let verifying = Greeting::default()
            .handle(hello, &mut actions)
            .expect("Hello has a token");
        let session = verifying.authenticated(&config, &ButShut, &mut actions);
        assert!(matches!(actions.pop(), Some(Action::Authenticate { .. })));
        assert_eq!(actions.pop(), Some(Action::Welcome));
        Self {
            session,
            live: HashSet::new(),
            owed: Vec::new(),
            asked: HashMap::new(),
            answers: HashMap::new(),
            closed: false,
            config,
            actions,
        }
    }

    /// The client sends an event.
    pub(crate) fn ask(&mut self, event: Option<Asked>) {
        if let Some(asked) = &event
            && let Some(id) = id_of(asked).filter(|&id| id != 0)
        {
            self.asked.entry(id).or_default().push(asked.clone());
        }
        self.session.handle(
            ClientEvent { event },
            &self.config,
            &ButShut,
            &mut self.actions,
        );
        self.perform();
    }

    /// Answers one of the operations owed, if there are any.
    pub(crate) fn answer(&mut self, which: usize, ok: bool) {
        if self.owed.is_empty() {
            return;
        }
        let owed = self.owed.swap_remove(which % self.owed.len());
        let (session, actions) = (&mut self.session, &mut self.actions);
        match owed {
            Action::Request { id, .. } if ok => session.replied(id, Ok(Bytes::new()), actions),
            Action::Request { id, .. } => {
                session.replied(id, Err(wire::failure(ErrorCode::NoWorker, "")), actions);
            }
            Action::Publish { id, .. } if ok => session.published(id, Ok(Offset(1)), actions),
            Action::Publish { id, .. } => {
                session.published(id, Err(ErrorCode::Unavailable), actions)
            }
            Action::Subscribe { id, channel, .. } if !ok => {
                session.subscribe_failed(id, &channel, ErrorCode::Unavailable, actions);
            }
            Action::Subscribe { id, channel, .. } => {
                if self.live.insert(channel.clone()) {
                    session.subscribed(id, &channel, FRESH, actions);
                } else {
                    session.subscribe_failed(id, &channel, ErrorCode::AlreadySubscribed, actions);
                }
            }
            Action::Unsubscribe { id, channel } => {
                if self.live.remove(&channel) {
                    session.unsubscribed(id, &channel, 1, actions);
                } else {
                    session.unsubscribe_failed(id, ErrorCode::NotSubscribed, actions);
                }
            }
            Action::Presence { id, .. } => {
                let outcome = match ok {
                    true => Ok(PresenceResult::default()),
                    false => Err(ErrorCode::Unavailable),
                };
                session.presence(id, outcome, actions);
            }
            other => panic!("nothing to answer: {other:?}"),
        }
        self.resume();
    }

    /// Answers an operation that nobody asked for, in every way there is.
    pub(crate) fn stray_answer(&mut self, id: u32) {
        let channel = Channel::parse("a", 255).expect("valid");
        let (session, actions) = (&mut self.session, &mut self.actions);
        session.replied(id, Ok(Bytes::new()), actions);
        session.published(id, Ok(Offset(1)), actions);
        session.subscribed(id, &channel, FRESH, actions);
        session.subscribe_failed(id, &channel, ErrorCode::Unavailable, actions);
        session.unsubscribed(id, &channel, 1, actions);
        session.unsubscribe_failed(id, ErrorCode::NotSubscribed, actions);
        assert!(actions.is_empty());
    }

    /// The control plane begins a subscription, if there is none, or ends one.
    pub(crate) fn by_server(&mut self, channel: &str, begin: bool) {
        let channel = Channel::parse(channel, 255).expect("valid");
        let (session, actions) = (&mut self.session, &mut self.actions);
        if !begin {
            session.unsubscribe_by_server(&channel, actions);
        } else if !self.live.contains(&channel) {
            // Refused at the limit, which changes nothing.
            let _ = session.subscribe_by_server(&channel, &self.config, actions);
        }
        self.resume();
    }

    /// The gateway ends a subscription, if there is one.
    pub(crate) fn end_subscription(&mut self) {
        if let Some(channel) = self.live.iter().next().cloned() {
            self.live.remove(&channel);
            let code = ErrorCode::PermissionDenied;
            self.session
                .unsubscribed_by_server(&channel, 1, code, &mut self.actions);
            self.resume();
        }
    }

    fn resume(&mut self) {
        self.session
            .resume(&self.config, &ButShut, &mut self.actions);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some(action) = self.actions.pop() {
            assert!(!self.closed, "after the close: {action:?}");
            match action {
                Action::Send(event) => self.record(event.event.expect("never empty")),
                Action::Close(_) => self.closed = true,
                Action::Publish { id: 0, .. }
                | Action::CancelRequest { .. }
                | Action::Acked { .. } => {}
                Action::Welcome | Action::Authenticate { .. } | Action::Introduce(_) => {
                    panic!("one Hello, one Welcome")
                }
                owed => self.owed.push(owed),
            }
        }
    }

    fn record(&mut self, answer: Answer) {
        let id = match &answer {
            Answer::Response(it) => it.id,
            Answer::Accepted(it) => it.id,
            Answer::Error(it) => it.id,
            Answer::Subscribed(it) => it.id,
            Answer::Unsubscribed(it) => it.id,
            Answer::PresenceResult(it) => it.id,
            Answer::Pong(_) | Answer::Closing(_) => 0,
            other => panic!("not a session's event: {other:?}"),
        };
        if id != 0 {
            self.answers.entry(id).or_default().push(answer);
        }
    }
}

// === impl ButShut ===

impl Grants for ButShut {
    fn subscribe(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.call(channel.as_str())
    }

    fn history(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.call(channel.as_str())
    }

    fn presence(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.call(channel.as_str())
    }

    fn signal(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.call(channel.as_str())
    }

    fn publish(&self, channel: &Channel) -> Result<(), ErrorCode> {
        self.call(channel.as_str())
    }

    fn call(&self, route: &str) -> Result<(), ErrorCode> {
        if route == "shut" {
            Err(ErrorCode::PermissionDenied)
        } else {
            Ok(())
        }
    }
}

/// Id of an event that wants an answer with it.
fn id_of(asked: &Asked) -> Option<u32> {
    match asked {
        Asked::Request(it) => Some(it.id),
        Asked::Publish(it) => Some(it.id),
        Asked::Subscribe(it) => Some(it.id),
        Asked::Unsubscribe(it) => Some(it.id),
        Asked::Presence(it) => Some(it.id),
        _ => None,
    }
}
