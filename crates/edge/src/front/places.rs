//! Connections held: all together, and those of each address.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use foldhash::HashMap;
use parking_lot::Mutex;

use super::admission::Prefix;

/// Counts connections, from accept to their end.
pub(crate) struct Places {
    anywhere: Arc<Home>,
    /// Connections at once; what comes beyond is refused.
    limit: usize,
    /// Absent: addresses are not counted.
    homes: Option<Arc<Homes>>,
}

/// A place of one connection, whoever owns it; given back when it is dropped. Small,
/// as each connection has one.
pub(crate) struct ConnectionSlot(Arc<Home>);

/// What the connections of one address share; or all of them, where addresses are not
/// counted.
struct Home {
    /// All connections of the gateway.
    taken: Arc<AtomicUsize>,
    address: Option<(Arc<Homes>, Prefix)>,
}

/// The addresses that have connections.
struct Homes {
    /// Connections of each.
    limit: usize,
    by_prefix: Mutex<HashMap<Prefix, (Arc<Home>, usize)>>,
}

// === impl Places ===

impl Places {
    /// `per_address`: of one address; 0: any number.
    pub(crate) fn new(limit: usize, per_address: usize) -> Self {
        let homes = Homes {
            limit: per_address,
            by_prefix: Mutex::default(),
        };
        Self {
            anywhere: Arc::new(Home {
                taken: Arc::default(),
                address: None,
            }),
            limit,
            homes: (per_address > 0).then(|| Arc::new(homes)),
        }
    }

    /// How many there are.
    pub(crate) fn taken(&self) -> usize {
        self.anywhere.taken.load(Ordering::Relaxed)
    }

    /// Takes a place if there is one.
    pub(super) fn take(&self) -> Option<ConnectionSlot> {
        let before = self.anywhere.taken.fetch_add(1, Ordering::Relaxed);
        let slot = ConnectionSlot(self.anywhere.clone());
        (before < self.limit).then_some(slot)
    }

    /// Takes a place among those of the address, if there is one, instead of `slot`.
    pub(super) fn settle(&self, slot: &mut ConnectionSlot, prefix: Prefix) -> bool {
        let Some(homes) = &self.homes else {
            return true;
        };
        let mut by_prefix = homes.by_prefix.lock();
        let taken = &self.anywhere.taken;
        let (home, held) = by_prefix.entry(prefix).or_insert_with(|| {
            let home = Home {
                taken: taken.clone(),
                address: Some((homes.clone(), prefix)),
            };
            (Arc::new(home), 0)
        });
        if *held >= homes.limit {
            return false;
        }
        *held += 1;
        let home = home.clone();
        drop(by_prefix);
        taken.fetch_add(1, Ordering::Relaxed);
        *slot = ConnectionSlot(home);
        true
    }
}

// === impl ConnectionSlot ===

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
        let Some((homes, prefix)) = &self.0.address else {
            return;
        };
        let mut by_prefix = homes.by_prefix.lock();
        if let Some((_, held)) = by_prefix.get_mut(prefix) {
            *held -= 1;
            if *held == 0 {
                by_prefix.remove(prefix);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::AdmissionLimits;

    fn prefix(address: &str) -> Prefix {
        let address = address.parse().expect("an address");
        AdmissionLimits::default().prefix(address)
    }

    #[test]
    fn each_address_has_its_own_places_and_gives_them_back() {
        let places = Places::new(4, 2);
        let take = |address| {
            let mut slot = places.take()?;
            let settled = places.settle(&mut slot, prefix(address));
            settled.then_some(slot)
        };
        let first = take("192.0.2.1").expect("free");
        let _second = take("192.0.2.1").expect("free");
        assert!(take("192.0.2.1").is_none());
        let other = take("192.0.2.2").expect("free");
        assert_eq!(places.taken(), 3);
        drop(first);
        let _third = take("192.0.2.1").expect("free again");
        drop(other);
        let homes = places.homes.as_ref().expect("counted");
        assert_eq!(homes.by_prefix.lock().len(), 1);
    }

    #[test]
    fn nobody_is_refused_for_an_address_unless_they_are_counted() {
        let places = Places::new(3, 0);
        let mut slots: Vec<_> = (0..3).filter_map(|_| places.take()).collect();
        for slot in &mut slots {
            assert!(places.settle(slot, prefix("192.0.2.1")));
        }
        assert!(places.take().is_none());
        assert_eq!(places.taken(), 3);
        slots.clear();
        assert_eq!(places.taken(), 0);
    }
}
