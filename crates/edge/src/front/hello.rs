//! Waits for the client's Hello and verifies its token, so that no shard spends
//! the tens of microseconds a signature costs, nor a slot on a silent socket.
//!
//! It only looks ahead: the shard reads the same bytes again and judges them by
//! all the rules. What is no Hello is its business.

use std::net::IpAddr;

use hyper::{HeaderMap, header::ORIGIN};
use tokio::io::{AsyncRead, AsyncReadExt};
use wire::{
    Subprotocol,
    client::{Hello, client_event::Event},
    websocket::{Incoming, Reader, ReaderLimits},
};

use crate::{
    authenticate::{Attempt, Verdict},
    gateway::Gateway,
};

/// Input looked at for a Hello; twice the longest token.
const MAX_BYTES: usize = 16 << 10;

/// Who connects, as far as it is known without a token.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) peer: IpAddr,
    /// The page that a browser's script came with.
    pub(crate) origin: Option<Box<str>>,
}

/// What the input so far is.
enum Glance {
    /// Hello.
    Hello(Box<Hello>),
    /// The first message is not whole.
    Unfinished,
    /// Something that the shard will refuse.
    Other,
}

/// Reads into `input` until there is a Hello in it and verifies its token;
/// `None`: there will be none. Cancel-safe: `input` holds all that was read.
pub(crate) async fn await_hello(
    gateway: &Gateway,
    caller: &Caller,
    stream: &mut (impl AsyncRead + Unpin),
    subprotocol: Subprotocol,
    input: &mut Vec<u8>,
) -> Option<Verdict> {
    let mut reader = Reader::default();
    let mut seen = 0;
    loop {
        let limits = &gateway.config.websocket;
        let glance = glance(&mut reader, limits, subprotocol, &input[seen..]);
        seen = input.len();
        match glance {
            Glance::Hello(hello) if hello.token.is_empty() => return gateway.anonymous().map(Ok),
            Glance::Hello(hello) => {
                let attempt = caller.attempt(&hello.token, &hello.client_name);
                return Some(gateway.authenticate(attempt).await);
            }
            Glance::Unfinished if input.len() < MAX_BYTES => {}
            Glance::Unfinished | Glance::Other => return None,
        }
        match stream.read_buf(input).await {
            Ok(1..) => {}
            // The shard will find the same, and has a word for it.
            Ok(0) | Err(_) => return None,
        }
    }
}

// === impl Caller ===

impl Caller {
    /// Whoever sends a request with these headers.
    pub(crate) fn of(peer: IpAddr, headers: &HeaderMap) -> Self {
        let origin = headers.get(ORIGIN);
        Self {
            peer,
            origin: origin.and_then(|text| text.to_str().ok()).map(Into::into),
        }
    }

    /// The caller shows a token.
    pub(crate) fn attempt<'a>(&'a self, token: &'a str, client_name: &'a str) -> Attempt<'a> {
        Attempt {
            token,
            peer: self.peer,
            origin: self.origin.as_deref(),
            client_name,
        }
    }
}

/// Looks at the next piece of input; what came before is in `reader`, so that a
/// Hello that drips in costs no more than one that comes at once.
fn glance(
    reader: &mut Reader,
    limits: &ReaderLimits,
    subprotocol: Subprotocol,
    piece: &[u8],
) -> Glance {
    // A copy, as reading unmasks in place.
    let mut piece = piece.to_vec();
    let mut messages = reader.read(limits, &mut piece);
    loop {
        let data = match messages.next() {
            None => return Glance::Unfinished,
            Some(Ok(Incoming::Text(data) | Incoming::Binary(data))) => data,
            Some(Ok(Incoming::Ping(_) | Incoming::Pong(_))) => continue,
            Some(Ok(Incoming::Close(_)) | Err(_)) => return Glance::Other,
        };
        let Ok(message) = subprotocol.decode(data) else {
            return Glance::Other;
        };
        // A message without events says nothing, and the next one may be Hello.
        let Some(first) = message.events.into_iter().next() else {
            continue;
        };
        return match first.event {
            Some(Event::Hello(hello)) => Glance::Hello(hello),
            _ => Glance::Other,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use prost::Message;
    use wire::{
        client::{ClientEvent, ClientMessage, Ping},
        websocket::{OpCode, client_frame, ping_frame},
    };

    use super::*;

    const LIMITS: ReaderLimits = ReaderLimits {
        max_message_bytes: 4096,
        max_fragments: 4,
    };

    fn frame(event: Event) -> Vec<u8> {
        let message = ClientMessage {
            events: vec![ClientEvent { event: Some(event) }],
        };
        let mut frame = Vec::new();
        client_frame(
            OpCode::Binary,
            [1, 2, 3, 4],
            &message.encode_to_vec(),
            &mut frame,
        );
        frame
    }

    fn hello(token: &str) -> Vec<u8> {
        frame(Event::Hello(Box::new(Hello {
            token: token.into(),
            ..Hello::default()
        })))
    }

    #[test]
    fn hello_is_found_once_it_is_whole_behind_pings_and_empty_messages() {
        let mut input = Vec::new();
        client_frame(OpCode::Ping, [9; 4], b"x", &mut input);
        client_frame(OpCode::Binary, [9; 4], b"", &mut input);
        input.extend(hello("t.o.k"));
        let mut reader = Reader::default();
        let mut look = |piece: &[u8]| glance(&mut reader, &LIMITS, Subprotocol::Protobuf, piece);
        let (last, rest) = input.split_last().expect("not empty");
        for byte in rest {
            assert!(matches!(look(slice::from_ref(byte)), Glance::Unfinished));
        }
        assert!(
            matches!(look(slice::from_ref(last)), Glance::Hello(hello) if hello.token == "t.o.k")
        );
    }

    #[test]
    fn everything_else_is_left_to_the_shard() {
        let mut unmasked = Vec::new();
        ping_frame(b"", &mut unmasked);
        for input in [frame(Event::Ping(Ping { nonce: 1 })), unmasked] {
            let glance = glance(
                &mut Reader::default(),
                &LIMITS,
                Subprotocol::Protobuf,
                &input,
            );
            assert!(matches!(glance, Glance::Other));
        }
    }
}
