//! What tokens allow less of than the gateway does.

use std::{num::NonZeroU32, time::Duration};

use auth::{NewToken, RateClass, TokenLimits};
use edge::UpstreamRates;
use testkit::{RawClient, subscribe};
use wire::{
    UserId,
    client::{ErrorCode, server_event::Event},
};

use crate::gateway::{Gateway, Site};

const SLOW: UpstreamRates = UpstreamRates {
    messages: 7,
    bytes: 1_000,
    burst: Duration::from_secs(1),
    patience: Duration::from_secs(3_600),
};

fn token(gateway: &Gateway, limits: TokenLimits) -> String {
    let user = UserId::new("alice").expect("valid");
    gateway.tokens.issue(&NewToken {
        limits,
        ..NewToken::new(user, Duration::from_secs(3_600))
    })
}

fn class(name: &str) -> Option<RateClass> {
    Some(RateClass::parse(name).expect("valid"))
}

#[tokio::test]
async fn fewer_subscriptions_are_told_and_kept() {
    let gateway = Gateway::start(|_| {}).await;
    let limits = TokenLimits::new(None, NonZeroU32::new(2), None);
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&token(&gateway, limits)).await;
    assert_eq!(welcome.limits.expect("always there").max_subscriptions, 2);
    client.subscribe(1, "room.1").await;
    client.subscribe(2, "room.2").await;
    client.send(subscribe(3, "room.3")).await;
    match client.next_event().await {
        Event::Error(error) => {
            let failure = error.failure.expect("says why");
            assert_eq!(failure.code(), ErrorCode::TooManySubscriptions);
        }
        other => panic!("unexpected {other:?}"),
    }
    // More than the gateway allows is not to be had.
    let limits = TokenLimits::new(None, NonZeroU32::new(1_000), None);
    let mut client = gateway.dial().connect().await;
    let welcome = client.hello(&token(&gateway, limits)).await;
    assert_eq!(welcome.limits.expect("always there").max_subscriptions, 8);
    gateway.finish().await;
}

#[tokio::test]
async fn a_class_has_rates_of_its_own_and_an_unknown_one_is_as_none() {
    let gateway = Gateway::start(|config| {
        config.rate_classes = vec![(class("bots").expect("valid"), SLOW)];
    })
    .await;
    for (name, messages) in [("bots", SLOW.messages), ("gods", 0)] {
        let limits = TokenLimits::new(None, None, class(name));
        let mut client = gateway.dial().connect().await;
        let welcome = client.hello(&token(&gateway, limits)).await;
        let told = welcome.limits.expect("always there");
        assert_eq!(told.messages_per_second, messages, "{name}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_connections_of_a_user_are_as_many_as_his_token_allows() {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |_| {});
    let limits = TokenLimits::new(NonZeroU32::new(1), None, None);
    let token = token(&gateway, limits);
    let mut first = RawClient::greeted(gateway.address, &token).await;
    let mut second = RawClient::greeted(gateway.address, &token).await;
    let (one, other) = (first.expect_close(), second.expect_close());
    let close = tokio::select! {
        close = one => close,
        close = other => close,
    };
    assert_eq!((close.code, close.cause()), (4010, "user_limit"));
    // Whose token says nothing of it may have several.
    let _many = [gateway.client("bob").await, gateway.client("bob").await];
    gateway.drain().await;
}
