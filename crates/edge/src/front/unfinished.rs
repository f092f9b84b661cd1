//! Sockets that have no connection yet: from accept to a valid Hello. They may be a
//! share of the gateway's connections; when there are as many, each new one costs an
//! old one its place, so that whoever is slow, or says nothing, never keeps out those
//! who come to talk.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::admission::Prefix;

/// The sockets of a gateway.
pub(crate) struct Unfinished(Mutex<Crowd<oneshot::Sender<()>>>);

/// A socket's place among them, given up when it is dropped.
pub(crate) struct Visit<'a> {
    all: &'a Unfinished,
    number: u64,
}

/// Who is there, and who has to go; `T` is how to tell it. Numbers count sockets as
/// they come, and stand for time.
struct Crowd<T> {
    limit: usize,
    next: u64,
    sockets: BTreeMap<u64, (Prefix, T)>,
    of_address: HashMap<Prefix, BTreeSet<u64>>,
    /// How many an address has, and since when it has the oldest of them.
    ranks: BTreeSet<(usize, Reverse<u64>, Prefix)>,
}

// === impl Unfinished ===

impl Unfinished {
    /// Of at most so many sockets; at least one.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Mutex::new(Crowd::new(limit.max(1))))
    }

    /// Lets a socket in. The receiver is told when it has to go.
    pub(super) fn enter(&self, prefix: Prefix) -> (Visit<'_>, oneshot::Receiver<()>) {
        let (shed, is_shed) = oneshot::channel();
        let (number, loser) = self.0.lock().enter(prefix, shed);
        if let Some(loser) = loser {
            // It may have finished just now.
            let _ = loser.send(());
        }
        (Visit { all: self, number }, is_shed)
    }
}

// === impl Visit ===

impl Visit<'_> {
    /// The socket turns out to be from there.
    pub(crate) fn comes_from(&self, prefix: Prefix) {
        self.all.0.lock().attribute(self.number, prefix);
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.all.0.lock().leave(self.number);
    }
}

// === impl Crowd ===

impl<T> Crowd<T> {
    fn new(limit: usize) -> Self {
        Self {
            limit,
            next: 0,
            sockets: BTreeMap::new(),
            of_address: HashMap::default(),
            ranks: BTreeSet::new(),
        }
    }

    /// Its number, and who has to go for it.
    fn enter(&mut self, prefix: Prefix, tell: T) -> (u64, Option<T>) {
        let number = self.next;
        self.next += 1;
        let loser = (self.sockets.len() >= self.limit)
            .then(|| self.loser())
            .flatten();
        let loser = loser.and_then(|number| self.leave(number));
        self.insert(number, prefix, tell);
        (number, loser)
    }

    fn attribute(&mut self, number: u64, prefix: Prefix) {
        if let Some(tell) = self.leave(number) {
            self.insert(number, prefix, tell);
        }
    }

    /// `None`: it had to go.
    fn leave(&mut self, number: u64) -> Option<T> {
        let (prefix, tell) = self.sockets.remove(&number)?;
        self.change(prefix, |numbers| numbers.remove(&number));
        Some(tell)
    }

    fn insert(&mut self, number: u64, prefix: Prefix, tell: T) {
        self.sockets.insert(number, (prefix, tell));
        self.change(prefix, |numbers| numbers.insert(number));
    }

    fn change(&mut self, prefix: Prefix, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let rank = |numbers: &BTreeSet<u64>| {
            let oldest = numbers.first()?;
            Some((numbers.len(), Reverse(*oldest), prefix))
        };
        let numbers = self.of_address.entry(prefix).or_default();
        if let Some(rank) = rank(numbers) {
            self.ranks.remove(&rank);
        }
        change(numbers);
        match rank(numbers) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.of_address.remove(&prefix);
            }
        }
    }

    /// The oldest of the address that has the most, or the oldest of all if it has
    /// been here for longer times what its own address has: so a crowd behind one
    /// address that is quick does not pay for many slow ones from everywhere.
    fn loser(&self) -> Option<u64> {
        let (count, Reverse(of_most), _) = self.ranks.last()?;
        let (oldest, (prefix, _)) = self.sockets.first_key_value()?;
        let guilt = |number: u64, count: usize| u128::from(self.next - number) * count as u128;
        let own = self.of_address.get(prefix).map_or(0, BTreeSet::len);
        match guilt(*oldest, own) > guilt(*of_most, *count) {
            true => Some(*oldest),
            false => Some(*of_most),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::front::AdmissionLimits;

    fn prefix(of: u32) -> Prefix {
        AdmissionLimits::default().prefix(IpAddr::V4(Ipv4Addr::from_bits(of)))
    }

    /// The names of those who had to go.
    fn enter(crowd: &mut Crowd<&'static str>, of: u32, name: &'static str) -> Option<&'static str> {
        crowd.enter(prefix(of), name).1
    }

    #[test]
    fn whoever_has_the_most_pays_with_its_oldest() {
        let mut crowd = Crowd::new(4);
        assert_eq!(enter(&mut crowd, 1, "a"), None);
        for name in ["x", "y", "z"] {
            assert_eq!(enter(&mut crowd, 2, name), None);
        }
        assert_eq!(enter(&mut crowd, 3, "b"), Some("x"));
        assert_eq!(enter(&mut crowd, 4, "c"), Some("y"));
        // Now all have one, and the oldest goes.
        assert_eq!(enter(&mut crowd, 2, "v"), Some("a"));
    }

    #[test]
    fn a_quick_crowd_behind_one_address_does_not_pay_for_slow_ones_from_everywhere() {
        let mut crowd = Crowd::new(1_000);
        for slow in 0..990 {
            crowd.enter(prefix(1_000 + slow), "slow");
        }
        // Eight at a time behind one address, each done within some arrivals.
        let mut quick = std::collections::VecDeque::new();
        for round in 0..1_000 {
            let (number, loser) = crowd.enter(prefix(1), "quick");
            quick.push_back(number);
            assert_ne!(loser, Some("quick"), "round {round}");
            if quick.len() == 8 {
                crowd.leave(quick.pop_front().expect("eight"));
            }
            let (_, loser) = crowd.enter(prefix(10_000 + round), "slow");
            assert_ne!(loser, Some("quick"), "round {round}");
        }
    }

    #[test]
    fn who_is_attributed_elsewhere_keeps_its_age_and_nothing_is_left_behind() {
        let mut crowd = Crowd::new(3);
        let (proxied, _) = crowd.enter(prefix(9), "proxied");
        let (other, _) = crowd.enter(prefix(9), "other");
        crowd.attribute(proxied, prefix(1));
        assert_eq!(crowd.of_address.len(), 2);
        crowd.leave(other);
        assert_eq!(crowd.leave(proxied), Some("proxied"));
        assert_eq!(crowd.leave(proxied), None);
        crowd.attribute(proxied, prefix(2));
        assert!(crowd.sockets.is_empty() && crowd.of_address.is_empty());
        assert!(crowd.ranks.is_empty());
    }
}
