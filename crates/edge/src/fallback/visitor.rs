//! The requests of one HTTP connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth::Handle;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN},
};
use lifecycle::Scope;
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};
use wire::{
    EventId, Subprotocol,
    gateway::{
        Carried, CarriedOutcome, CarryPoll, CarrySend, command::Command, command_reply::Reply,
    },
};

use super::{
    POLL_PATH, SEND_PATH, SSE_PATH,
    carriers::{Answer, Ask, Carriers, carried},
    http::{self, Body, Problem, Refused},
    opening::{NotOpened, Opening},
    pair::Pair,
    polling::Polling,
    streaming::{Streaming, Teller},
    watching::{END, Watcher, Wish},
};
use crate::{
    front::{Caller, ConnectionSlot, Refusal, Visit, admit, check_origin, token},
    gateway::Gateway,
    peers,
    transport::Transport,
};

/// A message with Hello, whatever `max_message` says.
const MAX_FIRST_BYTES: usize = 16 << 10;

/// How long a gateway may take to take a send.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a poll may wait at another gateway: nobody says that it has died.
const ELSEWHERE: Duration = Duration::from_secs(8);

/// How much longer than a poll the way to another gateway may take.
const WAY: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Visitor<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    /// What carries connections belongs to it.
    pub(super) scope: &'a Scope,
    pub(super) peer: SocketAddr,
    /// A lock because hyper's services are shared; never contended, never held for long.
    pub(super) standing: Mutex<Standing<'a>>,
}

/// What the connection has at the gateway.
pub(super) struct Standing<'a> {
    /// A place for the connection that it may open, or why there is none; given away
    /// with the first one.
    pub(super) place: Option<Result<ConnectionSlot, Refusal>>,
    /// Until it has shown something valid.
    pub(super) visit: Option<Visit<'a>>,
    /// What the connection is to be from now on, instead of one of requests.
    pub(super) stream: Option<Begun>,
}

/// A stream that has begun: the head of the answer, and what comes behind it.
pub(super) struct Begun {
    pub(super) head: Vec<u8>,
    pub(super) streaming: Streaming,
}

/// No answer comes from here: the connection is a stream now.
#[derive(Debug, thiserror::Error)]
#[error("the connection is a stream of events")]
pub(super) struct BecomesStream;

type Answered = Result<Response<Body>, Refused>;

// === impl Visitor ===

impl Visitor<'_> {
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BecomesStream> {
        let origin = request.headers().get(ORIGIN).cloned();
        let allowed = &self.gateway.config.allowed_origins;
        if let Err(refusal) = check_origin(request.headers(), allowed) {
            return Ok(Refused::from(refusal).response());
        }
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, ());
        let answered = self.serve(&request, body).await;
        let mut response = answered.unwrap_or_else(|refused| refused.response());
        if let Some(origin) = origin {
            http::share(response.headers_mut(), origin);
        }
        match &mut self.standing.lock().stream {
            Some(begun) => {
                begun.head = http::written(&response);
                Err(BecomesStream)
            }
            None => Ok(response),
        }
    }

    async fn serve(&self, request: &Request<()>, body: Incoming) -> Answered {
        match (request.method(), request.uri().path()) {
            (&Method::OPTIONS, SSE_PATH | POLL_PATH | SEND_PATH) => Ok(http::preflight()),
            (&Method::GET, SSE_PATH) => self.watch(request).await,
            (&Method::POST, SSE_PATH) => self.stream(request, body).await,
            (&Method::POST, POLL_PATH) if request.headers().contains_key(http::HANDLE) => {
                self.poll(request).await
            }
            (&Method::POST, POLL_PATH) => self.begin_polling(request, body).await,
            (&Method::POST, SEND_PATH) => self.send(request, body).await,
            (_, SSE_PATH | POLL_PATH | SEND_PATH) => Err(Problem::Method.into()),
            _ => Err(Problem::NotFound.into()),
        }
    }

    /// Channels as events that people can read.
    async fn watch(&self, request: &Request<()>) -> Answered {
        let since = match request.headers().get(http::LAST_EVENT_ID) {
            None => EventId::default(),
            // No reader shall come back for ever to what is over (WHATWG HTML 9.2.3).
            Some(id) if id.as_bytes() == END.as_bytes() => {
                return Ok(http::empty(StatusCode::NO_CONTENT));
            }
            Some(id) => {
                let id = id.to_str().ok().and_then(|id| id.parse().ok());
                id.ok_or(Problem::EventId)?
            }
        };
        let query = request.uri().query().unwrap_or_default();
        let wish = Wish {
            token: token(request).unwrap_or_default(),
            channels: Wish::channels(query).ok_or(Problem::Channels)?,
            since,
        };
        let codec = Subprotocol::Protobuf;
        let pair = self
            .open(request, Transport::Sse, codec, wish.message())
            .await?;
        let watcher = Box::new(Watcher::new(wish.since));
        Ok(self.start(pair, Teller::Readably(watcher)))
    }

    /// The protocol, down by events.
    async fn stream(&self, request: &Request<()>, body: Incoming) -> Answered {
        let codec = codec(request.headers())?;
        let first = self.read(body, MAX_FIRST_BYTES).await?;
        let pair = self
            .open(request, Transport::Sse, codec, first.into())
            .await?;
        Ok(self.start(pair, Teller::Plainly(codec)))
    }

    /// Has the connection become a stream; gives the head of the answer.
    fn start(&self, pair: Pair, teller: Teller) -> Response<Body> {
        let (entry, asks) = Carriers::enter(self.gateway, Transport::Sse);
        let streaming = Streaming {
            pair,
            entry,
            asks,
            teller,
        };
        let head = Vec::new();
        self.standing.lock().stream = Some(Begun { head, streaming });
        http::events_head()
    }

    /// The protocol, down by answers to polls; this is the first of them.
    async fn begin_polling(&self, request: &Request<()>, body: Incoming) -> Answered {
        let config = &self.gateway.config;
        let codec = codec(request.headers())?;
        let first = self.read(body, MAX_FIRST_BYTES).await?;
        let pair = self
            .open(request, Transport::LongPolling, codec, first.into())
            .await?;
        let (entry, asks) = Carriers::enter(self.gateway, Transport::LongPolling);
        let number = entry.number;
        let polling = Polling {
            pair,
            entry,
            asks,
            codec,
            absence: config.heartbeat * 2,
        };
        self.scope.spawn_cancellable("long-polling", polling.run());
        let mut response = polled(self.poll_here(number, 0).await)?;
        // Its place is the connection's now: whatever else comes, comes anew.
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(response)
    }

    async fn poll(&self, request: &Request<()>) -> Answered {
        let handle = self.handle(request.headers())?;
        let cursor = number(request.headers(), &http::CURSOR)?;
        if handle.gateway == self.gateway.config.gateway {
            return polled(self.poll_here(handle.number, cursor).await);
        }
        let patience = self.gateway.config.poll.min(ELSEWHERE);
        let poll = Command::CarryPoll(CarryPoll {
            number: handle.number.to_be_bytes().to_vec().into(),
            cursor,
            patience_ms: u32::try_from(patience.as_millis()).unwrap_or(u32::MAX),
        });
        polled(self.ask_elsewhere(&handle, poll, patience + WAY).await?)
    }

    async fn poll_here(&self, number: u128, cursor: u64) -> Carried {
        let (answer, answered) = oneshot::channel();
        let poll = Ask::Poll {
            cursor,
            patience: self.gateway.config.poll,
            answer: Answer::Here(answer),
        };
        self.gateway.carriers.ask(number, poll);
        // The connection keeps to its patience; without an answer it has ended.
        answered.await.unwrap_or_else(|_| gone())
    }

    /// What a client of this or another gateway says.
    async fn send(&self, request: &Request<()>, body: Incoming) -> Answered {
        let handle = self.handle(request.headers())?;
        let sequence = number(request.headers(), &http::SEQUENCE)?;
        let text = codec(request.headers())?.is_text();
        let limit = self.gateway.config.websocket.max_message_bytes;
        let message = self.read(body, limit).await?;
        if handle.gateway != self.gateway.config.gateway {
            let send = Command::CarrySend(CarrySend {
                number: handle.number.to_be_bytes().to_vec().into(),
                sequence,
                message,
                text,
            });
            let carried = self.ask_elsewhere(&handle, send, PATIENCE).await?;
            return self.sent(&carried);
        }
        let (answer, answered) = oneshot::channel();
        let send = Ask::Send {
            sequence,
            message,
            text,
            answer: Answer::Here(answer),
        };
        self.gateway.carriers.ask(handle.number, send);
        match timeout(PATIENCE, answered).await {
            Ok(carried) => self.sent(&carried.unwrap_or_else(|_| gone())),
            Err(_) => Err(Problem::Unreachable.into()),
        }
    }

    fn sent(&self, carried: &Carried) -> Answered {
        self.gateway.carriers.count(carried.outcome());
        match carried.outcome() {
            CarriedOutcome::Done => Ok(http::empty(StatusCode::NO_CONTENT)),
            CarriedOutcome::OutOfOrder => Err(Problem::Sequence(carried.expected_sequence).into()),
            outcome => Err(problem(outcome).into()),
        }
    }

    /// Opens a connection, in the place that this one has.
    async fn open(
        &self,
        request: &Request<()>,
        transport: Transport,
        codec: Subprotocol,
        message: Vec<u8>,
    ) -> Result<Pair, Refused> {
        let gateway = self.gateway;
        let peer = (gateway.config.proxies).of_request(self.peer, request.headers());
        if let Some(visit) = &self.standing.lock().visit {
            visit.comes_from(gateway.door.prefix(peer.ip()));
        }
        if gateway.drain.refuses() {
            return Err(Refusal::Draining.turned(gateway).into());
        }
        let place = self.standing.lock().place.take();
        let mut slot = match place {
            Some(Ok(slot)) => slot,
            Some(Err(refusal)) => return Err(refusal.turned(gateway).into()),
            None => return Err(Refusal::Full.turned(gateway).into()),
        };
        admit(gateway, peer.ip(), &mut slot, request)?;
        let opening = Opening {
            transport,
            codec,
            message,
            caller: Caller::of(peer.ip(), request.headers()),
            peer,
        };
        match opening.go(gateway, slot).await {
            Ok(pair) => {
                drop(self.standing.lock().visit.take());
                Ok(pair)
            }
            Err(NotOpened::Later(later)) => Err(later.into()),
            Err(NotOpened::Exhausted) => Err(Refusal::Full.turned(gateway).into()),
        }
    }

    async fn ask_elsewhere(
        &self,
        handle: &Handle,
        command: Command,
        patience: Duration,
    ) -> Result<Carried, Problem> {
        let asking = peers::ask_within(self.gateway, &handle.gateway, command, patience);
        match asking.await {
            Ok(Some(Reply::Carried(carried))) => Ok(carried),
            // Nobody of this name lives.
            Ok(None) => Ok(gone()),
            Ok(Some(_)) | Err(_) => Err(Problem::Unreachable),
        }
    }

    /// The connection that a request names. Who can name one is no stranger.
    fn handle(&self, headers: &HeaderMap) -> Result<Handle, Problem> {
        let text = headers.get(http::HANDLE).ok_or(Problem::Header)?;
        let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| Problem::Handle)?;
        let handle = self.gateway.config.tickets.open_handle(&sealed);
        let handle = handle.map_err(|_| Problem::Handle)?;
        drop(self.standing.lock().visit.take());
        Ok(handle)
    }

    async fn read(&self, body: Incoming, limit: usize) -> Result<Bytes, Problem> {
        let reading = Limited::new(body, limit).collect();
        match timeout(self.gateway.config.handshake_timeout, reading).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::TooLarge),
            Ok(Err(_)) | Err(_) => Err(Problem::TooSlow),
        }
    }
}

fn codec(headers: &HeaderMap) -> Result<Subprotocol, Problem> {
    let value = headers.get(CONTENT_TYPE).ok_or(Problem::ContentType)?;
    let value = value.to_str().map_err(|_| Problem::ContentType)?;
    match value.split(';').next().map(str::trim_end) {
        Some("application/json") => Ok(Subprotocol::Json),
        Some("application/x-protobuf") => Ok(Subprotocol::Protobuf),
        _ => Err(Problem::ContentType),
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    let number = value.and_then(|value| value.parse().ok());
    number.ok_or(Problem::Header)
}

fn gone() -> Carried {
    carried(CarriedOutcome::Gone)
}

fn polled(carried: Carried) -> Answered {
    match carried.outcome() {
        CarriedOutcome::Done => Ok(http::page(carried.body)),
        CarriedOutcome::OutOfOrder => Err(Problem::Cursor.into()),
        outcome => Err(problem(outcome).into()),
    }
}

fn problem(outcome: CarriedOutcome) -> Problem {
    match outcome {
        CarriedOutcome::Gone => Problem::Gone,
        CarriedOutcome::Busy => Problem::OverRate,
        CarriedOutcome::Mismatch => Problem::Codec,
        // Of a gateway that is not of our version.
        _ => Problem::Unreachable,
    }
}
