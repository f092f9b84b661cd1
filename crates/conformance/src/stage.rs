//! Where a script plays: the program of the client on one side, its connections on
//! the other.

use std::{collections::VecDeque, future::Future, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, StatusCode},
    },
};
use wire::{
    Subprotocol,
    client::{Hello, Limits, Verdict, Welcome, server_event::Event},
};

use crate::{
    client::Client,
    contract::{Report, State, Task},
    fault::{Fault, Outcome, ensure, wrong},
    peer::Peer,
};

/// For each single wait; only reached by a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long nothing has to happen, where nothing may.
pub(crate) const QUIET: Duration = Duration::from_millis(600);

/// The channel of most scripts.
pub(crate) const CHANNEL: &str = "market.a";

/// Reports kept that nobody has asked for yet.
const MOST_REPORTS: usize = 10_000;

const PROTOCOL: &str = "sec-websocket-protocol";

/// See the module.
#[derive(Debug)]
pub(crate) struct Stage {
    client: Client,
    listener: TcpListener,
    /// Told and not asked for yet.
    reports: VecDeque<Report>,
    /// Connections welcomed so far; each ticket carries its number.
    welcomed: u32,
    pub(crate) limits: Limits,
}

/// How an upgrade is refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// Zero: it is not said.
    pub(crate) retry_after_ms: u32,
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    match timeout(PATIENCE, future).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::Late(what.to_owned())),
    }
}

// === impl Stage ===

impl Stage {
    /// # Errors
    /// If nobody can listen at `address`.
    pub(crate) async fn new(client: Client, address: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind(address).await.map_err(Fault::Listen)?;
        Ok(Self {
            client,
            listener,
            reports: VecDeque::new(),
            welcomed: 0,
            limits: Limits {
                heartbeat_ms: 25_000,
                ..Limits::default()
            },
        })
    }

    /// The address of a listener, as clients are given it.
    pub(crate) fn url_of(listener: &TcpListener) -> Outcome<String> {
        let address = listener.local_addr().map_err(Fault::Listen)?;
        Ok(format!("ws://{address}/v1/ws"))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Outcome<SocketAddr> {
        self.listener.local_addr().map_err(Fault::Listen)
    }

    // What the client is told, and tells.

    pub(crate) async fn tell(&mut self, task: Task) -> Outcome {
        self.client.tell(&task).await
    }

    pub(crate) async fn connect(&mut self) -> Outcome {
        let url = Self::url_of(&self.listener)?;
        self.tell(Task::Connect { url }).await
    }

    pub(crate) async fn call(&mut self, call: u32, payload: &str, key: &str) -> Outcome {
        let task = Task::Request {
            call,
            route: "echo".into(),
            payload: payload.into(),
            idempotency_key: key.into(),
        };
        self.tell(task).await
    }

    /// The next report of a kind. Those of other kinds stay.
    pub(crate) async fn report(
        &mut self,
        what: &str,
        kind: impl Fn(&Report) -> bool,
    ) -> Outcome<Report> {
        if let Some(index) = self.reports.iter().position(&kind) {
            return Ok(self.reports.remove(index).expect("just found"));
        }
        let next = async {
            loop {
                let report = self.client.report().await?;
                if kind(&report) {
                    return Ok(report);
                }
                ensure(self.reports.len() < MOST_REPORTS, || {
                    "endless reports".into()
                })?;
                self.reports.push_back(report);
            }
        };
        within(what, next).await
    }

    /// The next reports of channels are these, in this order.
    pub(crate) async fn sees(&mut self, expected: &[&str]) -> Outcome {
        for expected in expected {
            let what = format!("for the report `{expected}`");
            let report = self.report(&what, Report::is_of_channel).await?;
            compare(expected, &report)?;
        }
        Ok(())
    }

    /// The next reports of messages to the user are these, in this order.
    pub(crate) async fn gets(&mut self, expected: &[&str]) -> Outcome {
        for expected in expected {
            let what = format!("for the report `{expected}`");
            let report = self.report(&what, Report::is_direct).await?;
            compare(expected, &report)?;
        }
        Ok(())
    }

    /// No report of a channel is left.
    pub(crate) fn has_seen_no_more(&mut self) -> Outcome {
        self.has_not_told("something of a channel", Report::is_of_channel)
    }

    /// No report of a kind is left.
    pub(crate) fn has_not_told(&mut self, what: &str, kind: impl Fn(&Report) -> bool) -> Outcome {
        match self.reports.iter().find(|report| kind(report)) {
            None => Ok(()),
            Some(report) => wrong(format!("it told {what} that was none: `{report}`")),
        }
    }

    /// How an operation ended: its payload or its error.
    pub(crate) async fn answer(&mut self, of: u32) -> Outcome<Result<String, String>> {
        let what = format!("for the answer to call {of}");
        let is_its = |report: &Report| matches!(report, Report::Answer { call, .. } if *call == of);
        match self.report(&what, is_its).await? {
            Report::Answer { payload, error, .. } if error.is_empty() => Ok(Ok(payload)),
            Report::Answer { error, .. } => Ok(Err(error)),
            other => wrong(format!("not an answer: {other}")),
        }
    }

    /// An operation failed with this word.
    pub(crate) async fn fails(&mut self, of: u32, with: &str) -> Outcome {
        let answer = self.answer(of).await?;
        ensure(answer == Err(with.to_owned()), || {
            format!("expected that call {of} fails with {with}, got {answer:?}")
        })
    }

    /// An operation succeeded with this payload.
    pub(crate) async fn succeeds(&mut self, of: u32, with: &str) -> Outcome {
        let answer = self.answer(of).await?;
        ensure(answer == Ok(with.to_owned()), || {
            format!("expected that call {of} succeeds with {with:?}, got {answer:?}")
        })
    }

    /// Waits until the client says that it stands there; with `closed`, the code.
    pub(crate) async fn stands(&mut self, expected: State) -> Outcome<u16> {
        let what = format!("for the state {expected:?}");
        // As a whole: a client that comes and goes says something all the time.
        within(&what, self.comes_to_stand(expected, &what)).await
    }

    async fn comes_to_stand(&mut self, expected: State, what: &str) -> Outcome<u16> {
        loop {
            let is_state = |report: &Report| matches!(report, Report::State { .. });
            match self.report(what, is_state).await? {
                Report::State { state, code, .. } if state == expected => return Ok(code),
                Report::State {
                    state: State::Closed,
                    code,
                    ..
                } => {
                    return wrong(format!("the client closed for good ({code})"));
                }
                _ => {}
            }
        }
    }

    /// The client ends for good because of this code, and does not come back.
    pub(crate) async fn stays_away(&mut self, code: u16) -> Outcome {
        let told = self.stands(State::Closed).await?;
        ensure(told == code, || {
            format!("expected that the client closes with {code}, but it says {told}")
        })?;
        self.is_left_alone().await
    }

    // Its connections.

    /// Nobody dials for a while.
    pub(crate) async fn is_left_alone(&mut self) -> Outcome {
        match timeout(QUIET, self.listener.accept()).await {
            Err(_) => Ok(()),
            Ok(_) => wrong("the client connected although it must not"),
        }
    }

    /// The byte stream of the next connection.
    pub(crate) async fn dialled(&mut self) -> Outcome<TcpStream> {
        dialled(&self.listener).await
    }

    /// Upgrades the next connection.
    pub(crate) async fn accept(&mut self) -> Outcome<Peer> {
        let stream = self.dialled().await?;
        upgrade(stream).await
    }

    /// Refuses the next upgrade by status; a browser, which can't read one, is
    /// upgraded and given to the caller.
    pub(crate) async fn refuse(&mut self, refusal: Refusal) -> Outcome {
        let stream = self.dialled().await?;
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let refuse = |_: &Request, _: Response| Err(refusal.response());
        // The answer is written before the error is given.
        drop(
            within("for an upgrade request", async {
                Ok(accept_hdr_async(stream, refuse).await)
            })
            .await?,
        );
        Ok(())
    }

    /// Upgrades the next connection, takes its Hello and says Welcome.
    pub(crate) async fn welcome(&mut self) -> Outcome<(Peer, Hello)> {
        let peer = self.accept().await?;
        self.welcome_peer(peer).await
    }

    /// The same, for one that was upgraded.
    pub(crate) async fn welcome_peer(&mut self, mut peer: Peer) -> Outcome<(Peer, Hello)> {
        let hello = peer.hello().await?;
        let welcome = self.says_welcome();
        peer.max_message_bytes = self.limits.max_message_bytes as usize;
        peer.say([welcome]).await?;
        Ok((peer, hello))
    }

    /// The next connection's Welcome.
    pub(crate) fn says_welcome(&mut self) -> Event {
        self.welcomed += 1;
        Event::Welcome(Welcome {
            connection_id: format!("kit-0-0-{}", self.welcomed),
            session_id: "session".into(),
            user: "ann".into(),
            session_ticket: format!("ticket-{}", self.welcomed).into(),
            limits: Some(self.limits),
            capabilities: vec!["migrate".into()],
            gateway: "kit".into(),
            ..Welcome::default()
        })
    }

    /// A client that is connected.
    pub(crate) async fn connected(&mut self) -> Outcome<Peer> {
        self.connect().await?;
        let (peer, _) = self.welcome().await?;
        self.stands(State::Connected).await?;
        Ok(peer)
    }

    /// A client that is subscribed to [`CHANNEL`] at `offset` (0: it keeps no log), by
    /// alias 7.
    pub(crate) async fn subscribed(&mut self, offset: u64) -> Outcome<Peer> {
        let mut peer = self.connected().await?;
        let channel = CHANNEL.to_owned();
        self.tell(Task::Subscribe { channel }).await?;
        let since = peer.agree(Verdict::Fresh, offset, 7).await?;
        ensure(since.is_none(), || {
            format!("subscribed since {since:?}, never having been")
        })?;
        self.sees(&["subscribed fresh"]).await?;
        Ok(peer)
    }

    /// Loses the connection, and takes the Hello of the next one.
    pub(crate) async fn lose(&mut self, peer: Peer) -> Outcome<(Peer, Hello)> {
        drop(peer);
        self.welcome().await
    }
}

/// The byte stream of the next connection.
pub(crate) async fn dialled(listener: &TcpListener) -> Outcome<TcpStream> {
    within("for a connection", async {
        let (stream, _) = listener.accept().await.map_err(Fault::Listen)?;
        // Scripts are sequences of small messages.
        stream.set_nodelay(true).map_err(Fault::Listen)?;
        Ok(stream)
    })
    .await
}

/// Upgrades a connection, with the first subprotocol offered that there is.
pub(crate) async fn upgrade(stream: TcpStream) -> Outcome<Peer> {
    let mut chosen = None;
    let mut path = String::new();
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let choose = |request: &Request, mut response: Response| {
        request.uri().path().clone_into(&mut path);
        let offered = request
            .headers()
            .get(PROTOCOL)
            .and_then(|value| value.to_str().ok());
        let names = offered.unwrap_or_default().split(',').map(str::trim);
        chosen = names.filter_map(Subprotocol::from_name).next();
        if let Some(chosen) = chosen {
            let name = HeaderValue::from_static(chosen.name());
            response.headers_mut().insert(PROTOCOL, name);
        }
        Ok(response)
    };
    let upgraded = async { Ok(accept_hdr_async(stream, choose).await) };
    let stream = match within("for an upgrade request", upgraded).await? {
        Ok(stream) => stream,
        Err(error) => return wrong(format!("not an upgrade request: {error}")),
    };
    ensure(path == "/v1/ws", || {
        format!("asked for {path}, not for /v1/ws")
    })?;
    match chosen {
        Some(chosen) => Ok(Peer::new(stream, chosen)),
        None => wrong("offered no subprotocol of Tidegate's"),
    }
}

fn compare(expected: &str, report: &Report) -> Outcome {
    ensure(report.to_string() == expected, || {
        format!("expected the report `{expected}`, got `{report}`")
    })
}

// === impl Refusal ===

impl Refusal {
    fn response(self) -> ErrorResponse {
        let mut response = ErrorResponse::new(None);
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        if self.retry_after_ms != 0 {
            let headers = response.headers_mut();
            headers.insert("retry-after-ms", self.retry_after_ms.into());
            headers.insert("retry-after", self.retry_after_ms.div_ceil(1000).into());
        }
        response
    }
}
