//! Events that wait together leave together: joined into as few messages as the
//! gateway's size limit allows.

use prost::Message;
use wire::{
    Subprotocol,
    client::{ClientEvent, ClientMessage},
};

/// Events on their way into messages.
#[derive(Debug)]
pub(crate) struct Batch {
    subprotocol: Subprotocol,
    max_message_bytes: usize,
    full: Vec<Vec<u8>>,
    /// A message that may grow; empty, or with at least one event.
    open: Vec<u8>,
}

/// One event alone is larger than the gateway accepts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

// === impl Batch ===

impl Batch {
    pub(crate) fn new(subprotocol: Subprotocol) -> Self {
        Self {
            subprotocol,
            max_message_bytes: usize::MAX,
            full: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Takes the limit of `Welcome`; zero: none.
    pub(crate) fn limit(&mut self, max_message_bytes: u32) {
        self.max_message_bytes = match max_message_bytes {
            0 => usize::MAX,
            limit => limit as usize,
        };
    }

    /// What the event would add to a message, in bytes.
    pub(crate) fn size_of(&self, event: &ClientEvent) -> Result<usize, TooLarge> {
        self.encode(event.clone()).map(|event| event.len())
    }

    pub(crate) fn push(&mut self, event: ClientEvent) -> Result<(), TooLarge> {
        let event = self.encode(event)?;
        let closing = self.subprotocol.closing();
        let separator = self.subprotocol.separator();
        let joined = self.open.len() + separator.len() + event.len() + closing.len();
        if joined > self.max_message_bytes {
            self.close();
        }
        self.open.extend_from_slice(match self.open.is_empty() {
            true => self.subprotocol.opening(),
            false => separator,
        });
        self.open.extend_from_slice(&event);
        Ok(())
    }

    /// The messages with everything pushed so far.
    pub(crate) fn take(&mut self) -> Vec<Vec<u8>> {
        self.close();
        std::mem::take(&mut self.full)
    }

    /// The event as it stands inside a [`ClientMessage`].
    fn encode(&self, event: ClientEvent) -> Result<Vec<u8>, TooLarge> {
        let subprotocol = self.subprotocol;
        let encoded = match subprotocol {
            // A message with one event is that event with its tag: joining messages
            // joins their events.
            Subprotocol::Protobuf => ClientMessage {
                events: vec![event],
            }
            .encode_to_vec(),
            Subprotocol::Json => serde_json::to_vec(&event).expect("events have string keys only"),
        };
        let alone = subprotocol.opening().len() + encoded.len() + subprotocol.closing().len();
        match alone > self.max_message_bytes {
            true => Err(TooLarge),
            false => Ok(encoded),
        }
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            let mut message = std::mem::take(&mut self.open);
            message.extend_from_slice(self.subprotocol.closing());
            self.full.push(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use wire::client::{Ping, client_event::Event};

    use super::*;

    fn ping(nonce: u32) -> ClientEvent {
        ClientEvent {
            event: Some(Event::Ping(Ping { nonce })),
        }
    }

    fn decoded(subprotocol: Subprotocol, messages: &[Vec<u8>]) -> Vec<Vec<ClientEvent>> {
        let decode = |message: &Vec<u8>| subprotocol.decode(message).map(|one| one.events);
        let decoded: Result<_, _> = messages.iter().map(decode).collect();
        decoded.expect("a batch is made of messages")
    }

    #[test]
    fn events_are_joined_and_split_at_the_limit() {
        for subprotocol in Subprotocol::ALL {
            let mut batch = Batch::new(subprotocol);
            (1..=3).for_each(|nonce| batch.push(ping(nonce)).expect("fits"));
            let messages = batch.take();
            assert_eq!(
                decoded(subprotocol, &messages),
                [[ping(1), ping(2), ping(3)]]
            );

            let limit = messages[0].len() - 1;
            batch.limit(u32::try_from(limit).expect("small"));
            (1..=3).for_each(|nonce| batch.push(ping(nonce)).expect("fits"));
            let messages = batch.take();
            assert!(messages.iter().all(|message| message.len() <= limit));
            assert_eq!(
                decoded(subprotocol, &messages),
                [vec![ping(1), ping(2)], vec![ping(3)]]
            );
            assert!(batch.take().is_empty());
        }
    }

    #[test]
    fn an_event_over_the_limit_is_refused_alone() {
        let mut batch = Batch::new(Subprotocol::Protobuf);
        batch.limit(3);
        assert_eq!(batch.push(ping(1)), Err(TooLarge));
        assert!(batch.take().is_empty());
    }
}
