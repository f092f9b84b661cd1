//! WillService.

use std::{sync::Arc, time::Duration};

use bus::{Bus, Subject};
use control::client::WillServiceClient;
use tonic::Code;
use wills::{Armory, NewWill};
use wire::{
    SessionId, UserId,
    control::{ListWillsRequest, WillState},
};

use crate::plane::Plane;

fn will(user: &str, session: u128) -> NewWill {
    NewWill {
        user: UserId::new(user).expect("valid"),
        session: SessionId(session),
        connection: "a.0.1.1".parse().expect("valid"),
        route: "orders.cancel".to_owned(),
        subject: Subject::of_route("orders.cancel").expect("valid"),
        payload: "all".into(),
        grace: Duration::from_secs(5),
        deadline: Duration::from_secs(5),
        redelivers: false,
    }
}

#[tokio::test]
async fn wills_are_listed_by_user_and_without_their_payload() {
    let plane = Plane::start().await;
    let bus: Arc<dyn Bus> = plane.bus.clone();
    wills::declare(&*bus).await.expect("memory has tables");
    let armory = Armory::new(bus);
    for (user, session) in [("ann", 1), ("ann", 2), ("ben", 3)] {
        armory.arm(will(user, session)).await.expect("armed");
    }
    let mut client = WillServiceClient::new(plane.connect().await);
    let list = |user: &str, limit| ListWillsRequest {
        user: user.to_owned(),
        limit,
    };
    let all = client.list_wills(list("", 0)).await.expect("listed");
    assert_eq!((all.get_ref().wills.len(), all.get_ref().more), (3, false));
    let one = client.list_wills(list("", 1)).await.expect("listed");
    assert_eq!((one.get_ref().wills.len(), one.get_ref().more), (1, true));
    let bens = client.list_wills(list("ben", 0)).await.expect("listed");
    let bens = bens.into_inner().wills;
    assert_eq!(bens.len(), 1);
    assert_eq!(bens[0].session_id, SessionId(3).to_string());
    assert_eq!(
        (&*bens[0].route, bens[0].grace_ms),
        ("orders.cancel", 5_000)
    );
    assert_eq!(bens[0].state(), WillState::Armed);
    let refused = client.list_wills(list("\n", 0)).await;
    let status = refused.expect_err("that is nobody");
    assert_eq!(status.code(), Code::InvalidArgument);
    plane.stop().await;
}
