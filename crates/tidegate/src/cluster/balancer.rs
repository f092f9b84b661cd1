//! A small TCP balancer: new connections go in turn to the processes that say
//! they are ready. For development; in production that is somebody else's job.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use lifecycle::Scope;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

/// How often readiness is asked for.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// How long an answer may take.
const CHECK_LIMIT: Duration = Duration::from_secs(1);

/// Where new connections may go. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Targets(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    // A lock: taken once per connection and check, never while waiting.
    targets: Mutex<BTreeMap<String, Target>>,
    turn: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
struct Target {
    address: SocketAddr,
    /// Where `/readyz` is.
    admin: SocketAddr,
    ready: bool,
}

// === impl Targets ===

impl Targets {
    /// Adds a process that has just said that it serves, or its successor.
    pub fn insert(&self, name: &str, address: SocketAddr, admin: SocketAddr) {
        let target = Target {
            address,
            admin,
            ready: true,
        };
        self.0.targets.lock().insert(name.to_owned(), target);
    }

    /// Takes out a process that has ended.
    pub fn remove(&self, name: &str) {
        self.0.targets.lock().remove(name);
    }

    /// The ready ones, beginning with the one whose turn it is.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let targets = self.0.targets.lock();
        let ready = targets.values().filter(|target| target.ready);
        let mut addresses: Vec<_> = ready.map(|target| target.address).collect();
        drop(targets);
        if !addresses.is_empty() {
            let turn = self.0.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
        addresses
    }

    /// Asks all of them, for ever, whether they are ready.
    async fn check_forever(&self) {
        loop {
            sleep(CHECK_INTERVAL).await;
            let all: Vec<_> = {
                let targets = self.0.targets.lock();
                let admin = |(name, target): (&String, &Target)| (name.clone(), target.admin);
                targets.iter().map(admin).collect()
            };
            // At once: one that hangs must not delay what is known of the others.
            join_all(all.iter().map(|(name, admin)| self.check(name, *admin))).await;
        }
    }

    async fn check(&self, name: &str, admin: SocketAddr) {
        let ready = matches!(timeout(CHECK_LIMIT, is_ready(admin)).await, Ok(Ok(true)));
        if let Some(target) = self.0.targets.lock().get_mut(name)
            && target.admin == admin
        {
            target.ready = ready;
        }
    }
}

/// Binds the port and passes connections on until the scope ends.
///
/// # Errors
/// If the port can't be bound.
pub async fn serve(
    port: u16,
    targets: Targets,
    name: &'static str,
    scope: &Scope,
) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .with_context(|| format!("binding port {port} for {name}"))?;
    let address = listener.local_addr()?;
    let checked = targets.clone();
    scope.spawn_cancellable(format!("check-{name}"), async move {
        checked.check_forever().await;
    });
    let links = scope.contained_child(name);
    scope.spawn_cancellable(format!("balance-{name}"), async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let addresses = targets.in_turn();
                    links.spawn_cancellable("link", pass_on(stream, addresses));
                }
                Err(error) => {
                    // Out of descriptors, most likely: accepting at once again
                    // would spin.
                    tracing::warn!(%error, "accept failed");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    });
    Ok(address)
}

/// Connects to the first that takes it; without any the connection ends.
async fn pass_on(mut from: TcpStream, addresses: Vec<SocketAddr>) {
    for address in addresses {
        if let Ok(mut to) = TcpStream::connect(address).await {
            // Latency matters more than packets here; and either end may go
            // away at any time.
            let _ = (from.set_nodelay(true), to.set_nodelay(true));
            let _ = copy_bidirectional(&mut from, &mut to).await;
            return;
        }
    }
}

/// Whether `GET /readyz` answers 200.
async fn is_ready(admin: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(admin).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: tidegate\r\nConnection: close\r\n\r\n")
        .await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(head.ends_with(b" 200"))
}
