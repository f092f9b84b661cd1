//! Tokens of connections that stay: verified on the front, which shards are spared.
//!
//! Bounded: [`WAITING`] in the queue, beyond which shards refuse them as
//! overloaded, and [`UNDER_WAY`] taken from it.

use std::{net::IpAddr, sync::Arc};

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::{
    authenticate::Attempt,
    gateway::Gateway,
    mailbox::Mailbox,
    shard::{ConnectionKey, Mail},
};

/// Tokens that may wait.
pub(crate) const WAITING: usize = 4096;

/// Tokens looked at together: some issuers' keys have to be fetched first.
const UNDER_WAY: usize = 256;

/// Takes tokens.
pub(crate) type Refreshes = mpsc::Sender<Renewal>;

/// A token that came in band.
pub(crate) struct Renewal {
    pub(crate) connection: ConnectionKey,
    /// Names the operation.
    pub(crate) id: u32,
    pub(crate) token: String,
    pub(crate) peer: IpAddr,
    pub(crate) client_name: Box<str>,
    /// Where the verdict goes.
    pub(crate) mailbox: Mailbox,
}

/// Verifies tokens until it is dropped.
pub(crate) async fn serve(gateway: Arc<Gateway>, renewals: mpsc::Receiver<Renewal>) {
    let gateway = &gateway;
    let verify = |renewal: Renewal| async move {
        let attempt = Attempt {
            token: &renewal.token,
            peer: renewal.peer,
            origin: None,
            client_name: &renewal.client_name,
        };
        let verdict = gateway.authenticate(attempt).await;
        renewal.mailbox.push(Mail::Refreshed {
            connection: renewal.connection,
            id: renewal.id,
            verdict,
        });
    };
    let renewals = ReceiverStream::new(renewals);
    renewals.for_each_concurrent(UNDER_WAY, verify).await;
}
