//! The flight recorder: what passed a connection lately, while somebody wants to
//! know. A connection that is not recorded has nothing of it but a flag.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use hub::{Departure, DepartureKind};
use prost::Message;
use wire::{
    Subprotocol,
    client::{
        ClientEvent, ServerMessage, client_event::Event as Received, server_event::Event as Sent,
    },
    control::{FlightEntry, FlightRecording},
    websocket::{Incoming, OpCode, parse_server_frame},
};

use super::{Core, connection::Connection, member};
use crate::clock::Tick;

/// Entries of one recorder; the oldest make room.
const MAX_ENTRIES: usize = 512;

/// Longest name of a channel or route in an entry, in bytes.
const MAX_SUBJECT_BYTES: usize = 64;

/// Recorders of one shard at once; each holds some 100 KiB at most.
const MAX_RECORDINGS: usize = 64;

/// Longest recording.
const MAX_DURATION: Duration = Duration::from_secs(600);

/// How long a recording is kept after its end.
const KEPT: Duration = Duration::from_secs(60);

/// What passed a connection lately.
#[derive(Debug)]
pub(super) struct Recorder {
    until: Tick,
    ends_at: SystemTime,
    entries: VecDeque<Entry>,
    /// Entries that made room.
    forgotten: u64,
}

/// An event of the client, or a frame for it.
#[derive(Debug)]
struct Entry {
    at: SystemTime,
    is_inbound: bool,
    kind: &'static str,
    subject: Box<str>,
    bytes: u64,
    publications: u64,
}

// === impl Core ===

impl Core {
    /// Records a connection for so long from now on; what is recorded already stays.
    ///
    /// # Errors
    /// If too many are recorded.
    pub(super) fn begin_recording(
        &mut self,
        connection: &mut Connection,
        duration: Duration,
    ) -> Result<(), &'static str> {
        if !connection.flow.recorded && self.recordings >= MAX_RECORDINGS {
            return Err("64 connections of this shard are being recorded");
        }
        let duration = duration.min(MAX_DURATION);
        let recorder = &mut connection.profile.recorder;
        let recorder = recorder.get_or_insert_with(|| Box::new(Recorder::new()));
        recorder.extend(self.clock.now(), duration);
        if !std::mem::replace(&mut connection.flow.recorded, true) {
            self.recordings += 1;
        }
        Ok(())
    }

    /// Drops a recording that has been over for long enough.
    pub(super) fn forget_recording(&mut self, connection: &mut Connection) {
        let now = self.clock.now();
        let recorder = &mut connection.profile.recorder;
        if recorder.take_if(|it| it.is_to_go(now)).is_some() {
            connection.flow.recorded = false;
            self.recordings -= 1;
        }
    }

    /// Notes a frame of WebSocket's own; what holds events is noted event by event.
    pub(super) fn record_frame(&self, connection: &mut Connection, frame: &Incoming<'_>) {
        let (kind, bytes) = match frame {
            Incoming::Ping(payload) => ("ping", payload.len()),
            Incoming::Pong(payload) => ("pong", payload.len()),
            Incoming::Close(_) => ("close", 0),
            Incoming::Text(_) | Incoming::Binary(_) => return,
        };
        self.keep_entry(connection, Entry::new(true, kind, "", bytes, 0));
    }

    /// Notes an event of the client.
    pub(super) fn record_event(&self, connection: &mut Connection, event: &ClientEvent) {
        let (kind, subject) = event.event.as_ref().map_or(("unknown", ""), received);
        let entry = Entry::new(true, kind, subject, event.encoded_len(), 0);
        self.keep_entry(connection, entry);
    }

    /// Notes the frames that have been written entirely with these bytes.
    pub(super) fn record_departures(&self, slot: usize, connection: &mut Connection, bytes: usize) {
        let subprotocol = connection.profile.subprotocol;
        for departure in self.hub.departures(member(slot), bytes) {
            let entry = Entry::of(&departure, subprotocol);
            self.keep_entry(connection, entry);
        }
    }

    fn keep_entry(&self, connection: &mut Connection, entry: Entry) {
        if let Some(recorder) = &mut connection.profile.recorder {
            recorder.note(self.clock.now(), entry);
        }
    }
}

// === impl Recorder ===

impl Recorder {
    fn new() -> Self {
        Self {
            until: Tick::default(),
            ends_at: SystemTime::UNIX_EPOCH,
            entries: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// Goes on for so long from now.
    fn extend(&mut self, now: Tick, duration: Duration) {
        self.until = now.after(duration);
        self.ends_at = SystemTime::now() + duration;
    }

    /// Whether nobody will ask for it any more.
    fn is_to_go(&self, now: Tick) -> bool {
        now > self.until.after(KEPT)
    }

    fn note(&mut self, now: Tick, entry: Entry) {
        if now >= self.until {
            return;
        }
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.entries.push_back(entry);
    }

    /// What it holds.
    pub(super) fn read(&self) -> FlightRecording {
        FlightRecording {
            until: Some(self.ends_at.into()),
            entries: self.entries.iter().map(Entry::describe).collect(),
            forgotten: self.forgotten,
        }
    }
}

// === impl Entry ===

impl Entry {
    fn new(
        is_inbound: bool,
        kind: &'static str,
        subject: &str,
        bytes: usize,
        publications: u64,
    ) -> Self {
        let subject = &subject[..subject.floor_char_boundary(MAX_SUBJECT_BYTES)];
        Self {
            at: SystemTime::now(),
            is_inbound,
            kind,
            subject: subject.into(),
            bytes: bytes as u64,
            publications,
        }
    }

    fn of(departure: &Departure<'_>, subprotocol: Subprotocol) -> Self {
        let (kind, publications) = match departure.kind {
            DepartureKind::Publications(count) => ("publications", count),
            DepartureKind::Gap(withheld) => ("gap", withheld),
            DepartureKind::Control => (kind_of(departure.frame, subprotocol), 0),
        };
        let subject = departure.channel.map_or("", |channel| channel.as_str());
        Self::new(false, kind, subject, departure.frame.len(), publications)
    }

    fn describe(&self) -> FlightEntry {
        FlightEntry {
            at: Some(self.at.into()),
            is_inbound: self.is_inbound,
            kind: self.kind.to_owned(),
            subject: self.subject.to_string(),
            bytes: self.bytes,
            publications: self.publications,
        }
    }
}

/// An event's name, and the channel or route that it is about.
fn received(event: &Received) -> (&'static str, &str) {
    match event {
        Received::Hello(_) => ("hello", ""),
        Received::Subscribe(it) => ("subscribe", &it.channel),
        Received::Unsubscribe(it) => ("unsubscribe", &it.channel),
        Received::Publish(it) => ("publish", &it.channel),
        Received::Request(it) => ("request", &it.route),
        Received::Cancel(_) => ("cancel", ""),
        Received::Ack(_) => ("ack", ""),
        Received::Refresh(_) => ("refresh", ""),
        Received::Ping(_) => ("ping_event", ""),
        Received::History(it) => ("history", &it.channel),
        Received::Presence(it) => ("presence", &it.channel),
        Received::SetSubscription(it) => ("set_subscription", &it.channel),
        Received::ArmWill(it) => ("arm_will", &it.route),
        Received::DisarmWill(_) => ("disarm_will", ""),
        Received::Signal(it) => ("signal", &it.channel),
    }
}

/// What a frame of ours for one client holds.
fn kind_of(frame: &[u8], subprotocol: Subprotocol) -> &'static str {
    let Ok(Some((opcode, header, _))) = parse_server_frame(frame) else {
        return "unknown";
    };
    let payload = &frame[header.min(frame.len())..];
    match opcode {
        OpCode::Ping => return "ping",
        OpCode::Pong => return "pong",
        OpCode::Close => return "close",
        OpCode::Text | OpCode::Binary | OpCode::Continuation => {}
    }
    let message: Option<ServerMessage> = match subprotocol {
        Subprotocol::Protobuf => ServerMessage::decode(payload).ok(),
        Subprotocol::Json => serde_json::from_slice(payload).ok(),
    };
    let events = message.map(|message| message.events).unwrap_or_default();
    let first = events.into_iter().find_map(|event| event.event);
    first.as_ref().map_or("unknown", sent)
}

fn sent(event: &Sent) -> &'static str {
    match event {
        Sent::Publication(_) => "publications",
        Sent::Welcome(_) => "welcome",
        Sent::Subscribed(_) => "subscribed",
        Sent::Unsubscribed(_) => "unsubscribed",
        Sent::Direct(_) => "direct",
        Sent::Response(_) => "response",
        Sent::Accepted(_) => "accepted",
        Sent::Error(_) => "error",
        Sent::Closing(_) => "closing",
        Sent::Pong(_) => "pong_event",
        Sent::Gap(_) => "gap",
        Sent::Notice(_) => "notice",
        Sent::Migrate(_) => "migrate",
        Sent::Refreshed(_) => "refreshed",
        Sent::HistoryResult(_) => "history_result",
        Sent::PresenceResult(_) => "presence_result",
        Sent::PresenceChange(_) => "presence_change",
        Sent::Signalled(_) => "signalled",
    }
}

#[cfg(test)]
mod tests {
    use wire::{
        client::{Pong, Request, ServerEvent, Subscribe},
        websocket,
    };

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ping(bytes: usize) -> Entry {
        Entry::new(true, "ping", "", bytes, 0)
    }

    #[test]
    fn a_recording_ends_and_is_kept_for_a_minute() {
        let at = |seconds| Tick::default().after(SECOND * seconds);
        let mut recorder = Recorder::new();
        recorder.extend(at(5), 10 * SECOND);
        for second in [5, 14, 15, 16] {
            recorder.note(at(second), ping(second as usize));
        }
        let bytes = |recorder: &Recorder| -> Vec<_> {
            let entries = recorder.read().entries.into_iter();
            entries.map(|entry| entry.bytes).collect()
        };
        assert_eq!(bytes(&recorder), [5, 14]);
        assert!(!recorder.is_to_go(at(75)) && recorder.is_to_go(at(76)));
        // Asked for again, it goes on.
        recorder.extend(at(70), SECOND);
        recorder.note(at(70), ping(70));
        assert_eq!(bytes(&recorder), [5, 14, 70]);
        assert!(!recorder.is_to_go(at(76)));
    }

    #[test]
    fn a_recorder_keeps_the_last_entries_and_counts_the_others() {
        let mut recorder = Recorder::new();
        recorder.extend(Tick::default(), SECOND);
        for bytes in 0..MAX_ENTRIES + 3 {
            recorder.note(Tick::default(), ping(bytes));
        }
        let recording = recorder.read();
        assert_eq!((recording.entries.len(), recording.forgotten), (512, 3));
        assert_eq!(recording.entries[0].bytes, 3);
        assert_eq!(recording.entries[511].bytes, 514);
    }

    #[test]
    fn a_long_subject_is_cut_off_between_characters() {
        let name = format!("{}ä{}", "x".repeat(63), "y".repeat(1000));
        let entry = Entry::new(true, "request", &name, 0, 0);
        assert_eq!(&*entry.subject, "x".repeat(63));
    }

    #[test]
    fn events_have_their_names_and_what_they_are_about() {
        let subscribe = Received::Subscribe(Subscribe {
            channel: "room.1".into(),
            ..Subscribe::default()
        });
        let request = Received::Request(Request {
            route: "echo".into(),
            ..Request::default()
        });
        assert_eq!(received(&subscribe), ("subscribe", "room.1"));
        assert_eq!(received(&request), ("request", "echo"));
    }

    #[test]
    fn what_a_frame_holds_is_read_from_it_in_both_subprotocols() {
        let message = ServerMessage {
            events: vec![ServerEvent {
                event: Some(Sent::Pong(Pong { nonce: 7 })),
            }],
        };
        for subprotocol in Subprotocol::ALL {
            let payload = subprotocol.encode(&message);
            let opcode = match subprotocol.is_text() {
                true => OpCode::Text,
                false => OpCode::Binary,
            };
            let mut header = [0; websocket::MAX_SERVER_HEADER];
            let length = websocket::server_header(opcode, payload.len(), &mut header);
            let frame = [&header[..length], &payload[..]].concat();
            assert_eq!(kind_of(&frame, subprotocol), "pong_event");
            // Whatever it is, it is no reason to fail.
            assert_eq!(kind_of(&frame[..1], subprotocol), "unknown");
            assert_eq!(kind_of(&frame[..length], subprotocol), "unknown");
        }
        let mut ping = Vec::new();
        websocket::ping_frame(b"", &mut ping);
        assert_eq!(kind_of(&ping, Subprotocol::Json), "ping");
    }
}
