//! Verifies tokens away from the shards: a signature costs tens of
//! microseconds, in which a shard could serve a hundred messages.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    gateway::Gateway,
    shard::{ConnectionKey, Mail},
};

/// Tokens that may wait for one shard. Full: the connection is turned away
/// and told to come back.
const QUEUE: usize = 16_384;

/// A token to verify for a connection of the shard that owns the queue.
#[derive(Debug)]
pub(crate) struct Verification {
    pub(crate) connection: ConnectionKey,
    pub(crate) token: String,
}

/// A shard's end of its queue.
pub(crate) type VerifyQueue = mpsc::Sender<Verification>;

/// The task's end of a shard's queue.
pub(crate) struct VerifyTask(mpsc::Receiver<Verification>);

/// Makes the queue of one shard.
pub(crate) fn queue() -> (VerifyQueue, VerifyTask) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    (sender, VerifyTask(receiver))
}

// === impl VerifyTask ===

impl VerifyTask {
    /// Verifies for `shard`; ends when the shard does.
    pub(crate) async fn run(mut self, gateway: Arc<Gateway>, shard: usize) {
        while let Some(Verification { connection, token }) = self.0.recv().await {
            let outcome = gateway.verify(&token).map(Box::new);
            gateway.shards[shard].mailbox.push(Mail::Verified {
                connection,
                outcome,
            });
            // Verifying never waits, so it must give way by itself.
            tokio::task::yield_now().await;
        }
    }
}
