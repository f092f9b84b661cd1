//! Disconnect: what clients are told.

use wire::gateway::Disconnected;

use super::*;

async fn close(gateway: &Gateway, may_reconnect: bool, close_code: u32) -> Reply {
    let disconnect = Disconnect {
        target: to_user("alice"),
        reason: "tidying up".into(),
        may_reconnect,
        close_code,
    };
    gateway.command(Command::Disconnect(disconnect)).await
}

#[tokio::test]
async fn disconnected_clients_are_told_why_and_whether_to_come_back() {
    let gateway = Gateway::start(|config| config.shards = 2).await;
    for (may_reconnect, asked, code, cause) in [
        (false, 0, 4006, "disconnected_by_server"),
        (true, 0, 4104, "reconnect_requested"),
        (false, 4099, 4099, "disconnected_by_server"),
        (true, 4150, 4150, "reconnect_requested"),
    ] {
        let (mut one, mut two) = (gateway.client("alice").await, gateway.client("alice").await);
        let mut bob = gateway.client("bob").await;
        let closed = close(&gateway, may_reconnect, asked).await;
        assert_eq!(closed, Reply::Disconnected(Disconnected { count: 2 }));
        for client in [&mut one, &mut two] {
            let close = client.expect_close().await;
            assert_eq!((close.code, close.cause()), (code, cause));
            assert_eq!(close.reason, "tidying up");
            let closing = close.closing.expect("told");
            assert_eq!(closing.message, "tidying up");
            assert_eq!(closing.retry_after_ms > 0, may_reconnect);
        }
        bob.send(testkit::ping(1)).await;
        assert_eq!(bob.pong().await.nonce, 1);
        bob.leave().await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn close_codes_that_are_not_the_callers_are_refused() {
    let gateway = Gateway::start(|_| {}).await;
    let mut alice = gateway.client("alice").await;
    for (may_reconnect, code) in [
        (false, 1000),
        (false, 4001),
        (false, 4049),
        (false, 4100),
        (false, 4150),
        (true, 4050),
        (true, 4149),
        (true, 4200),
        (true, 65_536 + 4150),
    ] {
        let refused = close(&gateway, may_reconnect, code).await;
        assert!(matches!(refused, Reply::Failure(_)), "{code}: {refused:?}");
    }
    alice.send(testkit::ping(1)).await;
    assert_eq!(alice.pong().await.nonce, 1);
    gateway.finish().await;
}
