//! What of a channel a subscription gets.

use std::num::NonZeroU8;

/// How many publications of a channel a subscription gets, from most to least.
///
/// With [`Class::Latest`] and [`Class::Sampled`] publications with the same key
/// replace each other, and so do those without one; what is replaced is counted
/// and told by a `Gap`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Class {
    /// All of them.
    #[default]
    All,
    /// All of them while the connection takes them as they come; otherwise the
    /// newest of each key.
    Latest,
    /// The newest of each key, at most so many times a second.
    Sampled(Rate),
}

/// What became of a class's publications so far, each subscriber counted. A conflating
/// channel's count as [`Class::Latest`], whatever their subscribers asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Appended to outboxes.
    pub delivered: u64,
    /// The bytes of these, frames included.
    pub bytes: u64,
    /// Withheld from slow members; those of `delivered` that were let go later are
    /// among them.
    pub dropped: u64,
    /// Replaced by newer ones of the same key before they reached a subscriber.
    pub conflated: u64,
}

/// One of [`Self::MAX`] that count what becomes of some channels' publications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account(NonZeroU8);

/// Times per second, one to a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u16);

// === impl Account ===

impl Account {
    /// How many there are.
    pub const MAX: usize = 64;

    /// The one of this number, from 0; `None` beyond the last.
    pub fn new(number: usize) -> Option<Self> {
        let number = u8::try_from(number).ok().filter(|_| number < Self::MAX)?;
        NonZeroU8::new(number + 1).map(Self)
    }

    /// Its number.
    pub(crate) fn number(self) -> usize {
        usize::from(self.0.get() - 1)
    }
}

// === impl Class ===

impl Class {
    /// Their names, as metrics have them, in the order of [`Self::index`].
    pub const LABELS: [&str; 3] = ["all", "latest", "sampled"];

    /// Which of [`Self::LABELS`] it is.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::All => 0,
            Self::Latest => 1,
            Self::Sampled(_) => 2,
        }
    }

    /// What a subscriber gets who asks for `asked` where this is given: never
    /// more than that.
    pub fn at_most(self, asked: Self) -> Self {
        match (self, asked) {
            (Self::Sampled(one), Self::Sampled(other)) if other.0 < one.0 => asked,
            (Self::Sampled(_), _) | (_, Self::All) => self,
            _ => asked,
        }
    }
}

// === impl Rate ===

impl Rate {
    /// The highest.
    pub const MAX: Self = Self(1000);

    /// So many times a second; [`Self::MAX`] if that is more, `None` if it is
    /// never.
    pub fn new(per_second: u32) -> Option<Self> {
        let rate = per_second.min(Self::MAX.0.into()) as u16;
        (rate > 0).then_some(Self(rate))
    }

    /// Times per second.
    pub fn per_second(self) -> u32 {
        self.0.into()
    }

    /// The first time after `now` that a sample is due, in milliseconds. The same
    /// for everybody, so that those with the same rate share what they get.
    pub(crate) fn next_ms(self, now: u64) -> u64 {
        let rate = u64::from(self.0);
        let samples = now * rate / 1000;
        ((samples + 1) * 1000).div_ceil(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(rate: u32) -> Class {
        Class::Sampled(Rate::new(rate).expect("not never"))
    }

    #[test]
    fn a_subscriber_gets_no_more_than_is_given() {
        assert_eq!(Class::All.at_most(Class::Latest), Class::Latest);
        assert_eq!(Class::Latest.at_most(Class::All), Class::Latest);
        assert_eq!(Class::Latest.at_most(sampled(3)), sampled(3));
        assert_eq!(sampled(3).at_most(Class::All), sampled(3));
        assert_eq!(sampled(3).at_most(Class::Latest), sampled(3));
        assert_eq!(sampled(3).at_most(sampled(5)), sampled(3));
        assert_eq!(sampled(5).at_most(sampled(3)), sampled(3));
    }

    #[test]
    fn samples_come_as_often_as_the_rate_says() {
        for per_second in [1, 3, 7, 20, 60, 1000, 5000] {
            let rate = Rate::new(per_second).expect("not never");
            let (mut now, mut samples) = (0, 0);
            while rate.next_ms(now) <= 1000 {
                let next = rate.next_ms(now);
                assert!(next > now);
                (now, samples) = (next, samples + 1);
            }
            assert_eq!(samples, rate.per_second());
        }
        assert_eq!(Rate::new(0), None);
    }
}
