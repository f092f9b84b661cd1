//! Ids of server-sent events: where their reader stands in every channel of the stream,
//! so that `Last-Event-ID` (WHATWG HTML, section 9.2.4) resumes at any gateway.
//!
//! Written `<channel>:<epoch>:<offset>`, joined by commas.

use std::{collections::BTreeMap, fmt, str::FromStr};

use thiserror::Error;

use crate::{Channel, Epoch, MAX_CHANNEL_BYTES, Offset};

/// Positions in channels, as an event's id has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventId(BTreeMap<Channel, (Epoch, Offset)>);

/// The text is no id that we gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the id of an event")]
pub struct EventIdError;

/// Longest name of an epoch that is read, in bytes.
const MAX_EPOCH_BYTES: usize = 128;

// === impl EventId ===

impl EventId {
    /// Channels at most.
    pub const MAX_CHANNELS: usize = 16;

    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the reader stands in the channel.
    pub fn position(&self, channel: &Channel) -> Option<(&Epoch, Offset)> {
        let (epoch, offset) = self.0.get(channel)?;
        Some((epoch, *offset))
    }

    /// The reader stands there from now on.
    pub fn set(&mut self, channel: Channel, epoch: Epoch, offset: Offset) {
        self.0.insert(channel, (epoch, offset));
    }

    /// The reader is given a later publication of the channel.
    pub fn advance(&mut self, channel: &Channel, offset: Offset) {
        if let Some((_, at)) = self.0.get_mut(channel) {
            *at = offset;
        }
    }

    /// The channel is not followed any more.
    pub fn forget(&mut self, channel: &Channel) {
        self.0.remove(channel);
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (channel, (epoch, Offset(offset)))) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{channel}:{}:{offset}", epoch.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<Self, EventIdError> {
        let mut positions = BTreeMap::new();
        for entry in text.split(',').filter(|_| !text.is_empty()) {
            let (channel, rest) = entry.split_once(':').ok_or(EventIdError)?;
            let (epoch, offset) = rest.rsplit_once(':').ok_or(EventIdError)?;
            let channel = Channel::parse(channel, MAX_CHANNEL_BYTES).map_err(|_| EventIdError)?;
            let is_name = |byte: u8| byte.is_ascii_graphic();
            if epoch.len() > MAX_EPOCH_BYTES || !epoch.bytes().all(is_name) {
                return Err(EventIdError);
            }
            let offset = Offset(offset.parse().map_err(|_| EventIdError)?);
            if positions.len() == Self::MAX_CHANNELS {
                return Err(EventIdError);
            }
            let earlier = positions.insert(channel, (Epoch::new(epoch), offset));
            if earlier.is_some() {
                return Err(EventIdError);
            }
        }
        Ok(Self(positions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for text in [
            "",
            "a.b:e-1:7",
            "a.b:e:1,c.d::0,e.f:x:y:18446744073709551615",
        ] {
            let id: EventId = text.parse().expect("an id");
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let many = (0..17).map(|number| format!("a.b{number}:e:1"));
        let many: Vec<_> = many.collect();
        for text in [
            "a",
            "a.b:1",
            "a b:e:1",
            "a.b:e:x",
            "a.b:e:1,",
            "a.b:e:1,a.b:e:2",
        ] {
            assert_eq!(text.parse::<EventId>(), Err(EventIdError), "{text}");
        }
        assert!(many.join(",").parse::<EventId>().is_err());
        assert!(many[..16].join(",").parse::<EventId>().is_ok());
    }
}
