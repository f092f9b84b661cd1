//! The admin HTTP server: `/metrics`, `/livez`, `/readyz`, `/startupz`.
//!
//! Ends when its scope is cancelled; drain that scope last, so that probes see
//! the process not ready, but alive, while it drains.

use std::{convert::Infallible, fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::Scope;
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{Health, Metrics, health::Report};

/// Probes and scrapers need a few; the rest waits in the listen queue.
const MAX_CONNECTIONS: usize = 64;

/// A probe or scraper is on the same network.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest life of a connection, which serves one request. Bounds what a peer
/// that reads slowly can hold.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after a failed accept: usually the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const TEXT: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// The admin server, bound but not yet running.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    local_addr: SocketAddr,
    pages: Pages,
}

/// A page of another part of the process, rendered for each request.
#[derive(Clone)]
pub struct Page {
    /// Where it is, e.g. `/.well-known/jwks.json`.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// How long whoever asks may keep it.
    pub max_age: Duration,
    /// Makes it; must not block.
    pub render: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The admin port could not be bound.
#[derive(Debug, Error)]
#[error("could not bind the admin server to {address}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// What the server shows; the place for further routes.
#[derive(Clone, Debug)]
struct Pages {
    metrics: Metrics,
    health: Health,
    others: Vec<Page>,
}

// === impl Admin ===

impl Admin {
    /// Binds the port; 0 takes a free one.
    ///
    /// # Errors
    /// If the address is not ours or is in use.
    pub async fn bind(
        address: SocketAddr,
        metrics: Metrics,
        health: Health,
    ) -> Result<Self, BindError> {
        let bind = async {
            let listener = TcpListener::bind(address).await?;
            let local_addr = listener.local_addr()?;
            Ok(Self {
                listener,
                local_addr,
                pages: Pages {
                    metrics,
                    health,
                    others: Vec::new(),
                },
            })
        };
        bind.await.map_err(|source| BindError { address, source })
    }

    /// Serves one page more.
    #[must_use]
    pub fn with_page(mut self, page: Page) -> Self {
        self.pages.others.push(page);
        self
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `scope` is cancelled, then drops open connections.
    pub async fn run(self, scope: Scope) {
        let connections = scope.contained_child("admin");
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let accept = async {
            loop {
                let permit = Arc::clone(&permits)
                    .acquire_owned()
                    .await
                    .expect("never closed");
                match self.listener.accept().await {
                    Ok((socket, _)) => {
                        let serve = serve(socket, self.pages.clone());
                        connections.spawn_cancellable("admin connection", async move {
                            serve.await;
                            drop(permit);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "admin server could not accept");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            () = scope.cancelled() => {}
            () = accept => {}
        }
    }
}

async fn serve(socket: TcpStream, pages: Pages) {
    let service = service_fn(move |request| {
        let response = pages.respond(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(socket), service);
    // How a peer's connection fails is of no use to anyone.
    let _ = timeout(CONNECTION_TIMEOUT, connection).await;
}

// === impl Pages ===

impl Pages {
    fn respond(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let render: Box<dyn Fn() -> Response<Full<Bytes>> + '_> = match path {
            "/metrics" => Box::new(|| {
                self.health.record();
                page(StatusCode::OK, PROMETHEUS, self.metrics.render())
            }),
            "/livez" => Box::new(|| page(StatusCode::OK, TEXT, "alive\n")),
            "/readyz" => Box::new(|| report(&self.health.readiness())),
            "/startupz" => Box::new(|| report(&self.health.startup())),
            _ => match self.others.iter().find(|page| page.path == path) {
                Some(other) => Box::new(|| other.respond()),
                None => return page(StatusCode::NOT_FOUND, TEXT, "no such page\n"),
            },
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return render();
        }
        let mut refusal = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "read only\n");
        refusal
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        refusal
    }
}

// === impl Page ===

impl Page {
    fn respond(&self) -> Response<Full<Bytes>> {
        let mut response = page(StatusCode::OK, self.content_type, (self.render)());
        let kept = format!("public, max-age={}", self.max_age.as_secs());
        let kept = HeaderValue::try_from(kept).expect("digits");
        response.headers_mut().insert(CACHE_CONTROL, kept);
        response
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.path, f)
    }
}

fn report(report: &Report) -> Response<Full<Bytes>> {
    let status = if report.ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    page(
        status,
        JSON,
        serde_json::to_vec(report).expect("plain data"),
    )
}

fn page(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests;
