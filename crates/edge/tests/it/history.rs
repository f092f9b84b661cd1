//! Clients read logs.

use testkit::{RawClient, history};
use wire::client::{
    ClientEvent, ErrorCode, History, HistoryResult, Position, client_event, server_event::Event,
};

use crate::{
    faulty_bus::FaultyBus,
    gateway::{Gateway, Site},
};

fn read(id: u32, channel: &str, adjust: impl FnOnce(&mut History)) -> ClientEvent {
    let mut event = history(id, channel);
    if let Some(client_event::Event::History(read)) = &mut event.event {
        adjust(read);
    }
    event
}

fn held(result: &HistoryResult) -> Position {
    let last = result.publications.last().expect("not empty");
    Position {
        offset: last.offset,
        ..result.position.clone().expect("told")
    }
}

fn payloads(result: &HistoryResult) -> Vec<&[u8]> {
    let publications = result.publications.iter();
    publications.map(|it| &*it.payload).collect()
}

async fn ask(client: &mut RawClient, read: ClientEvent) -> HistoryResult {
    client.send(read).await;
    client.history().await
}

#[tokio::test]
async fn history_is_read_page_by_page() {
    let gateway = Gateway::start(|_| {}).await;
    for number in 0..5 {
        gateway.publish("log.1", vec![number]).await;
        gateway.publish("log.2", "of another").await;
    }
    for mut client in [
        gateway.client("ann").await,
        gateway.json_client("ben").await,
    ] {
        let first = ask(&mut client, read(1, "log.1", |read| read.limit = 2)).await;
        assert_eq!((first.id, first.more), (1, true));
        assert_eq!(payloads(&first), [[0], [1]]);
        let second = read(1, "log.1", |read| read.since = Some(held(&first)));
        let second = ask(&mut client, second).await;
        assert_eq!(payloads(&second), [[2], [3], [4]]);
        assert!(!second.more && second.position == first.position);
        assert_eq!(second.position, Some(held(&second)));
        let all = first.publications.iter().chain(&second.publications);
        let mut previous = 0;
        for publication in all {
            assert_eq!(publication.previous, previous);
            assert!(publication.published_at_us > 0 && publication.alias == 0);
            previous = publication.offset;
        }
        let end = read(2, "log.1", |read| read.since = Some(held(&second)));
        let end = ask(&mut client, end).await;
        assert!(end.publications.is_empty() && !end.more);
        assert_eq!(end.position, second.position);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn history_is_read_since_a_time() {
    let gateway = Gateway::start(|_| {}).await;
    gateway.publish("log.1", "a").await;
    let mut client = gateway.client("ann").await;
    let since = |time| read(1, "log.1", move |read| read.since_time_ms = time);
    let all = ask(&mut client, since(1)).await;
    assert_eq!((payloads(&all), all.more), (vec![&b"a"[..]], false));
    for later in [i64::MAX, i64::MAX / 2, 1 << 42] {
        let none = ask(&mut client, since(later)).await;
        assert!(none.publications.is_empty() && !none.more, "{later}");
        assert_eq!(none.position, all.position);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_log_without_publications_has_a_position() {
    let gateway = Gateway::start(|_| {}).await;
    let mut client = gateway.client("ann").await;
    let empty = ask(&mut client, history(1, "log.1")).await;
    assert!(empty.publications.is_empty() && !empty.more);
    let position = empty.position.expect("told");
    assert!(position.offset == 0 && !position.epoch.is_empty());
    gateway.finish().await;
}

#[tokio::test]
async fn what_can_not_be_read_is_refused() {
    let gateway = Gateway::start(|_| {}).await;
    gateway.publish("log.1", "a").await;
    let mut client = gateway.client("ann").await;
    client.send(history(1, "room.1")).await;
    assert_eq!(client.error().await, (1, ErrorCode::NoHistory));
    let other = Position {
        epoch: "another".to_owned(),
        offset: 1,
    };
    let of_other = read(2, "log.1", |read| read.since = Some(other));
    client.send(of_other).await;
    assert_eq!(client.error().await, (2, ErrorCode::OtherEpoch));
    let by_offset = Position {
        epoch: String::new(),
        offset: 1,
    };
    let after = read(3, "log.1", |read| read.since = Some(by_offset));
    assert!(ask(&mut client, after).await.publications.is_empty());
    gateway.finish().await;
}

/// A page is cut to what the outbox has room for, so that many asked for at once
/// do not cost the connection; yet each has one at least.
#[tokio::test]
async fn pages_asked_for_at_once_fit_into_the_outbox() {
    let gateway = Gateway::start(|config| {
        config.outbox.bytes = 64 << 10;
        config.session.max_in_flight = 8;
    })
    .await;
    for number in 0..40u8 {
        gateway.publish("log.1", vec![number; 6 << 10]).await;
    }
    let mut client = gateway.client("ann").await;
    let mut since = None;
    let mut numbers = Vec::new();
    loop {
        let asked: Vec<_> = (1..=4)
            .map(|id| read(id, "log.1", |read| read.since = since.clone()))
            .collect();
        client.send_events(&asked).await;
        let mut longest: Option<HistoryResult> = None;
        for _ in &asked {
            let page = client.history().await;
            let bytes: usize = page.publications.iter().map(|it| it.payload.len()).sum();
            assert!((1..=32 << 10).contains(&bytes), "{bytes}");
            if longest
                .as_ref()
                .is_none_or(|it| it.publications.len() < page.publications.len())
            {
                longest = Some(page);
            }
        }
        let page = longest.expect("four have come");
        numbers.extend(page.publications.iter().map(|it| it.payload[0]));
        since = Some(held(&page));
        if !page.more {
            break;
        }
    }
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
    gateway.finish().await;
}

#[tokio::test]
async fn a_publication_larger_than_a_page_is_one() {
    let gateway = Gateway::start(|config| config.outbox.bytes = 16 << 10).await;
    for number in 0..3u8 {
        gateway.publish("log.1", vec![number; 12 << 10]).await;
    }
    let mut client = gateway.client("ann").await;
    let page = ask(&mut client, history(1, "log.1")).await;
    assert_eq!((page.publications.len(), page.more), (1, true));
    gateway.finish().await;
}

#[tokio::test]
async fn more_reads_than_may_be_under_way_are_refused() {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.open_on(bus.clone(), |config| config.session.max_in_flight = 100);
    gateway.publish("log.1", "a").await;
    bus.hold_reads();
    let mut client = gateway.client("ann").await;
    let asked: Vec<_> = (1..=65).map(|id| history(id, "log.1")).collect();
    client.send_events(&asked).await;
    assert_eq!(client.error().await, (65, ErrorCode::Overloaded));
    let gone = gateway.client("ben").await;
    gone.leave().await;
    bus.release_reads();
    for _ in 1..=64 {
        assert_eq!(client.history().await.publications.len(), 1);
    }
    assert_eq!(ask(&mut client, history(1, "log.1")).await.id, 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_page_for_a_client_that_has_gone_is_let_go() {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.open_on(bus.clone(), |_| {});
    bus.hold_reads();
    let mut client = gateway.client("ann").await;
    client.send(history(1, "log.1")).await;
    bus.held_reads(1).await;
    client.leave().await;
    // Takes the slot.
    let mut next = gateway.client("ben").await;
    bus.release_reads();
    next.subscribe(1, "room.1").await;
    gateway.finish().await;
}

#[tokio::test]
async fn nothing_is_read_while_the_bus_is_away() {
    let site = Site::new().await;
    let bus = FaultyBus::over(site.bus.clone());
    let gateway = site.open_on(bus.clone(), |_| {});
    let mut client = gateway.client("ann").await;
    bus.go_down();
    assert!(matches!(client.next_event().await, Event::Notice(_)));
    client.send(history(1, "log.1")).await;
    assert_eq!(client.error().await, (1, ErrorCode::Unavailable));
    bus.come_up();
    gateway.finish().await;
}
