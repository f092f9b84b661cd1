//! What the book says, and in which order.

use wire::{GatewayId, SessionId, UserId, gateway::RegisteredConnection};

use super::*;

fn record(slot: u32) -> Arc<ConnectionRecord> {
    let gateway = GatewayId::new("gw1").expect("valid");
    Arc::new(ConnectionRecord {
        id: ConnectionId {
            gateway,
            shard: 0,
            slot,
            generation: 1,
        },
        session: SessionId(1),
        user: UserId::new("ann").expect("valid"),
        entry: RegisteredConnection::default(),
    })
}

/// Does the connection's steps, at most so many, and names them.
fn work(book: &mut Book, limit: usize) -> Vec<&'static str> {
    let Some(id) = book.take() else {
        return Vec::new();
    };
    let mut names = Vec::new();
    while names.len() < limit
        && let Some((_, step)) = book.next(&id)
    {
        names.push(match step {
            Step::Put { .. } => "put",
            Step::Opened => "opened",
            Step::Closed { .. } => "closed",
            Step::Remove => "remove",
        });
        book.done(&id);
    }
    names
}

#[test]
fn an_entry_is_there_before_the_opening_is_told_and_after_the_end_is() {
    let mut book = Book::new();
    book.opened(record(1), None);
    assert_eq!(work(&mut book, 9), ["put", "opened"]);
    assert_eq!(book.closed(record(1), "x"), Ended::Noted);
    assert_eq!(work(&mut book, 9), ["closed", "remove"]);
    assert_eq!(book.len(), 0);
}

#[test]
fn what_is_being_written_when_it_ends_is_removed() {
    let mut book = Book::new();
    book.opened(record(1), None);
    let id = book.take().expect("one waits");
    assert_eq!(book.closed(record(1), "x"), Ended::Noted);
    let mut left = 0;
    while book.next(&id).is_some() {
        book.done(&id);
        left += 1;
    }
    assert_eq!(left, 4, "put, opened, closed, remove");
    assert_eq!(book.len(), 0);
}

#[test]
fn ends_that_no_room_is_left_for_are_not_told_and_still_removed() {
    let mut book = Book::new();
    let max = u32::try_from(MAX_ENDS).expect("small");
    for slot in 0..max {
        assert_eq!(book.closed(record(slot), "x"), Ended::Noted);
    }
    assert_eq!(book.closed(record(max), "x"), Ended::Dropped);
    assert_eq!(work(&mut book, 9), ["closed", "remove"]);
    assert_eq!(book.closed(record(max + 1), "x"), Ended::Noted);
}

#[test]
fn what_is_renewed_while_it_waits_is_written_once_and_as_renewed() {
    let mut book = Book::new();
    book.opened(record(1), None);
    let mut renewed = (*record(1)).clone();
    renewed.entry.registered_anew_at = 7;
    book.renewed(Arc::new(renewed));
    let id = book.take().expect("one waits");
    let (record, _) = book.next(&id).expect("a step");
    assert_eq!(record.entry.registered_anew_at, 7);
    book.done(&id);
    book.done(&id);
    assert!(book.next(&id).is_none(), "put and opened, once each");
}

#[test]
fn what_is_ending_is_not_renewed() {
    let mut book = Book::new();
    book.closed(record(1), "x");
    book.renewed(record(1));
    assert_eq!(work(&mut book, 9), ["closed", "remove"]);
}

#[test]
fn the_entry_of_one_that_ends_before_it_is_renewed_is_removed() {
    let mut book = Book::new();
    book.renewed(record(1));
    assert_eq!(book.closed(record(1), "x"), Ended::Noted);
    assert_eq!(work(&mut book, 9), ["put", "opened", "closed", "remove"]);
}
