//! The configuration's part about what clients may send, and how fast.

use std::time::Duration;

use auth::RateClass;
use edge::UpstreamRates;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Size;

/// How fast a client may send on one connection. Who sends faster is read no faster,
/// and told nothing: TCP slows it down. Welcome says the rates.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamConfig {
    /// Events a second; 0: any number.
    pub messages_per_second: u32,
    /// Bytes a second; 0: any number.
    pub bytes_per_second: Size,
    /// The same for all connections of a user together; 0: any number.
    pub user_messages_per_second: u32,
    /// 0: any number.
    pub user_bytes_per_second: Size,
    /// The same for all connections from an address, as `admission.ipv4_prefix` and
    /// `ipv6_prefix` count it; 0: any number, as behind a balancer that hides
    /// addresses.
    pub address_messages_per_second: u32,
    /// 0: any number.
    pub address_bytes_per_second: Size,
    /// What may come at once after a pause: as much as in this time.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub burst: Duration,
    /// A client that is left unread for so long altogether, and for more than a
    /// quarter of the time, is closed with `rate_limited`.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub patience: Duration,
    /// Rates of connections whose token names a class (`tg.rate`), instead of those
    /// above.
    pub class: Vec<RateClassConfig>,
}

/// How fast a client of a class may send on one connection.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateClassConfig {
    /// One token of 32 letters, digits, `_` and `-` at most.
    pub name: String,
    /// Events a second; 0: any number.
    pub messages_per_second: u32,
    /// Bytes a second; 0: any number.
    pub bytes_per_second: Size,
}

// === impl UpstreamConfig ===

impl UpstreamConfig {
    /// Of a connection.
    pub(super) fn rates(&self) -> UpstreamRates {
        self.of(self.messages_per_second, self.bytes_per_second)
    }

    /// Of the classes that tokens may name.
    pub(super) fn classes(&self) -> Vec<(RateClass, UpstreamRates)> {
        let class = |entry: &RateClassConfig| {
            let name = RateClass::parse(&entry.name).expect("validated");
            (
                name,
                self.of(entry.messages_per_second, entry.bytes_per_second),
            )
        };
        self.class.iter().map(class).collect()
    }

    /// Of a user.
    pub(super) fn user_rates(&self) -> UpstreamRates {
        self.of(self.user_messages_per_second, self.user_bytes_per_second)
    }

    /// Of an address.
    pub(super) fn address_rates(&self) -> UpstreamRates {
        self.of(
            self.address_messages_per_second,
            self.address_bytes_per_second,
        )
    }

    fn of(&self, messages: u32, bytes: Size) -> UpstreamRates {
        UpstreamRates {
            messages,
            bytes: u32::try_from(bytes.bytes()).expect("validated"),
            burst: self.burst,
            patience: self.patience,
        }
    }
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            // A game sends its inputs 60 times a second; a core handles some hundred
            // thousand, so it takes a hundred floods to fill it.
            messages_per_second: 1_000,
            bytes_per_second: Size::kib(1024),
            user_messages_per_second: 0,
            user_bytes_per_second: Size::kib(0),
            address_messages_per_second: 0,
            address_bytes_per_second: Size::kib(0),
            burst: Duration::from_secs(2),
            // Uploads that know no end but TCP's are let be for some minutes.
            patience: Duration::from_secs(300),
            class: Vec::new(),
        }
    }
}
