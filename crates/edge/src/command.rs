//! Commands of the control plane: taken from the bus, put to the shards,
//! answered when the last shard has.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bus::{Handler, Incoming, Responder};
use parking_lot::Mutex;
use prost::Message;
use wire::{
    ConnectionId,
    gateway::{
        Command, CommandReply, Connection, ConnectionCount, ConnectionPage, Delivered,
        Disconnected, Receipt, Target, command, command_reply::Reply, target,
    },
};

use crate::{gateway::Gateway, shard::Mail};

/// Connections in a page at most.
const MAX_PAGE: usize = 1000;

/// The share of the asker's patience after which it is answered: the rest is for
/// the way back.
const PATIENCE: f32 = 0.8;

/// A command and the answers it has got so far.
pub(crate) struct Query {
    pub(crate) command: command::Command,
    /// When to answer with what there is: the asker soon stops listening.
    pub(crate) answer_by: Instant,
    // A lock: a few shards add their answer, once each.
    answers: Mutex<Vec<Answer>>,
    outstanding: AtomicUsize,
    responder: Mutex<Option<Responder>>,
}

/// What one shard says to a command.
#[derive(Debug)]
pub(crate) enum Answer {
    Delivered(Vec<Receipt>),
    Disconnected(u64),
    /// In order of slot; up to the page size.
    Page {
        connections: Vec<(ConnectionId, Connection)>,
        more: bool,
    },
    /// Connections, and a fingerprint for each user.
    Count {
        connections: u64,
        users: Vec<u64>,
    },
}

/// Serves the gateway's subject.
pub(crate) struct CommandHandler(pub(crate) Arc<Gateway>);

// === impl CommandHandler ===

impl Handler for CommandHandler {
    fn handle(&self, request: Incoming) {
        match Command::decode(&*request.payload).map(|command| command.command) {
            Ok(Some(
                command::Command::Subscribe(_)
                | command::Command::Unsubscribe(_)
                | command::Command::Drain(_)
                | command::Command::Status(_),
            )) => fail(request.responder, "not served yet"),
            Ok(Some(command)) => self.ask(command, request.responder, request.deadline),
            Ok(None) => fail(request.responder, "unknown command"),
            Err(_) => fail(request.responder, "malformed command"),
        }
    }
}

impl CommandHandler {
    fn ask(&self, command: command::Command, responder: Responder, deadline: Duration) {
        let shards = match self.shards_for(target(&command)) {
            Ok(shards) => shards,
            Err(problem) => return fail(responder, problem),
        };
        let query = Arc::new(Query {
            command,
            answer_by: Instant::now() + deadline.mul_f32(PATIENCE),
            answers: Mutex::new(Vec::with_capacity(shards.len())),
            outstanding: AtomicUsize::new(shards.len()),
            responder: Mutex::new(Some(responder)),
        });
        for shard in shards {
            self.0.shards[shard]
                .mailbox
                .push(Mail::Query(query.clone()));
        }
    }

    /// A connection id names its shard; everything else may be anywhere.
    fn shards_for(&self, target: Option<&Target>) -> Result<std::ops::Range<usize>, &'static str> {
        let all = 0..self.0.shards.len();
        let Some(target::Target::ConnectionId(id)) =
            target.and_then(|target| target.target.as_ref())
        else {
            return Ok(all);
        };
        let id: ConnectionId = id.parse().map_err(|_| "not a connection id")?;
        let shard = usize::from(id.shard);
        if id.gateway == self.0.config.gateway && all.contains(&shard) {
            Ok(shard..shard + 1)
        } else {
            // Nobody there: any shard can say so.
            Ok(0..1)
        }
    }
}

// === impl Query ===

impl Query {
    /// Adds one shard's answer; the last one sends the reply.
    pub(crate) fn answer(&self, answer: Answer) {
        self.answers.lock().push(answer);
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let answers = std::mem::take(&mut *self.answers.lock());
        let Some(answer) = answers.into_iter().reduce(Answer::and) else {
            return;
        };
        let reply = CommandReply {
            reply: Some(answer.into_reply(page_size(&self.command))),
        };
        let responder = self.responder.lock().take();
        if let Some(responder) = responder {
            responder.reply(Ok(reply.encode_to_vec().into()));
        }
    }
}

/// How many connections a page holds.
pub(crate) fn page_size(command: &command::Command) -> usize {
    match command {
        command::Command::ListConnections(list) if list.page_size > 0 => {
            (list.page_size as usize).min(MAX_PAGE)
        }
        _ => MAX_PAGE,
    }
}

fn target(command: &command::Command) -> Option<&Target> {
    match command {
        command::Command::Deliver(deliver) => deliver.target.as_ref(),
        command::Command::Disconnect(disconnect) => disconnect.target.as_ref(),
        command::Command::ListConnections(list) => list.target.as_ref(),
        command::Command::CountConnections(count) => count.target.as_ref(),
        command::Command::Subscribe(subscribe) => subscribe.target.as_ref(),
        command::Command::Unsubscribe(unsubscribe) => unsubscribe.target.as_ref(),
        command::Command::Drain(_) | command::Command::Status(_) => None,
    }
}

// === impl Answer ===

impl Answer {
    /// Joins the answers of two shards to one command.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Delivered(mut receipts), Self::Delivered(more)) => {
                receipts.extend(more);
                Self::Delivered(receipts)
            }
            (Self::Disconnected(count), Self::Disconnected(more)) => {
                Self::Disconnected(count + more)
            }
            (
                Self::Page {
                    mut connections,
                    more,
                },
                Self::Page {
                    connections: others,
                    more: others_more,
                },
            ) => {
                connections.extend(others);
                Self::Page {
                    connections,
                    more: more || others_more,
                }
            }
            (
                Self::Count {
                    connections,
                    mut users,
                },
                Self::Count {
                    connections: others,
                    users: other_users,
                },
            ) => {
                users.extend(other_users);
                Self::Count {
                    connections: connections + others,
                    users,
                }
            }
            (first, second) => {
                unreachable!("one command was answered with {first:?} and {second:?}")
            }
        }
    }

    fn into_reply(self, page_size: usize) -> Reply {
        match self {
            Self::Delivered(receipts) => Reply::Delivered(Delivered { receipts }),
            Self::Disconnected(count) => Reply::Disconnected(Disconnected { count }),
            Self::Page {
                mut connections,
                more,
            } => {
                connections.sort_by(|(first, _), (second, _)| first.cmp(second));
                let more = more || connections.len() > page_size;
                let connections = connections
                    .into_iter()
                    .take(page_size)
                    .map(|(_, connection)| connection)
                    .collect();
                Reply::ConnectionPage(ConnectionPage { connections, more })
            }
            Self::Count { connections, users } => {
                let users = users.into_iter().collect::<HashSet<_>>().len() as u64;
                Reply::ConnectionCount(ConnectionCount { connections, users })
            }
        }
    }
}

fn fail(responder: Responder, problem: &str) {
    let reply = CommandReply {
        reply: Some(Reply::Failure(problem.to_owned())),
    };
    responder.reply(Ok(reply.encode_to_vec().into()));
}
