//! From the URL to Welcome, and to the end.

use std::time::Duration;

use client::{Client, Error, State};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use wire::{
    CloseCause,
    client::{Limits, client_event::Event},
};

use crate::scripted::{connect, connected, gateway, response, state_that};

#[tokio::test(start_paused = true)]
async fn connect_returns_after_welcome_with_the_ids_it_gave() {
    let (mut gateway, builder) = gateway();
    let ((_connection, hello), client) =
        tokio::join!(gateway.hello(Limits::default()), builder.connect());
    assert_eq!(hello.token, "t");
    assert_eq!(hello.client_name, "tidegate-rust");
    let expected = State::Connected {
        connection_id: "gw.0.0.0".into(),
        session_id: "s".into(),
        degraded: false,
    };
    assert_eq!(*client.expect("connects").state().borrow(), expected);
}

#[tokio::test]
async fn a_plain_url_is_dialled_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("bound");
    let refuse = async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.expect("reads");
        let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(refusal).await.expect("writes");
        String::from_utf8_lossy(&request[..length]).to_lowercase()
    };
    let builder = Client::builder(&format!("ws://{address}/v1/ws"));
    let (request, refused) = tokio::join!(refuse, builder.connect());
    assert!(request.starts_with("get /v1/ws http/1.1\r\n"), "{request}");
    assert!(request.contains("sec-websocket-protocol: tidegate.v1.protobuf\r\n"));
    let error = refused.expect_err("403");
    assert!(!error.retryable());
    assert!(error.to_string().contains("403"), "{error}");
}

#[tokio::test]
async fn urls_that_cannot_be_dialled_are_refused_at_once() {
    let nobody = Client::builder("wss://example.org/v1/ws").root_certificates("");
    let error = nobody.connect().await;
    assert!(matches!(error, Err(Error::Tls { .. })));
    for url in ["", "example.org", "http://example.org/v1/ws", "/v1/ws"] {
        let error = Client::builder(url).connect().await;
        assert!(matches!(error, Err(Error::InvalidUrl { .. })), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_fails_connect_for_good() {
    let (mut gateway, builder) = gateway();
    let refuse = async {
        let mut connection = gateway.accept().await;
        connection.expect().await;
        connection.close(CloseCause::InvalidToken, 0).await;
    };
    let ((), refused) = tokio::join!(refuse, builder.connect());
    let Err(Error::Connect(ending)) = refused else {
        panic!("not refused: {refused:?}");
    };
    assert_eq!(ending.code(), CloseCause::InvalidToken.code());
    assert_eq!(ending.cause(), "invalid_token");
    assert!(!ending.may_reconnect());
    assert!(gateway.is_left_alone().await);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_says_welcome_is_given_up() {
    let (mut gateway, builder) = gateway();
    let builder = builder.connect_timeout(Duration::from_secs(3));
    let (_connection, late) = tokio::join!(gateway.accept(), builder.connect());
    assert!(late.expect_err("too late").retryable());
}

#[tokio::test(start_paused = true)]
async fn json_says_the_same_as_text() {
    let (gateway, builder) = gateway();
    let (_gateway, mut connection, client) =
        connect(gateway, builder.json(), Limits::default()).await;
    let (answer, ()) = tokio::join!(client.request("echo", "hi"), async {
        let Event::Request(request) = connection.expect().await else {
            panic!("a request");
        };
        assert_eq!(request.payload, "hi");
        connection.send([response(request.id, "hi")]).await;
    });
    assert_eq!(answer.expect("answered"), "hi");
}

#[tokio::test(start_paused = true)]
async fn close_says_goodbye_and_fails_what_is_in_flight() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let (called, (), code) = tokio::join!(
        client.request("slow", ""),
        async {
            tokio::task::yield_now().await;
            client.close().await;
        },
        async {
            connection.request().await;
            connection.closed().await
        },
    );
    assert!(matches!(called, Err(Error::Closed(_))), "{called:?}");
    assert_eq!(code, 1000);
    assert!(matches!(*client.state().borrow(), State::Closed { .. }));
    assert!(matches!(
        client.publish("a.b", "").await,
        Err(Error::Closed(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_even_if_the_window_is_full() {
    let limits = Limits {
        max_in_flight: 1,
        ..Limits::default()
    };
    let (_gateway, mut connection, client) = connected(limits).await;
    tokio::select! {
        answer = client.request("slow", "") => panic!("nobody answered: {answer:?}"),
        _ = connection.request() => {}
    }
    drop(client);
    assert_eq!(connection.closed().await, 1000);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_closes_the_connection() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let clone = client.clone();
    let mut state = client.state();
    drop(client);
    assert!(connection.is_quiet().await);
    drop(clone);
    assert_eq!(connection.closed().await, 1000);
    state_that(&mut state, |state| matches!(state, State::Closed { .. })).await;
}
