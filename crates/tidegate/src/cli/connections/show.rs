//! How connections look: as rows for people, as objects for scripts.

use std::borrow::Cow;

use serde_json::{Value, json};
use wire::control::Connection;

use crate::cli::output::{self, or_dash};

pub(super) const HEADING: [&str; 8] = [
    "CONNECTION",
    "USER",
    "ADDRESS",
    "SUBPROTOCOL",
    "CLIENT",
    "SINCE",
    "CHANNELS",
    "OUTBOX",
];

pub(super) fn row(connection: &Connection) -> [String; 8] {
    let client = format!("{} {}", connection.client_name, connection.client_version);
    [
        connection.connection_id.clone(),
        or_dash(&connection.user).into_owned(),
        connection.remote_address.clone(),
        connection.subprotocol.clone(),
        or_dash(client.trim()).into_owned(),
        output::timestamp(connection.connected_at),
        connection.subscriptions.to_string(),
        format!("{} B", connection.outbox_bytes),
    ]
}

/// What is known of it at any time.
pub(super) fn describe(connection: &Connection) -> Value {
    json!({
        "connection_id": connection.connection_id,
        "session_id": connection.session_id,
        "session_epoch": connection.session_epoch,
        "user": connection.user,
        "gateway": connection.gateway,
        "remote_address": connection.remote_address,
        "transport": connection.transport,
        "subprotocol": connection.subprotocol,
        "client_name": connection.client_name,
        "client_version": connection.client_version,
        "connected_at": output::timestamp(connection.connected_at),
        "labels": connection.labels,
    })
}

/// The same with what it is doing now.
pub(in crate::cli) fn describe_live(connection: &Connection) -> Value {
    let mut described = describe(connection);
    described["subscriptions"] = connection.subscriptions.into();
    described["outbox_bytes"] = connection.outbox_bytes.into();
    described
}

/// One member of a described connection, on one line.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => or_dash(text),
        Value::Array(items) => joined(items.iter().filter_map(Value::as_str).map(str::to_owned)),
        Value::Object(labels) => joined(labels.iter().map(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            format!("{name}={value}")
        })),
        other => Cow::Owned(other.to_string()),
    }
}

fn joined(items: impl Iterator<Item = String>) -> Cow<'static, str> {
    let items = items.collect::<Vec<_>>().join(" ");
    Cow::Owned(or_dash(&items).into_owned())
}
