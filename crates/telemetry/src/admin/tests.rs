//! The admin server over real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

struct Running {
    address: SocketAddr,
    health: Health,
    scope: Scope,
}

impl Running {
    async fn start() -> Self {
        let (health, scope) = (Health::default(), Scope::root());
        let metrics = Metrics::install().expect("the only recorder");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let admin = Admin::bind(any_port, metrics, health.clone())
            .await
            .expect("a free port");
        let address = admin.local_addr();
        scope.spawn("admin server", admin.run(scope.clone()));
        Self {
            address,
            health,
            scope,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("the server listens")
    }

    /// Sends `bytes` and returns all that comes back until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect().await;
        socket.write_all(bytes).await.expect("the server reads");
        let mut response = Vec::new();
        // A reset after the answer is a close too.
        let _ = socket.read_to_end(&mut response).await;
        String::from_utf8_lossy(&response).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n").as_bytes())
            .await
    }
}

#[tokio::test]
async fn probes_follow_the_conditions() {
    let server = Running::start().await;
    let bus = server.health.register("bus");
    assert!(server.get("/livez").await.starts_with("HTTP/1.1 200 "));
    assert!(server.get("/startupz").await.starts_with("HTTP/1.1 503 "));
    bus.set_ready();
    assert!(server.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(
        server
            .get("/metrics")
            .await
            .contains("\ntidegate_process_ready{condition=\"bus\"} 1\n")
    );
    bus.set_unready("disconnected");
    assert!(
        server
            .get("/metrics")
            .await
            .contains("\ntidegate_process_ready{condition=\"bus\"} 0\n")
    );
    let response = server.get("/readyz").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(
        response.contains(r#"{"name":"bus","ready":false,"reason":"disconnected"}"#),
        "{response}"
    );
    assert!(server.get("/startupz").await.starts_with("HTTP/1.1 200 "));
    assert!(server.get("/livez").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn metrics_are_served_in_the_prometheus_format() {
    let server = Running::start().await;
    metrics::counter!("tidegate_test_scrapes_total").increment(1);
    let response = server.get("/metrics").await;
    assert!(
        response.contains("content-type: text/plain; version=0.0.4"),
        "{response}"
    );
    assert!(
        response.contains("# TYPE tidegate_test_scrapes_total counter"),
        "{response}"
    );
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let server = Running::start().await;
    assert!(server.get("/").await.starts_with("HTTP/1.1 404 "));
    assert!(server.get("/metrics/x").await.starts_with("HTTP/1.1 404 "));
    let response = server
        .exchange(b"POST /metrics HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        .await;
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    assert!(response.contains("allow: GET, HEAD"), "{response}");
}

#[tokio::test]
async fn junk_is_answered_with_a_refusal_and_does_no_harm() {
    let server = Running::start().await;
    for junk in [
        b"\0\xff\x16\x03\x01 junk\r\n\r\n".as_slice(),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ] {
        let response = server.exchange(junk).await;
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 400 "),
            "{response}"
        );
    }
    assert!(server.get("/livez").await.starts_with("HTTP/1.1 200 "));
    assert_eq!(server.scope.panicked(), None);
}

#[tokio::test(start_paused = true)]
async fn silent_connections_at_the_cap_do_not_lock_others_out_for_ever() {
    let server = Running::start().await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS + 1 {
        silent.push(server.connect().await);
    }
    assert!(server.get("/livez").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test(start_paused = true)]
async fn half_a_request_head_is_closed_in_time() {
    let server = Running::start().await;
    let response = server.exchange(b"GET /livez HTTP/1.1\r\nhost: ").await;
    assert!(!response.contains("200"), "{response}");
}

#[tokio::test]
async fn cancelling_the_scope_closes_open_connections() {
    let server = Running::start().await;
    let mut open = server.connect().await;
    // Whoever is answered later was accepted later.
    server.get("/livez").await;
    assert_eq!(
        server.scope.drain(CONNECTION_TIMEOUT).await,
        lifecycle::DrainOutcome::Finished
    );
    assert!(matches!(open.read(&mut [0; 1]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn an_address_in_use_is_refused_by_name() {
    let server = Running::start().await;
    let metrics = Metrics::install().expect("the only recorder");
    let error = Admin::bind(server.address, metrics, Health::default())
        .await
        .expect_err("in use");
    assert!(error.to_string().contains(&server.address.to_string()));
}
