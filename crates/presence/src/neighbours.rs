//! Which other gateways live.

use foldhash::{HashMap, HashSet};
use wire::GatewayId;

/// Beats after this gateway was away in which nobody counts as gone: after an outage
/// of the bus gateways find it again within some seconds, not all at once.
const GRACE: u32 = 10;

/// Gateways that have lapsed and may come back.
const MAX_LAPSED: usize = 1_024;

/// Gateways that speak of members.
#[derive(Debug, Default)]
pub(crate) struct Neighbours {
    /// Those that were heard, and our beats since.
    heard: HashMap<GatewayId, u32>,
    /// So many of our beats nobody counts as gone.
    grace: u32,
    /// Those that were silent for too long, and had members.
    lapsed: HashSet<GatewayId>,
}

// === impl Neighbours ===

impl Neighbours {
    /// It said something; whether it had lapsed.
    pub(crate) fn hear(&mut self, gateway: GatewayId) -> bool {
        let had_lapsed = self.lapsed.remove(&gateway);
        self.heard.insert(gateway, 0);
        had_lapsed
    }

    /// It ends.
    pub(crate) fn end(&mut self, gateway: &GatewayId) {
        self.heard.remove(gateway);
    }

    /// This gateway was away, and others may have been: all have time to be heard.
    pub(crate) fn begin_anew(&mut self) {
        self.grace = GRACE;
        self.heard.values_mut().for_each(|silent| *silent = 0);
    }

    /// One of our beats has passed; gives those that were silent for more than so many,
    /// which are forgotten.
    pub(crate) fn own_beat(&mut self, patience: u32) -> Vec<GatewayId> {
        if self.grace > 0 {
            self.grace -= 1;
            return Vec::new();
        }
        self.heard.values_mut().for_each(|silent| *silent += 1);
        let silent = self.heard.iter().filter(|(_, silent)| **silent > patience);
        let silent: Vec<_> = silent.map(|(gateway, _)| gateway.clone()).collect();
        for gateway in &silent {
            self.heard.remove(gateway);
        }
        silent
    }

    /// One of those had members, which have left: if it comes back, so do they.
    pub(crate) fn lapsed(&mut self, gateway: &GatewayId) {
        if self.lapsed.len() < MAX_LAPSED {
            self.lapsed.insert(gateway.clone());
        }
    }
}
