//! The port: what every bus gives, in callbacks that never block.
//!
//! Shards call the bus from their loop, so nothing here may wait: each
//! operation returns at once and reports through its `done`. The contract of
//! every `done`: it is called exactly once, on any thread (the caller's own
//! included, before the operation returns), and must not block either.
//!
//! For code that may wait there is [`crate::BusExt`], the same in `async`.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wire::{ConnectionId, Epoch, Offset, SessionId, UserId};

use crate::{
    origin::Origin,
    subject::{Pattern, Subject},
};

/// Reports the outcome of an operation, exactly once.
pub type Done<T> = Box<dyn FnOnce(Result<T, BusError>) + Send>;

/// A message bus with logs, request/reply and queue groups.
pub trait Bus: Send + Sync + fmt::Debug + 'static {
    /// Publishes; `done` when the bus has it (for a subject with a log: when
    /// the log has it). Messages published to one subject from one thread are
    /// delivered in that order. Never waits for a subscriber.
    fn publish(&self, outgoing: Outgoing, done: Done<Published>);

    /// Delivers every message whose subject matches `pattern` to `sink`, one
    /// after another and in order for each subject. `done` comes before the
    /// first delivery and tells the log's position from which deliveries
    /// continue (for a pattern without wildcards whose subject has a log).
    fn subscribe(
        &self,
        pattern: Pattern,
        sink: Arc<dyn Sink>,
        done: Done<Subscribed>,
    ) -> SubscriptionToken;

    /// Ends a subscription or a service. A delivery under way on another
    /// thread may still arrive. Unknown tokens are ignored.
    fn unsubscribe(&self, token: SubscriptionToken);

    /// Asks one of the handlers that serve the subject; `done` with its reply,
    /// or with [`BusError::NoResponders`] at once, or with
    /// [`BusError::DeadlineExceeded`] when `request.deadline` has passed.
    fn request(&self, request: Request, done: Done<Reply>) -> RequestToken;

    /// Loses interest in a request: its `done` gets [`BusError::Cancelled`]
    /// unless an outcome is under way. Unknown tokens are ignored.
    fn cancel(&self, token: RequestToken);

    /// Serves requests to `subject`: of all its handlers, in all processes, one
    /// gets each request. They share the work evenly.
    fn serve(&self, subject: Subject, handler: Arc<dyn Handler>) -> SubscriptionToken;

    /// Makes a service visible to those who ask the bus which there are (NATS
    /// ADR-32), until [`Bus::unsubscribe`]. Its endpoints are served apart, by
    /// [`Bus::serve`].
    fn announce(&self, service: Service) -> SubscriptionToken;

    /// Keeps a log of every subject that matches one of the patterns, from now
    /// on. Repeating it under the same name changes the limits;
    /// [`BusError::Conflict`] if the servers hold it with something that can't
    /// be changed. A process knows the logs that it has declared, and they
    /// count for the subscriptions that it makes afterwards.
    fn declare_log(&self, log: Log, done: Done<()>);

    /// Reads a page of a log; [`BusError::NoLog`] if the subject has none.
    fn history(&self, read: HistoryRead, done: Done<HistoryPage>);

    /// Makes sure that a table is there, with these properties;
    /// [`BusError::Conflict`] if the servers hold it with something that can't
    /// be changed.
    fn declare_table(&self, table: TableSpec, done: Done<()>);

    /// Writes an entry; `done` with its revision once the bus keeps it, or with
    /// [`BusError::Conflict`] if what was expected is not so.
    fn put(&self, put: Put, done: Done<Revision>);

    /// Removes an entry, if what is expected is so; removing what is not there
    /// succeeds.
    fn remove(&self, remove: Remove, done: Done<()>);

    /// Reads the entries of a table whose keys match one of the patterns, in no
    /// order. An entry whose `put` is done is seen by every later read of the
    /// same process, unless it was removed, and soon by those of others; one
    /// that is being written may be seen or not.
    fn entries(&self, table: Table, keys: Vec<Pattern>, done: Done<Vec<Entry>>);

    /// Whether the bus carries messages, now and from now on.
    fn state(&self) -> watch::Receiver<BusState>;
}

/// Takes deliveries. Called with no lock held; must not block or publish to
/// the subject it is being given.
pub trait Sink: Send + Sync {
    /// Takes one message. A sink that can't must account for it itself.
    fn deliver(&self, message: &Message);

    /// Messages may be missing between the one before and the one that comes
    /// next, and no log gives them back. `dropped` is how many at least; zero:
    /// it is not known that any is, only that the bus was away.
    fn lost(&self, dropped: u64);

    /// The publisher had published its messages to `subject` up to this one:
    /// what has not come by now is missing. Told some seconds after the last.
    fn reached(&self, _subject: &Subject, _origin: Origin) {}
}

/// Takes requests. Called with no lock held; must not block: a handler with
/// work to do puts the request into a bounded queue of its own.
pub trait Handler: Send + Sync {
    /// Takes one request and answers it now or later by its responder.
    fn handle(&self, request: Incoming);
}

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where to.
    pub subject: Subject,
    /// The payload, opaque to the bus.
    pub payload: Bytes,
    /// Key for "latest value of each key"; empty: none. Header `Tg-Key`.
    pub key: Box<str>,
    /// Unix time in microseconds; zero: the bus takes its own clock.
    /// Header `Tg-Published-At`.
    pub published_at_us: i64,
    /// For deduplication by the log, two minutes at least; empty: none.
    /// Header `Nats-Msg-Id`.
    pub message_id: Box<str>,
    /// W3C trace context; empty: none. Header `traceparent`.
    pub traceparent: Box<str>,
}

/// A message as delivered.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it was published to.
    pub subject: Subject,
    /// The payload.
    pub payload: Bytes,
    /// The key; empty: none.
    pub key: Box<str>,
    /// Unix time in microseconds.
    pub published_at_us: i64,
    /// Position in the subject's log; [`Offset::NONE`]: no log.
    pub offset: Offset,
    /// Offset of the message before it in the same subject's log;
    /// [`Offset::NONE`] for the first.
    pub previous: Offset,
    /// Which of its publisher's messages it is; [`Origin::UNKNOWN`] where a log
    /// or the bus itself keeps the order.
    pub origin: Origin,
    /// W3C trace context of its publisher, not checked; empty: none.
    pub traceparent: Box<str>,
}

/// The bus has the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its offset; [`Offset::NONE`]: no log.
    pub offset: Offset,
    /// The log had seen its `message_id`; `offset` is the first one's.
    pub duplicate: bool,
}

/// A subscription is in effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Where deliveries continue from; absent: no log, or a wildcard pattern.
    pub position: Option<Position>,
}

/// A position in a subject's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Identity of the log.
    pub epoch: Epoch,
    /// Offset of the newest message; [`Offset::NONE`]: the log is empty.
    pub offset: Offset,
}

/// A request to whoever serves the subject.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where to.
    pub subject: Subject,
    /// The payload, opaque to the bus.
    pub payload: Bytes,
    /// How long the caller is interested.
    pub deadline: Duration,
    /// On whose behalf.
    pub context: RequestContext,
}

/// On whose behalf a request is made; travels as `Tg-…` headers.
#[derive(Clone, Debug, Default)]
pub struct RequestContext {
    /// `Tg-User`.
    pub user: Option<UserId>,
    /// `Tg-Connection`.
    pub connection: Option<ConnectionId>,
    /// `Tg-Session`.
    pub session: Option<SessionId>,
    /// `Tg-Idempotency-Key`; empty: none.
    pub idempotency_key: Box<str>,
    /// How often the request with this key has been put to workers, this time
    /// included. `Tg-Attempt`, from 2 on; zero: no key, or not counted.
    pub attempt: u32,
    /// W3C trace context; empty: none.
    pub traceparent: Box<str>,
}

/// A request as its handler gets it.
#[derive(Debug)]
pub struct Incoming {
    /// What was asked.
    pub subject: Subject,
    /// The payload.
    pub payload: Bytes,
    /// How long the caller was interested when it asked.
    pub deadline: Duration,
    /// On whose behalf.
    pub context: RequestContext,
    /// Cancelled when the caller has lost interest before it had an answer; a
    /// handler may stop then.
    pub cancelled: CancellationToken,
    /// The way back.
    pub responder: Responder,
}

/// Answers one request. Dropped unused, it answers with
/// [`BusError::HandlerGone`].
pub struct Responder(Option<Done<Bytes>>);

/// A successful reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The payload.
    pub payload: Bytes,
}

/// What a handler says when it fails a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("worker failed the request with {code}: {message}")]
pub struct WorkerFailure {
    /// The worker's own code.
    pub code: Box<str>,
    /// For people.
    pub message: Box<str>,
    /// Whether retrying may help.
    pub retryable: bool,
}

/// Subjects whose messages are kept.
#[derive(Clone, Debug)]
pub struct Log {
    /// Letters, digits, `_` and `-`; on NATS the stream is called after it.
    pub name: Box<str>,
    /// Which subjects; at least one pattern, none in two logs.
    pub patterns: Vec<Pattern>,
    /// How much of each.
    pub limits: LogLimits,
}

/// How much of each subject a log keeps: the smaller bound holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Messages per subject.
    pub messages: usize,
    /// Age of the oldest.
    pub age: Duration,
}

/// Which part of a log to read.
#[derive(Clone, Debug)]
pub struct HistoryRead {
    /// Whose log.
    pub subject: Subject,
    /// Where the page begins.
    pub from: ReadFrom,
    /// At most so many messages.
    pub limit: usize,
    /// The page ends with the message that reaches so many bytes of payload, or
    /// one before it.
    pub max_bytes: usize,
}

/// Where a page of a log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// After this offset; [`Offset::NONE`]: with the oldest message kept.
    After(Offset),
    /// With the first message that the log has had since then, by its own
    /// clock. What its `previous` says is not to be relied on.
    Since(SystemTime),
}

/// A part of a log.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// In order of offset. The first one's `previous` is after the offset that
    /// was asked for if something between them may have left the log.
    pub messages: Vec<Message>,
    /// The log's position when it was read.
    pub position: Position,
    /// There are more after the last one.
    pub more: bool,
}

/// The name of a table: letters, digits, `_` and `-`. On NATS a KV bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table(pub &'static str);

/// What a table is like.
#[derive(Clone, Copy, Debug)]
pub struct TableSpec {
    /// Its name.
    pub table: Table,
    /// Entries older than this vanish; absent: they stay.
    pub max_age: Option<Duration>,
    /// Kept on disk, to survive the end of all servers at once.
    pub durable: bool,
}

/// An entry to write.
#[derive(Clone, Debug)]
pub struct Put {
    /// Where.
    pub table: Table,
    /// Dotted tokens of letters, digits, `_`, `-` and `=`.
    pub key: Subject,
    /// What.
    pub value: Bytes,
    /// Only if this is so.
    pub expect: Expect,
}

/// An entry to remove. Of a durable table a crash of servers may bring it back
/// later, or what it was before: what must not come back is written as ended
/// instead, and left to the table's age.
#[derive(Clone, Debug)]
pub struct Remove {
    /// Where.
    pub table: Table,
    /// Which.
    pub key: Subject,
    /// Only if this is so.
    pub expect: Expect,
}

/// What must be so for a write to take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Anything,
    /// There is no entry.
    Absent,
    /// The entry is at this revision.
    At(Revision),
}

/// Tells versions of an entry apart; grows within a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// An entry of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Subject,
    /// Its value.
    pub value: Bytes,
    /// Its version.
    pub revision: Revision,
}

/// A service as others see it.
#[derive(Clone, Debug)]
pub struct Service {
    /// Letters, digits, `_` and `-`.
    pub name: Box<str>,
    /// Semantic version.
    pub version: Box<str>,
    /// For people.
    pub description: Box<str>,
    /// Name and subject of each endpoint.
    pub endpoints: Vec<(Box<str>, Subject)>,
}

/// Whether the bus carries messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BusState {
    /// It does.
    Up,
    /// It does not, or nobody knows; why, for people.
    Down(Box<str>),
}

/// Names a subscription or service of one bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionToken(pub u64);

/// Names a request under way on one bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestToken(pub u64);

/// Why the bus could not do it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BusError {
    /// Nobody serves the subject.
    #[error("no handler serves the subject")]
    NoResponders,
    /// No reply came in time; it may have been executed.
    #[error("no reply came within the deadline")]
    DeadlineExceeded,
    /// The caller cancelled.
    #[error("the request was cancelled")]
    Cancelled,
    /// The handler dropped the request without answering.
    #[error("the handler ended without answering")]
    HandlerGone,
    /// The handler failed it.
    #[error(transparent)]
    Worker(#[from] WorkerFailure),
    /// A bounded queue is full; retry later.
    #[error("a queue is full")]
    Overloaded,
    /// The bus cannot be reached.
    #[error("the bus is unavailable")]
    Unavailable,
    /// The subject has no log.
    #[error("the subject has no log")]
    NoLog,
    /// The table is not declared.
    #[error("the table is not declared")]
    NoTable,
    /// A write found something else than it expected.
    #[error("somebody else wrote it first")]
    Conflict,
    /// The message is larger than the bus takes.
    #[error("the message is larger than the bus takes")]
    TooLarge,
}

// === impl HistoryRead ===

impl HistoryRead {
    /// Up to `limit` messages after an offset ([`Offset::NONE`]: from the oldest
    /// kept), of 8 MiB in all.
    pub fn after(subject: Subject, after: Offset, limit: usize) -> Self {
        Self {
            subject,
            from: ReadFrom::After(after),
            limit,
            max_bytes: 8 << 20,
        }
    }
}

// === impl Responder ===

impl Responder {
    /// A responder that hands the outcome to `respond`, once.
    pub fn new(respond: impl FnOnce(Result<Bytes, BusError>) + Send + 'static) -> Self {
        Self(Some(Box::new(respond)))
    }

    /// Answers.
    pub fn reply(mut self, outcome: Result<Bytes, BusError>) {
        if let Some(respond) = self.0.take() {
            respond(outcome);
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(respond) = self.0.take() {
            respond(Err(BusError::HandlerGone));
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder")
    }
}
