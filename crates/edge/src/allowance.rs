//! How much a client may send: buckets for messages and bytes, as debts that are
//! paid off by time; sans-I/O, no clock.
//!
//! What was read counts when it has been handled, so nothing of it has to be kept.
//! While there is more debt than a burst allows, the socket is not read: the client
//! feels TCP's own backpressure and is told nothing. It is read again when a quarter
//! of the burst is paid off, so that whoever sends a little too much is left unread
//! seldom. Only who is so for more than a quarter of the time, for long, floods.

use std::time::Duration;

use crate::clock::{TICKS_PER_SECOND, Tick, ticks};

/// The least that is read at once, so that a large message comes in few pieces.
const LEAST_READ: usize = 4 << 10;

/// Bytes that a message is taken for where it is not known how many messages a read
/// will bring.
const SMALL_MESSAGE: u64 = 64;

/// Strain of a tick without reading, beside the one that every tick takes away.
const STRAIN: u32 = 4;

/// Debts are counted in these parts of a message or a byte.
const PARTS: u64 = TICKS_PER_SECOND as u64;

/// How fast a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamRates {
    /// Messages a second, each event of a message for itself; 0: any number.
    pub messages: u32,
    /// Bytes a second; 0: any number.
    pub bytes: u32,
    /// What may come at once after a pause: as much as in this time.
    pub burst: Duration,
    /// Who is left unread for so long, and for more than a quarter of the time, is
    /// closed.
    pub patience: Duration,
}

/// What a client owes; 16 bytes of each connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    /// When debts were last reduced.
    at: Tick,
    /// In parts of which a tick pays `rate`, as is the next one.
    messages: u32,
    bytes: u32,
    /// How long, and how little else than, the client was left unread.
    strain: u32,
}

/// What is to be done with a client that was left unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It owes no more than it may.
    Within,
    /// It is to be left unread for longer.
    Over,
    /// It has been so for too long.
    Flooding,
}

/// How full a bucket is, in messages or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) left: u64,
    pub(crate) burst: u64,
    pub(crate) per_second: u32,
}

// === impl Allowance ===

impl Allowance {
    /// Notes what was read and handled; whether the client is to be left unread now.
    pub(crate) fn charge(
        &mut self,
        rates: &UpstreamRates,
        now: Tick,
        messages: u64,
        bytes: usize,
    ) -> bool {
        self.pay(rates, now);
        self.messages = owe(rates.messages, self.messages, messages);
        self.bytes = owe(rates.bytes, self.bytes, bytes as u64);
        self.exceeds(rates, 4)
    }

    /// What to do with a client that is left unread; to be asked once a tick.
    pub(crate) fn standing(&mut self, rates: &UpstreamRates, now: Tick) -> Standing {
        // Who is left unread for what others send is no flood.
        if self.exceeds(rates, 3) {
            let waited = now.since(self.at);
            self.strain = self.strain.saturating_add(waited.saturating_mul(STRAIN));
        }
        self.pay(rates, now);
        let patience = ticks(rates.patience).saturating_mul(STRAIN - 1);
        match self.exceeds(rates, 3) {
            _ if self.strain > patience => Standing::Flooding,
            true => Standing::Over,
            false => Standing::Within,
        }
    }

    /// Whether it owes more than it may. Of a debt that many share: who waits is let
    /// go on at once, or those who do not would keep it waiting.
    pub(crate) fn is_over(&mut self, rates: &UpstreamRates, now: Tick) -> bool {
        self.pay(rates, now);
        self.exceeds(rates, 4)
    }

    /// How much to read at once, of `most`.
    pub(crate) fn appetite(&self, rates: &UpstreamRates, most: usize) -> usize {
        let left = |rate: u32, debt: u32, each: u64| match rate {
            0 => u64::MAX,
            rate => burst(rate, rates).saturating_sub(debt.into()) / PARTS * each,
        };
        let bytes = left(rates.bytes, self.bytes, 1);
        let bytes = bytes.min(left(rates.messages, self.messages, SMALL_MESSAGE));
        usize::try_from(bytes)
            .unwrap_or(most)
            .clamp(LEAST_READ.min(most), most)
    }

    /// What may come at once now, in messages and in bytes.
    pub(crate) fn levels(mut self, rates: &UpstreamRates, now: Tick) -> [Option<Level>; 2] {
        self.pay(rates, now);
        let level = |rate: u32, debt: u32| {
            let burst = burst(rate, rates);
            (rate > 0).then_some(Level {
                left: burst.saturating_sub(debt.into()) / PARTS,
                burst: burst / PARTS,
                per_second: rate,
            })
        };
        [
            level(rates.messages, self.messages),
            level(rates.bytes, self.bytes),
        ]
    }

    fn pay(&mut self, rates: &UpstreamRates, now: Tick) {
        let passed = now.since(self.at);
        if passed == 0 {
            return;
        }
        self.at = now;
        self.strain = self.strain.saturating_sub(passed);
        let paid = |debt: u32, rate: u32| debt.saturating_sub(rate.saturating_mul(passed));
        self.messages = paid(self.messages, rates.messages);
        self.bytes = paid(self.bytes, rates.bytes);
    }

    /// Whether the debt is as much as these quarters of the burst.
    fn exceeds(&self, rates: &UpstreamRates, quarters: u64) -> bool {
        let over =
            |debt: u32, rate: u32| rate > 0 && u64::from(debt) * 4 >= burst(rate, rates) * quarters;
        over(self.messages, rates.messages) || over(self.bytes, rates.bytes)
    }
}

/// The debt at which a client is left unread; what one tick pays at least, or it
/// would be left unread for ever.
fn burst(rate: u32, rates: &UpstreamRates) -> u64 {
    u64::from(rate) * u64::from(ticks(rates.burst).max(1))
}

fn owe(rate: u32, debt: u32, more: u64) -> u32 {
    match rate {
        0 => 0,
        _ => u32::try_from(u64::from(debt) + more * PARTS).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const RATES: UpstreamRates = UpstreamRates {
        messages: 100,
        bytes: 10_000,
        burst: Duration::from_secs(2),
        patience: Duration::from_secs(10),
    };

    /// Sends whenever it is read, at most `greed` messages of `size` bytes in a tick;
    /// gives what came in each second, until it was closed.
    fn run(rates: &UpstreamRates, seconds: u32, greed: u64, size: usize) -> (Vec<u64>, bool) {
        let mut allowance = Allowance::default();
        let mut is_unread = false;
        let mut received = Vec::new();
        for tick in 0..seconds * TICKS_PER_SECOND {
            let now = Tick::default().after(Clock::TICK * tick);
            if tick % TICKS_PER_SECOND == 0 {
                received.push(0);
            }
            if is_unread {
                match allowance.standing(rates, now) {
                    Standing::Within => is_unread = false,
                    Standing::Over => continue,
                    Standing::Flooding => return (received, true),
                }
            }
            for _ in 0..greed {
                *received.last_mut().expect("just pushed") += 1;
                is_unread = allowance.charge(rates, now, 1, size);
                if is_unread {
                    break;
                }
            }
        }
        (received, false)
    }

    #[test]
    fn it_stays_small() {
        assert_eq!(size_of::<Allowance>(), 16);
    }

    /// Asserts that what came is the burst and the rate since, at every second's end;
    /// up to the quarter of the burst that is waited for.
    fn assert_rate(received: &[u64], rate: u64) {
        let mut sum = 0;
        for (second, count) in (1..).zip(received) {
            sum += count;
            let most = rate * 2 + rate * second;
            assert!(sum <= most + 1, "{received:?}");
            assert!(sum + rate * 2 / 4 + rate / 10 >= most, "{received:?}");
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let patient = UpstreamRates {
            patience: Duration::from_secs(3600),
            ..RATES
        };
        let (received, _) = run(&patient, 60, 1000, 10);
        assert_rate(&received, 100);
    }

    #[test]
    fn bytes_count_as_well() {
        let patient = UpstreamRates {
            patience: Duration::from_secs(3600),
            ..RATES
        };
        let (received, _) = run(&patient, 60, 1000, 1_000);
        assert_rate(&received, 10);
    }

    #[test]
    fn who_stays_within_its_rate_is_never_left_unread() {
        // 96 a second.
        let (received, closed) = run(&RATES, 600, 6, 10);
        assert!(!closed);
        assert!(received.iter().all(|second| *second == 96), "{received:?}");
    }

    #[test]
    fn only_who_floods_for_long_is_closed() {
        // Seven in a tick are 112 a second: a little beyond, for ten minutes.
        let (received, closed) = run(&RATES, 600, 7, 10);
        assert!(!closed);
        let mean = received.iter().sum::<u64>() / 600;
        assert!((98..=102).contains(&mean), "{mean}");
        let (received, closed) = run(&RATES, 600, 1000, 10);
        assert!(closed);
        assert!((10..=15).contains(&received.len()), "{}", received.len());
    }

    #[test]
    fn a_pause_is_forgiving() {
        let mut allowance = Allowance::default();
        let mut now = Tick::default();
        for _ in 0..100 {
            // Five seconds of flooding, and twenty of nothing.
            assert!(allowance.charge(&RATES, now, 700, 0));
            for _ in 0..5 * TICKS_PER_SECOND {
                now = now.after(Clock::TICK);
                assert_ne!(allowance.standing(&RATES, now), Standing::Flooding);
            }
            now = now.after(Duration::from_secs(20));
        }
    }

    #[test]
    fn no_rate_is_no_limit() {
        let none = UpstreamRates {
            messages: 0,
            bytes: 0,
            ..RATES
        };
        let mut allowance = Allowance::default();
        assert!(!allowance.charge(&none, Tick::default(), u64::MAX / 32, usize::MAX));
        assert_eq!(allowance.appetite(&none, 1 << 17), 1 << 17);
    }

    #[test]
    fn less_is_read_at_once_as_the_debt_grows() {
        let mut allowance = Allowance::default();
        let most = 128 << 10;
        let full = allowance.appetite(&RATES, most);
        assert_eq!(full, 200 * 64);
        allowance.charge(&RATES, Tick::default(), 100, 0);
        assert_eq!(allowance.appetite(&RATES, most), 100 * 64);
        allowance.charge(&RATES, Tick::default(), 100, 0);
        assert_eq!(allowance.appetite(&RATES, most), LEAST_READ);
    }

    #[test]
    fn who_waits_for_what_many_owe_goes_on_as_soon_as_there_is_room() {
        let mut shared = Allowance::default();
        let mut now = Tick::default();
        assert!(shared.charge(&RATES, now, 200, 0));
        assert!(shared.is_over(&RATES, now));
        // A tenth of the burst is paid off.
        now = now.after(Duration::from_millis(200));
        assert!(!shared.is_over(&RATES, now));
    }

    #[test]
    fn who_is_left_unread_for_others_is_no_flood() {
        let mut quiet = Allowance::default();
        let mut now = Tick::default();
        for _ in 0..1_000 {
            now = now.after(Clock::TICK);
            assert_eq!(quiet.standing(&RATES, now), Standing::Within);
        }
    }
}
