//! Session tickets: what lets a client take its session up again at any gateway
//! that has the same keys, without a look-up.
//!
//! A sealed ticket is not secret from its client, only proof against changes:
//!
//! ```text
//! version 1 | key id 4 | session 16 | epoch 8 | issued at, ms 8 | user 1..=255 | HMAC-SHA256 32
//! ```
//!
//! Numbers are big-endian. It is of no use to others: it says who its user is, and
//! the token beside it must say the same.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{hmac, rand};
use thiserror::Error;
use wire::{SessionId, UserId};

use crate::{
    KeyError, KeyMaterial,
    key::{MIN_SECRET_BYTES, decode},
};

/// The only layout of tickets there is; 2 is that of handles.
const VERSION: u8 = 1;

pub(crate) const KEY_ID_BYTES: usize = 4;

/// Everything before the user.
const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + 16 + 8 + 8;

pub(crate) const TAG_BYTES: usize = 32;

/// How long a ticket is good for. Clients get a new one with every Welcome and
/// Migrate only, so this bounds how long a connection may have lived that is
/// resumed. A ticket opens nothing without a valid token of its user.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a ticket vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// How often it had been taken up when the ticket was sealed; 1 for its first
    /// connection.
    pub epoch: u64,
}

/// A secret that seals tickets.
#[derive(Clone)]
pub struct TicketKey {
    id: [u8; KEY_ID_BYTES],
    key: hmac::Key,
}

/// The keys of a gateway. The first seals and all open, so that they can be
/// changed one gateway after another: add the new one behind, put it first, take
/// the old one away.
#[derive(Clone, Debug)]
pub struct TicketKeys {
    keys: Vec<TicketKey>,
    shared: bool,
}

/// Why a ticket does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TicketError {
    /// Too short, too long, of an unknown version, or without a user.
    #[error("the ticket is malformed")]
    Malformed,
    /// None of our keys has sealed it.
    #[error("the ticket's key is not known")]
    UnknownKey,
    /// It was changed, or made up.
    #[error("the ticket's seal is broken")]
    Forged,
    /// It is more than a week old.
    #[error("the ticket has expired")]
    Expired,
}

// === impl Ticket ===

impl Ticket {
    /// The longest sealed ticket, in bytes.
    pub const MAX_BYTES: usize = HEAD_BYTES + UserId::MAX_BYTES + TAG_BYTES;
}

// === impl TicketKey ===

impl TicketKey {
    /// Reads a secret: base64url, 32 bytes at least.
    ///
    /// # Errors
    /// If it is not base64url, or too short.
    pub fn new(secret: &KeyMaterial) -> Result<Self, KeyError> {
        let secret = decode(secret).ok_or(KeyError::Encoding("ticket secret"))?;
        match secret.len() {
            MIN_SECRET_BYTES.. => Ok(Self::from_bytes(&secret)),
            _ => Err(KeyError::ShortSecret),
        }
    }

    fn from_bytes(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // Derived, so that nobody has to keep ids and secrets together. It can't
        // be the tag of a ticket: those begin with their version.
        let tag = hmac::sign(&key, b"tidegate ticket key id");
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&tag.as_ref()[..KEY_ID_BYTES]);
        Self { id, key }
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

// === impl TicketKeys ===

impl TicketKeys {
    /// Takes the keys that all gateways share; without any it is
    /// [`Self::random`].
    pub fn new(keys: Vec<TicketKey>) -> Self {
        match keys.is_empty() {
            true => Self::random(),
            false => Self { keys, shared: true },
        }
    }

    /// A key that nobody else has: sessions end with this process.
    pub fn random() -> Self {
        let mut secret = [0; MIN_SECRET_BYTES];
        rand::fill(&mut secret).expect("the system has randomness");
        Self {
            keys: vec![TicketKey::from_bytes(&secret)],
            shared: false,
        }
    }

    /// Whether other gateways may have these keys, too.
    pub fn are_shared(&self) -> bool {
        self.shared
    }

    /// Seals a ticket as of `now`; [`Ticket::MAX_BYTES`] at most.
    pub fn seal(&self, ticket: &Ticket, now: SystemTime) -> Vec<u8> {
        let mut sealed = self.begin(VERSION);
        sealed.extend(ticket.session.0.to_be_bytes());
        sealed.extend(ticket.epoch.to_be_bytes());
        sealed.extend(unix_ms(now).to_be_bytes());
        sealed.extend(ticket.user.as_str().as_bytes());
        self.finish(sealed)
    }

    /// Opens what a client says is a ticket, as of `now`.
    ///
    /// # Errors
    /// If it is none of ours, or too old.
    pub fn open(&self, sealed: &[u8], now: SystemTime) -> Result<Ticket, TicketError> {
        if sealed.len() > Ticket::MAX_BYTES {
            return Err(TicketError::Malformed);
        }
        let (ticket, issued_at_ms) = self.read(VERSION, sealed, parse)?;
        // One of a clock ahead of ours is as good as new.
        let age_ms = unix_ms(now).saturating_sub(issued_at_ms);
        if u128::from(age_ms) > LIFETIME.as_millis() {
            return Err(TicketError::Expired);
        }
        Ok(ticket)
    }

    /// The head of something sealed: what it is, and by which key.
    pub(crate) fn begin(&self, version: u8) -> Vec<u8> {
        let first = self.keys.first().expect("there is always a key");
        let mut sealed = vec![version];
        sealed.extend(first.id);
        sealed
    }

    /// Seals what was begun.
    pub(crate) fn finish(&self, mut sealed: Vec<u8>) -> Vec<u8> {
        let first = self.keys.first().expect("there is always a key");
        let tag = hmac::sign(&first.key, &sealed);
        sealed.extend(tag.as_ref());
        sealed
    }

    /// What `parse` finds behind the head of something sealed, if one of our keys has.
    pub(crate) fn read<T>(
        &self,
        version: u8,
        sealed: &[u8],
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, TicketError> {
        let (body, tag) = sealed
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(TicketError::Malformed)?;
        let (key_id, content) = match body {
            [first, rest @ ..] if *first == version => rest.split_first_chunk(),
            _ => None,
        }
        .ok_or(TicketError::Malformed)?;
        let content = parse(content).ok_or(TicketError::Malformed)?;
        let mut known = self.keys.iter().filter(|key| key.id == *key_id).peekable();
        if known.peek().is_none() {
            return Err(TicketError::UnknownKey);
        }
        // Compares in constant time.
        match known.any(|key| hmac::verify(&key.key, body, tag).is_ok()) {
            true => Ok(content),
            false => Err(TicketError::Forged),
        }
    }
}

// === impl TicketError ===

impl TicketError {
    /// Stable name; a metric label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
            Self::Expired => "expired",
        }
    }
}

/// The ticket, and when it was issued, in Unix milliseconds.
fn parse(content: &[u8]) -> Option<(Ticket, u64)> {
    let (session, rest) = content.split_first_chunk()?;
    let (epoch, rest) = rest.split_first_chunk()?;
    let (issued_at, user) = rest.split_first_chunk()?;
    let user = UserId::new(str::from_utf8(user).ok()?)?;
    let ticket = Ticket {
        session: SessionId(u128::from_be_bytes(*session)),
        user,
        epoch: u64::from_be_bytes(*epoch),
    };
    Some((ticket, u64::from_be_bytes(*issued_at)))
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
