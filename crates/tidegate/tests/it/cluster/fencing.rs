//! A client comes back beside a connection that its gateway takes for alive.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use client::{Client, SubscriptionEvent};
use futures_util::StreamExt;
use lifecycle::Scope;
use testkit::{Cluster, eventually, within};
use tokio::{
    io::{DuplexStream, copy_bidirectional, duplex},
    net::TcpStream,
    sync::Notify,
};
use tonic::transport::Channel;
use wire::control::{Connection, ListConnectionsRequest};

use super::{cluster, connections, grpc, next, publish, subscribe};

const GATEWAYS: [&str; 2] = ["gw1", "gw2"];

/// The way to one gateway, and to the other from the second time on.
struct Road {
    addresses: [String; 2],
    dialled: AtomicUsize,
    /// The client's end goes, the gateway's stays.
    torn: Notify,
    scope: Scope,
}

// === impl Road ===

impl Road {
    fn through(cluster: &Cluster) -> Arc<Self> {
        let address = |gateway| {
            let url = cluster.client_url(gateway);
            let rest = url.strip_prefix("ws://").expect("a WebSocket URL");
            rest.split('/').next().expect("an address").to_owned()
        };
        Arc::new(Self {
            addresses: GATEWAYS.map(address),
            dialled: AtomicUsize::new(0),
            torn: Notify::new(),
            scope: Scope::root(),
        })
    }

    async fn dial(self: Arc<Self>) -> std::io::Result<DuplexStream> {
        let nth = self.dialled.fetch_add(1, Ordering::Relaxed).min(1);
        let mut gateway = TcpStream::connect(&self.addresses[nth]).await?;
        let (near, mut far) = duplex(64 << 10);
        let road = self.clone();
        self.scope.spawn_cancellable("relay", async move {
            tokio::select! {
                _ = copy_bidirectional(&mut far, &mut gateway) => return,
                () = road.torn.notified() => {}
            }
            drop(far);
            std::future::pending::<()>().await;
        });
        Ok(near)
    }
}

/// The connections that the gateways hold.
async fn held(control: &Channel) -> Vec<Connection> {
    let mut connections = connections(control);
    let listed = connections.list_connections(ListConnectionsRequest::default());
    listed.await.expect("listed").into_inner().connections
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_that_a_client_has_lost_unseen_is_ended_when_it_is_back() {
    let cluster = cluster(3, &GATEWAYS, &["control1"]).await;
    let control = grpc(&cluster, "control1").await;
    let road = Road::through(&cluster);
    let dialling = road.clone();
    let client = Client::builder("ws://gateway/v1/ws")
        .token(cluster.tokens.token("ann"))
        .dial(move || dialling.clone().dial())
        .connect();
    let client = within("a client", client).await.expect("connects");
    let mut subscription = subscribe(&client, "log.a").await;
    publish(&control, "log.a", "one").await.expect("published");
    assert_eq!(next(&mut subscription).await, "one");
    let first = held(&control).await;
    assert_eq!(first.len(), 1);

    road.torn.notify_one();
    let event = within("the subscription", subscription.next()).await;
    let is_again = matches!(event, Some(SubscriptionEvent::Resubscribed { .. }));
    assert!(is_again, "{event:?}");
    // The gateway itself would find out by a heartbeat that is not answered.
    eventually("only the newer connection is left", async || {
        let now = held(&control).await;
        now.len() == 1 && now[0].connection_id != first[0].connection_id
    })
    .await;
    let now = held(&control).await.remove(0);
    assert_eq!(now.session_id, first[0].session_id);
    assert_eq!((first[0].session_epoch, now.session_epoch), (1, 2));
    publish(&control, "log.a", "two").await.expect("published");
    assert_eq!(next(&mut subscription).await, "two");
    road.scope.cancel();
}
