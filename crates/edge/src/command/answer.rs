//! What shards say to a command, put together to the reply.

use std::collections::{BTreeMap, HashSet};

use wire::{
    ConnectionId,
    gateway::{
        Changed, Connection, ConnectionCount, ConnectionPage, Delivered, Disconnected, Explained,
        ExplainedConnection, LevelCount, Receipt, command_reply::Reply,
    },
};

use super::query::Query;

/// Connections that are explained at once: one takes up to some 100 KiB in the
/// answer, and a bus carries no more than a megabyte or so.
pub(crate) const MAX_EXPLAINED: usize = 16;

/// What one shard says to a command, or several did.
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
    /// As a page, up to [`MAX_EXPLAINED`].
    Explained {
        connections: Vec<(ConnectionId, ExplainedConnection)>,
        more: bool,
    },
    /// Subscriptions begun or ended, and refused.
    Changed(Changed),
    /// The command came to the shard too late, and was not carried out there.
    Late,
}

// === impl Answer ===

impl Answer {
    /// Joins the answers of two shards to one command.
    pub(super) fn and(self, other: Self) -> Self {
        use Answer::{Changed, Count, Delivered, Disconnected, Explained, Late, Page};
        match (self, other) {
            // What the others did must not pass for all there was to do.
            (Late, _) | (_, Late) => Late,
            (Delivered(receipts), Delivered(more)) => Delivered(joined(receipts, more)),
            (Disconnected(count), Disconnected(more)) => Disconnected(count + more),
            (
                Page { connections, more },
                Page {
                    connections: others,
                    more: others_more,
                },
            ) => Page {
                connections: joined(connections, others),
                more: more || others_more,
            },
            (
                Count { connections, users },
                Count {
                    connections: others,
                    users: other_users,
                },
            ) => Count {
                connections: connections + others,
                users: joined(users, other_users),
            },
            (
                Explained { connections, more },
                Explained {
                    connections: others,
                    more: others_more,
                },
            ) => Explained {
                connections: joined(connections, others),
                more: more || others_more,
            },
            (Changed(mut changed), Changed(more)) => {
                changed.count += more.count;
                changed.refused += more.refused;
                Changed(changed)
            }
            (first, second) => {
                unreachable!("one command was answered with {first:?} and {second:?}")
            }
        }
    }

    pub(super) fn into_reply(self, query: &Query) -> Reply {
        match self {
            Self::Delivered(receipts) => Reply::Delivered(if query.is_for_everybody() {
                counted(&receipts)
            } else {
                named(receipts)
            }),
            Self::Disconnected(count) => Reply::Disconnected(Disconnected { count }),
            Self::Page { connections, more } => {
                let (connections, cut) = first(connections, query.page_size());
                let more = more || cut;
                Reply::ConnectionPage(ConnectionPage { connections, more })
            }
            Self::Count { connections, users } => {
                let users = users.into_iter().collect::<HashSet<_>>().len() as u64;
                Reply::ConnectionCount(ConnectionCount { connections, users })
            }
            Self::Explained { connections, more } => {
                let (connections, cut) = first(connections, MAX_EXPLAINED);
                let more = more || cut;
                Reply::Explained(Explained { connections, more })
            }
            Self::Changed(changed) => Reply::Changed(changed),
            Self::Late => Reply::Failure("too busy: not carried out in time".to_owned()),
        }
    }
}

fn named(receipts: Vec<Receipt>) -> Delivered {
    let counts = Vec::new();
    Delivered { receipts, counts }
}

/// The same in a few bytes, however many they are.
fn counted(receipts: &[Receipt]) -> Delivered {
    let mut connections = BTreeMap::<i32, u64>::new();
    for receipt in receipts {
        *connections.entry(receipt.level).or_default() += 1;
    }
    let counts = connections.into_iter();
    let counts = counts.map(|(level, connections)| LevelCount { level, connections });
    Delivered {
        receipts: Vec::new(),
        counts: counts.collect(),
    }
}

/// The first of them in order of id, and whether there are more.
fn first<T>(mut connections: Vec<(ConnectionId, T)>, most: usize) -> (Vec<T>, bool) {
    connections.sort_by(|(first, _), (second, _)| first.cmp(second));
    let more = connections.len() > most;
    let connections = connections.into_iter().take(most);
    (connections.map(|(_, it)| it).collect(), more)
}

fn joined<T>(mut some: Vec<T>, more: Vec<T>) -> Vec<T> {
    some.extend(more);
    some
}
