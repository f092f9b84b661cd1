//! Sets at an address: fetched when they are missed, and not more often.

use std::time::Duration;

use auth::TokenError;
use futures_util::future::join_all;
use keyring::VerifyError;

use crate::issuer::{Served, key, set, settings};

/// No second fetch for unknown keys in this test.
const ONCE: Duration = Duration::from_secs(3600);
const UNKNOWN: VerifyError = VerifyError::Token(TokenError::UnknownKey);

#[tokio::test]
async fn a_key_is_fetched_before_the_first_token_of_it_is_verified() {
    let key = key("1");
    let issuer = Served::new(&set(&[&key])).await;
    let keyring = issuer.keyring(&settings(ONCE));
    let identity = keyring.verify(&key.token()).await.expect("valid");
    assert_eq!(identity.user.as_str(), "alice");
    for _ in 0..10 {
        assert!(keyring.verify(&key.token()).await.is_ok());
    }
    assert_eq!(issuer.hits(), 1);
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_seen_and_the_old_one_ends() {
    let [old, new] = [key("1"), key("2")];
    let issuer = Served::new(&set(&[&old])).await;
    let keyring = issuer.keyring(&settings(Duration::ZERO));
    assert!(keyring.verify(&old.token()).await.is_ok());
    issuer.answer("200 OK", "", &set(&[&new]));
    assert!(keyring.verify(&new.token()).await.is_ok());
    assert_eq!(keyring.verify(&old.token()).await, Err(UNKNOWN));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch() {
    let known = key("known");
    let issuer = Served::new(&set(&[&known])).await;
    let keyring = issuer.keyring(&settings(Duration::ZERO));
    assert!(keyring.verify(&known.token()).await.is_ok());
    assert_eq!(issuer.hits(), 1);
    let flood: Vec<_> = (0..500).map(|id| key(&id.to_string()).token()).collect();
    let verdicts = join_all(flood.iter().map(|token| keyring.verify(token))).await;
    let count = |expected| verdicts.iter().filter(|it| **it == Err(expected)).count();
    // Those who came while the issuer was being asked can't tell yet.
    assert_eq!((count(UNKNOWN), count(VerifyError::Unavailable)), (1, 499));
    assert_eq!(issuer.hits(), 2);
}

#[tokio::test]
async fn between_fetches_a_flood_of_unknown_keys_causes_none() {
    let known = key("known");
    let issuer = Served::new(&set(&[&known])).await;
    let keyring = issuer.keyring(&settings(ONCE));
    assert!(keyring.verify(&known.token()).await.is_ok());
    for id in 0..500 {
        let verdict = keyring.verify(&key(&id.to_string()).token()).await;
        assert_eq!(verdict, Err(VerifyError::Unavailable));
    }
    assert_eq!(issuer.hits(), 1);
    // Nobody whose key is known notices.
    assert!(keyring.verify(&known.token()).await.is_ok());
}

#[tokio::test]
async fn the_same_unknown_key_is_looked_for_once() {
    let known = key("known");
    let issuer = Served::new(&set(&[&known])).await;
    let keyring = issuer.keyring(&settings(Duration::ZERO));
    assert!(keyring.verify(&known.token()).await.is_ok());
    let stranger = key("stranger");
    for _ in 0..10 {
        assert_eq!(keyring.verify(&stranger.token()).await, Err(UNKNOWN));
    }
    assert_eq!(issuer.hits(), 2);
}

#[tokio::test]
async fn the_last_good_set_stays_whatever_the_issuer_does() {
    let [known, other] = [key("known"), key("other")];
    let issuer = Served::new(&set(&[&known])).await;
    let keyring = issuer.keyring(&settings(Duration::ZERO));
    assert!(keyring.verify(&known.token()).await.is_ok());
    let huge = format!("{}{}", set(&[&other]), " ".repeat(300 << 10));
    for (status, body) in [
        ("500 Internal Server Error", set(&[&other])),
        ("302 Found", set(&[&other])),
        ("200 OK", "not JSON".into()),
        ("200 OK", r#"{"keys":[]}"#.into()),
        ("200 OK", huge),
    ] {
        issuer.answer(status, "", &body);
        let before = issuer.hits();
        let verdict = keyring.verify(&other.token()).await;
        assert_eq!(verdict, Err(VerifyError::Unavailable), "{status}");
        assert!(issuer.hits() > before);
        assert!(keyring.verify(&known.token()).await.is_ok());
    }
    issuer.answer("200 OK", "", &set(&[&other]));
    assert!(keyring.verify(&other.token()).await.is_ok());
}

#[tokio::test]
async fn a_set_that_has_not_changed_is_not_sent_again() {
    let known = key("known");
    let issuer = Served::new("").await;
    issuer.answer("200 OK", "etag: \"v1\"\r\n", &set(&[&known]));
    let keyring = issuer.keyring(&settings(Duration::ZERO));
    assert!(keyring.verify(&known.token()).await.is_ok());
    // Would be the end of the known key, were it not for the tag.
    issuer.answer("200 OK", "", &set(&[&key("new")]));
    assert_eq!(keyring.verify(&key("x").token()).await, Err(UNKNOWN));
    assert_eq!(issuer.hits(), 2);
    assert!(keyring.verify(&known.token()).await.is_ok());
}
