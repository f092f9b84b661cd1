//! An explanation as people read it. docs/explain.md says what each line means.

use std::time::{Duration, SystemTime};

use wire::control::{
    Bucket, Connection, ConnectionState, ExplainedConnection, Explanation, FlightRecording, Outbox,
    PastClose, SubscriptionState, Tcp, UnreadReason, Upstream,
};

use super::Rates;
use crate::cli::output::{self, BOLD, or_dash};

/// A page that grows line by line.
#[derive(Default)]
struct Page(String);

/// All about one connection.
pub(super) fn page(explained: &ExplainedConnection, rates: Option<Rates>) -> String {
    let (nobody, nothing) = (Connection::default(), Explanation::default());
    let connection = explained.connection.as_ref().unwrap_or(&nobody);
    let explanation = explained.explanation.as_ref().unwrap_or(&nothing);
    let mut page = Page::default();
    page.head(connection, explanation);
    page.title("What stands out");
    for finding in &explained.findings {
        page.row(&finding.code, output::printable(&finding.message));
    }
    if explained.findings.is_empty() {
        page.row("-", "nothing");
    }
    page.outbox(&explanation.outbox.clone().unwrap_or_default());
    page.network(explanation.tcp.as_ref(), rates);
    page.upstream(&explanation.upstream.unwrap_or_default(), rates);
    page.subscriptions(connection, &explanation.subscriptions);
    page.past(explanation);
    page.recording(explanation);
    page.0.truncate(page.0.trim_end().len());
    page.0
}

/// Several connections, a line each.
pub(super) fn list(connections: &[ExplainedConnection]) -> String {
    let heading = [
        "CONNECTION",
        "STATE",
        "OUTBOX",
        "UNSENT",
        "BEHIND",
        "WHAT STANDS OUT",
    ];
    let rows: Vec<_> = connections.iter().map(row).collect();
    output::table(heading, &rows)
}

fn row(explained: &ExplainedConnection) -> [String; 6] {
    let explanation = explained.explanation.clone().unwrap_or_default();
    let connection = explained.connection.as_ref();
    let behind = explanation.subscriptions.iter();
    let behind = behind.filter(|subscription| subscription.is_behind);
    let findings = explained.findings.iter().map(|it| it.code.as_str());
    let findings = findings.collect::<Vec<_>>().join(", ");
    [
        connection.map_or_else(String::new, |it| it.connection_id.clone()),
        state(explanation.state()).to_owned(),
        size(explanation.outbox.map_or(0, |outbox| outbox.bytes)),
        size(explanation.tcp.map_or(0, |tcp| tcp.unsent_bytes.into())),
        behind.count().to_string(),
        or_dash(&findings).into_owned(),
    ]
}

// === impl Page ===

impl Page {
    fn title(&mut self, title: &str) {
        self.0.push_str(&format!("\n{BOLD}{title}{BOLD:#}\n"));
    }

    fn row(&mut self, name: &str, text: impl std::fmt::Display) {
        self.0.push_str(&format!("  {name:<20}  {text}\n"));
    }

    fn table(&mut self, table: String) {
        for line in table.lines() {
            self.0.push_str(&format!("  {line}\n"));
        }
    }

    fn head(&mut self, connection: &Connection, explanation: &Explanation) {
        let id = &connection.connection_id;
        self.0.push_str(&format!("{BOLD}{id}{BOLD:#}\n"));
        self.row("state", state(explanation.state()));
        self.row("user", or_dash(&connection.user));
        let (session, epoch) = (&connection.session_id, connection.session_epoch);
        self.row(
            "session",
            format_args!("{session}, connection {epoch} of it"),
        );
        let (gateway, shard) = (&connection.gateway, explanation.shard);
        self.row("gateway", format_args!("{gateway}, shard {shard}"));
        self.row("address", &connection.remote_address);
        let client = format!("{} {}", connection.client_name, connection.client_version);
        let migrates = match explanation.can_migrate {
            true => "moves when asked to",
            false => "can't be asked to move",
        };
        let (client, subprotocol) = (or_dash(client.trim()), &connection.subprotocol);
        self.row(
            "client",
            format_args!("{client}, {subprotocol}, {migrates}"),
        );
        let since = output::timestamp(connection.connected_at);
        let age = age(connection.connected_at, explanation.explained_at);
        self.row("connected", format_args!("{since}, {age} ago"));
        self.row("last heard", ago(explanation.last_heard_ms));
    }

    fn outbox(&mut self, outbox: &Outbox) {
        self.title("Outbox");
        let (bytes, limit) = (size(outbox.bytes), size(outbox.limit_bytes));
        let share = 100 * outbox.bytes / outbox.limit_bytes.max(1);
        self.row("bytes", format_args!("{bytes} of {limit} ({share} %)"));
        self.row(
            "frames",
            format_args!("{} of {}", outbox.frames, outbox.limit_frames),
        );
        for lane in outbox.lanes.iter().filter(|lane| lane.frames > 0) {
            let (frames, bytes) = (lane.frames, size(lane.bytes));
            self.row(
                &format!("  {}", lane.name),
                format_args!("{frames} frames, {bytes}"),
            );
        }
        let waiting = match (outbox.waiting_ms, outbox.blocked) {
            (0, false) => "no: the kernel takes everything at once".to_owned(),
            (ms, blocked) => {
                let kernel = if blocked { "full" } else { "not full" };
                format!("for {}; the kernel's buffer is {kernel}", span(ms))
            }
        };
        self.row("waiting", waiting);
        let (dropped, conflated) = (outbox.dropped_publications, outbox.conflated_publications);
        self.row(
            "withheld so far",
            format_args!("{dropped} publications dropped, {conflated} replaced by newer ones"),
        );
    }

    fn network(&mut self, tcp: Option<&Tcp>, rates: Option<Rates>) {
        self.title("Network");
        let Some(tcp) = tcp else {
            return self.row("-", "the system does not tell");
        };
        let (rtt, variance) = (millis(tcp.rtt_us), millis(tcp.rtt_variance_us));
        let least = millis(tcp.min_rtt_us);
        self.row(
            "round trip",
            format_args!("{rtt} ± {variance}, least {least}"),
        );
        let window = format!(
            "{} segments of {} B",
            tcp.congestion_window, tcp.segment_bytes
        );
        let rate = size(tcp.delivery_rate);
        self.row("congestion window", format_args!("{window}, {rate}/s"));
        let (unsent, unacked) = (size(tcp.unsent_bytes.into()), tcp.unacked_segments);
        self.row("unsent", unsent);
        self.row("unconfirmed", format_args!("{unacked} segments"));
        let attempts = match tcp.backoffs {
            0 => String::new(),
            attempts => format!("; attempt {attempts} to get through"),
        };
        self.row(
            "sent again",
            format_args!("{} segments{attempts}", tcp.retransmits),
        );
        self.row("last sent", ago(tcp.last_sent_ms));
        self.row("last confirmed", ago(tcp.last_acked_ms));
        self.row("last received", ago(tcp.last_received_ms));
        let share = |us: u64| 100 * us / tcp.busy_us.max(1);
        let (window, buffer) = (share(tcp.window_limited_us), share(tcp.buffer_limited_us));
        let busy = span(tcp.busy_us / 1000);
        let held = format!("{window} % by the client's window, {buffer} % by our buffer");
        self.row("busy", format_args!("{busy}, held up {held}"));
        let sent = flow(tcp.acked_bytes, rates.map(|rates| rates.acked_bytes));
        let received = flow(tcp.received_bytes, rates.map(|rates| rates.received_bytes));
        self.row("confirmed bytes", sent);
        self.row("received bytes", received);
    }

    fn upstream(&mut self, upstream: &Upstream, rates: Option<Rates>) {
        self.title("From the client");
        let rate = rates.map(|rates| format!(", {:.1}/s", rates.messages));
        let messages = upstream.messages;
        self.row(
            "messages",
            format_args!("{messages}{}", rate.unwrap_or_default()),
        );
        let (reading, unread) = (reading(upstream.unread()), size(upstream.unread_bytes));
        self.row("reading", format_args!("{reading}; {unread} unread"));
        self.row("message bucket", bucket(upstream.message_bucket.as_ref()));
        self.row("byte bucket", bucket(upstream.byte_bucket.as_ref()));
        let most = match upstream.max_in_flight {
            0 => "any number".to_owned(),
            most => most.to_string(),
        };
        let (in_flight, requests) = (upstream.in_flight, upstream.requests);
        self.row(
            "in flight",
            format_args!("{in_flight} of {most}, {requests} of them at workers"),
        );
    }

    fn subscriptions(&mut self, connection: &Connection, shown: &[SubscriptionState]) {
        self.title(&format!("Subscriptions ({})", connection.subscriptions));
        if shown.is_empty() {
            return;
        }
        let heading = [
            "CHANNEL", "CLASS", "OVERFLOW", "POSITION", "HEAD", "BEHIND", "QUEUED",
        ];
        let rows: Vec<_> = shown.iter().map(subscription).collect();
        self.table(output::table(heading, &rows));
        let rest = (connection.subscriptions as usize).saturating_sub(shown.len());
        if rest > 0 {
            self.row(
                "...",
                format_args!("{rest} more that are not behind, or less"),
            );
        }
    }

    fn past(&mut self, explanation: &Explanation) {
        self.title("Earlier connections of this user at this gateway");
        if explanation.past_closes.is_empty() {
            return self.row("-", "none ended lately");
        }
        for PastClose {
            at,
            cause,
            lived_ms,
        } in &explanation.past_closes
        {
            let (at, lived) = (output::timestamp(*at), span(*lived_ms));
            self.row(cause, format_args!("{at}, after {lived}"));
        }
    }

    fn recording(&mut self, explanation: &Explanation) {
        if !explanation.recording_refused.is_empty() {
            self.title("Recording");
            self.row("refused", output::printable(&explanation.recording_refused));
        }
        let Some(recording) = &explanation.recording else {
            return;
        };
        let FlightRecording {
            entries, forgotten, ..
        } = recording;
        self.title(&format!("Recording ({})", entries.len()));
        if *forgotten > 0 {
            self.row("...", format_args!("{forgotten} before these"));
        }
        let heading = ["TIME", "", "KIND", "SUBJECT", "BYTES", "PUBLICATIONS"];
        let rows = entries.iter().map(|entry| {
            [
                output::timestamp(entry.at),
                if entry.is_inbound { "in" } else { "out" }.to_owned(),
                entry.kind.clone(),
                or_dash(&entry.subject).into_owned(),
                entry.bytes.to_string(),
                count(entry.publications),
            ]
        });
        self.table(output::table(heading, &rows.collect::<Vec<_>>()));
    }
}

fn subscription(subscription: &SubscriptionState) -> [String; 7] {
    let class = match subscription.rate {
        0 => subscription.class.clone(),
        rate => format!("{} {rate}/s", subscription.class),
    };
    let (lag, bytes) = (subscription.lag_publications, size(subscription.lag_bytes));
    let behind = match (subscription.is_behind, &*subscription.waits_for) {
        (false, _) => "-".to_owned(),
        (true, "") => format!("{lag} ({bytes})"),
        (true, waits_for) => format!("{lag} ({bytes}), waits for {waits_for}"),
    };
    let (queued, bytes) = (subscription.queued_publications, subscription.queued_bytes);
    let queued = match queued {
        0 => "-".to_owned(),
        queued => format!("{queued} ({})", size(bytes)),
    };
    [
        output::printable(&subscription.channel).into_owned(),
        class,
        subscription.overflow.clone(),
        output::offset(subscription.position),
        output::offset(subscription.head),
        behind,
        queued,
    ]
}

pub(super) fn state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Unspecified => "unknown",
        ConnectionState::Live => "live",
        ConnectionState::AskedToMove => "asked_to_move",
        ConnectionState::Leaving => "leaving",
    }
}

/// Whether the client is read, and why not.
fn reading(reason: UnreadReason) -> &'static str {
    match reason {
        UnreadReason::Unspecified => "yes",
        UnreadReason::OverRate => "no: it sends faster than it may",
        UnreadReason::WindowFull => "no: too many operations have no answer",
        UnreadReason::Leaving => "no: it is about to be closed",
    }
}

fn bucket(bucket: Option<&Bucket>) -> String {
    match bucket {
        None => "no limit".to_owned(),
        Some(it) => format!(
            "{} of {} left, {} a second",
            it.left, it.burst, it.per_second
        ),
    }
}

fn count(count: u64) -> String {
    match count {
        0 => "-".to_owned(),
        count => count.to_string(),
    }
}

/// So many bytes so far, and how fast lately.
fn flow(total: u64, per_second: Option<f64>) -> String {
    let rate = per_second.map(|rate| format!(", {}/s", size(rate as u64)));
    format!("{}{}", size(total), rate.unwrap_or_default())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

fn millis(us: u32) -> String {
    format!("{:.1} ms", f64::from(us) / 1000.0)
}

fn ago(ms: u64) -> String {
    format!("{} ago", span(ms))
}

fn span(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => humantime::format_duration(Duration::from_secs(ms / 1000)).to_string(),
    }
}

fn age(since: Option<impl TryInto<SystemTime>>, now: Option<impl TryInto<SystemTime>>) -> String {
    let since = since.and_then(|at| at.try_into().ok());
    let now = now.and_then(|at| at.try_into().ok());
    let age = since
        .zip(now)
        .and_then(|(since, now)| now.duration_since(since).ok());
    span(age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use wire::control::{Finding, FlightEntry};

    use super::*;

    fn explained() -> ExplainedConnection {
        let outbox = Outbox {
            bytes: 2 << 20,
            limit_bytes: 4 << 20,
            frames: 12,
            limit_frames: 4096,
            waiting_ms: 12_300,
            blocked: true,
            ..Outbox::default()
        };
        let behind = SubscriptionState {
            channel: "market.\u{1b}x".into(),
            class: "sampled".into(),
            rate: 5,
            overflow: "conflate".into(),
            is_behind: true,
            lag_publications: 7,
            lag_bytes: 700,
            waits_for: "room".into(),
            ..SubscriptionState::default()
        };
        let recording = FlightRecording {
            entries: vec![FlightEntry {
                is_inbound: true,
                kind: "subscribe".into(),
                subject: "market.x".into(),
                bytes: 12,
                ..FlightEntry::default()
            }],
            forgotten: 3,
            ..FlightRecording::default()
        };
        ExplainedConnection {
            connection: Some(Connection {
                connection_id: "gw-1.0.3.2".into(),
                subscriptions: 300,
                ..Connection::default()
            }),
            explanation: Some(Explanation {
                outbox: Some(outbox),
                subscriptions: vec![behind],
                recording: Some(recording),
                ..Explanation::default()
            }),
            findings: vec![Finding {
                code: "client_does_not_read".into(),
                message: "it sleeps".into(),
            }],
        }
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_page_says_what_waits_and_why() {
        let text = plain(&page(&explained(), None));
        for expected in [
            "gw-1.0.3.2\n",
            "client_does_not_read  it sleeps\n",
            "2.0 MiB of 4.0 MiB (50 %)",
            "for 12s; the kernel's buffer is full",
            "the system does not tell",
            "sampled 5/s  conflate  -         -     7 (700 B), waits for room  -",
            "299 more that are not behind",
            "3 before these",
            "subscribe  market.x  12",
        ] {
            assert!(text.contains(expected), "{expected:?} in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "no control characters");
    }

    #[test]
    fn several_connections_are_a_line_each() {
        let text = plain(&list(&[explained(), ExplainedConnection::default()]));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].contains("2.0 MiB") && lines[1].ends_with("client_does_not_read"));
    }
}
