//! What gateways and control planes read from the bus: commands and their replies,
//! entries of the registry, of the journal, of wills and of revocations, and what they say of members. What was decoded
//! is decoded again from its own encoding.

use prost::Message;
use wire::gateway::{
    Command, CommandReply, JournalEntry, PresenceAsk, PresenceBeat, PresencePart, PresenceSummary,
    RegisteredConnection, RegisteredGateway, Revocation, Will,
};

pub(crate) fn check(data: &[u8]) {
    again::<Command>(data);
    again::<CommandReply>(data);
    again::<RegisteredConnection>(data);
    again::<RegisteredGateway>(data);
    again::<JournalEntry>(data);
    again::<Will>(data);
    again::<Revocation>(data);
    again::<PresencePart>(data);
    again::<PresenceBeat>(data);
    again::<PresenceAsk>(data);
    again::<PresenceSummary>(data);
}

fn again<M: Message + Default>(data: &[u8]) {
    if let Ok(message) = M::decode(data) {
        // Bytes and not values: a number that is none is not equal to itself.
        let encoded = message.encode_to_vec();
        let decoded = M::decode(&*encoded).expect("our own encoding");
        assert_eq!(decoded.encoded_len(), encoded.len());
    }
}
