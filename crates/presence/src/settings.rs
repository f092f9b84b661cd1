//! How presence is kept.

use std::time::Duration;

/// How presence is kept; the same at all gateways.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Changes are gathered for so long: by each gateway for the others, and then
    /// for its clients.
    pub tick: Duration,
    /// How long a member whose connection was lost may stay away before it has left.
    pub linger: Duration,
    /// How long a gateway may be silent before all its members have left.
    pub lease: Duration,
    /// Up to so many members of a channel clients are told by name who comes and
    /// goes; of more they are told the number.
    pub named: usize,
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            tick: Duration::from_millis(200),
            linger: Duration::from_secs(5),
            lease: Duration::from_secs(5),
            named: 200,
        }
    }
}
