//! Three gateways, two control planes, three nats-servers: one Tidegate.

use client::DirectEvent;
use futures_util::StreamExt;
use testkit::eventually;
use wire::control::{
    CountConnectionsRequest, DeliveryLevel, ListConnectionsRequest, SendRequest,
    send_request::Target,
};
use worker::{Request, Worker};

use super::{cluster, connect, connections, grpc, next, publish, sending, subscribe};

const GATEWAYS: [&str; 3] = ["gw1", "gw2", "gw3"];

#[tokio::test(flavor = "multi_thread")]
async fn three_gateways_and_two_control_planes_are_one() {
    let cluster = cluster(3, &GATEWAYS, &["control1", "control2"]).await;
    let (first, second) = (
        grpc(&cluster, "control1").await,
        grpc(&cluster, "control2").await,
    );
    let mut clients = Vec::new();
    for (gateway, user) in GATEWAYS.into_iter().zip(["ann", "bob", "cy"]) {
        clients.push(connect(&cluster, gateway, user).await);
    }

    // A publication by either control plane reaches subscribers everywhere,
    // with a log and without, by subscription of the channel or the namespace.
    for channel in ["live.a", "room.a", "log.a"] {
        let mut subscriptions = Vec::new();
        for client in &clients {
            subscriptions.push(subscribe(client, channel).await);
        }
        publish(&first, channel, "one").await.expect("published");
        publish(&second, channel, "two").await.expect("published");
        for subscription in &mut subscriptions {
            // Two control planes have no order between them but that of the
            // bus, where the first publication was accepted before the second.
            assert_eq!(next(subscription).await, "one", "{channel}");
            assert_eq!(next(subscription).await, "two", "{channel}");
        }
        // And a client's own reaches all the others.
        clients[0]
            .publish(channel, "three")
            .await
            .expect("accepted");
        for subscription in &mut subscriptions {
            assert_eq!(next(subscription).await, "three", "{channel}");
        }
    }

    // A request from any gateway reaches a worker anywhere.
    let bus = cluster.nats.bus().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = Worker::new("shop").on("buy", |request: Request| async move {
        Ok(format!("{} bought", request.user().expect("authenticated")).into())
    });
    let serving = worker.start(&bus).expect("starts");
    let asked = async {
        for (client, user) in clients.iter().zip(["ann", "bob", "cy"]) {
            eventually("the worker answers", async || {
                let answer = client.request("shop.buy", "x").await;
                answer.is_ok_and(|answer| answer == format!("{user} bought"))
            })
            .await;
        }
        drop(stop);
    };
    tokio::join!(serving.until(async { drop(stopped.await) }), asked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_targeted_send_concerns_only_the_gateway_that_holds_the_user() {
    let cluster = cluster(1, &GATEWAYS, &["control1", "control2"]).await;
    let control = grpc(&cluster, "control2").await;
    let bob = connect(&cluster, "gw2", "bob").await;
    let _ann = connect(&cluster, "gw1", "ann").await;
    let mut direct = bob.direct();
    let send = SendRequest {
        target: Some(Target::User("bob".into())),
        payload: "for bob".into(),
        level: DeliveryLevel::Acknowledged.into(),
        ..SendRequest::default()
    };
    // The registry is written behind the data path, so it may be a moment late.
    let before = commands(&cluster, ["gw1", "gw3"]).await;
    let mut receipts = Vec::new();
    let taken = async {
        eventually("bob is found", async || {
            match sending(&control).send(send.clone()).await {
                Ok(answer) => {
                    receipts = answer.into_inner().receipts;
                    true
                }
                Err(status) => {
                    assert_eq!(status.code(), tonic::Code::NotFound, "{status}");
                    false
                }
            }
        })
        .await;
    };
    let read = async { testkit::within("the message", direct.next()).await };
    let (_, message) = tokio::join!(taken, read);
    assert!(
        matches!(&message, Some(DirectEvent::Message(direct)) if direct.payload == "for bob"),
        "{message:?}"
    );
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].level(), DeliveryLevel::Acknowledged);
    assert_eq!(
        commands(&cluster, ["gw1", "gw3"]).await,
        before,
        "others were not asked"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_counts_cover_all_gateways() {
    let cluster = cluster(1, &GATEWAYS, &["control1"]).await;
    let control = grpc(&cluster, "control1").await;
    let mut clients = Vec::new();
    for number in 0..9 {
        clients.push(connect(&cluster, GATEWAYS[number % 3], &format!("user{number}")).await);
    }
    eventually("all are counted", async || {
        let request = CountConnectionsRequest::default();
        let count = connections(&control).count_connections(request).await;
        count.is_ok_and(|count| count.into_inner().connections == 9)
    })
    .await;
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListConnectionsRequest {
            page_size: 2,
            page_token,
            ..ListConnectionsRequest::default()
        };
        let page = connections(&control)
            .list_connections(request)
            .await
            .expect("listed");
        let page = page.into_inner();
        seen.extend(
            page.connections
                .into_iter()
                .map(|connection| connection.user),
        );
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    seen.sort_unstable();
    let expected: Vec<_> = (0..9).map(|number| format!("user{number}")).collect();
    assert_eq!(seen, expected);
}

/// Commands that these gateways have got.
async fn commands<const N: usize>(cluster: &testkit::Cluster, gateways: [&str; N]) -> f64 {
    let mut sum = 0.0;
    for gateway in gateways {
        let process = cluster.process(gateway);
        sum += process
            .metric("tidegate_edge_commands_total", &["command=\"deliver\""])
            .await;
    }
    sum
}
