//! Who is in a channel.

use std::{sync::Arc, time::Duration};

use control::client::{ChannelServiceClient, reason};
use presence::{Member, Roster, Settings};
use tokio::time::timeout;
use tonic::Code;
use wire::{
    Channel, ConnectionId, GatewayId, SessionId, UserId,
    control::{PresenceRequest, PresenceResponse},
};

use crate::plane::{Plane, config};

fn of(channel: &str, limit: u32) -> PresenceRequest {
    PresenceRequest {
        channel: channel.to_owned(),
        limit,
    }
}

fn member(number: u32, gateway: &GatewayId) -> Member {
    Member {
        user: UserId::new(&format!("user{}", number % 2)).expect("valid"),
        session: SessionId(number.into()),
        connection: ConnectionId {
            gateway: gateway.clone(),
            shard: 0,
            slot: number,
            generation: 1,
        },
    }
}

#[tokio::test]
async fn a_gateway_that_has_members_says_who_is_there() {
    let mut config = config();
    config.presence.push("room".into());
    let plane = Plane::start_with(config, None, None).await;
    let mut client = ChannelServiceClient::new(plane.connect().await);
    let nobody = client.presence(of("room.1", 10)).await.expect("answered");
    assert_eq!(nobody.into_inner(), PresenceResponse::default());

    let gateway = GatewayId::new("gw1").expect("valid");
    let settings = Settings {
        tick: Duration::from_millis(10),
        ..Settings::default()
    };
    let bus = plane.bus.clone();
    let roster = Roster::new(bus, gateway.clone(), settings, Box::new(|_, _| {}));
    let running = Arc::clone(&roster).run(std::future::pending());
    plane.scope.spawn_cancellable("presence", running);
    let channel = Channel::parse("room.1", 255).expect("valid");
    for number in 0..3 {
        roster.enter(&channel, member(number, &gateway));
    }
    let found = timeout(Duration::from_secs(10), async {
        loop {
            let answer = client.presence(of("room.1", 2)).await;
            let found = answer.expect("answered").into_inner();
            if found.sessions == 3 {
                return found;
            }
        }
    });
    let found = found.await.expect("they are found");
    assert_eq!(
        (found.users, found.members.len(), found.sampled),
        (2, 2, true)
    );
    let counted = client.presence(of("room.1", 0)).await.expect("answered");
    let counted = counted.into_inner();
    assert_eq!((counted.sessions, counted.members.len()), (3, 0));
    plane.stop().await;
}

#[tokio::test]
async fn only_of_channels_that_have_it() {
    let plane = Plane::start().await;
    let mut client = ChannelServiceClient::new(plane.connect().await);
    for (channel, code, why) in [
        ("room.1", Code::FailedPrecondition, "NO_PRESENCE"),
        ("nowhere.1", Code::NotFound, "UNKNOWN_NAMESPACE"),
        ("room.*", Code::InvalidArgument, "INVALID_CHANNEL"),
    ] {
        let refused = client.presence(of(channel, 1)).await.expect_err("refused");
        assert_eq!(refused.code(), code, "{channel}");
        assert_eq!(reason(&refused).as_deref(), Some(why));
    }
    plane.stop().await;
}
