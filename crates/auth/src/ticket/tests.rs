//! What a ticket proves, and what it does not.

use proptest::prelude::*;

use super::*;

const NOW: SystemTime = UNIX_EPOCH;

fn key(byte: u8) -> TicketKey {
    TicketKey::from_bytes(&[byte; MIN_SECRET_BYTES])
}

fn ticket(user: &str) -> Ticket {
    Ticket {
        session: SessionId(0xfeed_beef),
        user: UserId::new(user).expect("valid"),
        epoch: 7,
    }
}

#[test]
fn any_gateway_with_the_same_key_opens_a_ticket() {
    let (here, there) = (TicketKeys::new(vec![key(1)]), TicketKeys::new(vec![key(1)]));
    let sealed = here.seal(&ticket("alice"), NOW);
    assert_eq!(there.open(&sealed, NOW), Ok(ticket("alice")));
    assert!(here.are_shared());
}

#[test]
fn keys_can_be_changed_without_an_invalid_ticket() {
    let old = TicketKeys::new(vec![key(1)]);
    let learning = TicketKeys::new(vec![key(1), key(2)]);
    let changed = TicketKeys::new(vec![key(2), key(1)]);
    let new = TicketKeys::new(vec![key(2)]);
    let stages = [&old, &learning, &changed, &new];
    for pair in stages.windows(2) {
        for (from, to) in [(pair[0], pair[1]), (pair[1], pair[0])] {
            let sealed = from.seal(&ticket("alice"), NOW);
            assert_eq!(to.open(&sealed, NOW), Ok(ticket("alice")));
        }
    }
    let sealed = old.seal(&ticket("alice"), NOW);
    assert_eq!(new.open(&sealed, NOW), Err(TicketError::UnknownKey));
}

#[test]
fn processes_without_a_secret_do_not_trust_each_other() {
    let (here, there) = (TicketKeys::random(), TicketKeys::new(Vec::new()));
    let sealed = here.seal(&ticket("alice"), NOW);
    assert_eq!(here.open(&sealed, NOW), Ok(ticket("alice")));
    assert_eq!(there.open(&sealed, NOW), Err(TicketError::UnknownKey));
    assert!(!here.are_shared() && !there.are_shared());
}

#[test]
fn a_ticket_is_good_for_its_lifetime() {
    let keys = TicketKeys::random();
    let issued = NOW + LIFETIME;
    let sealed = keys.seal(&ticket("alice"), issued);
    let late = issued + LIFETIME;
    assert_eq!(keys.open(&sealed, late), Ok(ticket("alice")));
    let too_late = late + Duration::from_millis(1);
    assert_eq!(keys.open(&sealed, too_late), Err(TicketError::Expired));
    // Sealed by a clock that is ahead.
    assert_eq!(keys.open(&sealed, NOW), Ok(ticket("alice")));
}

#[test]
fn no_byte_of_a_ticket_can_be_changed_or_taken_away() {
    let keys = TicketKeys::new(vec![key(1)]);
    let sealed = keys.seal(&ticket("alice"), NOW);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(keys.open(&changed, NOW).is_err(), "changed at {at}");
        assert!(keys.open(&sealed[..at], NOW).is_err(), "cut at {at}");
    }
    let user_at = HEAD_BYTES;
    let mut foreign = sealed;
    foreign[user_at] = b'b';
    assert_eq!(keys.open(&foreign, NOW), Err(TicketError::Forged));
}

#[test]
fn the_longest_user_fits_and_nothing_longer_is_looked_at() {
    let keys = TicketKeys::random();
    let longest = ticket(&"u".repeat(UserId::MAX_BYTES));
    let mut sealed = keys.seal(&longest, NOW);
    assert_eq!(sealed.len(), Ticket::MAX_BYTES);
    assert_eq!(keys.open(&sealed, NOW), Ok(longest));
    sealed.push(0);
    assert_eq!(keys.open(&sealed, NOW), Err(TicketError::Malformed));
}

#[test]
fn secrets_are_base64url_and_long_enough() {
    let read = |text: &str| TicketKey::new(&KeyMaterial::new(text.to_owned())).map(|_| ());
    assert_eq!(read(&"A".repeat(43)), Ok(()));
    assert_eq!(read(&"A".repeat(42)), Err(KeyError::ShortSecret));
    assert_eq!(
        read("not base64!"),
        Err(KeyError::Encoding("ticket secret"))
    );
}

proptest! {
    #[test]
    fn what_nobody_sealed_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(TicketKeys::new(vec![key(1)]).open(&bytes, NOW).is_err());
    }

    #[test]
    fn every_ticket_survives_its_seal(
        session in any::<u128>(), epoch in any::<u64>(), user in "[a-zé ]{1,60}",
    ) {
        let user = UserId::new(&user).expect("valid");
        let ticket = Ticket { session: SessionId(session), user, epoch };
        let keys = TicketKeys::random();
        prop_assert_eq!(keys.open(&keys.seal(&ticket, NOW), NOW), Ok(ticket));
    }
}
