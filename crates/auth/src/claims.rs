//! The two JSON objects inside a token, as they are read. A claim of the wrong
//! type is refused, `null` included; claims that we don't know are ignored.

use std::{
    fmt,
    marker::PhantomData,
    time::{Duration, SystemTime},
};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{Statement, statement::present};

/// The header (RFC 7515 section 4.1), as far as we look at it.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    #[serde(default, deserialize_with = "present")]
    pub(crate) kid: Option<String>,
    /// Extensions that a reader must understand; we know none.
    #[serde(default, deserialize_with = "present")]
    pub(crate) crit: Option<de::IgnoredAny>,
}

/// The claims (RFC 7519 section 4.1), and ours.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    #[serde(default, deserialize_with = "present")]
    pub(crate) sub: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) exp: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) nbf: Option<NumericDate>,
    /// What revocations are compared with.
    #[serde(default, deserialize_with = "present")]
    pub(crate) iat: Option<NumericDate>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) iss: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) aud: Option<Audience>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) jti: Option<Box<str>>,
    #[serde(default, deserialize_with = "present")]
    pub(crate) tg: Option<Object<Statement>>,
}

/// A JSON object and nothing else: serde would read structures from arrays, too.
#[derive(Debug, Default)]
pub(crate) struct Object<T>(pub(crate) T);

/// Seconds since 1970, fractions allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumericDate(pub(crate) SystemTime);

/// One audience or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

// === impl Object ===

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

// === impl NumericDate ===

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let since = Duration::try_from_secs_f64(seconds).map_err(de::Error::custom)?;
        let date = SystemTime::UNIX_EPOCH.checked_add(since);
        date.map(Self)
            .ok_or_else(|| de::Error::custom("date out of range"))
    }
}

// === impl Audience ===

impl Audience {
    pub(crate) fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}
