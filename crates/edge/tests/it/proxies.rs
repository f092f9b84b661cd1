//! Whose connection it is when proxies speak for others.

use testkit::{Dial, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wire::gateway::{ListConnections, command, command_reply::Reply};

use crate::gateway::Gateway;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of the PROXY protocol, for a client at this address.
fn header(client: [u8; 4]) -> Vec<u8> {
    let ports = [0x12, 0x34, 0, 80];
    let addresses = [&client[..], &[10, 0, 0, 1], &ports].concat();
    [SIGNATURE, &[0x21, 0x11, 0, 12], &addresses].concat()
}

/// Behind proxies in 127.0.1.0/24.
async fn proxied(header_required: bool, per_address: usize) -> Gateway {
    Gateway::start(|config| {
        config.proxies.trusted = vec!["127.0.1.0/24".parse().expect("a network")];
        config.proxies.header_required = header_required;
        config.admission.connections_per_address = per_address;
    })
    .await
}

/// What the gateway says of where the user is.
async fn address_of(gateway: &Gateway, user: &str) -> String {
    let all = command::Command::ListConnections(ListConnections::default());
    let Reply::ConnectionPage(page) = gateway.command(all).await else {
        panic!("a list was asked for");
    };
    let mut all = page.connections.into_iter();
    let connection = all.find(|it| it.user == user).expect("it is listed");
    connection.remote_address
}

async fn enter(gateway: &Gateway, dial: Dial, user: &str) -> String {
    let mut client = dial.connect().await;
    client.hello(&gateway.tokens.token(user)).await;
    let address = address_of(gateway, user).await;
    client.leave().await;
    address
}

#[tokio::test]
async fn forwarded_addresses_count_only_from_trusted_proxies() {
    let gateway = proxied(false, 0).await;
    let from = |last| gateway.dial().from([127, 0, 1, last]);
    let forwarded = |dial: Dial, text| dial.header("X-Forwarded-For", text);
    let dial = forwarded(from(1), "6.6.6.6, 203.0.113.9, 127.0.1.7");
    assert_eq!(enter(&gateway, dial, "alice").await, "203.0.113.9:0");
    let dial = forwarded(gateway.dial().from([127, 0, 2, 1]), "203.0.113.9");
    let own = enter(&gateway, dial, "bob").await;
    assert!(own.starts_with("127.0.2.1:"), "{own}");
    let own = enter(&gateway, forwarded(from(1), "what?"), "carol").await;
    assert!(own.starts_with("127.0.1.1:"), "{own}");
    gateway.finish().await;
}

#[tokio::test]
async fn a_proxy_header_says_who_the_client_is_and_nothing_behind_it_is_lost() {
    let gateway = proxied(true, 0).await;
    let dial = || gateway.dial().from([127, 0, 1, 1]);
    let own = dial().prelude(header([203, 0, 113, 9]));
    assert_eq!(enter(&gateway, own, "alice").await, "203.0.113.9:4660");
    // The proxy's own connection, with something that does not matter in it.
    let local = dial().prelude([SIGNATURE, &[0x20, 0, 0, 3, 1, 2, 3]].concat());
    let own = enter(&gateway, local, "bob").await;
    assert!(own.starts_with("127.0.1.1:"), "{own}");
    // A header that names another proxy of ours, which speaks HTTP.
    let two = dial().prelude(header([127, 0, 1, 9]));
    let two = two.header("X-Forwarded-For", "198.51.100.1");
    assert_eq!(enter(&gateway, two, "carol").await, "198.51.100.1:0");
    gateway.drain().await;
}

#[tokio::test]
async fn where_proxies_are_required_nobody_else_is_heard() {
    let gateway = proxied(true, 0).await;
    let inside = || gateway.dial().from([127, 0, 1, 1]);
    let outside = gateway.dial().from([127, 0, 2, 1]);
    let udp = [SIGNATURE, &[0x21, 0x12, 0, 12], &[0; 12]].concat();
    for (dial, prelude) in [
        (outside, header([203, 0, 113, 9])),
        (inside(), Vec::new()),
        (
            inside(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\n".to_vec(),
        ),
        (inside(), udp),
        (inside(), [SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat()),
    ] {
        let mut stream = dial.open().await;
        let bytes = [&prelude[..], dial.text().as_bytes()].concat();
        // The gateway may hang up in the middle.
        let _ = stream.write_all(&bytes).await;
        let mut answer = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    }
    let good = inside().prelude(header([203, 0, 113, 9]));
    enter(&gateway, good, "alice").await;
    gateway.drain().await;
}

#[tokio::test]
async fn connections_of_one_address_are_capped_and_others_are_not_touched() {
    let gateway = proxied(false, 2).await;
    let dial = |client| {
        let dial = gateway.dial().from([127, 0, 1, 1]);
        dial.header("X-Forwarded-For", client)
    };
    let first = dial("203.0.113.9").connect().await;
    let _second = dial("203.0.113.9").connect().await;
    let answer = dial("203.0.113.9").refused().await;
    assert_eq!(
        (answer.status, answer.code()),
        (503, "address_connections".into())
    );
    assert!(answer.header("retry-after-ms").is_some());
    // Scripts in browsers learn it by Closing.
    let browser = dial("203.0.113.9").header("Origin", "http://gateway");
    let close = browser.connect().await.expect_close().await;
    assert_eq!((close.code, close.cause()), (4107, "admission_rate"));
    let _other = dial("203.0.113.8").connect().await;
    drop(first);
    eventually("a place is free again", async || {
        dial("203.0.113.9").try_connect().await.is_ok()
    })
    .await;
    gateway.drain().await;
}
