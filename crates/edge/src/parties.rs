//! What all connections of a user, or of an address, have sent together.
//!
//! Shared by all shards, and asked once for each read of a socket, by those alone
//! whose rates are limited. Whoever is over is left unread like a connection that is
//! over its own rate, and all connections of the user or address with it, until
//! enough is paid off.

use std::{
    hash::{BuildHasher, Hash},
    net::IpAddr,
    time::Duration,
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use wire::UserId;

use crate::{
    allowance::{Allowance, UpstreamRates},
    clock::Clock,
    front::{AdmissionLimits, Prefix},
    table::Table,
};

/// Users, or addresses, remembered at once, some 40 bytes each. With more that send,
/// debts of those who were silent longest are forgiven.
const REMEMBERED: usize = 1 << 16;

/// The users and the addresses.
pub(crate) struct Parties {
    users: Option<Accounts<u64>>,
    addresses: Option<Accounts<Prefix>>,
    hasher: RandomState,
    limits: AdmissionLimits,
}

/// Whose rate is exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    User,
    Address,
}

/// Those of one kind.
struct Accounts<K> {
    rates: UpstreamRates,
    owed: Mutex<Table<K, Allowance>>,
}

// === impl Parties ===

impl Parties {
    /// `limits` say what counts as one address.
    pub(crate) fn new(
        user: UpstreamRates,
        address: UpstreamRates,
        limits: AdmissionLimits,
    ) -> Self {
        Self {
            users: Accounts::new(user),
            addresses: Accounts::new(address),
            hasher: RandomState::default(),
            limits,
        }
    }

    /// Notes what was read of a connection and handled; who is over its rate now.
    pub(crate) fn charge(
        &self,
        user: &UserId,
        address: IpAddr,
        clock: &Clock,
        messages: u64,
        bytes: usize,
    ) -> Option<Party> {
        let is_over = |allowance: &mut Allowance, rates: &UpstreamRates| {
            allowance.charge(rates, clock.now(), messages, bytes)
        };
        self.look(user, address, clock, is_over)
    }

    /// Who is over its rate still, if it was.
    pub(crate) fn is_over(&self, user: &UserId, address: IpAddr, clock: &Clock) -> Option<Party> {
        let is_over = |allowance: &mut Allowance, rates: &UpstreamRates| {
            allowance.is_over(rates, clock.now())
        };
        self.look(user, address, clock, is_over)
    }

    fn look(
        &self,
        user: &UserId,
        address: IpAddr,
        clock: &Clock,
        is_over: impl Fn(&mut Allowance, &UpstreamRates) -> bool,
    ) -> Option<Party> {
        let now = Duration::from_millis(clock.now_ms());
        // Both are asked, as both are charged.
        let user = self.users.as_ref().filter(|users| {
            let user = self.hasher.hash_one(user);
            users.look(user, now, &is_over)
        });
        let address = self.addresses.as_ref().filter(|addresses| {
            let prefix = self.limits.prefix(address);
            addresses.look(prefix, now, &is_over)
        });
        let user = user.map(|_| Party::User);
        user.or(address.map(|_| Party::Address))
    }
}

// === impl Accounts ===

impl<K: Eq + Hash> Accounts<K> {
    /// None if there is no limit.
    fn new(rates: UpstreamRates) -> Option<Self> {
        // By then whatever may come at once is paid off.
        let idle = rates.burst * 2 + Duration::from_secs(1);
        (rates.messages > 0 || rates.bytes > 0).then(|| Self {
            rates,
            owed: Mutex::new(Table::new(REMEMBERED, idle)),
        })
    }

    fn look(
        &self,
        key: K,
        now: Duration,
        is_over: impl Fn(&mut Allowance, &UpstreamRates) -> bool,
    ) -> bool {
        let mut owed = self.owed.lock();
        is_over(owed.entry(now, key), &self.rates)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const RATES: UpstreamRates = UpstreamRates {
        messages: 10,
        bytes: 0,
        burst: Duration::from_secs(1),
        patience: Duration::from_secs(10),
    };

    const NONE: UpstreamRates = UpstreamRates {
        messages: 0,
        ..RATES
    };

    fn user(name: &str) -> UserId {
        UserId::new(name).expect("a name")
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn a_user_is_over_wherever_he_sends_from() {
        let parties = Parties::new(RATES, NONE, AdmissionLimits::default());
        let clock = Clock::start();
        let charge =
            |name, at, messages| parties.charge(&user(name), address(at), &clock, messages, 0);
        assert_eq!(charge("ann", 1, 6), None);
        assert_eq!(charge("ann", 2, 6), Some(Party::User));
        assert_eq!(charge("bob", 2, 6), None);
        assert_eq!(
            parties.is_over(&user("ann"), address(3), &clock),
            Some(Party::User)
        );
        assert_eq!(parties.is_over(&user("bob"), address(2), &clock), None);
    }

    #[test]
    fn an_address_is_over_whoever_sends() {
        let parties = Parties::new(NONE, RATES, AdmissionLimits::default());
        let clock = Clock::start();
        let charge =
            |name, at, messages| parties.charge(&user(name), address(at), &clock, messages, 0);
        assert_eq!(charge("ann", 1, 6), None);
        assert_eq!(charge("bob", 1, 6), Some(Party::Address));
        assert_eq!(charge("ann", 2, 6), None);
    }

    #[test]
    fn nobody_is_over_where_there_is_no_limit() {
        let parties = Parties::new(NONE, NONE, AdmissionLimits::default());
        let clock = Clock::start();
        let charged = parties.charge(&user("ann"), address(1), &clock, 1 << 20, 1 << 30);
        assert_eq!(charged, None);
    }
}
