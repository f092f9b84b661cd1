//! Presence's metrics.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `tidegate_presence_channels` | | channels with presence that have members at this gateway |
//! | `tidegate_presence_members` | | members at this gateway, in all of them |
//! | `tidegate_presence_words_total` | `direction` | what gateways told each other of members: `in`, `out` |
//! | `tidegate_presence_asked_total` | | times that another gateway's members were asked for, because something was missed |
//! | `tidegate_presence_told_total` | `kind` | what clients were told, before it is multiplied by them: `change`, `snapshot` |
//! | `tidegate_presence_failures_total` | | words and questions that the bus did not take, or nobody answered |
//! | `tidegate_presence_lapsed_total` | | gateways that were silent for so long that their members counted as gone |

use metrics::{Counter, Gauge, counter, gauge};

/// A gateway's.
pub(crate) struct Metrics {
    pub(crate) channels: Gauge,
    pub(crate) members: Gauge,
    pub(crate) words_in: Counter,
    pub(crate) words_out: Counter,
    pub(crate) asked: Counter,
    pub(crate) changes: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) failures: Counter,
    pub(crate) lapsed: Counter,
}

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new() -> Self {
        let words = |direction| counter!("tidegate_presence_words_total", "direction" => direction);
        let told = |kind| counter!("tidegate_presence_told_total", "kind" => kind);
        Self {
            channels: gauge!("tidegate_presence_channels"),
            members: gauge!("tidegate_presence_members"),
            words_in: words("in"),
            words_out: words("out"),
            asked: counter!("tidegate_presence_asked_total"),
            changes: told("change"),
            snapshots: told("snapshot"),
            failures: counter!("tidegate_presence_failures_total"),
            lapsed: counter!("tidegate_presence_lapsed_total"),
        }
    }
}
