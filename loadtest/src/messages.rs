//! The client protocol's messages, encoded once: what changes from message to
//! message (the marker, the id of a request) is patched into finished frames.

use memchr::memmem;
use prost::Message;
use wire::client::{
    ClientEvent, ClientMessage, Hello, Publish, Request, ServerEvent, ServerMessage, Subscribe,
    Subscribed, Verdict, Welcome, client_event, server_event,
};

use wire::websocket::OpCode;

use crate::frame;
use crate::payload::{MAGIC, Marker};

/// Ids from here on take four bytes as a varint, so that one can replace another.
const FIRST_ID: u32 = 1 << 21;
/// How many ids are used before they repeat; all of four bytes.
const IDS: u32 = 1 << 27;

/// A client frame with a marker in it, ready to be stamped and sent.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    frame: Vec<u8>,
    /// Where the payload begins in the frame.
    payload_at: usize,
    /// Where the marker lies in the payload.
    marker_at: usize,
    /// Where the id lies in the payload.
    id_at: Option<usize>,
}

fn client_frame(event: client_event::Event) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::client(&mut bytes, OpCode::Binary, &client_message(event));
    bytes
}

fn client_message(event: client_event::Event) -> Vec<u8> {
    ClientMessage {
        events: vec![ClientEvent { event: Some(event) }],
    }
    .encode_to_vec()
}

fn server_frame(event: server_event::Event) -> Vec<u8> {
    let message = ServerMessage {
        events: vec![ServerEvent { event: Some(event) }],
    };
    let mut bytes = Vec::new();
    frame::server(&mut bytes, OpCode::Binary, &message.encode_to_vec());
    bytes
}

/// The frame that opens the conversation.
pub(crate) fn hello(token: &str) -> Vec<u8> {
    client_frame(client_event::Event::Hello(Box::new(Hello {
        token: token.to_owned(),
        client_name: "loadtest".to_owned(),
        client_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Hello::default()
    })))
}

/// The frame that subscribes to `channel`.
pub(crate) fn subscribe(channel: &str) -> Vec<u8> {
    client_frame(client_event::Event::Subscribe(Subscribe {
        id: 1,
        channel: channel.to_owned(),
        ..Subscribe::default()
    }))
}

/// What the baseline answers to [`hello`].
pub(crate) fn welcome() -> Vec<u8> {
    server_frame(server_event::Event::Welcome(Welcome {
        connection_id: "baseline-0-0-0".to_owned(),
        ..Welcome::default()
    }))
}

/// What the baseline answers to [`subscribe`].
pub(crate) fn subscribed() -> Vec<u8> {
    server_frame(server_event::Event::Subscribed(Subscribed {
        id: 1,
        verdict: Verdict::Fresh.into(),
        alias: 1,
        ..Subscribed::default()
    }))
}

/// The number of the first event's field in a client message: what kind of
/// event it is, found without decoding it.
pub(crate) fn event_number(payload: &[u8], mask: [u8; 4]) -> Option<u8> {
    // A key byte, a length of one to four bytes, then the event's own key.
    let byte = |at: usize| payload.get(at).map(|byte| byte ^ mask[at & 3]);
    let mut at = 1;
    while byte(at)? & 0x80 != 0 && at < 5 {
        at += 1;
    }
    byte(at + 1).map(|key| key >> 3)
}

/// Field numbers of [`event_number`].
pub(crate) mod number {
    pub(crate) const HELLO: u8 = 1;
    pub(crate) const SUBSCRIBE: u8 = 2;
    pub(crate) const PUBLISH: u8 = 4;
    pub(crate) const REQUEST: u8 = 5;
}

// === impl Template ===

impl Template {
    /// Publishes a payload of `size` bytes and wants no answer.
    pub(crate) fn publish(channel: &str, size: usize) -> Self {
        Self::new(
            client_event::Event::Publish(Publish {
                channel: channel.to_owned(),
                payload: Marker {
                    sequence: 0,
                    sent_at: 0,
                }
                .payload(size)
                .into(),
                ..Publish::default()
            }),
            false,
        )
    }

    /// Calls the route `echo` with a payload of `size` bytes.
    pub(crate) fn request(size: usize) -> Self {
        Self::new(
            client_event::Event::Request(Request {
                id: FIRST_ID,
                route: "echo".to_owned(),
                payload: Marker {
                    sequence: 0,
                    sent_at: 0,
                }
                .payload(size)
                .into(),
                ..Request::default()
            }),
            true,
        )
    }

    fn new(event: client_event::Event, has_id: bool) -> Self {
        let message = client_message(event);
        let marker_at = memmem::find(&message, &MAGIC).expect("the payload was put in");
        let mut id = Vec::new();
        prost::encoding::encode_varint(u64::from(FIRST_ID), &mut id);
        let id_at = has_id.then(|| memmem::find(&message, &id).expect("the id was put in"));
        let mut bytes = Vec::new();
        frame::client(&mut bytes, OpCode::Binary, &message);
        Self {
            payload_at: bytes.len() - message.len(),
            frame: bytes,
            marker_at,
            id_at,
        }
    }

    /// Appends the frame with this marker; the sequence also makes the id.
    pub(crate) fn stamp(&mut self, marker: Marker, into: &mut Vec<u8>) {
        let payload = &mut self.frame[self.payload_at..];
        frame::patch(payload, self.marker_at, &marker.to_bytes());
        if let Some(at) = self.id_at {
            let id = FIRST_ID + marker.sequence % IDS;
            let byte = |shift: u32| (id >> shift) as u8;
            let varint = [
                byte(0) | 0x80,
                byte(7) | 0x80,
                byte(14) | 0x80,
                byte(21) & 0x7f,
            ];
            frame::patch(payload, at, &varint);
        }
        into.extend_from_slice(&self.frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Scanner;

    fn decode(bytes: &[u8]) -> client_event::Event {
        let parsed = frame::parse(bytes).unwrap();
        let mut payload = parsed.payload.to_vec();
        frame::unmask(&mut payload, parsed.mask.unwrap());
        ClientMessage::decode(payload.as_slice())
            .unwrap()
            .events
            .remove(0)
            .event
            .unwrap()
    }

    #[test]
    fn stamped_request_carries_marker_and_id() {
        let mut template = Template::request(64);
        for sequence in [0, 1, 127, 128, 1 << 20, IDS - 1, IDS, u32::MAX] {
            let marker = Marker {
                sequence,
                sent_at: 12_345,
            };
            let mut bytes = Vec::new();
            template.stamp(marker, &mut bytes);
            let client_event::Event::Request(request) = decode(&bytes) else {
                panic!("not a request")
            };
            assert_eq!(request.id, FIRST_ID + sequence % IDS);
            assert_eq!(request.payload, marker.payload(64));
        }
    }

    #[test]
    fn stamped_publish_is_found_by_the_scanner() {
        let marker = Marker {
            sequence: 3,
            sent_at: 4,
        };
        let mut bytes = Vec::new();
        Template::publish("demo.load", 300).stamp(marker, &mut bytes);
        let client_event::Event::Publish(publish) = decode(&bytes) else {
            panic!("not a publish")
        };
        assert_eq!(publish.id, 0);
        assert_eq!(
            Scanner::new(300).scan(&publish.payload, |found| assert_eq!(found, marker)),
            1
        );
    }

    #[test]
    fn events_are_told_apart_without_decoding() {
        let mut request = Vec::new();
        Template::request(70_000).stamp(
            Marker {
                sequence: 0,
                sent_at: 0,
            },
            &mut request,
        );
        let all = [
            (hello("t"), number::HELLO),
            (subscribe("demo.x"), number::SUBSCRIBE),
            (request, number::REQUEST),
        ];
        for (bytes, expected) in all {
            let parsed = frame::parse(&bytes).unwrap();
            assert_eq!(
                event_number(parsed.payload, parsed.mask.unwrap()),
                Some(expected)
            );
        }
        assert_eq!(event_number(&[], [0; 4]), None);
    }
}
