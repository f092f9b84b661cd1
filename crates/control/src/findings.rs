//! What stands out in how a connection is doing: the sentences that an operator
//! would say after reading all of it.

use wire::control::{
    ConnectionState, Explanation, Finding, Outbox, SubscriptionState, Tcp, UnreadReason, Upstream,
};

/// Whoever has waited for less is not slow yet.
const SLOW_MS: u64 = 1_000;

/// A round trip that people notice.
const LONG_RTT_US: u32 = 300_000;

/// Of so many closes within [`RECENT_SECONDS`] it is said that there are many.
const MANY_CLOSES: usize = 3;

const RECENT_SECONDS: i64 = 600;

/// The most telling first.
pub(crate) fn findings(explanation: &Explanation) -> Vec<Finding> {
    let (no_outbox, no_tcp, no_upstream) = Default::default();
    let outbox = explanation.outbox.as_ref().unwrap_or(&no_outbox);
    let tcp = explanation.tcp.as_ref().unwrap_or(&no_tcp);
    let upstream = explanation.upstream.as_ref().unwrap_or(&no_upstream);
    let found = [
        way_out(outbox, tcp),
        near_limit(outbox),
        dropped(outbox),
        behind(&explanation.subscriptions),
        left_unread(upstream),
        on_its_way(explanation.state()),
        many_closes(explanation),
        lossy(tcp),
        far_away(tcp),
    ];
    let found = found.into_iter().flatten();
    found
        .map(|(code, message)| Finding {
            code: code.to_owned(),
            message,
        })
        .collect()
}

type Found = Option<(&'static str, String)>;

/// Why what waits does not leave.
fn way_out(outbox: &Outbox, tcp: &Tcp) -> Found {
    let waits = format!(
        "{} wait in the outbox and {} in the kernel",
        size(outbox.bytes),
        size(tcp.unsent_bytes.into()),
    );
    let (sent, acked) = (seconds(tcp.last_sent_ms), seconds(tcp.last_acked_ms));
    if tcp.unacked_segments > 0 && tcp.backoffs > 0 && tcp.last_acked_ms >= SLOW_MS {
        let message = format!(
            "the network does not deliver: nothing was confirmed for {acked}, {} segments are \
             on their way and are sent again; {waits}",
            tcp.unacked_segments
        );
        return Some(("network_does_not_deliver", message));
    }
    if tcp.unsent_bytes > 0 && tcp.unacked_segments == 0 && tcp.last_sent_ms >= SLOW_MS {
        let message = format!(
            "the client does not read: its receive window is closed and nothing could be sent \
             for {sent}; {waits}"
        );
        return Some(("client_does_not_read", message));
    }
    if outbox.waiting_ms < SLOW_MS {
        return None;
    }
    let waiting = seconds(outbox.waiting_ms);
    let share = 100 * tcp.window_limited_us / tcp.busy_us.max(1);
    if share >= 50 {
        let message = format!(
            "the client reads more slowly than it is sent to: its receive window was what held \
             things up for {share} % of the time; the outbox was not empty for {waiting}, {waits}"
        );
        return Some(("client_reads_slowly", message));
    }
    let message = format!(
        "the network takes less than there is to send: {}/s at a round trip of {}; the outbox \
         was not empty for {waiting}, {waits}",
        size(tcp.delivery_rate),
        millis(tcp.rtt_us),
    );
    Some(("network_is_slow", message))
}

fn near_limit(outbox: &Outbox) -> Found {
    let is_near = |used: u64, limit: u64| limit > 0 && used.saturating_mul(5) >= limit * 4;
    let by_bytes = is_near(outbox.bytes, outbox.limit_bytes);
    if !by_bytes && !is_near(outbox.frames, outbox.limit_frames) {
        return None;
    }
    let message = format!(
        "the outbox is nearly full: {} of {}, {} frames of {}; what happens then each \
         subscription's overflow policy says",
        size(outbox.bytes),
        size(outbox.limit_bytes),
        outbox.frames,
        outbox.limit_frames,
    );
    Some(("outbox_nearly_full", message))
}

fn dropped(outbox: &Outbox) -> Found {
    let dropped = outbox.dropped_publications;
    let message = format!(
        "{dropped} publications were dropped so far because the client was slow; it was told \
         so by gaps"
    );
    (dropped > 0).then_some(("publications_dropped", message))
}

fn behind(subscriptions: &[SubscriptionState]) -> Found {
    let behind = subscriptions.iter().filter(|it| it.is_behind);
    let worst = behind.clone().max_by_key(|it| it.lag_publications)?;
    let (count, channel, waits) = (behind.count(), &worst.channel, worst.lag_publications);
    let message = format!(
        "{count} subscriptions are behind; of {channel} {waits} publications ({}) or more are \
         still to come",
        size(worst.lag_bytes),
    );
    Some(("subscriptions_behind", message))
}

fn left_unread(upstream: &Upstream) -> Found {
    let unread = size(upstream.unread_bytes);
    match upstream.unread() {
        UnreadReason::OverRate => {
            let message = format!(
                "the client sends faster than it may and is not read for a while; {unread} wait"
            );
            Some(("client_sends_too_fast", message))
        }
        UnreadReason::WindowFull => {
            let message = format!(
                "{} of {} operations have no answer, {} of them at workers: the client is not \
                 read until one has; {unread} wait",
                upstream.in_flight, upstream.max_in_flight, upstream.requests,
            );
            Some(("window_is_full", message))
        }
        UnreadReason::Unspecified | UnreadReason::Leaving => None,
    }
}

fn on_its_way(state: ConnectionState) -> Found {
    match state {
        ConnectionState::AskedToMove => {
            let message = "the client was asked to connect to another gateway, and has not yet";
            Some(("asked_to_move", message.to_owned()))
        }
        ConnectionState::Leaving => {
            let message = "the connection is closed once its operations have their answers";
            Some(("leaving", message.to_owned()))
        }
        ConnectionState::Unspecified | ConnectionState::Live => None,
    }
}

fn many_closes(explanation: &Explanation) -> Found {
    let now = explanation.explained_at.as_ref()?.seconds;
    let recent = explanation.past_closes.iter().filter(|close| {
        let at = close.at.as_ref().map_or(0, |at| at.seconds);
        now - at <= RECENT_SECONDS
    });
    let causes: Vec<_> = recent.map(|close| close.cause.as_str()).collect();
    if causes.len() < MANY_CLOSES {
        return None;
    }
    let message = format!(
        "{} connections of this user ended here in the last ten minutes: {}",
        causes.len(),
        causes.join(", "),
    );
    Some(("many_closes", message))
}

fn lossy(tcp: &Tcp) -> Found {
    let segments = tcp.acked_bytes / u64::from(tcp.segment_bytes.max(1));
    let lost = u64::from(tcp.retransmits);
    if lost < 10 || lost * 50 < segments {
        return None;
    }
    let message = format!("the network loses packets: {lost} segments were sent again");
    Some(("network_loses_packets", message))
}

fn far_away(tcp: &Tcp) -> Found {
    if tcp.rtt_us < LONG_RTT_US {
        return None;
    }
    let message = format!("a round trip takes {}", millis(tcp.rtt_us));
    Some(("long_round_trip", message))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1000.0)
}

fn millis(us: u32) -> String {
    format!("{:.1} ms", f64::from(us) / 1000.0)
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;
    use wire::control::PastClose;

    use super::*;

    fn codes(explanation: &Explanation) -> Vec<String> {
        let found = findings(explanation).into_iter();
        found.map(|finding| finding.code).collect()
    }

    fn of_tcp(waiting_ms: u64, tcp: Tcp) -> Explanation {
        Explanation {
            outbox: Some(Outbox {
                waiting_ms,
                ..Outbox::default()
            }),
            tcp: Some(tcp),
            ..Explanation::default()
        }
    }

    #[test]
    fn nothing_stands_out_in_a_connection_that_is_well() {
        assert!(codes(&Explanation::default()).is_empty());
        let idle = Tcp {
            last_sent_ms: 60_000,
            last_acked_ms: 60_000,
            rtt_us: 40_000,
            segment_bytes: 1448,
            ..Tcp::default()
        };
        assert!(codes(&of_tcp(0, idle)).is_empty());
    }

    #[test]
    fn who_does_not_read_is_told_from_a_network_that_does_not_deliver() {
        let deaf = Tcp {
            unsent_bytes: 100_000,
            last_sent_ms: 5_000,
            backoffs: 3,
            ..Tcp::default()
        };
        assert_eq!(codes(&of_tcp(5_000, deaf)), ["client_does_not_read"]);
        let dead = Tcp {
            unacked_segments: 10,
            last_acked_ms: 5_000,
            ..deaf
        };
        assert_eq!(codes(&of_tcp(5_000, dead)), ["network_does_not_deliver"]);
    }

    #[test]
    fn a_slow_client_is_told_from_a_slow_network() {
        let busy = Tcp {
            busy_us: 1_000_000,
            window_limited_us: 900_000,
            ..Tcp::default()
        };
        assert_eq!(codes(&of_tcp(2_000, busy)), ["client_reads_slowly"]);
        let network = Tcp {
            window_limited_us: 0,
            ..busy
        };
        assert_eq!(codes(&of_tcp(2_000, network)), ["network_is_slow"]);
        assert!(codes(&of_tcp(10, network)).is_empty());
    }

    #[test]
    fn everything_else_that_makes_slow_is_found() {
        let mut explanation = Explanation {
            outbox: Some(Outbox {
                bytes: 90,
                limit_bytes: 100,
                dropped_publications: 7,
                ..Outbox::default()
            }),
            upstream: Some(Upstream {
                unread: UnreadReason::WindowFull.into(),
                ..Upstream::default()
            }),
            tcp: Some(Tcp {
                rtt_us: 400_000,
                retransmits: 50,
                acked_bytes: 100_000,
                segment_bytes: 1_000,
                ..Tcp::default()
            }),
            explained_at: Some(Timestamp::default()),
            past_closes: vec![PastClose::default(); 3],
            state: ConnectionState::AskedToMove.into(),
            ..Explanation::default()
        };
        explanation.subscriptions = vec![SubscriptionState {
            channel: "market.x".into(),
            is_behind: true,
            lag_publications: 7,
            ..SubscriptionState::default()
        }];
        let expected = [
            "outbox_nearly_full",
            "publications_dropped",
            "subscriptions_behind",
            "window_is_full",
            "asked_to_move",
            "many_closes",
            "network_loses_packets",
            "long_round_trip",
        ];
        assert_eq!(codes(&explanation), expected);
        let behind = &findings(&explanation)[2];
        assert!(behind.message.contains("market.x 7 "), "{behind:?}");
    }
}
