//! ListConnections: pages and filters over gateways that come and go.

use control::client::ConnectionServiceClient;
use tonic::{Code, transport::Channel};
use wire::{
    ConnectionId,
    control::{Connection, Label, ListConnectionsRequest},
};

use crate::{
    crowd::{connection, holding},
    plane::{Plane, timed},
};

type Client = ConnectionServiceClient<Channel>;

async fn start() -> (Plane, Client) {
    let plane = Plane::start().await;
    plane.serve_gateway("a", holding("a", 20));
    plane.serve_gateway("b", holding("b", 5));
    let client = ConnectionServiceClient::new(plane.connect().await);
    (plane, client)
}

fn pages_of(page_size: u32) -> ListConnectionsRequest {
    ListConnectionsRequest {
        page_size,
        ..ListConnectionsRequest::default()
    }
}

fn gold() -> Label {
    Label {
        name: "tier".into(),
        value: "gold".into(),
    }
}

/// One page, and the request for the next.
async fn page(
    client: &mut Client,
    mut request: ListConnectionsRequest,
) -> (Vec<Connection>, Option<ListConnectionsRequest>) {
    let page = client.list_connections(request.clone()).await;
    let page = page.expect("a page").into_inner();
    assert!(page.connections.len() <= request.page_size as usize);
    request.page_token = page.next_page_token;
    let next = (!request.page_token.is_empty()).then_some(request);
    (page.connections, next)
}

/// Ids of all pages.
async fn all(client: &mut Client, request: ListConnectionsRequest) -> Vec<String> {
    let mut listed = Vec::new();
    let mut next = Some(request);
    while let Some(request) = next {
        let (connections, following) = page(client, request).await;
        listed.extend(ids(&connections));
        next = following;
    }
    listed
}

fn ids(connections: &[Connection]) -> Vec<String> {
    let ids = connections
        .iter()
        .map(|connection| connection.connection_id.clone());
    ids.collect()
}

/// Ids of those connections of gateway `name` that pass.
fn expected(name: &str, count: u32, passes: impl Fn(u32) -> bool) -> Vec<String> {
    let slots = (0..count).filter(|slot| passes(*slot));
    slots
        .map(|slot| connection(name, slot).1.connection_id)
        .collect()
}

#[tokio::test]
async fn pages_go_through_all_gateways_in_order() {
    let (plane, mut client) = start().await;
    let expected = [expected("a", 20, |_| true), expected("b", 5, |_| true)].concat();
    // 5 and 20 end a page where a gateway ends.
    for page_size in [1, 3, 5, 20, 25, 100] {
        let listed = all(&mut client, pages_of(page_size)).await;
        assert_eq!(listed, expected, "pages of {page_size}");
    }
    let (connections, _) = page(&mut client, pages_of(25)).await;
    for connection in connections {
        let id: ConnectionId = connection.connection_id.parse().expect("an id");
        assert_eq!(connection.gateway, id.gateway.as_str());
    }
    plane.stop().await;
}

#[tokio::test]
async fn filters_narrow_the_list_together() {
    let (plane, mut client) = start().await;
    let in_room = |slot: u32| slot.is_multiple_of(5);
    let alices = |slot: u32| slot.is_multiple_of(2);
    let golden = |slot: u32| slot.is_multiple_of(3);
    for page_size in [1, 2, 100] {
        let mut request = pages_of(page_size);
        request.gateway = "b".into();
        let listed = all(&mut client, request.clone()).await;
        assert_eq!(listed, expected("b", 5, |_| true));

        request.channel = "room.1".into();
        let listed = all(&mut client, request.clone()).await;
        assert_eq!(listed, expected("b", 5, in_room));

        request.gateway = String::new();
        request.user = "alice".into();
        let listed = all(&mut client, request).await;
        let both = |slot| in_room(slot) && alices(slot);
        assert_eq!(
            listed,
            [expected("a", 20, both), expected("b", 5, both)].concat()
        );

        let mut request = pages_of(page_size);
        request.label = Some(gold());
        let listed = all(&mut client, request.clone()).await;
        assert_eq!(
            listed,
            [expected("a", 20, golden), expected("b", 5, golden)].concat()
        );

        request.user = "alice".into();
        let listed = all(&mut client, request).await;
        let both = |slot| golden(slot) && alices(slot);
        assert_eq!(
            listed,
            [expected("a", 20, both), expected("b", 5, both)].concat(),
            "pages of {page_size}"
        );
    }
    plane.stop().await;
}

#[tokio::test]
async fn only_gateways_that_hold_one_are_asked() {
    let plane = Plane::start().await;
    plane.directory.holders("alice", &["b"]);
    plane.directory.holders("tier=gold", &["a"]);
    let a = plane.serve_gateway("a", holding("a", 4));
    let b = plane.serve_gateway("b", holding("b", 4));
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let mut request = pages_of(100);
    request.user = "alice".into();
    let listed = all(&mut client, request.clone()).await;
    assert_eq!(listed, ["b.0.0.1", "b.0.2.1"]);
    assert_eq!((a.lock().len(), b.lock().len()), (0, 1));
    request.user = String::new();
    request.label = Some(gold());
    let listed = all(&mut client, request).await;
    assert_eq!(listed, ["a.0.0.1", "a.0.3.1"]);
    assert_eq!((a.lock().len(), b.lock().len()), (1, 1));
    plane.stop().await;
}

#[tokio::test]
async fn a_gateway_that_ended_holds_nobody() {
    let plane = Plane::start().await;
    plane.directory.knows(&["c", "b-ended", "a"]);
    plane.serve_gateway("a", holding("a", 3));
    plane.serve_gateway("c", holding("c", 3));
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let expected = [expected("a", 3, |_| true), expected("c", 3, |_| true)].concat();
    for page_size in [1, 3, 4, 100] {
        let listed = all(&mut client, pages_of(page_size)).await;
        assert_eq!(listed, expected, "pages of {page_size}");
    }
    plane.stop().await;
}

#[tokio::test]
async fn page_tokens_hold_while_gateways_come_and_go() {
    let plane = Plane::start().await;
    plane.directory.knows(&["b", "d"]);
    plane.serve_gateway("b", holding("b", 4));
    plane.serve_gateway("d", holding("d", 2));
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let (connections, next) = page(&mut client, pages_of(2)).await;
    assert_eq!(ids(&connections), ["b.0.0.1", "b.0.1.1"]);

    // The gateway that the token names ends; one comes before it, one behind.
    plane.directory.knows(&["a", "c", "d"]);
    plane.serve_gateway("a", holding("a", 2));
    plane.serve_gateway("c", holding("c", 1));
    let rest = all(&mut client, next.expect("more")).await;
    assert_eq!(rest, ["c.0.0.1", "d.0.0.1", "d.0.1.1"]);
    plane.stop().await;
}

#[tokio::test]
async fn a_part_never_passes_for_the_whole() {
    let plane = Plane::start().await;
    plane.serve_gateway("a", holding("a", 3));
    plane.serve_gateway("b", |_| None);
    let mut client = ConnectionServiceClient::new(plane.connect().await);
    let listed = client.list_connections(timed(pages_of(100))).await;
    let status = listed.expect_err("b is silent");
    assert_eq!(status.code(), Code::DeadlineExceeded);
    plane.stop().await;
}

#[tokio::test]
async fn malformed_lists_are_refused() {
    let (plane, mut client) = start().await;
    let list = ListConnectionsRequest::default;
    let label = Label::default();
    for (request, code) in [
        (pages_of(1001), Code::InvalidArgument),
        (
            ListConnectionsRequest {
                page_token: "made up".into(),
                ..list()
            },
            Code::InvalidArgument,
        ),
        (
            ListConnectionsRequest {
                gateway: "a.b".into(),
                ..list()
            },
            Code::InvalidArgument,
        ),
        (
            ListConnectionsRequest {
                label: Some(label),
                ..list()
            },
            Code::InvalidArgument,
        ),
        (
            ListConnectionsRequest {
                channel: "room.*".into(),
                ..list()
            },
            Code::InvalidArgument,
        ),
        (
            ListConnectionsRequest {
                channel: "lobby.1".into(),
                ..list()
            },
            Code::NotFound,
        ),
    ] {
        let status = client.list_connections(request.clone()).await;
        let status = status.expect_err("refused");
        assert_eq!(status.code(), code, "{request:?}");
    }
    plane.stop().await;
}
