//! The work of a roster: ticks, words, beats and answers on the bus.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bus::{
    BusError, BusExt, BusState, Handler, Incoming, Message, Outgoing, Request, RequestContext,
    Sink, Subject,
};
use prost::Message as _;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use wire::{
    Channel, GatewayId,
    gateway::{PresenceAsk, PresenceBeat, PresencePart, PresenceSummary},
};

use crate::{
    rooms::Work,
    roster::{MAX_NAMED, Roster},
    subjects,
};

/// How often a gateway says that it lives.
const BEAT: Duration = Duration::from_secs(1);

/// How long a gateway has to tell its part.
const PART_DEADLINE: Duration = Duration::from_secs(2);

/// How long the last word may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Hears what is said about a channel.
struct Ear {
    roster: Weak<Roster>,
    channel: Channel,
}

/// Hears that gateways live.
struct Pulse(Weak<Roster>);

/// Answers who is in a channel.
struct Answering {
    roster: Weak<Roster>,
    channel: Channel,
}

/// Tells this gateway's part of any channel.
struct Telling {
    roster: Weak<Roster>,
    max_channel_bytes: usize,
}

// === impl Roster ===

impl Roster {
    /// Does the work until `stop` is done, then says that this gateway has no members
    /// any more.
    pub async fn run(self: Arc<Self>, stop: impl Future<Output = ()>) {
        let mut tokens = Vec::new();
        let telling = Arc::new(Telling {
            roster: Arc::downgrade(&self),
            max_channel_bytes: wire::MAX_CHANNEL_BYTES,
        });
        tokens.push(self.bus.serve(subjects::part(&self.gateway), telling));
        tokio::select! {
            () = self.keep(&mut tokens) => {}
            () = stop => {}
        }
        // Members whose connections it has closed may come back elsewhere: they have
        // as long as the lease.
        if self.rooms.lock().members() > 0 {
            return tokens.into_iter().for_each(|it| self.bus.unsubscribe(it));
        }
        let ended = self.bus.send(self.beat(true));
        if !matches!(timeout(LAST_WORD, ended).await, Ok(Ok(_))) {
            tracing::debug!("other gateways find out that this one has no members any more");
        }
        tokens.into_iter().for_each(|it| self.bus.unsubscribe(it));
    }

    async fn keep(self: &Arc<Self>, tokens: &mut Vec<bus::SubscriptionToken>) {
        loop {
            let pulse = Arc::new(Pulse(Arc::downgrade(self)));
            match self.bus.listen(subjects::beats().into(), pulse).await {
                Ok((token, _)) => break tokens.push(token),
                Err(error) => tracing::debug!(%error, "presence waits for the bus"),
            }
            sleep(BEAT).await;
        }
        let mut ticks = interval(self.settings.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut state = self.bus.state();
        let mut was_online = true;
        let mut before = Instant::now();
        let mut beat_at = before;
        loop {
            let now = ticks.tick().await;
            let online = *state.borrow_and_update() == BusState::Up;
            // Others may have taken us for dead, or we may have missed what they said.
            let absent = now.duration_since(before) > self.settings.lease / 2;
            if online && (!was_online || absent) {
                self.rooms.lock().resync();
            }
            (was_online, before) = (online, now);
            if online && now >= beat_at {
                beat_at = now + BEAT;
                self.own_beat();
            }
            self.work(now, online);
        }
    }

    /// Says that we live, and looks who has not.
    fn own_beat(&self) {
        let patience = self.settings.lease.as_secs_f64() / BEAT.as_secs_f64();
        let (lapsed, channels, members) = {
            let mut rooms = self.rooms.lock();
            let lapsed = rooms.own_beat(patience.ceil() as u32);
            (lapsed, rooms.len(), rooms.members())
        };
        for gateway in &lapsed {
            tracing::info!(%gateway, "a gateway is silent: its members have left");
        }
        self.metrics.lapsed.increment(lapsed.len() as u64);
        self.metrics.channels.set(channels as f64);
        self.metrics.members.set(members as f64);
        // Who has no members has nothing to lose.
        if channels > 0 {
            self.bus.publish(self.beat(false), Box::new(|_| {}));
        }
    }

    fn beat(&self, ends: bool) -> Outgoing {
        let beat = PresenceBeat {
            gateway: self.gateway.to_string(),
            ends,
        };
        outgoing(subjects::beats(), beat.encode_to_vec())
    }

    fn work(self: &Arc<Self>, now: Instant, online: bool) {
        let work = self.rooms.lock().tick(now, online);
        for work in work {
            match work {
                Work::Open(channel) => self.open(channel),
                Work::Serve(channel) => self.serve(channel),
                Work::Close(tokens) => {
                    let tokens = [tokens.words, tokens.questions].into_iter().flatten();
                    tokens.for_each(|token| self.bus.unsubscribe(token));
                }
                Work::Say(channel, word) => self.say(channel, &word),
                Work::Ask(channel, gateway) => self.ask(channel, gateway),
                Work::Tell(channel, told) => {
                    match told.change.snapshot {
                        true => self.metrics.snapshots.increment(1),
                        false => self.metrics.changes.increment(1),
                    }
                    (self.teller)(&channel, told);
                }
            }
        }
    }

    fn open(self: &Arc<Self>, channel: Channel) {
        let ear = Arc::new(Ear {
            roster: Arc::downgrade(self),
            channel: channel.clone(),
        });
        let confirm = {
            let (roster, channel) = (Arc::downgrade(self), channel.clone());
            move |outcome: Result<_, BusError>| {
                if let Some(roster) = roster.upgrade() {
                    roster.rooms.lock().opened(&channel, outcome.is_ok());
                }
            }
        };
        let words = subjects::words(&channel).into();
        let token = self.bus.subscribe(words, ear, Box::new(confirm));
        self.rooms.lock().asked(&channel, token);
    }

    fn serve(self: &Arc<Self>, channel: Channel) {
        let subject = subjects::questions(&channel);
        let answering = Arc::new(Answering {
            roster: Arc::downgrade(self),
            channel: channel.clone(),
        });
        let token = self.bus.serve(subject, answering);
        self.rooms.lock().served(&channel, token);
    }

    fn say(self: &Arc<Self>, channel: Channel, word: &PresencePart) {
        self.metrics.words_out.increment(1);
        let outgoing = outgoing(subjects::words(&channel), word.encode_to_vec());
        let roster = Arc::downgrade(self);
        let done = move |outcome: Result<_, BusError>| {
            // Nobody may have heard it: the version is told again, and who finds that
            // he has another one asks.
            if let (Err(_), Some(roster)) = (outcome, roster.upgrade()) {
                roster.metrics.failures.increment(1);
                roster.rooms.lock().call(&channel);
            }
        };
        self.bus.publish(outgoing, Box::new(done));
    }

    fn ask(self: &Arc<Self>, channel: Channel, gateway: GatewayId) {
        self.metrics.asked.increment(1);
        let ask = PresenceAsk {
            channel: channel.to_string(),
            limit: 0,
        };
        let request = Request {
            subject: subjects::part(&gateway),
            payload: ask.encode_to_vec().into(),
            deadline: PART_DEADLINE,
            context: RequestContext::default(),
        };
        let roster = Arc::downgrade(self);
        let done = move |outcome: Result<bus::Reply, BusError>| {
            if let Some(roster) = roster.upgrade() {
                roster.take_part(channel, gateway, outcome);
            }
        };
        self.bus.request(request, Box::new(done));
    }

    fn take_part(
        &self,
        channel: Channel,
        gateway: GatewayId,
        outcome: Result<bus::Reply, BusError>,
    ) {
        let part = outcome.map(|reply| PresencePart::decode(&*reply.payload));
        let mut rooms = self.rooms.lock();
        rooms.answered();
        match part {
            Ok(Ok(part)) if part.sessions > 0 => rooms.hear(&channel, &part),
            Ok(_) => rooms.has_none(&channel, &gateway),
            // It is gone, and its members have as long as its lease to go on elsewhere.
            Err(BusError::NoResponders) => {}
            Err(_) => {
                self.metrics.failures.increment(1);
                rooms.still_missing(channel, gateway);
            }
        }
    }
}

fn outgoing(subject: Subject, payload: Vec<u8>) -> Outgoing {
    Outgoing {
        subject,
        payload: payload.into(),
        key: Box::default(),
        published_at_us: 0,
        message_id: Box::default(),
        traceparent: Box::default(),
    }
}

// === impl Ear ===

impl Sink for Ear {
    fn deliver(&self, message: &Message) {
        let word = PresencePart::decode(&*message.payload);
        if let (Ok(word), Some(roster)) = (word, self.roster.upgrade())
            // The bus brings back what we say.
            && word.gateway != roster.gateway.as_str()
        {
            roster.metrics.words_in.increment(1);
            roster.rooms.lock().hear(&self.channel, &word);
        }
    }

    fn lost(&self, _dropped: u64) {
        if let Some(roster) = self.roster.upgrade() {
            roster.rooms.lock().call(&self.channel);
        }
    }
}

// === impl Pulse ===

impl Sink for Pulse {
    fn deliver(&self, message: &Message) {
        let Ok(beat) = PresenceBeat::decode(&*message.payload) else {
            return;
        };
        if let (Some(gateway), Some(roster)) = (GatewayId::new(&beat.gateway), self.0.upgrade()) {
            roster.rooms.lock().beat(gateway, beat.ends);
        }
    }

    fn lost(&self, _dropped: u64) {}
}

// === impl Answering ===

impl Handler for Answering {
    fn handle(&self, request: Incoming) {
        let (Ok(ask), Some(roster)) = (
            PresenceAsk::decode(&*request.payload),
            self.roster.upgrade(),
        ) else {
            return;
        };
        let limit = MAX_NAMED.min(ask.limit as usize);
        let summary = {
            let rooms = roster.rooms.lock();
            rooms.get(&self.channel).map(|room| room.summary(limit))
        };
        let summary = summary.unwrap_or_default();
        let summary = PresenceSummary {
            sessions: summary.sessions,
            users: summary.users,
            members: summary.members.iter().map(|it| it.message()).collect(),
            sampled: summary.sampled,
        };
        request.responder.reply(Ok(summary.encode_to_vec().into()));
    }
}

// === impl Telling ===

impl Handler for Telling {
    fn handle(&self, request: Incoming) {
        let channel = PresenceAsk::decode(&*request.payload).ok();
        let channel =
            channel.and_then(|ask| Channel::parse(&ask.channel, self.max_channel_bytes).ok());
        if let (Some(channel), Some(roster)) = (channel, self.roster.upgrade()) {
            let part = roster.rooms.lock().whole(&channel);
            request.responder.reply(Ok(part.encode_to_vec().into()));
        }
    }
}
