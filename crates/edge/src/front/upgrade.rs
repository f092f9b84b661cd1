//! Decides on an upgrade request (RFC 6455 section 4.2): who may have a
//! WebSocket, with which subprotocol and with what token.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, RETRY_AFTER},
};
use wire::Subprotocol;

use super::{
    admission::{Later, Reason},
    farewell::millis,
    hello::Caller,
    places::ConnectionSlot,
};
use crate::gateway::Gateway;

/// Where clients connect.
pub(crate) const WEBSOCKET_PATH: &str = "/v1/ws";

/// Where conformance suites connect, if the configuration allows it.
const ECHO_PATH: &str = "/v1/echo";

const PROTOCOL_HEADER: &str = "sec-websocket-protocol";

/// A session ticket in base64 (RFC 4648 section 5, without padding), so that its
/// holder is let in before new clients. Hello must bring it again.
const TICKET_HEADER: &str = "tidegate-ticket";

/// The same for browsers, which can't set headers here.
const TICKET_PARAMETER: &str = "session_ticket=";

/// An upgrade that got its 101.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// A client of ours.
    Client {
        subprotocol: Subprotocol,
        /// Absent: Hello will bring it.
        token: Option<String>,
        caller: Caller,
    },
    /// A conformance suite: send every message back.
    Echo,
    /// To be told to come back, in the way that scripts in browsers can read.
    PutOff {
        subprotocol: Subprotocol,
        later: Later,
    },
}

/// A request that is refused.
#[derive(Debug)]
pub(crate) struct Turned {
    pub(crate) refusal: Refusal,
    /// When to come back.
    pub(crate) after: Option<Duration>,
}

/// Why a request is refused; a metric label and the body's `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    Method,
    NotWebSocket,
    Version,
    Key,
    Origin,
    Subprotocol,
    Full,
    Draining,
    AdmissionRate,
    AddressRate,
    AddressConnections,
    Memory,
    Flapping,
}

/// Accepts the request with its 101 response, or says why not.
pub(crate) fn decide<B>(
    gateway: &Gateway,
    peer: IpAddr,
    slot: &mut ConnectionSlot,
    request: &mut Request<B>,
) -> Result<(Accepted, Response<Full<Bytes>>), Turned> {
    let echo = match request.uri().path() {
        WEBSOCKET_PATH => false,
        // Some suites can only be given a host and a port.
        ECHO_PATH | "/" if gateway.config.echo => true,
        _ => return Err(Refusal::NotFound.into()),
    };
    check_handshake(request)?;
    check_origin(request.headers(), &gateway.config.allowed_origins)?;
    if echo {
        return Ok((Accepted::Echo, switch(request, None)?));
    }
    let (subprotocol, answer) =
        choose_subprotocol(request.headers(), gateway.config.default_subprotocol)?;
    if let Err(later) = admit(gateway, peer, slot, request) {
        // Scripts in browsers see no HTTP status, and no headers.
        if !request.headers().contains_key(ORIGIN) {
            return Err(later.into());
        }
        let put_off = Accepted::PutOff { subprotocol, later };
        return Ok((put_off, switch(request, answer)?));
    }
    let caller = Caller::of(peer, request.headers());
    let token = token(request);
    let response = switch(request, answer)?;
    let client = Accepted::Client {
        subprotocol,
        token,
        caller,
    };
    Ok((client, response))
}

/// Lets a client in, in the place of `slot`, or says when it may come back.
pub(crate) fn admit<B>(
    gateway: &Gateway,
    peer: IpAddr,
    slot: &mut ConnectionSlot,
    request: &Request<B>,
) -> Result<(), Later> {
    let returns = returns(gateway, request);
    let is_short = gateway.budget.is_short(returns);
    match gateway.places.settle(slot, gateway.door.prefix(peer)) {
        true => gateway.door.admit(peer, returns, is_short),
        false => Err(gateway.door.crowded(returns)),
    }
}

/// Builds the answer to a refused request.
pub(crate) fn refuse(turned: &Turned) -> Response<Full<Bytes>> {
    let refusal = turned.refusal;
    let body = serde_json::json!({ "code": refusal.label(), "message": refusal.message() });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // One request a connection. Said here and not by a switch of the HTTP
    // server, which would say it beside `upgrade` as well: clients refuse that.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    match refusal {
        Refusal::Version => {
            drop(headers.insert("sec-websocket-version", HeaderValue::from_static("13")))
        }
        Refusal::NotWebSocket => {
            drop(headers.insert("upgrade", HeaderValue::from_static("websocket")))
        }
        _ => {}
    }
    if let Some(after) = turned.after {
        let ms = millis(after);
        headers.insert(RETRY_AFTER, u64::from(ms.div_ceil(1000)).into());
        // A place in line: whole seconds would bring all of a second's clients back
        // at once. Who goes elsewhere has none, and spreads its tries by itself.
        if refusal != Refusal::Draining {
            headers.insert("retry-after-ms", ms.into());
        }
    }
    response
}

fn check_handshake<B>(request: &Request<B>) -> Result<(), Refusal> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Refusal::Method);
    }
    if !fastwebsockets::upgrade::is_upgrade_request(request) {
        return Err(Refusal::NotWebSocket);
    }
    if headers
        .get("sec-websocket-version")
        .map(HeaderValue::as_bytes)
        != Some(b"13")
    {
        return Err(Refusal::Version);
    }
    // 16 bytes in base64 (RFC 6455 section 4.1, item 7).
    let key = headers.get("sec-websocket-key").map(HeaderValue::as_bytes);
    if key.is_some_and(|key| key.len() == 24 && key.ends_with(b"==")) {
        Ok(())
    } else {
        Err(Refusal::Key)
    }
}

pub(crate) fn check_origin(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().map_err(|_| Refusal::Origin)?;
    let same_host = || {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let origin_host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == origin_host
    };
    let listed = allowed
        .iter()
        .any(|entry| entry == "*" || entry.eq_ignore_ascii_case(origin));
    if listed || same_host() {
        Ok(())
    } else {
        Err(Refusal::Origin)
    }
}

/// The client's first offer that we know; its name is echoed only if offered.
fn choose_subprotocol(
    headers: &HeaderMap,
    default: Option<Subprotocol>,
) -> Result<(Subprotocol, Option<Subprotocol>), Refusal> {
    let mut offered = false;
    for header in headers.get_all(PROTOCOL_HEADER) {
        for name in header.to_str().unwrap_or("").split(',') {
            offered = true;
            if let Some(subprotocol) = Subprotocol::from_name(name.trim()) {
                return Ok((subprotocol, Some(subprotocol)));
            }
        }
    }
    match default {
        Some(default) if !offered => Ok((default, None)),
        _ => Err(Refusal::Subprotocol),
    }
}

/// The token, from the Authorization header or the `access_token` parameter
/// (RFC 6750 sections 2.1 and 2.3): browsers can't set headers here.
pub(crate) fn token<B>(request: &Request<B>) -> Option<String> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some((scheme, token)) = header.and_then(|value| value.split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(token.trim().to_owned());
    }
    let query = request.uri().query()?;
    // A JWT holds nothing that percent-encoding would change.
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("access_token="))
        .map(str::to_owned)
}

/// Whether the client comes back to a session. That it is its user's own is seen
/// when Hello brings the ticket again.
fn returns<B>(gateway: &Gateway, request: &Request<B>) -> bool {
    let parameter = || {
        let mut pairs = request.uri().query()?.split('&');
        pairs.find_map(|pair| pair.strip_prefix(TICKET_PARAMETER))
    };
    let header = request.headers().get(TICKET_HEADER);
    let sealed = match header {
        Some(value) => Some(value.as_bytes()),
        None => parameter().map(str::as_bytes),
    };
    sealed
        .and_then(|sealed| URL_SAFE_NO_PAD.decode(sealed).ok())
        .is_some_and(|sealed| {
            let tickets = &gateway.config.tickets;
            tickets.open(&sealed, SystemTime::now()).is_ok()
        })
}

fn switch<B>(
    request: &mut Request<B>,
    answer: Option<Subprotocol>,
) -> Result<Response<Full<Bytes>>, Refusal> {
    let (response, _upgraded) =
        fastwebsockets::upgrade::upgrade(request).map_err(|_| Refusal::Key)?;
    let (mut parts, _) = response.into_parts();
    if let Some(subprotocol) = answer {
        parts.headers.insert(
            PROTOCOL_HEADER,
            HeaderValue::from_static(subprotocol.name()),
        );
    }
    Ok(Response::from_parts(parts, Full::new(Bytes::new())))
}

// === impl Refusal ===

impl Refusal {
    /// Every refusal, for metrics.
    pub(crate) const ALL: [Self; 14] = [
        Self::NotFound,
        Self::Method,
        Self::NotWebSocket,
        Self::Version,
        Self::Key,
        Self::Origin,
        Self::Subprotocol,
        Self::Full,
        Self::Draining,
        Self::AdmissionRate,
        Self::AddressRate,
        Self::AddressConnections,
        Self::Memory,
        Self::Flapping,
    ];

    /// Stable name.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Method => "method_not_allowed",
            Self::NotWebSocket => "not_a_websocket_request",
            Self::Version => "unsupported_websocket_version",
            Self::Key => "invalid_websocket_key",
            Self::Origin => "origin_not_allowed",
            Self::Subprotocol => "unknown_subprotocol",
            Self::Full => "too_many_connections",
            Self::Draining => "draining",
            Self::AdmissionRate => "admission_rate",
            Self::AddressRate => "address_rate",
            Self::AddressConnections => "address_connections",
            Self::Memory => "memory",
            Self::Flapping => "flapping",
        }
    }

    /// With what the client needs to know of it.
    pub(crate) fn turned(self, gateway: &Gateway) -> Turned {
        let after = match self {
            Self::Full => Some(gateway.door.full()),
            // Another gateway has room now.
            Self::Draining => Some(Duration::from_secs(1)),
            _ => None,
        };
        Turned {
            refusal: self,
            after,
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotWebSocket | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Key | Self::Subprotocol => StatusCode::BAD_REQUEST,
            Self::Origin => StatusCode::FORBIDDEN,
            Self::Full
            | Self::Draining
            | Self::AdmissionRate
            | Self::AddressRate
            | Self::AddressConnections
            | Self::Memory
            | Self::Flapping => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::NotFound => "clients connect to /v1/ws",
            Self::Method => "use GET",
            Self::NotWebSocket => "this address speaks WebSocket: send an upgrade request",
            Self::Version => "only WebSocket version 13 is spoken here",
            Self::Key => "Sec-WebSocket-Key must be 16 bytes in base64",
            Self::Origin => "the Origin is not in the gateway's allow-list",
            Self::Subprotocol => "offer the subprotocol tidegate.v1.protobuf or tidegate.v1.json",
            Self::Full => "the gateway holds as many connections as it may",
            Self::Draining => "the gateway is going away: try another one",
            Self::AdmissionRate => "the gateway takes no more connections at the moment",
            Self::AddressRate => "too many connections are made from this address",
            Self::AddressConnections => "too many connections are held from this address",
            Self::Memory => "too much waits for those who are connected",
            Self::Flapping => "connections were made and left too often",
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Rate => Self::AdmissionRate,
            Reason::AddressRate => Self::AddressRate,
            Reason::AddressConnections => Self::AddressConnections,
            Reason::Memory => Self::Memory,
            Reason::Flapping => Self::Flapping,
        }
    }
}

// === impl Turned ===

impl From<Refusal> for Turned {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            after: None,
        }
    }
}

impl From<Later> for Turned {
    fn from(later: Later) -> Self {
        Self {
            refusal: later.reason.into(),
            after: Some(later.after),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("valid header"));
        headers
    }

    #[test]
    fn the_first_known_subprotocol_offered_is_taken() {
        let offer = headers(
            PROTOCOL_HEADER,
            "graphql-ws, tidegate.v1.json, tidegate.v1.protobuf",
        );
        let json = (Subprotocol::Json, Some(Subprotocol::Json));
        assert_eq!(choose_subprotocol(&offer, None), Ok(json));
    }

    #[test]
    fn the_default_serves_only_those_who_offer_nothing() {
        let default = Some(Subprotocol::Protobuf);
        assert_eq!(
            choose_subprotocol(&HeaderMap::new(), default),
            Ok((Subprotocol::Protobuf, None))
        );
        assert_eq!(
            choose_subprotocol(&HeaderMap::new(), None),
            Err(Refusal::Subprotocol)
        );
        let stranger = headers(PROTOCOL_HEADER, "mqtt");
        assert_eq!(
            choose_subprotocol(&stranger, default),
            Err(Refusal::Subprotocol)
        );
    }

    #[test]
    fn origins_must_be_listed_or_the_same_host() {
        let evil = headers("origin", "https://evil.example");
        assert_eq!(check_origin(&evil, &[]), Err(Refusal::Origin));
        assert_eq!(
            check_origin(&evil, &["https://evil.example".into()]),
            Ok(())
        );
        assert_eq!(check_origin(&evil, &["*".into()]), Ok(()));
        assert_eq!(check_origin(&HeaderMap::new(), &[]), Ok(()));
        let mut same = headers("origin", "http://localhost:7400");
        same.insert(HOST, HeaderValue::from_static("localhost:7400"));
        assert_eq!(check_origin(&same, &[]), Ok(()));
    }

    #[test]
    fn tokens_come_from_the_header_or_the_query() {
        let request = |uri: &str| Request::builder().uri(uri).body(()).expect("valid");
        assert_eq!(
            token(&request("/v1/ws?a=b&access_token=x.y.z")),
            Some("x.y.z".into())
        );
        assert_eq!(token(&request("/v1/ws")), None);
        let mut with_header = request("/v1/ws?access_token=query");
        with_header
            .headers_mut()
            .insert(AUTHORIZATION, HeaderValue::from_static("bearer head"));
        assert_eq!(token(&with_header), Some("head".into()));
    }
}
