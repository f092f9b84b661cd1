//! What a type can't say: bounds, grammar, and keys that must agree.

use std::{collections::HashSet, time::Duration};

use auth::RateClass;
use bus::Subject;
use hub::{Account, DeliveryPolicy};
use tonic::transport::Uri;
use wire::{Channel, GatewayId, MAX_CHANNEL_BYTES};

use super::{
    AdmissionConfig, Config, ConfigError, Delivery, GatewayConfig, NamespaceConfig, Overflow,
    ProxyProtocol, RouteConfig, TokensConfig, TracesSection, UpstreamConfig,
};

/// Each is compared with every address that connects.
const MAX_PROXIES: usize = 64;

/// What a member takes in an event at most, in bytes: a user id of 255, the others, and
/// JSON.
const LARGEST_MEMBER: usize = 512;

/// Checks what the types leave open.
pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    gateway(&config.gateway)?;
    let tls = config.gateway.tls.as_ref().and_then(|tls| tls.problem());
    if let Some((key, problem)) = tls {
        return nonsense(key, problem);
    }
    idempotency(config)?;
    positive(
        "control.in_flight_batches",
        config.control.in_flight_batches,
    )?;
    config.control.credentials()?;
    tokens(&config.control.tokens)?;
    if config.mailbox.messages == 0 || config.mailbox.age.is_zero() {
        return nonsense(
            "mailbox",
            "keeps nothing; set mailbox.enabled = false instead",
        );
    }
    presence(config)?;
    traces(&config.telemetry.traces)?;
    let issuers = config.auth.check_issuers();
    let tokens = issuers.and_then(|()| super::hook::check(config));
    tokens.or_else(|(key, problem)| nonsense(key, problem))?;
    let mut names = HashSet::new();
    for entry in &config.namespace {
        namespace(entry, &mut names)?;
    }
    if config.namespace.iter().filter(|it| it.metrics).count() > Account::MAX {
        return nonsense("namespace", "metrics = true is for 64 of them at most");
    }
    let mut names = HashSet::new();
    for entry in &config.route {
        route(entry, &mut names)?;
    }
    Ok(())
}

fn tokens(tokens: &TokensConfig) -> Result<(), ConfigError> {
    if tokens.default_lifetime > tokens.max_lifetime {
        let problem = "is longer than max_lifetime";
        return nonsense("control.tokens.default_lifetime", problem);
    }
    if tokens.default_lifetime < Duration::from_secs(1) {
        return nonsense("control.tokens.default_lifetime", "must be 1s at least");
    }
    Ok(())
}

fn presence(config: &Config) -> Result<(), ConfigError> {
    if let Some((key, problem)) = config.presence.problem() {
        return nonsense(key, problem);
    }
    let is_kept = config.namespace.iter().any(|it| it.presence);
    let snapshot = config.presence.named * LARGEST_MEMBER;
    if is_kept && snapshot > config.gateway.outbox_bytes.bytes() / 2 {
        let problem = "a snapshot of so many members needs a larger gateway.outbox_bytes";
        return nonsense("presence.named", problem);
    }
    Ok(())
}

/// No TLS is built in: collectors run beside the processes that they serve.
fn traces(traces: &TracesSection) -> Result<(), ConfigError> {
    let is_address = |text: &str| {
        let uri = text.parse::<Uri>().unwrap_or_default();
        uri.scheme_str() == Some("http") && uri.authority().is_some()
    };
    if traces.is_on() && !is_address(&traces.endpoint) {
        let problem = "must be http://<host>:<port>";
        return nonsense("telemetry.traces.endpoint", problem);
    }
    if !(0.0..=1.0).contains(&traces.sample) {
        return nonsense("telemetry.traces.sample", "must be 0 to 1");
    }
    if traces.timeout.is_zero() {
        return nonsense("telemetry.traces.timeout", "must not be zero");
    }
    Ok(())
}

fn gateway(gateway: &GatewayConfig) -> Result<(), ConfigError> {
    if GatewayId::new(&gateway.id).is_none() {
        return nonsense("gateway.id", "must be letters, digits, _ and - only");
    }
    if gateway.shards > 64 {
        return nonsense("gateway.shards", "at most 64 are possible");
    }
    positive("gateway.max_connections", gateway.max_connections)?;
    positive("gateway.max_handshakes", gateway.max_handshakes)?;
    admission(&gateway.admission)?;
    proxies(gateway)?;
    upstream(&gateway.upstream)?;
    positive("gateway.max_message", gateway.max_message.bytes())?;
    positive("gateway.max_fragments", gateway.max_fragments)?;
    positive("gateway.outbox_items", gateway.outbox_items)?;
    positive("gateway.max_in_flight", gateway.max_in_flight as usize)?;
    if gateway.outbox_bytes.bytes() < 4096 {
        return nonsense("gateway.outbox_bytes", "must be 4KiB at least");
    }
    if gateway.heartbeat < Duration::from_secs(1) {
        return nonsense("gateway.heartbeat", "must be 1s at least");
    }
    let poll = Duration::from_secs(1)..=Duration::from_secs(120);
    if !poll.contains(&gateway.poll) {
        return nonsense("gateway.poll", "must be 1s to 2m");
    }
    if gateway.drain.rate == 0 {
        return nonsense("gateway.drain.rate", "must not be zero");
    }
    if gateway.wills.min_grace > gateway.wills.max_grace {
        return nonsense("gateway.wills.min_grace", "is longer than max_grace");
    }
    if gateway.handshake_timeout.is_zero() {
        return nonsense("gateway.handshake_timeout", "must not be zero");
    }
    match gateway.max_channel_bytes as usize {
        1..=MAX_CHANNEL_BYTES => Ok(()),
        _ => nonsense("gateway.max_channel_bytes", "must be 1 to 255"),
    }
}

fn proxies(gateway: &GatewayConfig) -> Result<(), ConfigError> {
    if !(1..=100).contains(&gateway.unfinished_percent) {
        return nonsense("gateway.unfinished_percent", "must be 1 to 100");
    }
    if gateway.trusted_proxies.len() > MAX_PROXIES {
        return nonsense("gateway.trusted_proxies", "64 networks at most");
    }
    if gateway.proxy_protocol == ProxyProtocol::Required && gateway.trusted_proxies.is_empty() {
        let problem = "lets nobody in without gateway.trusted_proxies";
        return nonsense("gateway.proxy_protocol", problem);
    }
    Ok(())
}

fn admission(admission: &AdmissionConfig) -> Result<(), ConfigError> {
    positive(
        "gateway.admission.handshakes_per_address",
        admission.handshakes_per_address,
    )?;
    for (key, value) in [
        ("gateway.admission.burst", admission.burst),
        ("gateway.admission.address_burst", admission.address_burst),
    ] {
        positive(key, value as usize)?;
    }
    if admission.horizon < Duration::from_secs(1) {
        return nonsense("gateway.admission.horizon", "must be 1s at least");
    }
    if admission.ipv4_prefix > 32 {
        return nonsense("gateway.admission.ipv4_prefix", "must be 0 to 32");
    }
    if admission.ipv6_prefix > 128 {
        return nonsense("gateway.admission.ipv6_prefix", "must be 0 to 128");
    }
    Ok(())
}

/// A claim must not be forgotten while somebody relies on it, with clocks that
/// differ and a bus that is slow.
fn idempotency(config: &Config) -> Result<(), ConfigError> {
    let settings = &config.gateway.idempotency;
    positive("gateway.idempotency.max_under_way", settings.max_under_way)?;
    let deadlines = config.route.iter().map(|route| route.deadline);
    let longest = deadlines.fold(config.gateway.max_deadline, Duration::max);
    let claimed = longest.saturating_add(settings.late);
    if settings.keep < claimed.saturating_mul(2) {
        let problem = "must be twice the longest deadline and gateway.idempotency.late at least";
        return nonsense("gateway.idempotency.keep", problem);
    }
    Ok(())
}

fn upstream(upstream: &UpstreamConfig) -> Result<(), ConfigError> {
    let mut rates = vec![
        ("", upstream.messages_per_second, upstream.bytes_per_second),
        (
            "user_",
            upstream.user_messages_per_second,
            upstream.user_bytes_per_second,
        ),
        (
            "address_",
            upstream.address_messages_per_second,
            upstream.address_bytes_per_second,
        ),
    ];
    let mut names = HashSet::new();
    for class in &upstream.class {
        if RateClass::parse(&class.name).is_err() || !names.insert(&class.name) {
            let problem = "must be one token of 32 letters, digits, _ and - at most, and unique";
            return nonsense("gateway.upstream.class.name", problem);
        }
        rates.push(("class.", class.messages_per_second, class.bytes_per_second));
    }
    if names.len() > usize::from(u8::MAX) {
        return nonsense("gateway.upstream.class", "there may be 255 at most");
    }
    let burst_ms = upstream.burst.as_millis().max(1_000);
    for (whose, messages, bytes) in rates {
        // Debts are counted in sixteenths, in 32 bits.
        let too_much = |rate: usize| rate as u128 * burst_ms / 1_000 >= 256 << 20;
        for (name, rate) in [("messages", messages as usize), ("bytes", bytes.bytes())] {
            if too_much(rate) {
                let key = format!("gateway.upstream.{whose}{name}_per_second");
                return nonsense(&key, "times the burst must be below 256 Mi");
            }
        }
    }
    Ok(())
}

fn namespace(entry: &NamespaceConfig, names: &mut HashSet<String>) -> Result<(), ConfigError> {
    let key = format!("namespace.{}", entry.name);
    let one_token = !entry.name.contains('.');
    if !one_token || Channel::parse(&entry.name, MAX_CHANNEL_BYTES).is_err() {
        return nonsense(&key, "a name is one token of letters, digits, _ and -");
    }
    // Names of streams are in capitals: two of these would share one log.
    if !names.insert(entry.name.to_ascii_lowercase()) {
        return nonsense(&key, "is there twice, or in other letter case");
    }
    if entry.signals && !entry.presence {
        return nonsense(&format!("{key}.signals"), "needs presence = true");
    }
    if entry.priority > DeliveryPolicy::MAX_PRIORITY {
        return nonsense(&format!("{key}.priority"), "is 0 to 9");
    }
    match (entry.delivery, entry.max_per_second) {
        (Delivery::Sampled, None | Some(0) | Some(1001..)) => {
            return nonsense(
                &format!("{key}.max_per_second"),
                "sampled needs a rate of 1 to 1000",
            );
        }
        (Delivery::All | Delivery::Latest, Some(_)) => {
            return nonsense(
                &format!("{key}.max_per_second"),
                "is for delivery = \"sampled\" alone",
            );
        }
        _ => {}
    }
    match entry.history {
        Some(history) if history.messages == 0 || history.age.is_zero() => nonsense(
            &format!("{key}.history"),
            "keeps nothing; leave it out instead",
        ),
        None if entry.overflow == Overflow::CatchUp => nonsense(
            &format!("{key}.overflow"),
            "catch_up needs history to catch up from",
        ),
        _ => Ok(()),
    }
}

fn route<'a>(entry: &'a RouteConfig, names: &mut HashSet<&'a str>) -> Result<(), ConfigError> {
    let key = format!("route.{}", entry.name);
    if !names.insert(&entry.name) {
        return nonsense(&key, "is there twice");
    }
    if entry.deadline.is_zero() {
        return nonsense(&format!("{key}.deadline"), "must not be zero");
    }
    if entry.breaker.is_some_and(|breaker| breaker.failures == 0) {
        return nonsense(&format!("{key}.breaker.failures"), "must not be zero");
    }
    let subject = super::build::route_subject(entry);
    match Subject::new(&subject) {
        Ok(_) => Ok(()),
        Err(error) => nonsense(&format!("{key}.subject"), &error.to_string()),
    }
}

fn positive(key: &str, value: usize) -> Result<(), ConfigError> {
    if value == 0 {
        nonsense(key, "must not be zero")
    } else {
        Ok(())
    }
}

fn nonsense(key: &str, problem: &str) -> Result<(), ConfigError> {
    Err(ConfigError::Nonsense {
        key: key.to_owned(),
        problem: problem.to_owned(),
    })
}
