//! A publication, encoded once for all connections of the gateway.

use std::sync::OnceLock;

use wire::{
    Subprotocol,
    client::{Publication, ServerEvent, server_event::Event},
};

/// A publication as the event that clients get, encoded once per subprotocol in
/// use. The only part of the hub that crosses threads.
#[derive(Debug)]
pub struct EncodedPublication {
    alias: u32,
    offset: u64,
    previous: u64,
    life: u32,
    protobuf: Vec<u8>,
    json: OnceLock<Vec<u8>>,
    /// What JSON is made from, if anybody asks for it.
    event: ServerEvent,
}

// === impl EncodedPublication ===

impl EncodedPublication {
    /// Encodes `publication`, whose alias must be set, for protobuf; for JSON it
    /// is encoded when the first listener needs it.
    pub fn new(publication: &Publication) -> Self {
        let event = ServerEvent {
            event: Some(Event::Publication(publication.clone())),
        };
        // Fields other than key and payload take at most 48 bytes.
        let capacity = publication.payload.len() + publication.key.len() + 48;
        let mut protobuf = Vec::with_capacity(capacity);
        Subprotocol::Protobuf.encode_event(&event, &mut protobuf);
        Self {
            alias: publication.alias,
            offset: publication.offset,
            previous: publication.previous,
            life: 0,
            protobuf,
            json: OnceLock::new(),
            event,
        }
    }

    /// The same, of a log's later life: offsets begin anew with each.
    pub fn of_life(self, life: u32) -> Self {
        Self { life, ..self }
    }

    /// The channel's number on this gateway.
    pub fn alias(&self) -> u32 {
        self.alias
    }

    /// Position in the channel; zero: the channel keeps no log.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Offset of the publication before it in the channel.
    pub fn previous(&self) -> u64 {
        self.previous
    }

    /// Those with the same replace each other where a channel is conflated.
    pub(crate) fn key(&self) -> &str {
        match &self.event.event {
            Some(Event::Publication(publication)) => &publication.key,
            _ => "",
        }
    }

    /// When it was published, by the publisher's clock, in microseconds of Unix time;
    /// zero: nobody knows.
    pub fn published_at_us(&self) -> i64 {
        match &self.event.event {
            Some(Event::Publication(publication)) => publication.published_at_us,
            _ => 0,
        }
    }

    /// Which life of the channel's log it is of.
    pub fn life(&self) -> u32 {
        self.life
    }

    /// Bytes of the protobuf event; what queues of publications should charge.
    pub fn encoded_len(&self) -> usize {
        self.protobuf.len()
    }

    /// The event as it stands inside a message of `subprotocol`.
    pub(crate) fn encoded(&self, subprotocol: Subprotocol) -> &[u8] {
        match subprotocol {
            Subprotocol::Protobuf => &self.protobuf,
            Subprotocol::Json => self.json.get_or_init(|| {
                let mut json = Vec::with_capacity(2 * self.protobuf.len() + 64);
                subprotocol.encode_event(&self.event, &mut json);
                json
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publications_cross_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&EncodedPublication::new(&Publication::default()));
    }

    #[test]
    fn both_encodings_hold_the_same_event() {
        let publication = Publication {
            alias: 3,
            offset: 9,
            previous: 8,
            payload: vec![1, 2].into(),
            ..Default::default()
        };
        let encoded = EncodedPublication::new(&publication);
        let event = ServerEvent {
            event: Some(Event::Publication(publication)),
        };
        for subprotocol in Subprotocol::ALL {
            let mut expected = Vec::new();
            subprotocol.encode_event(&event, &mut expected);
            assert_eq!(encoded.encoded(subprotocol), expected);
        }
        assert_eq!(
            (encoded.alias(), encoded.offset(), encoded.previous()),
            (3, 9, 8)
        );
    }
}
