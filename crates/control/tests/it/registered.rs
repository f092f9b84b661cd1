//! The control plane and the registry that gateways write.

use std::{collections::HashMap, sync::Arc};

use bus::{BusExt, Message, Pattern, Sink};
use control::client::{ConnectionServiceClient, GatewayServiceClient, SendServiceClient, reason};
use lifecycle::Scope;
use prost::Message as _;
use registry::{ConnectionRecord, EVENTS_PATTERN, GATEWAY_LOST, Reader, Registrar};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt;
use tonic::Code;
use wire::{
    SessionId, UserId,
    control::{
        ConnectionEvent, ConnectionEventKind, Label, ListGatewaysRequest, SendRequest,
        WatchRequest, send_request::Target, watch_response::Item,
    },
    gateway::{Level, RegisteredConnection},
};

use crate::{
    crowd::connection,
    plane::{Plane, gateway},
    sending::{empty, receipts},
};

const SESSION: SessionId = SessionId(0xab);

/// Registers for the gateway until `scope` ends.
fn registrar(plane: &Plane, name: &str, scope: &Scope) -> Arc<Registrar> {
    let registrar = Registrar::new(plane.bus.clone(), gateway(name), "1.2.3", 1_000);
    let registrar = Arc::new(registrar);
    let running = registrar.clone();
    scope.spawn_cancellable("registrar", async move { running.run(|| ()).await });
    registrar
}

/// Connects alice to the gateway `name`, with a label.
async fn connect(registrar: &Registrar, name: &str) -> ConnectionRecord {
    let (id, _) = connection(name, 1);
    let entry = RegisteredConnection {
        connection_id: id.to_string(),
        session_id: SESSION.to_string(),
        user: "alice".into(),
        labels: HashMap::from([("tier".to_owned(), "gold".to_owned())]),
        ..RegisteredConnection::default()
    };
    let record = ConnectionRecord {
        id,
        session: SESSION,
        user: UserId::new("alice").expect("valid"),
        entry,
    };
    let (tx, written) = oneshot::channel();
    let tell = Box::new(move || tx.send(()).expect("the test waits"));
    registrar.opened(record.clone(), Some(tell));
    written.await.expect("in memory");
    record
}

#[tokio::test]
async fn a_registered_connection_is_found_at_its_gateway_only() {
    let plane = Plane::start_registered().await;
    let others = plane.serve_gateway("a", empty);
    let asked = plane.serve_gateway("b", |_| receipts(&[("b.0.1.1", Level::Enqueued)]));
    let (a, b) = (
        registrar(&plane, "a", &plane.scope),
        registrar(&plane, "b", &plane.scope),
    );
    connect(&b, "b").await;
    let reader = Reader::new(plane.bus.clone());
    while reader
        .of_label("tier", "gold")
        .await
        .expect("in memory")
        .is_empty()
        || reader.gateways().await.expect("in memory").len() < 2
    {
        tokio::task::yield_now().await;
    }

    let mut client = SendServiceClient::new(plane.connect().await);
    let label = Label {
        name: "tier".into(),
        value: "gold".into(),
    };
    let send = |target| SendRequest {
        target: Some(target),
        ..SendRequest::default()
    };
    for target in [
        Target::User("alice".into()),
        Target::SessionId(SESSION.to_string()),
        Target::Label(label),
    ] {
        let sent = client.send(send(target)).await.expect("there");
        assert_eq!(sent.into_inner().receipts.len(), 1);
    }
    let status = client.send(send(Target::User("bob".into()))).await;
    let status = status.expect_err("not registered");
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status).as_deref(), Some("NOT_CONNECTED"));
    assert_eq!((others.lock().len(), asked.lock().len()), (0, 3));

    let mut client = GatewayServiceClient::new(plane.connect().await);
    let listed = client.list_gateways(ListGatewaysRequest {}).await;
    let listed = listed.expect("registered").into_inner().gateways;
    let names: Vec<&str> = listed.iter().map(|gateway| &*gateway.gateway).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(listed[0].version, "1.2.3");
    drop(a);
    plane.stop().await;
}

#[tokio::test]
async fn the_life_of_registered_connections_can_be_watched() {
    let plane = Plane::start_registered().await;
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let request = WatchRequest {
        user: "alice".into(),
    };
    let watched = client.watch(request).await.expect("watched");
    let mut events = watched.into_inner();
    let registrar = registrar(&plane, "b", &plane.scope);
    let record = connect(&registrar, "b").await;
    registrar.closed(record.clone(), "closed_by_peer");
    let mut ids = Vec::new();
    for (kind, cause) in [
        (ConnectionEventKind::Opened, ""),
        (ConnectionEventKind::Closed, "closed_by_peer"),
    ] {
        let next = events.next().await.expect("no end").expect("no error");
        let Some(Item::Event(event)) = next.item else {
            panic!("nothing was missed")
        };
        assert_eq!((event.kind(), &*event.cause), (kind, cause));
        let connection = event.connection.expect("named");
        assert_eq!(connection.connection_id, record.id.to_string());
        assert_eq!((&*connection.user, &*connection.gateway), ("alice", "b"));
        ids.push(event.event_id);
    }
    assert_ne!(ids[0], ids[1]);
    plane.stop().await;
}

/// Passes the ends of connections on.
struct Ends(mpsc::Sender<ConnectionEvent>);

impl Sink for Ends {
    fn deliver(&self, message: &Message) {
        let event = ConnectionEvent::decode(message.payload.clone()).expect("an event");
        if event.kind() == ConnectionEventKind::Closed {
            self.0.try_send(event).expect("one at most");
        }
    }

    fn lost(&self, _dropped: u64) {}
}

#[tokio::test(start_paused = true)]
async fn the_plane_buries_gateways_that_died() {
    let plane = Plane::start_registered().await;
    let (tx, mut ends) = mpsc::channel(1);
    let events = Pattern::new(EVENTS_PATTERN).expect("a pattern");
    let listening = plane.bus.listen(events, Arc::new(Ends(tx)));
    listening.await.expect("in memory");

    // It is killed: it does not say that it ends, and nobody serves its subject.
    let life = plane.scope.child("gateway");
    let registrar = registrar(&plane, "b", &life);
    let record = connect(&registrar, "b").await;
    let reader = Reader::new(plane.bus.clone());
    while reader.gateways().await.expect("in memory").is_empty() {
        tokio::task::yield_now().await;
    }
    life.cancel();

    let end = ends.recv().await.expect("told by the plane");
    assert_eq!(end.cause, GATEWAY_LOST);
    let connection = end.connection.expect("named");
    assert_eq!(connection.connection_id, record.id.to_string());
    while !reader.gateways().await.expect("in memory").is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(
        reader
            .of_user(&record.user)
            .await
            .expect("in memory")
            .is_empty()
    );
    plane.stop().await;
}
