//! Moving to another gateway: the second connection of the task, from `Migrate` to
//! the end of the first.
//!
//! The second connection is opened at a time of the client's choice within the
//! gateway's spread. It subscribes to everything [`LEAD`] after `Migrate` at the
//! earliest, so that what is delivered just before is on record. The old one is
//! closed when its operations are answered, it has brought what its gateway had
//! queued, offsets meet, and [`LINGER`] has passed, in which publications that
//! travel more slowly to its gateway arrive; or when its deadline comes.

use std::time::Duration;

use tokio::{select, time::Instant};
use wire::{CloseVerdict, client::Migrate};

use crate::{
    backoff::Backoff,
    connection::Connection,
    exchange::Side,
    greeting::{Behind, Session, Welcomed},
    link::{Link, LinkEvent, Open, until},
    socket::Incoming,
    state::{Ending, State},
};

/// How long publications are recorded before the second connection subscribes: by
/// so much its gateway may be behind the other one.
const LEAD: Duration = Duration::from_millis(500);

/// How long the old connection is kept at least: by so much its gateway may be
/// behind the other one.
const LINGER: Duration = Duration::from_secs(1);

/// How long after the end of the old connection the new one may repeat something.
const MEMORY: Duration = Duration::from_secs(5);

/// When to leave a connection, and where to.
#[derive(Debug)]
pub(crate) struct Plan {
    /// When to open the second one.
    start: Instant,
    /// When to subscribe there.
    subscribe_at: Instant,
    /// When the gateway closes it; `None`: it did not say.
    deadline: Option<Instant>,
    hint: Box<str>,
}

/// The connection that the client moves to; then the one that it leaves.
pub(crate) struct Second {
    pub(crate) link: Link,
    phase: Phase,
    plan: Plan,
    backoff: Backoff,
    /// How it is to be left in its turn.
    next_plan: Option<Plan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Joining,
    /// Not before this.
    Leaving(Instant),
}

/// What the second connection wakes the task for.
pub(crate) enum Event {
    Link(LinkEvent),
    /// To subscribe, or to leave.
    Due,
}

// === impl Plan ===

impl Plan {
    fn new(migrate: &Migrate, now: Instant) -> Self {
        let spread = Duration::from_millis(migrate.spread_ms.into());
        let deadline = Duration::from_millis(migrate.deadline_ms.into());
        let is_limited = !deadline.is_zero();
        let lead = if is_limited {
            LEAD.min(deadline / 4)
        } else {
            LEAD
        };
        Self {
            start: now + spread.mul_f64(fastrand::f64()),
            subscribe_at: now + lead,
            deadline: is_limited.then(|| now + deadline),
            hint: migrate.hint.as_str().into(),
        }
    }

    /// From now on the old connection may end as soon as nothing is missing.
    fn leave_after(&self, now: Instant) -> Instant {
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(now));
        now + left.map_or(LINGER, |left| LINGER.min(left / 2))
    }

    fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

// === impl Second ===

impl Second {
    fn new(plan: Plan) -> Self {
        Self {
            link: Link::Waiting(plan.start),
            phase: Phase::Joining,
            plan,
            backoff: Backoff::default(),
            next_plan: None,
        }
    }

    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_))
    }

    /// When to look at it again, if nothing happens.
    fn due_at(&self, now: Instant) -> Option<Instant> {
        match (&self.link, self.phase) {
            (Link::Open(_), Phase::Joining) => Some(self.plan.subscribe_at).filter(|&at| at > now),
            (Link::Open(_), Phase::Leaving(after)) if after > now => Some(after),
            (Link::Open(_), Phase::Leaving(_)) => self.plan.deadline.filter(|&at| at > now),
            _ => None,
        }
    }
}

/// The next event of the second connection; never, if there is none.
pub(crate) async fn next(second: &mut Option<Second>) -> Event {
    let Some(second) = second else {
        return std::future::pending().await;
    };
    let due_at = second.due_at(Instant::now());
    select! {
        event = second.link.next() => Event::Link(event),
        () = until(due_at) => Event::Due,
    }
}

// === impl Connection ===

impl Connection {
    /// The gateway of one connection is going away.
    pub(super) fn plan_to_leave(&mut self, side: Side, migrate: Migrate) {
        let plan = Plan::new(&migrate, Instant::now());
        let second = self.second.as_mut();
        match (side, second) {
            (Side::Main, Some(second)) if !second.is_leaving() => {
                // Said again: under way already.
                second.plan.deadline = plan.deadline;
            }
            (Side::Main, _) => self.plan = Some(plan),
            (Side::Second, Some(second)) if !second.is_leaving() => {
                second.next_plan = Some(plan);
            }
            (Side::Second, _) => return,
        }
        self.session.ticket = migrate.session_ticket;
    }

    /// Takes the steps that have become possible.
    pub(super) fn go_on_moving(&mut self) {
        let now = Instant::now();
        let Some(second) = &mut self.second else {
            let plan = match self.link {
                Link::Open(_) => self.plan.take(),
                _ => None,
            };
            if let Some(plan) = plan {
                self.exchange.record();
                self.second = Some(Second::new(plan));
            }
            return;
        };
        if !matches!(second.link, Link::Open(_)) {
            return;
        }
        match second.phase {
            Phase::Joining => {
                if second.plan.subscribe_at <= now {
                    self.exchange.join();
                }
                if self.exchange.has_joined() {
                    self.turn_over(now);
                }
            }
            Phase::Leaving(after) => {
                let is_complete = after <= now && self.exchange.may_leave();
                if is_complete || second.plan.is_over(now) {
                    self.leave(now);
                }
            }
        }
    }

    pub(super) fn apply_to_second(&mut self, event: Event) {
        match event {
            Event::Due => {}
            Event::Link(LinkEvent::Due) => self.open_second(),
            Event::Link(LinkEvent::AskAgain) => self.exchange.ask_again(Side::Second),
            Event::Link(LinkEvent::Opened(Ok(welcomed))) => self.welcome_second(*welcomed),
            Event::Link(LinkEvent::Incoming(Incoming::Message(message))) => {
                self.hear(Side::Second, message.events);
            }
            Event::Link(LinkEvent::Incoming(Incoming::Heard | Incoming::Flushed)) => {}
            Event::Link(
                LinkEvent::Opened(Err(ending)) | LinkEvent::Incoming(Incoming::Ended(ending)),
            ) => self.lose_second(&ending),
            Event::Link(LinkEvent::Silent) => self.lose_second(&Ending::silent()),
            Event::Link(LinkEvent::Closed) => self.second = None,
        }
    }

    /// The main connection is gone: whether the second one, which is on its way,
    /// can take its place.
    pub(super) fn fall_back_on_second(&mut self, ending: &Ending) -> bool {
        let Some(second) = self.second.take() else {
            return false;
        };
        match (second.phase, second.link) {
            (Phase::Joining, Link::Open(open)) => {
                self.exchange.promote();
                self.forget_at = Some(Instant::now() + MEMORY);
                self.link = Link::Open(open);
                self.plan = second.next_plan;
                self.tell_state();
                true
            }
            // One that is not made yet must wait as long as the gateway asks.
            (Phase::Joining, link @ Link::Opening(_)) if ending.retry_after().is_zero() => {
                self.exchange.disconnected();
                self.link = link;
                self.told.state.send_replace(State::Connecting);
                true
            }
            _ => false,
        }
    }

    fn open_second(&mut self) {
        let Some(second) = &mut self.second else {
            return;
        };
        let session = Session {
            mailbox_offset: self.exchange.mailbox_offset(),
            hint: second.plan.hint.clone(),
            ..self.session.clone()
        };
        second.link = Link::opening(&self.config, &session, Behind::default());
    }

    fn welcome_second(&mut self, welcomed: Welcomed) {
        let Welcomed {
            socket,
            welcome,
            rest,
        } = welcomed;
        let Some(second) = &mut self.second else {
            return;
        };
        second.link = Link::Open(Box::new(Open::new(socket, &welcome)));
        self.exchange.second_connected(&welcome);
        self.session.ticket = welcome.session_ticket;
        self.hear(Side::Second, rest);
    }

    fn turn_over(&mut self, now: Instant) {
        let Some(second) = &mut self.second else {
            return;
        };
        std::mem::swap(&mut self.link, &mut second.link);
        second.phase = Phase::Leaving(second.plan.leave_after(now));
        self.plan = second.next_plan.take();
        self.exchange.turn_over();
        self.tell_state();
    }

    fn leave(&mut self, now: Instant) {
        let Some(second) = &mut self.second else {
            return;
        };
        self.exchange.left(self.exchange.may_leave());
        self.forget_at = Some(now + MEMORY);
        let link = std::mem::replace(&mut second.link, Link::Waiting(now));
        second.link = Link::Closing(Box::pin(link.close()));
    }

    fn lose_second(&mut self, ending: &Ending) {
        let now = Instant::now();
        tracing::debug!(%ending, "the second connection ended");
        let Some(second) = &mut self.second else {
            return;
        };
        match second.phase {
            Phase::Leaving(after) => {
                let is_complete = after <= now && self.exchange.has_heard_all();
                self.exchange.left(is_complete);
                self.forget_at = Some(now + MEMORY);
                self.second = None;
            }
            Phase::Joining if ending.verdict() == CloseVerdict::Stay => {
                // Nothing to be had by trying; the first one's end will show.
                self.exchange.second_lost();
                self.second = None;
            }
            Phase::Joining => {
                self.exchange.second_lost();
                let retry_in = second.backoff.after(ending, second.link.lived());
                second.link = Link::Waiting(now + retry_in);
            }
        }
    }
}
