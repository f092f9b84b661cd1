//! Tells all that is known of a connection. Everything is found out when it is
//! asked for: connections hold nothing for it.

use std::time::{Duration, SystemTime};

use hub::{Class, Listening, Overflow};
use wire::{
    ConnectionId,
    control::{
        Bucket, ConnectionState, Explanation, Outbox, OutboxLane, SubscriptionState, UnreadReason,
        Upstream,
    },
    gateway::{Explain, ExplainedConnection},
};

use super::{
    Core, Shard,
    connection::{Connection, Phase},
    member,
};
use crate::{
    allowance::Level,
    clock::{Clock, Tick},
    command::{Answer, MAX_EXPLAINED},
    tcp,
};

/// Subscriptions that are shown of one connection.
const MAX_SUBSCRIPTIONS: usize = 256;

// === impl Shard ===

impl Shard {
    /// Answers Explain.
    pub(super) fn explain(&mut self, explain: &Explain) -> Answer {
        let mut slots = self.targets(explain.target.as_ref());
        slots.sort_unstable();
        let more = slots.len() > MAX_EXPLAINED;
        slots.truncate(MAX_EXPLAINED);
        let duration = Duration::from_millis(explain.record_ms);
        let explained = slots.into_iter().map(|slot| {
            let refused = self.record(slot, duration).err();
            self.explain_one(slot, refused.unwrap_or_default())
        });
        let connections = explained.collect();
        Answer::Explained { connections, more }
    }

    fn record(&mut self, slot: usize, duration: Duration) -> Result<(), &'static str> {
        if duration.is_zero() {
            return Ok(());
        }
        let connection = &mut self.connections[slot];
        self.core.begin_recording(connection, duration)
    }

    fn explain_one(&self, slot: usize, refused: &str) -> (ConnectionId, ExplainedConnection) {
        let connection = &self.connections[slot];
        let id = self.core.connection_id(slot, connection.generation);
        let explained = ExplainedConnection {
            connection: Some(self.describe(slot, &id, false)),
            explanation: Some(self.core.explain(slot, connection, refused)),
        };
        (id, explained)
    }
}

// === impl Core ===

impl Core {
    fn explain(&self, slot: usize, connection: &Connection, refused: &str) -> Explanation {
        let profile = &connection.profile;
        let identity = profile.identity.as_ref();
        let past = identity.map(|identity| self.gateway.past.of(&identity.user));
        let recorder = profile.recorder.as_ref();
        Explanation {
            state: state(connection).into(),
            shard: u32::try_from(self.index).unwrap_or(u32::MAX),
            explained_at: Some(SystemTime::now().into()),
            last_heard_ms: self.since_ms(connection.heard),
            outbox: Some(self.explain_outbox(slot, connection)),
            upstream: Some(self.explain_upstream(connection)),
            tcp: tcp::read(&connection.stream),
            subscriptions: self.explain_subscriptions(slot),
            past_closes: past.unwrap_or_default(),
            recording: recorder.map(|recorder| recorder.read()),
            recording_refused: refused.to_owned(),
            can_migrate: profile.migrates,
        }
    }

    fn explain_outbox(&self, slot: usize, connection: &Connection) -> Outbox {
        let outbox = self.hub.outbox(member(slot));
        let limits = self.gateway.config.outbox;
        let lanes = outbox.lanes().into_iter().map(|lane| OutboxLane {
            name: lane.name.to_owned(),
            frames: lane.frames,
            bytes: lane.bytes,
        });
        let waiting_ms = match self.hub.keeps_up(member(slot)) {
            true => 0,
            false => self.since_ms(connection.profile.waits_since),
        };
        let lost = self.hub.loss(member(slot));
        Outbox {
            bytes: outbox.bytes() as u64,
            limit_bytes: limits.bytes as u64,
            frames: outbox.items() as u64,
            limit_frames: limits.items as u64,
            lanes: lanes.collect(),
            waiting_ms,
            blocked: connection.flow.blocked,
            dropped_publications: lost.dropped,
            conflated_publications: lost.conflated,
        }
    }

    fn explain_upstream(&self, connection: &Connection) -> Upstream {
        let rates = self.gateway.config.rates_of(connection.flow.rate_class);
        let levels = connection.allowance.levels(rates, self.clock.now());
        let [messages, bytes] = levels.map(|level| level.map(bucket));
        let in_flight = match &connection.phase {
            Phase::Established(session) => session.in_flight(),
            _ => 0,
        };
        Upstream {
            messages: connection.profile.messages.into(),
            unread: unread(connection).into(),
            // It fails for no socket that is open.
            unread_bytes: rustix::io::ioctl_fionread(&connection.stream).unwrap_or(0),
            message_bucket: messages,
            byte_bucket: bytes,
            in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
            max_in_flight: self.session.limits.max_in_flight,
            requests: u32::try_from(connection.requests.len()).unwrap_or(u32::MAX),
        }
    }

    fn explain_subscriptions(&self, slot: usize) -> Vec<SubscriptionState> {
        let mut listening = self.hub.explain(member(slot));
        listening.sort_unstable_by(|one, other| {
            let worst_first = other.is_behind.cmp(&one.is_behind);
            worst_first.then_with(|| one.channel.as_str().cmp(other.channel.as_str()))
        });
        let shown = listening.iter().take(MAX_SUBSCRIPTIONS);
        shown.map(subscription).collect()
    }

    fn since_ms(&self, then: Tick) -> u64 {
        let passed = Clock::TICK * self.clock.now().since(then);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }
}

fn state(connection: &Connection) -> ConnectionState {
    match connection.flow {
        flow if flow.leaving => ConnectionState::Leaving,
        flow if flow.asked_to_move => ConnectionState::AskedToMove,
        _ => ConnectionState::Live,
    }
}

fn unread(connection: &Connection) -> UnreadReason {
    match connection.flow {
        flow if flow.leaving => UnreadReason::Leaving,
        flow if flow.over_rate => UnreadReason::OverRate,
        _ if !connection.wants_input() => UnreadReason::WindowFull,
        _ => UnreadReason::Unspecified,
    }
}

fn bucket(level: Level) -> Bucket {
    Bucket {
        left: level.left,
        burst: level.burst,
        per_second: level.per_second.into(),
    }
}

fn subscription(listening: &Listening<'_>) -> SubscriptionState {
    let (class, rate) = match listening.class {
        Class::All => ("all", 0),
        Class::Latest => ("latest", 0),
        Class::Sampled(rate) => ("sampled", rate.per_second()),
    };
    let overflow = match listening.overflow {
        Overflow::CatchUp => "catch_up",
        Overflow::Conflate => "conflate",
        Overflow::DropOldest => "drop_oldest",
        Overflow::Disconnect => "disconnect",
        _ => "",
    };
    SubscriptionState {
        channel: listening.channel.to_string(),
        alias: listening.alias,
        class: class.to_owned(),
        rate,
        overflow: overflow.to_owned(),
        is_behind: listening.is_behind,
        position: listening.position,
        head: listening.head,
        lag_publications: listening.lag.publications,
        lag_bytes: listening.lag.bytes,
        queued_publications: listening.queued.publications,
        queued_bytes: listening.queued.bytes,
        waits_for: listening.waits_for.map_or("", |it| it.label()).to_owned(),
    }
}
