//! What shards have done for them on the front: queues into tasks of its own.

use tokio::sync::mpsc;

use crate::{
    fencing::{Claim, Claims},
    refreshing::{self, Refreshes, Renewal},
    user_limit::{Look, Looks},
    wills::{self, Order, Orders},
};

/// Users that may wait for their connections to be counted, and connections for
/// their predecessors to be ended.
const MAX_LOOKS: usize = 1 << 20;

/// Where shards put it.
pub(crate) struct Desks {
    /// Whose connections are to be counted; absent: there is no registry to find
    /// them in.
    pub(crate) user_looks: Option<Looks>,
    /// Takes connections whose predecessors are to be ended; absent: there is no
    /// registry to find them in.
    pub(crate) claims: Option<Claims>,
    /// Takes orders of wills; absent likewise.
    pub(crate) wills: Option<Orders>,
    /// Takes tokens of connections that stay.
    pub(crate) refreshes: Refreshes,
}

/// Where the tasks find it.
pub(crate) struct Orderbooks {
    pub(crate) user_looks: Option<mpsc::Receiver<Look>>,
    pub(crate) claims: Option<mpsc::Receiver<Claim>>,
    pub(crate) wills: Option<mpsc::Receiver<Order>>,
    pub(crate) refreshes: mpsc::Receiver<Renewal>,
}

/// Makes the queues: those for what follows once a connection is in the registry
/// with room for every connection that may be open.
pub(crate) fn open(has_registry: bool, connection_limit: usize) -> (Desks, Orderbooks) {
    let room = connection_limit.clamp(1, MAX_LOOKS);
    let (user_looks, looked_at) = queue(has_registry, room);
    let (claims, claimed) = queue(has_registry, room);
    let (wills, ordered) = queue(has_registry, wills::WAITING);
    let (refreshes, renewals) = mpsc::channel(refreshing::WAITING);
    let desks = Desks {
        user_looks,
        claims,
        wills,
        refreshes,
    };
    let orderbooks = Orderbooks {
        user_looks: looked_at,
        claims: claimed,
        wills: ordered,
        refreshes: renewals,
    };
    (desks, orderbooks)
}

fn queue<T>(wanted: bool, room: usize) -> (Option<mpsc::Sender<T>>, Option<mpsc::Receiver<T>>) {
    wanted.then(|| mpsc::channel(room)).unzip()
}
