//! An explanation as scripts read it: the names of the messages of
//! `tidegate.control.v1`.

use serde_json::{Value, json};
use wire::control::{
    Bucket, ExplainedConnection, Explanation, FlightRecording, Outbox, SubscriptionState, Tcp,
    UnreadReason, Upstream,
};

use super::{Rates, page::state};
use crate::cli::{connections::describe_live, output};

/// All about one connection.
pub(super) fn describe(explained: &ExplainedConnection, rates: Option<Rates>) -> Value {
    let connection = explained.connection.clone().unwrap_or_default();
    let explanation = explained.explanation.clone().unwrap_or_default();
    let findings = explained.findings.iter();
    let findings = findings.map(|it| json!({ "code": it.code, "message": it.message }));
    json!({
        "connection": describe_live(&connection),
        "findings": findings.collect::<Value>(),
        "state": state(explanation.state()),
        "shard": explanation.shard,
        "explained_at": output::timestamp(explanation.explained_at),
        "last_heard_ms": explanation.last_heard_ms,
        "can_migrate": explanation.can_migrate,
        "outbox": explanation.outbox.as_ref().map(outbox),
        "tcp": explanation.tcp.as_ref().map(tcp),
        "upstream": explanation.upstream.as_ref().map(upstream),
        "rates": rates.map(|rates| json!({
            "received_bytes_per_second": rates.received_bytes,
            "messages_per_second": rates.messages,
            "acked_bytes_per_second": rates.acked_bytes,
        })),
        "subscriptions": explanation.subscriptions.iter().map(subscription).collect::<Value>(),
        "past_closes": past(&explanation),
        "recording": explanation.recording.as_ref().map(recording),
        "recording_refused": explanation.recording_refused,
    })
}

fn outbox(outbox: &Outbox) -> Value {
    let lanes = outbox
        .lanes
        .iter()
        .map(|lane| json!({ "name": lane.name, "frames": lane.frames, "bytes": lane.bytes }));
    json!({
        "bytes": outbox.bytes,
        "limit_bytes": outbox.limit_bytes,
        "frames": outbox.frames,
        "limit_frames": outbox.limit_frames,
        "lanes": lanes.collect::<Value>(),
        "waiting_ms": outbox.waiting_ms,
        "blocked": outbox.blocked,
        "dropped_publications": outbox.dropped_publications,
        "conflated_publications": outbox.conflated_publications,
    })
}

fn tcp(tcp: &Tcp) -> Value {
    json!({
        "rtt_us": tcp.rtt_us,
        "rtt_variance_us": tcp.rtt_variance_us,
        "min_rtt_us": tcp.min_rtt_us,
        "retransmits": tcp.retransmits,
        "backoffs": tcp.backoffs,
        "unacked_segments": tcp.unacked_segments,
        "unsent_bytes": tcp.unsent_bytes,
        "congestion_window": tcp.congestion_window,
        "segment_bytes": tcp.segment_bytes,
        "delivery_rate": tcp.delivery_rate,
        "acked_bytes": tcp.acked_bytes,
        "received_bytes": tcp.received_bytes,
        "last_sent_ms": tcp.last_sent_ms,
        "last_received_ms": tcp.last_received_ms,
        "last_acked_ms": tcp.last_acked_ms,
        "busy_us": tcp.busy_us,
        "window_limited_us": tcp.window_limited_us,
        "buffer_limited_us": tcp.buffer_limited_us,
        "peer_window": tcp.peer_window,
    })
}

fn upstream(upstream: &Upstream) -> Value {
    let unread = match upstream.unread() {
        UnreadReason::Unspecified => None,
        UnreadReason::OverRate => Some("over_rate"),
        UnreadReason::WindowFull => Some("window_full"),
        UnreadReason::Leaving => Some("leaving"),
    };
    json!({
        "messages": upstream.messages,
        "unread": unread,
        "unread_bytes": upstream.unread_bytes,
        "message_bucket": upstream.message_bucket.as_ref().map(bucket),
        "byte_bucket": upstream.byte_bucket.as_ref().map(bucket),
        "in_flight": upstream.in_flight,
        "max_in_flight": upstream.max_in_flight,
        "requests": upstream.requests,
    })
}

fn bucket(bucket: &Bucket) -> Value {
    let Bucket {
        left,
        burst,
        per_second,
    } = bucket;
    json!({ "left": left, "burst": burst, "per_second": per_second })
}

fn subscription(subscription: &SubscriptionState) -> Value {
    json!({
        "channel": subscription.channel,
        "alias": subscription.alias,
        "class": subscription.class,
        "rate": subscription.rate,
        "overflow": subscription.overflow,
        "is_behind": subscription.is_behind,
        "position": subscription.position,
        "head": subscription.head,
        "lag_publications": subscription.lag_publications,
        "lag_bytes": subscription.lag_bytes,
        "queued_publications": subscription.queued_publications,
        "queued_bytes": subscription.queued_bytes,
        "waits_for": subscription.waits_for,
    })
}

fn past(explanation: &Explanation) -> Value {
    let closes = explanation.past_closes.iter().map(|close| {
        json!({
            "at": output::timestamp(close.at),
            "cause": close.cause,
            "lived_ms": close.lived_ms,
        })
    });
    closes.collect()
}

fn recording(recording: &FlightRecording) -> Value {
    let entries = recording.entries.iter().map(|entry| {
        json!({
            "at": output::timestamp(entry.at),
            "direction": if entry.is_inbound { "in" } else { "out" },
            "kind": entry.kind,
            "subject": entry.subject,
            "bytes": entry.bytes,
            "publications": entry.publications,
        })
    });
    json!({
        "until": output::timestamp(recording.until),
        "entries": entries.collect::<Value>(),
        "forgotten": recording.forgotten,
    })
}
