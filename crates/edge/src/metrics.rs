//! The edge's metrics.
//!
//! Shards count in plain cells and publish once a second; nothing here is
//! touched per message, but for routes, which all shards share. Names and labels:
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_edge_handshakes_total` | `result` | sockets by how they ended before Hello, or `upgraded`; `served`: requests of clients without WebSocket, which may have opened a connection; `shed`: dropped as the slowest of too many; `not_proxied`: no trusted proxy brought it |
//! | `tidegate_edge_admissions_total` | `client`, `verdict` | well-formed upgrade requests of `new` clients and those `returning` to a session: `admitted`; put off by the gateway's `rate`, by `address_rate`, by `address_connections`, or for want of `memory` |
//! | `tidegate_edge_admission_backlog_seconds` | | until the last of those put off was told to return |
//! | `tidegate_edge_tokens_refused_total` | `reason` | tokens that were not valid |
//! | `tidegate_edge_revocations` | | users, tokens and sessions whose access was taken back, as this gateway knows |
//! | `tidegate_edge_hook_remembered_total` | | tokens that the auth hook was not asked about, because its verdict is remembered; what it is asked counts as requests of its route |
//! | `tidegate_edge_tickets_refused_total` | `reason` | session tickets that did not count; `late`: behind a token in the upgrade request |
//! | `tidegate_edge_sessions_resumed_total` | `shard` | connections that took up a session by its ticket |
//! | `tidegate_edge_connections` | `shard` | connections held |
//! | `tidegate_edge_connections_arriving` | | sockets accepted that no shard has yet: their upgrade, Hello or token is awaited |
//! | `tidegate_edge_connection_states` | `shard`, `transport`, `encoding`, `state` | connections when they were last looked at, once a second: `greeting`, `live`, `unread` (its client is over its rate, or its window is full), `stalled` (the kernel takes no more), `moving` in a drain, `closing` |
//! | `tidegate_edge_near_limit_connections` | `shard`, `limit` | those near a limit then: `outbox` three quarters full, `requests` no place in the window, `rate` sends faster than it may |
//! | `tidegate_edge_connections_opened_total` | `shard` | connections taken over |
//! | `tidegate_edge_carried_connections` | `transport` | those of them whose clients have no WebSocket: `sse`, `long_polling` |
//! | `tidegate_edge_sends_total` | `result` | what such clients sent by requests to this gateway, for connections of any: `taken`, now or before; `out_of_order`, `busy` (what came before was not read yet), `gone`, `mismatch` |
//! | `tidegate_edge_connections_closed_total` | `cause` | connections ended, by `CloseCause` |
//! | `tidegate_edge_drain_stage` | | 0 serving, 1 settling, 2 moving, 3 closing, 4 ended |
//! | `tidegate_edge_drain_duration_seconds` | | how long the drain took, once it is over |
//! | `tidegate_edge_migrations_total` | `shard`, `outcome` | clients in a drain: `asked` to move, `moved` by themselves when asked, `closed` in their slot because they can't move, `left` at the end of the window |
//! | `tidegate_edge_channels` | | channels with local interest, those that linger included |
//! | `tidegate_edge_subscriptions` | `shard` | live subscriptions |
//! | `tidegate_edge_messages_received_total` | `shard` | WebSocket messages from clients, control frames included |
//! | `tidegate_edge_over_rate_total` | `shard`, `by` | times that a connection was left unread for a while because too much was sent: over the rate of the `connection`, its `user` or its `address` |
//! | `tidegate_edge_received_bytes_total` | `shard` | bytes read from sockets |
//! | `tidegate_edge_sent_bytes_total` | `shard` | bytes written to sockets |
//! | `tidegate_edge_messages_sent_total` | `shard` | WebSocket messages written to the end, control frames included |
//! | `tidegate_edge_writes_total` | `shard` | writes to sockets; deliveries ÷ writes is the batching |
//! | `tidegate_edge_write_stalled_seconds_total` | `shard` | seconds that connections waited for the kernel to take more, all added up, as looks once a second find it |
//! | `tidegate_edge_deliveries_total` | `shard`, `class` | publications put into outboxes, by what is given: `all`, `latest`, `sampled` |
//! | `tidegate_edge_delivered_bytes_total` | `shard`, `class` | their bytes, frames included |
//! | `tidegate_edge_publication_age_seconds` | `shard` | from publishing to the write, by the publisher's clock: of the first publication of a turn, in 16 turns a second at most; what waits in outboxes of slow connections is not in it |
//! | `tidegate_edge_dropped_total` | `shard`, `reason`, `class` | publications withheld: `slow_connection`, by class; `gateway_overloaded`, for all who listen |
//! | `tidegate_edge_conflated_total` | `shard`, `class` | publications replaced by newer ones of the same key before they reached a slow subscriber, or one that gets samples |
//! | `tidegate_edge_namespace_deliveries_total` | `shard`, `namespace` | publications put into outboxes, of namespaces with `metrics = true` |
//! | `tidegate_edge_namespace_delivered_bytes_total` | `shard`, `namespace` | their bytes, frames included |
//! | `tidegate_edge_namespace_dropped_total` | `shard`, `namespace` | of these namespaces, publications withheld because a connection was slow |
//! | `tidegate_edge_namespace_conflated_total` | `shard`, `namespace` | of these, publications replaced by newer ones of the same key |
//! | `tidegate_edge_recoveries_total` | `shard`, `verdict` | subscriptions from a position: `recovered`, `resnapshot`, `lost` |
//! | `tidegate_edge_lagging_subscriptions` | `shard` | subscriptions that are behind, and fed from the log |
//! | `tidegate_edge_catch_ups_total` | `shard` | live subscriptions that fell behind |
//! | `tidegate_edge_log_reads_total` | `shard`, `result` | reads of logs for those who are behind: `page`, `gone`, `failed` |
//! | `tidegate_edge_log_read_publications_total` | `shard` | publications in those pages |
//! | `tidegate_edge_bus_gaps_total` | `shard` | gaps told to listeners because the bus lost publications of a channel |
//! | `tidegate_edge_mailbox_messages_total` | `shard` | durable messages put into outboxes |
//! | `tidegate_edge_mailbox_reads_total` | `shard` | reads of mailboxes begun |
//! | `tidegate_edge_mailbox_read_failures_total` | `shard` | reads that the bus failed; they are tried again |
//! | `tidegate_edge_mailbox_acks_total` | `result` | users' confirmations: `written`, or `failed` and tried again |
//! | `tidegate_edge_user_limit_closed_total` | | connections told to go because their user had too many |
//! | `tidegate_edge_user_limit_failures_total` | | users whose connections could not be counted |
//! | `tidegate_edge_fencings_total` | `result` | looks for older connections of a session: `alone`, `fenced` where there were any and their gateways were told, `failed` |
//! | `tidegate_edge_outbox_bytes` | `shard` | bytes waiting in outboxes |
//! | `tidegate_edge_budget_bytes` | | what all outboxes may hold together; 0: no limit |
//! | `tidegate_edge_held_bytes` | `shard` | what they hold, publications for many counted once |
//! | `tidegate_edge_outbox_level_bytes` | `shard` | how much of what may be let go waits for a connection at most; it sinks when the budget is nearly used |
//! | `tidegate_edge_tightened_total` | `shard` | times that it was lowered, or an outbox given up because it could not be |
//! | `tidegate_edge_stalled_outbox_bytes` | `shard` | bytes in the outbox of each stalled connection, once a second; of many, 1,024 are taken |
//! | `tidegate_edge_stalled_outbox_age_seconds` | `shard` | how long those outboxes have not been empty |
//! | `tidegate_edge_loop_delay_seconds` | `shard` | the longest turn of the shard's loop in each second, or how much later than it wanted it woke; a millisecond is the timer's |
//! | `tidegate_edge_shard_load` | `shard` | the share of the last second that its loop worked |
//! | `tidegate_edge_shard_queue_items` | `shard` | the most publications and other mail that waited for the shard in each second |
//! | `tidegate_edge_commands_total` | `command` | commands of the control plane taken |
//! | `tidegate_edge_signals_total` | `result` | signals of clients to others: `reached` somebody, `nobody` was there, `failed` |
//! | `tidegate_edge_requests_total` | `shard`, `result` | client requests ended: `ok`, `failed` |
//! | `tidegate_edge_history_reads_total` | `shard`, `result` | pages of logs read for clients: `ok`, `failed` |
//! | `tidegate_edge_route_requests_total` | `route`, `result` | requests by route: `ok`, `worker_error`, `no_worker`, `handler_gone`, `deadline_exceeded`, `unavailable`, `cancelled`, `unknown`; refused: `too_many`, `breaker_open` |
//! | `tidegate_edge_route_seconds` | `route` | how long the bus and the worker took to answer, or to fail |
//! | `tidegate_edge_route_in_flight` | `route` | requests that workers have not answered |
//! | `tidegate_edge_route_breaker_open` | `route` | 1 while requests fail at once, or one probes |

mod accounts;
mod census;
mod classes;
mod pulse;
mod recovery;

use std::collections::HashMap;

use bytes::Bytes;
use hub::Hub;
use metrics::{Counter, Gauge, counter, gauge};
use wire::{
    CloseCause,
    client::{ErrorCode, Failure},
    gateway::command::Command,
};

pub(crate) use self::census::{Limit, State};
use self::{
    accounts::Accounts, census::Census, classes::Classes, pulse::Pulse, recovery::RecoveryCounters,
};
use crate::{
    authenticate::Rejection,
    clock::Tick,
    front::{Outcome, Refusal},
    gateway::Gateway,
    namespace::Policies,
};

/// Counters of the front.
pub(crate) struct Metrics {
    upgraded: Counter,
    served: Counter,
    timed_out: Counter,
    failed: Counter,
    not_proxied: Counter,
    shed: Counter,
    refused: [Counter; Refusal::ALL.len()],
    signals: [Counter; 3],
    commands: [Counter; COMMANDS.len()],
    revocations: Gauge,
}

/// Whether shards look at what they do and hold. Counting itself, an addition here and
/// there, stays.
pub(crate) const MEASURED: bool = cfg!(not(feature = "unmeasured"));

/// Labels of commands, in the order of [`command_index`].
const COMMANDS: [&str; 14] = [
    "deliver",
    "disconnect",
    "list_connections",
    "count_connections",
    "subscribe",
    "unsubscribe",
    "drain",
    "status",
    "fence",
    "explain",
    "revoke",
    "signal",
    "carry_send",
    "carry_poll",
];

/// Counts of one shard.
pub(crate) struct ShardCounters {
    pub(crate) opened: u64,
    pub(crate) messages_in: u64,
    /// Events in them, and control frames.
    pub(crate) events_in: u64,
    /// Times that a connection was left unread.
    pub(crate) over_rate: u64,
    /// Those that were over the rate of their user alone.
    pub(crate) over_user_rate: u64,
    /// Likewise of their address.
    pub(crate) over_address_rate: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) writes: u64,
    /// Publications that did not fit into the shard's mailbox.
    pub(crate) lost: u64,
    /// Connections that took up an earlier session.
    pub(crate) resumed: u64,
    /// Durable messages given.
    pub(crate) mailbox_messages: u64,
    /// Reads of mailboxes.
    pub(crate) mailbox_reads: u64,
    /// Reads of mailboxes that failed.
    pub(crate) mailbox_failures: u64,
    /// Clients asked to move.
    pub(crate) asked_to_move: u64,
    /// Connections that went when they were asked to.
    pub(crate) moved: u64,
    /// Connections closed in their slot of a drain.
    pub(crate) turned_away: u64,
    /// Times that the level of outboxes was lowered.
    pub(crate) tightened: u64,
    /// Connections closed at the end of a drain.
    pub(crate) left_over: u64,
    requests_ok: u64,
    requests_failed: u64,
    reads_ok: u64,
    reads_failed: u64,
    closed: HashMap<CloseCause, u64>,
    pub(crate) recovery: RecoveryCounters,
    pub(crate) census: Census,
    pub(crate) pulse: Pulse,
    classes: Classes,
    accounts: Accounts,
    handles: Handles,
}

/// Resolved once: looking a metric up by name costs more than counting.
struct Handles {
    connections: Gauge,
    arriving: Gauge,
    channels: Gauge,
    subscriptions: Gauge,
    outbox_bytes: Gauge,
    budget: Gauge,
    held: Gauge,
    level: Gauge,
    tightened: Counter,
    opened: Counter,
    resumed: Counter,
    mailbox_messages: Counter,
    mailbox_reads: Counter,
    mailbox_failures: Counter,
    asked_to_move: Counter,
    moved: Counter,
    turned_away: Counter,
    left_over: Counter,
    messages_in: Counter,
    over_rate: [Counter; 3],
    bytes_in: Counter,
    bytes_out: Counter,
    messages_out: Counter,
    writes: Counter,
    dropped_overloaded: Counter,
    gaps: Counter,
    requests_ok: Counter,
    requests_failed: Counter,
    reads_ok: Counter,
    reads_failed: Counter,
    closed: Vec<(CloseCause, Counter)>,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new() -> Self {
        let result =
            |label: &'static str| counter!("tidegate_edge_handshakes_total", "result" => label);
        Self {
            upgraded: result("upgraded"),
            served: result("served"),
            timed_out: result("timed_out"),
            failed: result("failed"),
            not_proxied: result("not_proxied"),
            shed: result("shed"),
            refused: Refusal::ALL.map(|refusal| result(refusal.label())),
            revocations: gauge!("tidegate_edge_revocations"),
            signals: ["reached", "nobody", "failed"]
                .map(|result| counter!("tidegate_edge_signals_total", "result" => result)),
            commands: COMMANDS
                .map(|label| counter!("tidegate_edge_commands_total", "command" => label)),
        }
    }

    /// Notes how many revocations are known.
    pub(crate) fn revocations(&self, known: usize) {
        self.revocations.set(known as f64);
    }

    /// Counts a signal.
    pub(crate) fn signal(&self, outcome: &Result<u32, Failure>) {
        let result = match outcome {
            Ok(_) => 0,
            Err(failure) if failure.code() == ErrorCode::NobodyThere => 1,
            Err(_) => 2,
        };
        self.signals[result].increment(1);
    }

    /// Counts a command.
    pub(crate) fn command(&self, command: &Command) {
        self.commands[command_index(command)].increment(1);
    }

    /// Counts a handshake.
    pub(crate) fn handshake(&self, outcome: Outcome) {
        match outcome {
            Outcome::Upgraded => self.upgraded.increment(1),
            Outcome::Served => self.served.increment(1),
            Outcome::TimedOut => self.timed_out.increment(1),
            Outcome::Failed => self.failed.increment(1),
            Outcome::NotProxied => self.not_proxied.increment(1),
            Outcome::Shed => self.shed.increment(1),
            Outcome::Refused(refusal) => self.refused[refusal as usize].increment(1),
        }
    }
}

fn command_index(command: &Command) -> usize {
    match command {
        Command::Deliver(_) => 0,
        Command::Disconnect(_) => 1,
        Command::ListConnections(_) => 2,
        Command::CountConnections(_) => 3,
        Command::Subscribe(_) => 4,
        Command::Unsubscribe(_) => 5,
        Command::Drain(_) => 6,
        Command::Status(_) => 7,
        Command::Fence(_) => 8,
        Command::Explain(_) => 9,
        Command::Revoke(_) => 10,
        Command::Signal(_) => 11,
        Command::CarrySend(_) => 12,
        Command::CarryPoll(_) => 13,
    }
}

// === impl ShardCounters ===

impl ShardCounters {
    pub(crate) fn new(shard: usize, policies: &Policies) -> Self {
        Self {
            tightened: 0,
            opened: 0,
            messages_in: 0,
            events_in: 0,
            over_rate: 0,
            over_user_rate: 0,
            over_address_rate: 0,
            bytes_in: 0,
            bytes_out: 0,
            writes: 0,
            lost: 0,
            resumed: 0,
            mailbox_messages: 0,
            mailbox_reads: 0,
            mailbox_failures: 0,
            asked_to_move: 0,
            moved: 0,
            turned_away: 0,
            left_over: 0,
            requests_ok: 0,
            requests_failed: 0,
            reads_ok: 0,
            reads_failed: 0,
            closed: HashMap::new(),
            recovery: RecoveryCounters::new(&shard.to_string()),
            census: Census::new(&shard.to_string()),
            pulse: Pulse::new(&shard.to_string()),
            classes: Classes::new(&shard.to_string()),
            accounts: Accounts::new(&shard.to_string(), policies),
            handles: Handles::new(shard),
        }
    }

    pub(crate) fn closed(&mut self, cause: CloseCause) {
        *self.closed.entry(cause).or_default() += 1;
    }

    pub(crate) fn token_refused(&mut self, rejection: Rejection) {
        // Rare, and the reason is one of a few: looked up by name.
        counter!("tidegate_edge_tokens_refused_total", "reason" => rejection.label()).increment(1);
    }

    pub(crate) fn ticket_refused(&mut self, reason: &'static str) {
        counter!("tidegate_edge_tickets_refused_total", "reason" => reason).increment(1);
    }

    pub(crate) fn request_ended(&mut self, outcome: &Result<Bytes, Failure>) {
        match outcome {
            Ok(_) => self.requests_ok += 1,
            Err(_) => self.requests_failed += 1,
        }
    }

    pub(crate) fn history_read<T>(&mut self, outcome: &Result<T, ErrorCode>) {
        match outcome {
            Ok(_) => self.reads_ok += 1,
            Err(_) => self.reads_failed += 1,
        }
    }

    /// Hands the counts to the recorder; once a second.
    pub(crate) fn publish(&mut self, hub: &Hub, connections: usize, gateway: &Gateway, now: Tick) {
        if !MEASURED {
            return;
        }
        let totals = hub.totals();
        let handles = &self.handles;
        handles.connections.set(connections as f64);
        handles.channels.set(gateway.fanout.channels() as f64);
        gateway.door.publish();
        handles.arriving.set(gateway.connections_arriving() as f64);
        handles.subscriptions.set(totals.subscriptions as f64);
        handles.outbox_bytes.set(totals.queued_bytes as f64);
        handles.budget.set(gateway.budget.limit() as f64);
        handles.held.set(hub.held_bytes() as f64);
        handles.level.set(hub.level() as f64);
        handles.tightened.absolute(self.tightened);
        handles.opened.absolute(self.opened);
        handles.resumed.absolute(self.resumed);
        handles.mailbox_messages.absolute(self.mailbox_messages);
        handles.mailbox_reads.absolute(self.mailbox_reads);
        handles.mailbox_failures.absolute(self.mailbox_failures);
        handles.asked_to_move.absolute(self.asked_to_move);
        handles.moved.absolute(self.moved);
        handles.turned_away.absolute(self.turned_away);
        handles.left_over.absolute(self.left_over);
        handles.messages_in.absolute(self.messages_in);
        let over_rate = [self.over_rate, self.over_user_rate, self.over_address_rate];
        for (handle, count) in handles.over_rate.iter().zip(over_rate) {
            handle.absolute(count);
        }
        handles.bytes_in.absolute(self.bytes_in);
        handles.bytes_out.absolute(self.bytes_out);
        handles.writes.absolute(self.writes);
        handles.messages_out.absolute(totals.written);
        handles.dropped_overloaded.absolute(self.lost);
        handles.gaps.absolute(totals.gaps);
        self.recovery.publish(&totals);
        self.classes.publish(&totals);
        self.accounts.publish(hub);
        self.census.publish(now);
        self.pulse.publish();
        handles.requests_ok.absolute(self.requests_ok);
        handles.requests_failed.absolute(self.requests_failed);
        handles.reads_ok.absolute(self.reads_ok);
        handles.reads_failed.absolute(self.reads_failed);
        for (cause, counter) in &handles.closed {
            // Shared by all shards, so it takes increments.
            counter.increment(self.closed.remove(cause).unwrap_or(0));
        }
    }
}

// === impl Handles ===

impl Handles {
    fn new(shard: usize) -> Self {
        let shard = shard.to_string();
        let label = || shard.clone();
        let migrated = |outcome: &'static str| counter!("tidegate_edge_migrations_total", "shard" => label(), "outcome" => outcome);
        let requests = |result: &'static str| counter!("tidegate_edge_requests_total", "shard" => label(), "result" => result);
        let reads = |result: &'static str| counter!("tidegate_edge_history_reads_total", "shard" => label(), "result" => result);
        let closed = |&cause: &CloseCause| {
            (
                cause,
                counter!("tidegate_edge_connections_closed_total", "cause" => cause.label()),
            )
        };
        Self {
            connections: gauge!("tidegate_edge_connections", "shard" => label()),
            arriving: gauge!("tidegate_edge_connections_arriving"),
            channels: gauge!("tidegate_edge_channels"),
            subscriptions: gauge!("tidegate_edge_subscriptions", "shard" => label()),
            outbox_bytes: gauge!("tidegate_edge_outbox_bytes", "shard" => label()),
            budget: gauge!("tidegate_edge_budget_bytes"),
            held: gauge!("tidegate_edge_held_bytes", "shard" => label()),
            level: gauge!("tidegate_edge_outbox_level_bytes", "shard" => label()),
            tightened: counter!("tidegate_edge_tightened_total", "shard" => label()),
            opened: counter!("tidegate_edge_connections_opened_total", "shard" => label()),
            asked_to_move: migrated("asked"),
            moved: migrated("moved"),
            turned_away: migrated("closed"),
            left_over: migrated("left"),
            mailbox_messages: counter!("tidegate_edge_mailbox_messages_total", "shard" => label()),
            mailbox_reads: counter!("tidegate_edge_mailbox_reads_total", "shard" => label()),
            mailbox_failures: counter!("tidegate_edge_mailbox_read_failures_total", "shard" => label()),
            resumed: counter!("tidegate_edge_sessions_resumed_total", "shard" => label()),
            over_rate: ["connection", "user", "address"].map(
                |by| counter!("tidegate_edge_over_rate_total", "shard" => label(), "by" => by),
            ),
            messages_in: counter!("tidegate_edge_messages_received_total", "shard" => label()),
            bytes_in: counter!("tidegate_edge_received_bytes_total", "shard" => label()),
            bytes_out: counter!("tidegate_edge_sent_bytes_total", "shard" => label()),
            messages_out: counter!("tidegate_edge_messages_sent_total", "shard" => label()),
            writes: counter!("tidegate_edge_writes_total", "shard" => label()),
            dropped_overloaded: counter!("tidegate_edge_dropped_total", "shard" => label(), "reason" => "gateway_overloaded"),
            gaps: counter!("tidegate_edge_bus_gaps_total", "shard" => label()),
            requests_ok: requests("ok"),
            requests_failed: requests("failed"),
            reads_ok: reads("ok"),
            reads_failed: reads("failed"),
            closed: CloseCause::ALL.iter().map(closed).collect(),
        }
    }
}
