//! The configuration's part about tokens that the gateway can't read.

use std::time::Duration;

use bus::Subject;
use edge::{HookPolicy, RoutePolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BreakerConfig, Config};

/// Shows tokens that no issuer of the configuration can have made (those of an
/// unknown issuer, and those that are no JWT) to a worker.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HookConfig {
    /// The route of the workers, whose subject is `tg.rq.` and this. Clients can't
    /// call it: no `[[route]]` may have this subject.
    pub route: String,
    /// For an answer; shorter than `gateway.handshake_timeout`. Whoever waits longer
    /// is told to come back later.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// Tokens asked about at once by one gateway.
    pub max_in_flight: u32,
    /// Tokens remembered as valid, and as not valid.
    pub max_entries: usize,
    /// For how long a token is remembered as valid; never beyond its expiry.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub valid_ttl: Duration,
    /// For how long it is remembered as not valid.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "String")]
    pub denied_ttl: Duration,
    /// When workers that do not answer are left alone.
    pub breaker: BreakerConfig,
}

// === impl HookConfig ===

impl Default for HookConfig {
    fn default() -> Self {
        Self {
            route: "auth.verify".to_owned(),
            timeout: Duration::from_secs(2),
            max_in_flight: 256,
            max_entries: 10_000,
            // A token that is withdrawn where it was made counts for so long at most.
            valid_ttl: Duration::from_secs(60),
            denied_ttl: Duration::from_secs(10),
            breaker: BreakerConfig {
                failures: 5,
                pause: Duration::from_secs(5),
            },
        }
    }
}

impl HookConfig {
    pub(super) fn policy(&self) -> HookPolicy {
        HookPolicy {
            name: self.route.as_str().into(),
            route: RoutePolicy {
                anonymous: false,
                subject: Subject::of_route(&self.route).expect("validated"),
                deadline: self.timeout,
                max_in_flight: self.max_in_flight,
                breaker: Some(self.breaker.into()),
                redelivery: Default::default(),
            },
            kept: self.max_entries,
            valid_for: self.valid_ttl,
            denied_for: self.denied_ttl,
        }
    }
}

/// What a type can't say of the hook; the key and the problem.
pub(super) fn check(config: &Config) -> Result<(), (&'static str, &'static str)> {
    let Some(hook) = &config.auth.hook else {
        return Ok(());
    };
    let Ok(subject) = Subject::of_route(&hook.route) else {
        return Err(("auth.hook.route", "is no route"));
    };
    let mut routes = config.route.iter().map(super::build::route_subject);
    if routes.any(|route| route == subject.as_str()) {
        return Err(("auth.hook.route", "is a route that clients may call"));
    }
    if hook.timeout.is_zero() || hook.timeout >= config.gateway.handshake_timeout {
        let problem = "must be shorter than gateway.handshake_timeout, and not zero";
        return Err(("auth.hook.timeout", problem));
    }
    if hook.max_in_flight == 0 {
        return Err(("auth.hook.max_in_flight", "must not be zero"));
    }
    if hook.max_entries > 1_000_000 {
        return Err(("auth.hook.max_entries", "must be 1000000 at most"));
    }
    if hook.breaker.failures == 0 {
        return Err(("auth.hook.breaker.failures", "must not be zero"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Result<(), (&'static str, &'static str)> {
        check(&toml::from_str(text).expect("well-formed"))
    }

    #[test]
    fn clients_never_get_to_the_hook_by_a_route() {
        assert_eq!(verdict("[auth.hook]\n"), Ok(()));
        assert_eq!(verdict("[[route]]\nname = 'auth.verify'\n"), Ok(()));
        for text in [
            "[auth.hook]\n[[route]]\nname = 'auth.verify'\n",
            "[auth.hook]\n[[route]]\nname = 'a'\nsubject = 'tg.rq.auth.verify'\n",
            "[auth.hook]\nroute = 'a'\n[[route]]\nname = 'a'\n",
        ] {
            assert!(verdict(text).is_err(), "{text}");
        }
    }

    #[test]
    fn whoever_waits_for_the_hook_waits_within_the_handshake() {
        for text in [
            "[auth.hook]\ntimeout = '1h'\n",
            "[auth.hook]\ntimeout = '0s'\n",
            "[auth.hook]\nmax_in_flight = 0\n",
            "[auth.hook]\nroute = 'a b'\n",
        ] {
            assert!(verdict(text).is_err(), "{text}");
        }
    }
}
