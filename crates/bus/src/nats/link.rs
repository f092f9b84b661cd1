//! One connection to NATS: its client, its way out, its inbox, and whether it
//! carries messages.
//!
//! "Connected" is not enough: a server may take packets and do nothing. So a
//! probe goes through the server and back every two seconds; two that fail, or
//! the library's word that the connection is gone, take the link down, and one
//! that succeeds brings it up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::Client;
use parking_lot::Mutex;
use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    NatsError, NatsOptions,
    feed::Feed,
    inbox::Inbox,
    lane::Lane,
    line::{Gate, Line, Seen},
};
use crate::port::{BusError, BusState};

/// Between two probes.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How long one may be on its way.
const PROBE_LIMIT: Duration = Duration::from_millis(1_500);

/// Probes that fail one after another until the link is down.
const PROBES: u32 = 2;

/// Probes that fail until another server is tried.
const PROBES_UNTIL_RECONNECT: u32 = 4;

/// A server that will stop is left at a moment of our own within this.
const LAME_DUCK_SPREAD: Duration = Duration::from_secs(5);

/// One connection.
pub(super) struct Link {
    /// Subscribes only by [`Link::subscribe`], which counts.
    client: Client,
    pub(super) inbox: Arc<Inbox>,
    pub(super) lane: Arc<Lane>,
    line: Arc<Line>,
    /// What the inbox takes replies from.
    replies: Mutex<Option<Feed>>,
}

/// Looks after one connection.
struct Watcher<'a> {
    link: &'a Link,
    seen: watch::Receiver<Seen>,
    failures: u32,
    lame_ducks: u64,
    leave_at: Option<Instant>,
}

/// How a probe ended.
enum Probe {
    Returned(Duration),
    Failed,
    /// The connection is another one now, or none.
    Overtaken,
}

// === impl Link ===

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// If no server can be reached, or none takes our credentials.
    pub(super) async fn connect(
        options: &NatsOptions,
        kind: &'static str,
        gate: &Gate,
    ) -> Result<Self, NatsError> {
        let lane = Arc::new(Lane::new());
        let line = Arc::new(Line::new(lane.clone(), kind, gate.clone()));
        let told = Arc::downgrade(&line);
        let connecting = options
            .connect_options(kind)?
            .event_callback(move |event| {
                if let Some(line) = told.upgrade() {
                    line.notice(&event);
                }
                std::future::ready(())
            })
            .connect(options.servers.clone());
        let client = connecting.await.map_err(|source| NatsError::Connect {
            servers: options.servers.join(", "),
            source: Arc::new(source),
        })?;
        let inbox = Inbox::new(&client.new_inbox(), lane.clone(), gate.clone());
        let replies = line.subscribe(&client, inbox.subject(), None).await;
        line.connected(client.clone());
        Ok(Self {
            client,
            inbox,
            lane,
            line,
            replies: Mutex::new(Some(replies.map_err(|_| NatsError::Ended)?)),
        })
    }

    /// Whether it carries messages.
    pub(super) fn state(&self) -> watch::Receiver<BusState> {
        self.line.state()
    }

    /// What the library has told of it.
    pub(super) fn seen(&self) -> watch::Receiver<Seen> {
        self.line.seen()
    }

    /// Subscribes, as one of a group if one is named; the command is on its
    /// way when this returns.
    pub(super) fn subscribe(
        &self,
        subject: String,
        group: Option<&'static str>,
    ) -> impl Future<Output = Result<Feed, BusError>> + Send + 'static {
        self.line.subscribe(&self.client, subject, group)
    }

    /// Begins the tasks that keep it working, which never end; to be called once.
    /// Each is a task of its own: both directions of a busy connection go on at
    /// once, and neither looks at the others whenever it is woken.
    pub(super) fn run(self: &Arc<Self>, tasks: &mut JoinSet<()>) {
        let (lane, client) = (self.lane.clone(), self.client.clone());
        tasks.spawn(async move { lane.run(client).await });
        if let Some(replies) = self.replies.lock().take() {
            let inbox = self.inbox.clone();
            tasks.spawn(async move { inbox.run(replies).await });
        }
        let link = self.clone();
        tasks.spawn(async move {
            let watcher = Watcher {
                seen: link.line.seen(),
                link: &link,
                failures: 0,
                lame_ducks: 0,
                leave_at: None,
            };
            watcher.run().await;
        });
    }
}

// === impl Watcher ===

impl Watcher<'_> {
    async fn run(mut self) {
        let mut ticks = interval(PROBE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = self.seen.changed() => {}
            }
            let line = &self.link.line;
            line.refresh();
            line.metrics.waiting.set(self.link.inbox.len() as f64);
            line.metrics.queued_bytes.set(self.link.lane.bytes() as f64);
            let seen = *self.seen.borrow_and_update();
            self.leave_lame_duck(seen).await;
            if seen.connected {
                let outcome = self.probe(seen).await;
                self.conclude(outcome, seen).await;
            } else {
                self.failures = 0;
            }
        }
    }

    async fn probe(&mut self, seen: Seen) -> Probe {
        let (tx, rx) = oneshot::channel();
        let sent = Instant::now();
        let done = Box::new(move |outcome| drop(tx.send(outcome)));
        self.link.inbox.probe(PROBE_LIMIT, done);
        let is_other =
            |now: &Seen| (now.connected, now.connections) != (seen.connected, seen.connections);
        let outcome = tokio::select! {
            outcome = rx => outcome,
            _ = self.seen.wait_for(is_other) => return Probe::Overtaken,
        };
        match outcome {
            Ok(Ok(_message)) => Probe::Returned(sent.elapsed()),
            _ => Probe::Failed,
        }
    }

    async fn conclude(&mut self, outcome: Probe, seen: Seen) {
        let line = &self.link.line;
        match outcome {
            Probe::Returned(took) => {
                line.metrics.probe_seconds.record(took);
                self.failures = 0;
                line.go_up(seen);
            }
            Probe::Failed => {
                line.metrics.probes_failed.increment(1);
                self.failures += 1;
                if self.failures >= PROBES {
                    line.go_down("messages to itself do not come back");
                }
                if self.failures.is_multiple_of(PROBES_UNTIL_RECONNECT) {
                    self.move_on().await;
                }
            }
            Probe::Overtaken => {
                self.failures = 0;
                // So that the loop looks at what is so now.
                self.seen.mark_changed();
            }
        }
    }

    /// A server in lame duck mode accepts nobody, so that whoever leaves it
    /// comes to another.
    async fn leave_lame_duck(&mut self, seen: Seen) {
        if seen.lame_ducks != self.lame_ducks {
            self.lame_ducks = seen.lame_ducks;
            let wait = LAME_DUCK_SPREAD.mul_f64(fastrand::f64());
            self.leave_at.get_or_insert(Instant::now() + wait);
        }
        if self.leave_at.is_some_and(|at| at <= Instant::now()) {
            self.leave_at = None;
            tracing::info!("leaving a server that will stop");
            self.move_on().await;
        }
    }

    /// Connects anew.
    async fn move_on(&self) {
        // A client that can't write to a dead server takes no commands; its
        // own pings end that connection.
        let _stuck = timeout(PROBE_LIMIT, self.link.client.force_reconnect()).await;
    }
}
