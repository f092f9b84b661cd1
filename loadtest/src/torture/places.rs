//! Where the processes are that take clients and backends now, as a load balancer
//! would know: it changes while the run goes on.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use testkit::{Rate, Throttled};
use tokio::{net::TcpSocket, time::sleep};

/// Clients are throttled by tenths.
pub(super) const GROUPS: usize = 10;

/// Kernel receive buffer of a client: small, so that a slow one is felt.
const RECEIVE_BUFFER: u32 = 32 * 1024;

/// While nobody is there.
const NOBODY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(super) struct Places {
    // Locks because every actor looks and the faults write; held for a look only.
    gateways: Mutex<Vec<Option<SocketAddr>>>,
    controls: Mutex<Vec<Option<SocketAddr>>>,
    rates: [Rate; GROUPS],
}

// === impl Places ===

impl Places {
    pub(super) fn new(gateways: usize, controls: usize) -> Arc<Self> {
        Arc::new(Self {
            gateways: Mutex::new(vec![None; gateways]),
            controls: Mutex::new(vec![None; controls]),
            rates: Default::default(),
        })
    }

    pub(super) fn set_gateway(&self, index: usize, place: Option<SocketAddr>) {
        self.gateways.lock().expect("nothing panics under it")[index] = place;
    }

    pub(super) fn set_control(&self, index: usize, place: Option<SocketAddr>) {
        self.controls.lock().expect("nothing panics under it")[index] = place;
    }

    /// How fast a tenth of the clients reads.
    pub(super) fn rate(&self, group: usize) -> Rate {
        self.rates[group % GROUPS].clone()
    }

    /// A socket to any gateway.
    pub(super) async fn dial(&self, rate: Rate) -> io::Result<Throttled<tokio::net::TcpStream>> {
        let Some(place) = any(&self.gateways) else {
            sleep(NOBODY).await;
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let stream = socket.connect(place).await?;
        stream.set_nodelay(true)?;
        Ok(Throttled::new(stream, rate))
    }

    /// Any control plane.
    pub(super) fn control(&self) -> Option<SocketAddr> {
        any(&self.controls)
    }
}

fn any(places: &Mutex<Vec<Option<SocketAddr>>>) -> Option<SocketAddr> {
    let places = places.lock().expect("nothing panics under it");
    let there: Vec<_> = places.iter().copied().flatten().collect();
    (!there.is_empty()).then(|| there[fastrand::usize(..there.len())])
}
