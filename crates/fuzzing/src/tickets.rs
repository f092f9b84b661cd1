//! Session tickets, and handles of carried connections. An even first byte: the rest
//! was made by somebody without our keys, and is never accepted. An odd one: the rest
//! is what we put under our own seal, as either; it may be refused, but once accepted
//! it can be sealed and opened again, and no change to it goes unnoticed.

use std::{sync::LazyLock, time::SystemTime};

use auth::{Handle, KeyMaterial, Ticket, TicketKey, TicketKeys};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use wire::{SessionId, UserId};

const SECRET: [u8; 32] = [0x42; 32];

/// Version and key id.
const PREFIX_BYTES: usize = 5;

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

static KEYS: LazyLock<TicketKeys> = LazyLock::new(|| {
    let secret = KeyMaterial::new(URL_SAFE_NO_PAD.encode(SECRET));
    TicketKeys::new(vec![TicketKey::new(&secret).expect("a valid key")])
});

/// How every ticket of ours begins.
static PREFIX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let ticket = Ticket {
        session: SessionId(0),
        user: UserId::new("u").expect("valid"),
        epoch: 0,
    };
    KEYS.seal(&ticket, NOW)[..PREFIX_BYTES].to_vec()
});

pub(crate) fn check(data: &[u8]) {
    match data {
        [kind, rest @ ..] if kind % 2 == 1 => {
            check_ticket(rest);
            check_handle(rest);
        }
        [_, rest @ ..] => {
            assert!(KEYS.open(rest, NOW).is_err(), "{rest:?} was forged");
            assert!(KEYS.open_handle(rest).is_err(), "{rest:?} was forged");
        }
        [] => {}
    }
}

/// `content` under our seal, as `head` begins.
fn seal(head: &[u8], content: &[u8]) -> Vec<u8> {
    let mut sealed = [head, content].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &SECRET);
    sealed.extend(hmac::sign(&key, &sealed).as_ref());
    sealed
}

/// Changes one bit, somewhere.
fn change(sealed: &mut [u8], content: &[u8]) {
    let place = content.iter().map(|&byte| usize::from(byte)).sum::<usize>() % sealed.len();
    sealed[place] ^= 1;
}

fn check_ticket(content: &[u8]) {
    let mut sealed = seal(&PREFIX, content);
    let Ok(ticket) = KEYS.open(&sealed, NOW) else {
        return;
    };
    assert!(sealed.len() <= Ticket::MAX_BYTES);
    assert_eq!(KEYS.open(&KEYS.seal(&ticket, NOW), NOW), Ok(ticket));
    change(&mut sealed, content);
    assert!(KEYS.open(&sealed, NOW).is_err());
}

fn check_handle(content: &[u8]) {
    let [_, key_id @ ..] = &PREFIX[..] else {
        unreachable!("it has a version");
    };
    let mut sealed = seal(&[&[2], key_id].concat(), content);
    let Ok(handle) = KEYS.open_handle(&sealed) else {
        return;
    };
    assert!(sealed.len() <= Handle::MAX_BYTES);
    assert_eq!(KEYS.seal_handle(&handle), sealed);
    change(&mut sealed, content);
    assert!(KEYS.open_handle(&sealed).is_err());
}
