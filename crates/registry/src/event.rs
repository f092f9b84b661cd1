//! The life of connections, as messages for backends.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bus::{Outgoing, Subject};
use prost::Message;
use prost_types::Timestamp;
use wire::{
    ConnectionId,
    control::{Connection, ConnectionEvent, ConnectionEventKind},
    gateway::RegisteredConnection,
};

/// Where openings are told.
pub const OPENED_SUBJECT: &str = "tg.ev.conn.opened";

/// Where ends are told.
pub const CLOSED_SUBJECT: &str = "tg.ev.conn.closed";

/// Both.
pub const EVENTS_PATTERN: &str = "tg.ev.conn.*";

/// The cause of ends that their gateway could not tell itself.
pub const GATEWAY_LOST: &str = "gateway_lost";

/// A connection was opened.
pub(crate) fn opened(entry: &RegisteredConnection) -> Outgoing {
    let id = id(entry, "opened");
    let at = Duration::from_millis(entry.connected_at_ms.try_into().unwrap_or_default());
    message(entry, ConnectionEventKind::Opened, "", at, id)
}

/// A connection ended now. Whoever tells it, and however often, the log keeps it
/// once: the id is made of what the entry says.
pub(crate) fn closed(entry: &RegisteredConnection, cause: &str) -> Outgoing {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let id = id(entry, "closed");
    message(
        entry,
        ConnectionEventKind::Closed,
        cause,
        now.unwrap_or_default(),
        id,
    )
}

/// `<connection>.<word>`. Of one that was registered anew, because it may have
/// been buried by mistake, `<connection>.<word>.<beat>`: what is told of its
/// second life is no repetition of the first.
fn id(entry: &RegisteredConnection, word: &str) -> String {
    let id = &entry.connection_id;
    match entry.registered_anew_at {
        0 => format!("{id}.{word}"),
        beat => format!("{id}.{word}.{beat}"),
    }
}

fn message(
    entry: &RegisteredConnection,
    kind: ConnectionEventKind,
    cause: &str,
    at: Duration,
    id: String,
) -> Outgoing {
    let subject = match kind {
        ConnectionEventKind::Opened => OPENED_SUBJECT,
        _ => CLOSED_SUBJECT,
    };
    let event = ConnectionEvent {
        event_id: id.clone(),
        kind: kind.into(),
        at: Some(timestamp(at)),
        connection: Some(describe(entry)),
        cause: cause.to_owned(),
    };
    Outgoing {
        subject: Subject::new(subject).expect("a constant"),
        payload: event.encode_to_vec().into(),
        key: Box::default(),
        published_at_us: 0,
        message_id: id.into(),
        traceparent: Box::default(),
    }
}

fn describe(entry: &RegisteredConnection) -> Connection {
    let connected_at = Duration::from_millis(entry.connected_at_ms.try_into().unwrap_or_default());
    let gateway = entry.connection_id.parse::<ConnectionId>();
    Connection {
        connection_id: entry.connection_id.clone(),
        session_id: entry.session_id.clone(),
        user: entry.user.clone(),
        gateway: gateway.map_or_else(|_| String::new(), |id| id.gateway.to_string()),
        remote_address: entry.remote_address.clone(),
        client_name: entry.client_name.clone(),
        client_version: entry.client_version.clone(),
        connected_at: Some(timestamp(connected_at)),
        labels: entry.labels.clone(),
        session_epoch: entry.session_epoch,
        transport: "websocket".to_owned(),
        ..Connection::default()
    }
}

fn timestamp(since_1970: Duration) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since_1970.subsec_nanos()).unwrap_or_default(),
    }
}
