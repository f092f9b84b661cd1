//! Where a publication stands in its channel.

use crate::publication::EncodedPublication;

/// Where a publication stands in its channel: places grow as the channel flows,
/// also when its log is lost and offsets begin anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// How often the log began anew since this gateway listens.
    pub life: u32,
    /// Offset of the publication; zero: the channel keeps no log.
    pub offset: u64,
}

// === impl Place ===

impl Place {
    /// The place of `publication`.
    pub fn of(publication: &EncodedPublication) -> Self {
        Self {
            life: publication.life(),
            offset: publication.offset(),
        }
    }
}
