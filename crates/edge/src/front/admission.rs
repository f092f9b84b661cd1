//! Who gets in now, and when the others may come back; sans-I/O, no clock.
//!
//! Connections take tokens of a bucket, of the gateway's and of their address's.
//! Who gets none is told when to return: each at the next free place of a line
//! that moves at the rate at which tokens come. So those refused together return
//! at just the rate at which they can be let in, however many they are.
//!
//! Clients that come back to a session go first. Their line is apart and begins
//! now; new clients stand behind everyone who is told to come back, and while
//! such clients are due, a part of the bucket is not for new ones. Should both
//! return at the same time, the new ones are put off again, and no token lapses.
//!
//! A place in a line is a time to try again, not a promise: whoever comes without
//! having been refused takes a token that another one was to find.

mod bucket;
mod flapping;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, time::Duration};

use self::{
    bucket::{Bucket, Line, Rate},
    flapping::Flapping,
};
use crate::table::Table;

/// Prefixes remembered; some 40 bytes each.
const MAX_PREFIXES: usize = 1 << 16;

/// The part of the bucket that is left to clients that come back while such are
/// due, as time: what a client may be late.
const HELD: Duration = Duration::from_millis(100);

/// How fast clients get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Connections a second; 0: no limit.
    pub rate: u32,
    /// Connections at once after a pause; at least one.
    pub burst: u32,
    /// The longest time that a client is told to stay away.
    pub horizon: Duration,
    /// HTTP requests under way from one address; more wait, and let those from
    /// other addresses pass. At least one.
    pub handshakes_per_address: usize,
    /// Connections a second from one address; 0: no limit, as behind a load
    /// balancer all clients may have the same one.
    pub address_rate: u32,
    /// Connections at once from one address; at least one.
    pub address_burst: u32,
    /// Connections held from one address; 0: no limit.
    pub connections_per_address: usize,
    /// Bits of an IPv4 address that count as one address, up to 32.
    pub ipv4_prefix: u8,
    /// Likewise of IPv6, up to 128.
    pub ipv6_prefix: u8,
    /// Users who come and go.
    pub flapping: FlappingLimits,
}

/// When a user's connections are too many and too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlappingLimits {
    /// Short connections that are forgiven; 0: all of them.
    pub forgiven: u32,
    /// A connection is short if the client's side ends it sooner than this.
    pub shorter_than: Duration,
    /// What each further one costs, until the next is let in.
    pub penalty: Duration,
}

/// Why a client is put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The gateway lets in no more at the moment.
    Rate,
    /// Too many come from this address.
    AddressRate,
    /// As many are connected from this address as may be.
    AddressConnections,
    /// Too much waits for those who are connected.
    Memory,
    /// The user comes and goes all the time.
    Flapping,
}

/// Not now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Later {
    pub(crate) reason: Reason,
    /// When to come back.
    pub(crate) after: Duration,
}

/// What the decision depends on. Times are since any fixed instant.
#[derive(Debug)]
pub(crate) struct Admission {
    rate: Option<Rate>,
    address_rate: Option<Rate>,
    horizon: Duration,
    bucket: Bucket,
    /// Those who come back to a session.
    returning: Line,
    new: Line,
    addresses: Table<Prefix, Address>,
    flapping: Flapping,
}

/// The part of an address that stands for one attacker; IPv4 as mapped to IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Prefix(u128);

/// What is known of a prefix.
#[derive(Clone, Copy, Debug, Default)]
struct Address {
    bucket: Bucket,
    line: Line,
}

// === impl Admission ===

impl Admission {
    pub(crate) fn new(limits: &AdmissionLimits) -> Self {
        let address_rate = Rate::new(limits.address_rate, limits.address_burst);
        // Whoever is forgotten has a full bucket and nobody in line by then.
        let idle = address_rate.map_or(Duration::ZERO, |rate| rate.full_after() + limits.horizon);
        Self {
            rate: Rate::new(limits.rate, limits.burst),
            address_rate,
            horizon: limits.horizon,
            bucket: Bucket::default(),
            returning: Line::default(),
            new: Line::default(),
            addresses: Table::new(MAX_PREFIXES, idle),
            flapping: Flapping::new(limits.flapping, limits.horizon),
        }
    }

    /// Whether a client may come in. `returns`: to a session it has a ticket of.
    pub(crate) fn decide(
        &mut self,
        now: Duration,
        prefix: Prefix,
        returns: bool,
    ) -> Result<(), Later> {
        if let Some(rate) = self.address_rate {
            let address = self.addresses.entry(now, prefix);
            if !address.bucket.has(now, rate, 0) {
                let after = address.line.next(now, rate, now, self.horizon);
                let reason = Reason::AddressRate;
                return Err(Later { reason, after });
            }
        }
        if let Some(rate) = self.rate {
            let held = match self.returning.is_ahead_of(now) && !returns {
                true => rate.within(HELD).min(rate.burst() / 2),
                false => 0,
            };
            if !self.bucket.has(now, rate, held) {
                let after = self.put_off(now, returns);
                let reason = Reason::Rate;
                return Err(Later { reason, after });
            }
            self.bucket.take(now, rate);
        }
        if let Some(rate) = self.address_rate {
            self.addresses.entry(now, prefix).bucket.take(now, rate);
        }
        Ok(())
    }

    /// When a client may try again that can't come in for any other reason.
    pub(crate) fn put_off(&mut self, now: Duration, returns: bool) -> Duration {
        let rate = self.rate.unwrap_or(Rate::UNLIMITED);
        match returns {
            true => self.returning.next(now, rate, now, self.horizon),
            // No further than half the horizon, beyond which lines repeat.
            false => {
                let behind = self.returning.end().min(now + self.horizon / 2);
                self.new.next(now, rate, behind, self.horizon)
            }
        }
    }

    /// Whether this user may come in, as far as it depends on earlier visits.
    pub(crate) fn greet(&mut self, now: Duration, user: u64) -> Result<(), Later> {
        self.flapping.greet(now, user).map_err(|after| Later {
            reason: Reason::Flapping,
            after,
        })
    }

    /// A connection of this user ended, by the client's doing.
    pub(crate) fn left(&mut self, now: Duration, user: u64, lived: Duration) {
        self.flapping.left(now, user, lived);
    }

    /// How long the last of those who were put off has to wait.
    pub(crate) fn backlog(&self, now: Duration) -> Duration {
        self.returning.end().max(self.new.end()).saturating_sub(now)
    }
}

// === impl AdmissionLimits ===

impl AdmissionLimits {
    /// What `address` counts as.
    pub(crate) fn prefix(&self, address: IpAddr) -> Prefix {
        let (bits, of, kept) = match address.to_canonical() {
            IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), 32, self.ipv4_prefix),
            IpAddr::V6(address) => (address.to_bits(), 128, self.ipv6_prefix),
        };
        let dropped = 128.min(of - u32::from(kept).min(of));
        Prefix(bits & u128::MAX.checked_shl(dropped).unwrap_or(0))
    }
}

impl Default for AdmissionLimits {
    /// Nobody is refused.
    fn default() -> Self {
        Self {
            rate: 0,
            burst: 1,
            horizon: Duration::from_secs(60),
            handshakes_per_address: usize::MAX >> 4,
            address_rate: 0,
            address_burst: 1,
            connections_per_address: 0,
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            flapping: FlappingLimits {
                forgiven: 0,
                shorter_than: Duration::ZERO,
                penalty: Duration::ZERO,
            },
        }
    }
}
