//! Words for the tests: making channels and publications, and reading what a
//! connection was written as its client would.

use std::sync::Arc;

use hub::{
    Class, DeliveryPolicy, EncodedPublication, Hub, MemberId, OutboxLimits, Overflow, Source,
};
use prost::Message;
use wire::{
    Channel, Subprotocol,
    client::{Gap, Pong, Publication, ServerEvent, ServerMessage, server_event::Event},
    websocket::{OpCode, parse_server_frame},
};

pub(crate) const DROP_OLDEST: DeliveryPolicy = DeliveryPolicy {
    class: Class::All,
    overflow: Overflow::DropOldest,
    priority: 0,
    account: None,
};
pub(crate) const DISCONNECT: DeliveryPolicy = DeliveryPolicy {
    class: Class::All,
    overflow: Overflow::Disconnect,
    priority: 0,
    account: None,
};
pub(crate) const CATCH_UP: DeliveryPolicy = DeliveryPolicy {
    class: Class::All,
    overflow: Overflow::CatchUp,
    priority: 0,
    account: None,
};
pub(crate) const fn of_priority(policy: DeliveryPolicy, priority: u8) -> DeliveryPolicy {
    DeliveryPolicy { priority, ..policy }
}

pub(crate) const ROOMY: OutboxLimits = OutboxLimits {
    bytes: 1 << 30,
    items: 1 << 20,
};

pub(crate) fn channel(name: &str) -> Channel {
    Channel::parse(name, 255).expect("a valid name")
}

/// A channel without a log.
pub(crate) fn source(alias: u32, policy: DeliveryPolicy) -> Source {
    Source {
        alias,
        policy,
        place: None,
        torn: false,
    }
}

/// A publication of a channel without a log, with a key and a number.
pub(crate) fn keyed(alias: u32, key: &str, number: u64) -> Arc<EncodedPublication> {
    Arc::new(EncodedPublication::new(&Publication {
        alias,
        key: key.to_owned(),
        payload: number.to_string().into(),
        ..Publication::default()
    }))
}

/// The publication at `offset`, the one before it being at `offset - 1`.
pub(crate) fn publication(alias: u32, offset: u64, bytes: usize) -> Arc<EncodedPublication> {
    let payload = vec![b'x'; bytes].into();
    let previous = offset - 1;
    let publication = Publication {
        alias,
        offset,
        previous,
        payload,
        ..Default::default()
    };
    Arc::new(EncodedPublication::new(&publication))
}

pub(crate) fn pong(nonce: u32) -> ServerEvent {
    ServerEvent {
        event: Some(Event::Pong(Pong { nonce })),
    }
}

/// A hub of these limits with members 0 to `members`, all of protobuf.
pub(crate) fn hub(limits: OutboxLimits, members: u32) -> Hub {
    let mut hub = Hub::new(limits);
    for member in 0..members {
        hub.join(MemberId(member), Subprotocol::Protobuf);
    }
    hub
}

/// Writes everything and returns it as the client reads it: message by message.
pub(crate) fn read(hub: &mut Hub, member: u32, subprotocol: Subprotocol) -> Vec<Vec<Event>> {
    let member = MemberId(member);
    let mut scratch = Vec::new();
    let bytes = hub.outbox(member).gather(&mut scratch, usize::MAX).to_vec();
    hub.wrote(member, bytes.len());
    assert!(hub.outbox(member).is_empty());
    let (messages, rest) = decode(&bytes, subprotocol);
    assert_eq!(rest, 0, "frames are whole");
    messages
}

/// The offsets, and gaps as `(dropped, from, to)`, of one member's messages.
#[derive(Debug, PartialEq)]
pub(crate) enum Got {
    Offset(u64),
    Gap(u64, u64, u64),
    Pong(u32),
}

pub(crate) fn got(hub: &mut Hub, member: u32) -> Vec<Got> {
    let messages = read(hub, member, Subprotocol::Protobuf);
    let brief = |event| match event {
        Event::Publication(publication) => Got::Offset(publication.offset),
        Event::Gap(Gap {
            dropped, from, to, ..
        }) => Got::Gap(dropped, from, to),
        Event::Pong(pong) => Got::Pong(pong.nonce),
        other => panic!("nobody sent {other:?}"),
    };
    messages.into_iter().flatten().map(brief).collect()
}

/// The messages of all whole frames in `bytes`, and how many bytes of an
/// unfinished one follow.
pub(crate) fn decode(mut bytes: &[u8], subprotocol: Subprotocol) -> (Vec<Vec<Event>>, usize) {
    let mut messages = Vec::new();
    while let Some((opcode, header, payload)) = parse_server_frame(bytes).expect("a frame") {
        if bytes.len() < header + payload {
            break;
        }
        let (frame, rest) = bytes.split_at(header + payload);
        messages.push(decode_message(opcode, &frame[header..], subprotocol));
        bytes = rest;
    }
    (messages, bytes.len())
}

fn decode_message(opcode: OpCode, payload: &[u8], subprotocol: Subprotocol) -> Vec<Event> {
    let message: ServerMessage = match subprotocol {
        Subprotocol::Protobuf => {
            assert_eq!(opcode, OpCode::Binary);
            ServerMessage::decode(payload).expect("a protobuf message")
        }
        Subprotocol::Json => {
            assert_eq!(opcode, OpCode::Text);
            serde_json::from_slice(payload).expect("a JSON message")
        }
    };
    message
        .events
        .into_iter()
        .map(|event| event.event.expect("known events"))
        .collect()
}
