//! Simulated storms, and each rule by itself.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One client of a storm; they try until they are in.
struct Client {
    returns: bool,
    tries: u32,
    admitted: Option<Duration>,
}

/// What a storm left behind.
struct Storm {
    clients: Vec<Client>,
    /// When clients tried to get in.
    tries: Vec<Duration>,
}

fn limits(rate: u32, burst: u32) -> AdmissionLimits {
    AdmissionLimits {
        rate,
        burst,
        ..AdmissionLimits::default()
    }
}

fn prefix(number: u32) -> Prefix {
    Prefix(number.into())
}

// === impl Storm ===

impl Storm {
    /// Clients come at instants within `wave`, and each time they are told to come
    /// back they do so, up to `late` later, from addresses of their own.
    fn run(limits: &AdmissionLimits, count: usize, wave: Duration, late: Duration) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let mut admission = Admission::new(limits);
        let mut within = |span: Duration| span.mul_f64(random.f64());
        let mut due: BinaryHeap<_> = (0..count)
            .map(|client| Reverse((within(wave), client)))
            .collect();
        let client = |number: usize| Client {
            returns: number.is_multiple_of(2),
            tries: 0,
            admitted: None,
        };
        let mut storm = Self {
            clients: (0..count).map(client).collect(),
            tries: Vec::new(),
        };
        while let Some(Reverse((now, number))) = due.pop() {
            let client = &mut storm.clients[number];
            client.tries += 1;
            storm.tries.push(now);
            let address = prefix(u32::try_from(number).expect("few"));
            match admission.decide(now, address, client.returns) {
                Ok(()) => client.admitted = Some(now),
                Err(later) => due.push(Reverse((now + later.after + within(late), number))),
            }
        }
        storm
    }

    fn admitted(&self, returns: bool) -> impl Iterator<Item = Duration> {
        let clients = self.clients.iter();
        clients
            .filter(move |client| client.returns == returns)
            .map(|client| client.admitted.expect("all get in"))
    }

    fn all_admitted(&self) -> Vec<Duration> {
        self.admitted(true).chain(self.admitted(false)).collect()
    }
}

/// How many of `instants` are in each second.
fn per_second(instants: &[Duration]) -> Vec<usize> {
    let last = instants.iter().max().map_or(0, Duration::as_secs);
    let mut counts = vec![0; usize::try_from(last).expect("short") + 1];
    for instant in instants {
        counts[usize::try_from(instant.as_secs()).expect("short")] += 1;
    }
    counts
}

#[test]
fn ten_thousand_dropped_at_once_come_back_at_the_rate() {
    let late = Duration::from_millis(40);
    let storm = Storm::run(&limits(1000, 100), 10_000, SECOND / 2, late);
    let admitted = per_second(&storm.all_admitted());
    // The burst of 100 comes on top in the first second, and is missing in the last.
    assert!((1000..=1105).contains(&admitted[0]), "{admitted:?}");
    for second in &admitted[1..9] {
        assert!((950..=1050).contains(second), "{admitted:?}");
    }
    assert!(admitted.len() <= 11, "{admitted:?}");
}

#[test]
fn returns_are_spread_and_there_is_no_second_wave() {
    let storm = Storm::run(&limits(1000, 100), 10_000, SECOND / 2, SECOND / 25);
    let tries = per_second(&storm.tries);
    // The wave itself; then those who return and the new ones, at the rate each.
    for second in &tries[1..] {
        assert!(*second <= 2_200, "{tries:?}");
    }
    // Within a second as well.
    let tenth = |instant: &Duration| *instant * 10;
    let tenths: Vec<_> = storm.tries.iter().map(tenth).collect();
    for tenth in &per_second(&tenths)[10..] {
        assert!(*tenth <= 300, "{tenth} in a tenth of a second");
    }
    let most = storm.clients.iter().map(|client| client.tries).max();
    assert!(most <= Some(6), "{most:?} tries");
}

#[test]
fn those_who_come_back_to_a_session_go_first() {
    let storm = Storm::run(&limits(1000, 100), 10_000, SECOND / 2, SECOND / 25);
    let sorted = |returns: bool| {
        let mut instants: Vec<_> = storm.admitted(returns).collect();
        instants.sort_unstable();
        instants
    };
    let (returning, new) = (sorted(true), sorted(false));
    let median = |instants: &[Duration]| instants[instants.len() / 2];
    assert!(median(&returning) < 3 * SECOND, "{:?}", median(&returning));
    assert!(median(&new) > 6 * SECOND, "{:?}", median(&new));
    assert!(returning.last() < Some(&(7 * SECOND)), "{returning:?}");
}

#[test]
fn places_held_for_those_who_do_not_come_back_are_given_away() {
    let mut admission = Admission::new(&limits(1000, 1000));
    let now = SECOND;
    for client in 0..5000 {
        // Refused from the thousandth on, and never seen again.
        let _ = admission.decide(now, prefix(client), true);
    }
    assert!(admission.backlog(now) > 3 * SECOND);
    let mut admitted = 0;
    for ms in 0..2000 {
        let now = now + Duration::from_millis(ms);
        admitted += usize::from(admission.decide(now, prefix(0), false).is_ok());
    }
    assert!((1850..=2000).contains(&admitted), "{admitted}");
}

#[test]
fn nobody_is_told_to_stay_away_beyond_the_horizon_and_no_instant_is_crowded() {
    let mut limits = limits(100, 1);
    limits.horizon = 10 * SECOND;
    let mut admission = Admission::new(&limits);
    let mut waits = Vec::new();
    for client in 0..10_000 {
        for returns in [false, true] {
            if let Err(later) = admission.decide(SECOND, prefix(client), returns) {
                assert!(later.after > Duration::ZERO && later.after <= limits.horizon);
                waits.push(later.after);
            }
        }
    }
    let seconds = per_second(&waits);
    let fair = waits.len() / 5;
    for second in &seconds[6..10] {
        assert!(*second < fair * 3 / 2, "{seconds:?}");
    }
}

#[test]
fn no_limit_refuses_nobody_and_full_gateways_spread_returns_all_the_same() {
    let mut admission = Admission::new(&AdmissionLimits::default());
    for client in 0..10_000 {
        assert_eq!(admission.decide(SECOND, prefix(client), false), Ok(()));
    }
    let first = admission.put_off(SECOND, false);
    assert!(admission.put_off(SECOND, false) > first);
}

#[test]
fn one_address_does_not_use_up_what_is_there_for_all() {
    let mut limits = limits(1000, 100);
    (limits.address_rate, limits.address_burst) = (10, 5);
    let mut admission = Admission::new(&limits);
    let mut waits = Vec::new();
    for _ in 0..1000 {
        if let Err(later) = admission.decide(SECOND, prefix(1), false) {
            assert_eq!(later.reason, Reason::AddressRate);
            waits.push(later.after);
        }
    }
    assert_eq!(waits.len(), 995);
    // Ten a second, spread as well.
    assert!(waits[..500].is_sorted() && waits[9] >= SECOND, "{waits:?}");
    assert_eq!(admission.decide(SECOND, prefix(2), false), Ok(()));
}

#[test]
fn tables_are_bounded_and_forget_the_idle() {
    let mut table = Table::<u32, u32>::new(100, SECOND);
    for key in 0..10_000 {
        *table.entry(Duration::ZERO, key) = key;
        assert!(table.len() <= 100);
    }
    assert_eq!(table.get(&9_999), Some(9_999));
    assert_eq!(table.get(&0), None);
    // Used once a second, it stays; the others do not.
    for second in 1..10 {
        assert_eq!(*table.entry(second * SECOND, 9_999), 9_999);
    }
    assert_eq!(table.len(), 1);
}

#[test]
fn who_comes_and_goes_stays_away_longer_each_time() {
    let flapping = FlappingLimits {
        forgiven: 3,
        shorter_than: 5 * SECOND,
        penalty: 10 * SECOND,
    };
    let mut admission = Admission::new(&AdmissionLimits {
        flapping,
        ..limits(0, 1)
    });
    let (user, mut now) = (7, SECOND);
    for _ in 0..3 {
        assert_eq!(admission.greet(now, user), Ok(()));
        admission.left(now, user, Duration::ZERO);
    }
    // Long ones cost nothing.
    admission.left(now, user, 5 * SECOND);
    assert_eq!(admission.greet(now, user), Ok(()));
    admission.left(now, user, 4 * SECOND);
    let waits: Vec<_> = (0..8)
        .map(|_| admission.greet(now, user).expect_err("too often").after)
        .collect();
    assert_eq!(waits[..3], [20 * SECOND, 30 * SECOND, 40 * SECOND]);
    assert_eq!(waits[7], 60 * SECOND);
    assert_eq!(admission.greet(now, user + 1), Ok(()), "others may");
    now += waits[7];
    assert_eq!(admission.greet(now, user), Ok(()));
}

#[test]
fn addresses_count_by_their_prefixes() {
    let of = |ipv4_prefix, ipv6_prefix, address: &str| {
        let limits = AdmissionLimits {
            ipv4_prefix,
            ipv6_prefix,
            ..AdmissionLimits::default()
        };
        limits.prefix(address.parse().expect("an address"))
    };
    assert_eq!(of(32, 64, "10.0.0.1"), of(32, 64, "::ffff:10.0.0.1"));
    assert_ne!(of(32, 64, "10.0.0.1"), of(32, 64, "10.0.0.2"));
    assert_eq!(of(24, 64, "10.0.0.1"), of(24, 64, "10.0.0.2"));
    assert_ne!(of(24, 64, "10.0.0.1"), of(24, 64, "10.0.1.1"));
    assert_eq!(of(32, 64, "2001:db8::1"), of(32, 64, "2001:db8::2"));
    assert_ne!(of(32, 64, "2001:db8::1"), of(32, 64, "2001:db8:0:1::1"));
    assert_eq!(of(0, 0, "10.0.0.1"), of(0, 0, "11.0.0.1"));
}
