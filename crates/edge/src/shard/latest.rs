//! The latest state of channels, for subscribers that ask for it: of each key
//! the newest publication that the log has, of those without a key the newest.
//!
//! A state is read from the log, once for all who wait for it, and is true at the
//! place where the log ended. Whoever gets it subscribes from that place, as one
//! who comes back does: what was published since follows, in order and whole. So
//! a state that is some seconds old is as good as a new one, and nothing has to
//! keep it current.
//!
//! ```text
//!   Subscribe --> (log is read, page by page) --> waits for room in the outbox
//!     --> Subscribed, with the state's place --> state --> what follows it
//! ```
//!
//! A state that is too large for an outbox is given to nobody: the verdict is
//! LOST, and the client has to get it elsewhere.

mod states;

use std::{mem, rc::Rc};

use bus::{BusError, HistoryPage, HistoryRead, ReadFrom, Subject};
use hub::{Entrance, OutboxLimits, Place, Start};
use session::Entered;
use session::{Action, Actions};
use wire::{
    Channel,
    client::{ErrorCode, Verdict},
};

use self::states::{Expected, Flow, Gathered, Page, Ready, Stage, State, Whole};
pub(super) use self::states::{StateRead, States};
use super::{
    Core, Mail, Shard,
    channels::{Latest, Waiting},
    connection::{Connection, Phase},
    member,
};

/// Reads under way at once.
const MAX_READS: usize = 16;

/// Publications, and bytes of payload, in one read.
const PAGE: usize = 256;
const PAGE_BYTES: usize = 1 << 20;

// === impl Core ===

impl Core {
    /// Gives the channel's state to a subscriber, now or when it has been read.
    pub(super) fn want_state(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        channel: &Channel,
        waiting: Waiting,
    ) {
        if self.degraded {
            self.leave_unused(channel);
            return self.refuse_subscribe(connection, channel, waiting.id);
        }
        let Some(flow) = self.flow(channel) else {
            return self.listen(slot, connection, channel.clone(), waiting);
        };
        let now = self.clock.now();
        if let Some(state) = self.states.by_channel.get_mut(channel)
            && state.alias == flow.alias
        {
            let whole = match &state.stage {
                Stage::Reading(_) => return state.waiting.push(waiting),
                Stage::Whole(whole) => whole.clone(),
            };
            if whole.place.life == flow.life && (now < whole.until || !state.waiting.is_empty()) {
                return self.offer(slot, connection, channel, waiting, &whole);
            }
        }
        self.states.last_token += 1;
        let state = State {
            token: self.states.last_token,
            alias: flow.alias,
            stage: Stage::Reading(Gathered::default()),
            waiting: vec![waiting],
        };
        self.states.begin(channel, state);
        self.read_states();
    }

    /// Begins the reads that are wanted, as far as they may be.
    fn read_states(&mut self) {
        while self.states.under_way < MAX_READS
            && let Some(channel) = self.states.unread.pop_front()
        {
            let life = self.flow(&channel).map_or(0, |flow| flow.life);
            let Some(state) = self.states.by_channel.get(&channel) else {
                continue;
            };
            let Stage::Reading(gathered) = &state.stage else {
                continue;
            };
            let asked = HistoryRead {
                subject: Subject::of_channel(&channel),
                from: ReadFrom::After(gathered.end),
                limit: PAGE,
                max_bytes: PAGE_BYTES,
            };
            let (alias, token) = (state.alias, state.token);
            let mailbox = self.mailbox().clone();
            let done = move |outcome: Result<HistoryPage, BusError>| {
                // Encoded here, on the bus's own thread.
                let outcome = outcome.map(|page| Page::new(page, alias, life));
                let read = StateRead {
                    channel,
                    token,
                    outcome,
                };
                mailbox.push(Mail::State(Box::new(read)));
            };
            self.states.under_way += 1;
            self.gateway.bus.history(asked, Box::new(done));
        }
    }

    /// Subscribes from the state's place, if the outbox has room for the state;
    /// otherwise the subscriber waits for it.
    fn offer(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        channel: &Channel,
        waiting: Waiting,
        whole: &Rc<Whole>,
    ) {
        match self.flow(channel) {
            None => return self.listen(slot, connection, channel.clone(), waiting),
            Some(flow) if flow.life != whole.place.life => {
                return self.enter(slot, connection, channel, waiting.without_state());
            }
            Some(_) => {}
        }
        let OutboxLimits { bytes, items } = self.gateway.config.outbox;
        let subprotocol = connection.profile.subprotocol;
        let (charge, frames) = (whole.charge(subprotocol), whole.frames(subprotocol).len());
        let outbox = self.hub.outbox(member(slot));
        let taken = outbox.bytes() + self.states.promised(waiting.connection, subprotocol);
        if charge > bytes / 2 || frames > items / 2 {
            return self.enter(slot, connection, channel, waiting.without_state());
        }
        if charge + taken > bytes || frames + outbox.items() > items / 2 {
            if let Some(state) = self.states.by_channel.get_mut(channel) {
                state.waiting.push(waiting);
            }
            return;
        }
        match self.enter_at(slot, channel, &waiting, whole.place) {
            Some(Entrance::Recovered) => self.present(slot, connection, channel, &waiting, whole),
            Some(Entrance::Unknown) => self.states.expect(waiting, Some(whole.clone())),
            Some(Entrance::Now | Entrance::Lost) => {
                // The log has let go of what follows, or is another one by now.
                self.hub.unsubscribe(member(slot), channel);
                self.enter(slot, connection, channel, waiting.without_state());
            }
            None => {
                let code = ErrorCode::AlreadySubscribed;
                if let Phase::Established(session) = &mut connection.phase {
                    session.subscribe_failed(waiting.id, channel, code, &mut self.actions);
                }
            }
        }
    }

    /// Subscribes to what comes behind `place`; absent if it is subscribed already.
    fn enter_at(
        &mut self,
        slot: usize,
        channel: &Channel,
        waiting: &Waiting,
        place: Place,
    ) -> Option<Entrance> {
        let policy = self.gateway.config.policies.of(channel)?;
        let mut source = self
            .channels
            .live(channel)?
            .source(policy.delivery, waiting.class);
        if self.hub.place(channel).is_none() {
            // What came while nobody listened has gone by unseen: it may be
            // missing behind the state.
            (source.place, source.torn) = (Some(place), true);
        }
        let start = Start::Since {
            offset: place.offset,
            ticket: waiting.id,
        };
        self.hub
            .subscribe(member(slot), channel, source, start)
            .ok()
    }

    /// Tells a subscriber that it is one, and what the state is.
    fn present(
        &mut self,
        slot: usize,
        connection: &mut Connection,
        channel: &Channel,
        waiting: &Waiting,
        whole: &Whole,
    ) {
        let (Phase::Established(session), Some(live)) =
            (&mut connection.phase, self.channels.live(channel))
        else {
            return;
        };
        let verdict = match waiting.since {
            Some(_) => Verdict::Resnapshot,
            None => Verdict::Fresh,
        };
        self.counters.recovery.subscribed(verdict);
        let conflates = self.hub.conflates(member(slot), channel);
        let entered = Entered {
            verdict,
            position: live.position(whole.place),
            alias: live.alias(),
            conflates,
        };
        let mut actions = mem::take(&mut self.actions);
        session.subscribed(waiting.id, channel, entered, &mut actions);
        let alias = live.alias();
        self.attend(slot, connection, channel);
        if self.is_lean(slot, channel) {
            connection.keep_lean(self.gateway.config.unsent_bytes);
        }
        // The state comes right behind, before anything else is done.
        self.actions = Actions::new();
        while let Some(action) = actions.pop() {
            match action {
                Action::Send(event) => self.hub.send(member(slot), &event, None),
                other => self.actions.push(other),
            }
        }
        let frames = whole.frames(connection.profile.subprotocol).clone();
        for frame in frames.iter() {
            self.hub.send_state(member(slot), alias, frame.clone());
        }
    }

    /// How the channel flows here; absent if it does not.
    fn flow(&self, channel: &Channel) -> Option<Flow> {
        let live = self.channels.live(channel)?;
        let place = self.hub.place(channel).or(live.place());
        let life = place.map_or(0, |place| place.life);
        Some(Flow {
            alias: live.alias(),
            life,
            epoch: live.epoch(life).cloned(),
        })
    }

    /// Leaves a channel that flows, and that nobody here listens to or waits for.
    pub(super) fn leave_unused(&mut self, channel: &Channel) {
        let live = self.channels.live(channel).is_some();
        if live && self.hub.listeners(channel) == 0 && !self.states.is_wanted(channel) {
            self.abandon(channel);
        }
    }
}

// === impl Shard ===

impl Shard {
    /// Takes a page that was read for a state, and serves those who wait for it.
    pub(super) fn take_state(&mut self, read: StateRead) {
        let core = &mut self.core;
        core.states.under_way -= 1;
        let channel = read.channel.clone();
        let (flow, now) = (core.flow(&channel), core.clock.now());
        let max_bytes = core.gateway.config.outbox.bytes / 2;
        if let Some(ready) = core.states.take_page(read, flow, max_bytes, now) {
            self.serve_state(&channel, ready);
        }
        self.core.read_states();
    }

    /// Serves those whose outboxes have room by now, and lets go of states that
    /// are too old. To be called on each tick.
    pub(super) fn serve_states(&mut self) {
        if self.core.states.by_channel.is_empty() && self.core.states.expected.is_empty() {
            return;
        }
        let now = self.core.clock.now();
        let mut ready = Vec::new();
        self.core.states.by_channel.retain(|channel, state| {
            let Stage::Whole(whole) = &state.stage else {
                return true;
            };
            if !state.waiting.is_empty() {
                ready.push(channel.clone());
            }
            now < whole.until || !state.waiting.is_empty()
        });
        for channel in ready {
            self.serve_state(&channel, Ready::Whole);
        }
        let connections = &self.connections;
        self.core.states.forget_gone(|key| {
            let connection = connections.get(key.slot as usize);
            connection.is_some_and(|connection| connection.generation == key.generation)
        });
    }

    fn serve_state(&mut self, channel: &Channel, ready: Ready) {
        let states = &mut self.core.states.by_channel;
        let (waiting, whole) = match (ready, states.get_mut(channel)) {
            (_, None) => return,
            (Ready::Whole, Some(state)) => {
                let Stage::Whole(whole) = &state.stage else {
                    return;
                };
                (mem::take(&mut state.waiting), Ok(whole.clone()))
            }
            (other, Some(state)) => {
                let waiting = mem::take(&mut state.waiting);
                states.remove(channel);
                (waiting, Err(other))
            }
        };
        for waiting in waiting {
            let (key, id) = (waiting.connection, waiting.id);
            let Self {
                connections, core, ..
            } = self;
            let slot = key.slot as usize;
            let connection = connections.get_mut(slot);
            let Some(connection) = connection.filter(|it| it.generation == key.generation) else {
                continue;
            };
            match &whole {
                Ok(whole) => core.offer(slot, connection, channel, waiting, whole),
                Err(Ready::Impossible) => {
                    core.enter(slot, connection, channel, waiting.without_state());
                }
                Err(Ready::Failed(code)) => {
                    if let Phase::Established(session) = &mut connection.phase {
                        session.subscribe_failed(id, channel, *code, &mut core.actions);
                    }
                }
                Err(_) => core.enter(slot, connection, channel, waiting),
            }
            self.perform(slot);
        }
        self.core.leave_unused(channel);
    }

    /// What a verdict of the hub means to one that waits for it with a state, or
    /// may want one; `true` if that is all there is to say.
    pub(super) fn settle_expected(
        &mut self,
        channel: &Channel,
        slot: usize,
        id: u32,
        verdict: hub::Verdict,
    ) -> bool {
        let Self {
            connections, core, ..
        } = self;
        let Some(connection) = connections.get_mut(slot) else {
            return false;
        };
        let Some(expected) = core.states.take_expected(connection.key(slot), id) else {
            return false;
        };
        let Expected { waiting, state } = expected;
        match (state, verdict) {
            (Some(whole), hub::Verdict::Recovered(_)) => {
                core.present(slot, connection, channel, &waiting, &whole);
            }
            (None, hub::Verdict::Lost(_)) => {
                core.hub.unsubscribe(member(slot), channel);
                core.want_state(slot, connection, channel, waiting);
            }
            _ => return false,
        }
        self.perform(slot);
        true
    }
}

// === impl Waiting ===

impl Waiting {
    /// It does without the state, which can't be had.
    fn without_state(self) -> Self {
        Self {
            latest: Latest::Impossible,
            ..self
        }
    }
}
