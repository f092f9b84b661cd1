//! Reading logs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::{Error, ErrorCode, GapCause, Position};
use wire::client::{
    History, HistoryResult, Limits, Publication, client_event, server_event::Event,
};

use crate::scripted::{Connection, connected, refusal};

async fn asked(connection: &mut Connection) -> History {
    match connection.expect().await {
        client_event::Event::History(history) => history,
        other => panic!("unexpected {other:?}"),
    }
}

/// Answers with publications of these offsets, and the place before each.
async fn answer(connection: &mut Connection, id: u32, chain: &[(u64, u64)], more: bool) {
    let publication = |&(previous, offset): &(u64, u64)| Publication {
        offset,
        previous,
        ..Publication::default()
    };
    let result = HistoryResult {
        id,
        publications: chain.iter().map(publication).collect(),
        position: Some(position(9)),
        more,
    };
    connection.send([Event::HistoryResult(result)]).await;
}

fn position(offset: u64) -> wire::client::Position {
    let epoch = "e".to_owned();
    wire::client::Position { epoch, offset }
}

#[tokio::test]
async fn history_is_read_page_by_page() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let mut history = client.history("market.a").limit(2);
    let (page, ()) = tokio::join!(history.next_page(), async {
        let read = asked(&mut connection).await;
        assert_eq!((&*read.channel, read.limit), ("market.a", 2));
        assert_eq!((read.since, read.since_time_ms), (None, 0));
        answer(&mut connection, read.id, &[(2, 3), (3, 5)], true).await;
    });
    let page = page.expect("read").expect("the first");
    let offsets: Vec<_> = page.publications.iter().map(|it| it.offset).collect();
    assert_eq!((&*offsets, page.gap, page.more), (&[3, 5][..], None, true));
    assert_eq!(page.newest.offset, 9);
    let (page, ()) = tokio::join!(history.next_page(), async {
        let read = asked(&mut connection).await;
        assert_eq!(read.since, Some(position(5)));
        answer(&mut connection, read.id, &[(7, 9)], false).await;
    });
    // The log has let go of what was between.
    let gap = page.expect("read").expect("the second").gap;
    let gap = gap.map(|gap| (gap.from, gap.to, gap.cause));
    assert_eq!(gap, Some((6, 7, GapCause::BrokenChain)));
    assert!(history.next_page().await.expect("no need to ask").is_none());
}

#[tokio::test]
async fn a_read_begins_where_it_is_told() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let held = Position {
        epoch: "e".to_owned(),
        offset: 4,
    };
    let mut after = client.history("market.a").after(held);
    let (page, ()) = tokio::join!(after.next_page(), async {
        let read = asked(&mut connection).await;
        assert_eq!(read.since, Some(position(4)));
        answer(&mut connection, read.id, &[], false).await;
    });
    assert!(page.expect("read").expect("empty").publications.is_empty());
    let time = UNIX_EPOCH + Duration::from_millis(1_234);
    for (time, expected) in [(time, 1_234), (SystemTime::UNIX_EPOCH, 1)] {
        let mut since = client.history("market.a").since(time);
        let (page, ()) = tokio::join!(since.next_page(), async {
            let read = asked(&mut connection).await;
            assert_eq!((read.since, read.since_time_ms), (None, expected));
            answer(&mut connection, read.id, &[(8, 9)], false).await;
        });
        assert_eq!(page.expect("read").expect("one").gap, None);
    }
}

#[tokio::test]
async fn a_refused_page_can_be_tried_again() {
    let (_gateway, mut connection, client) = connected(Limits::default()).await;
    let mut history = client.history("market.a");
    let (refused, ()) = tokio::join!(history.next_page(), async {
        let read = asked(&mut connection).await;
        connection
            .send([refusal(read.id, ErrorCode::Overloaded)])
            .await;
    });
    let error = refused.expect_err("refused");
    assert!(matches!(
        error,
        Error::Failed {
            code: ErrorCode::Overloaded,
            ..
        }
    ));
    let (page, ()) = tokio::join!(history.next_page(), async {
        let read = asked(&mut connection).await;
        answer(&mut connection, read.id, &[(0, 1)], false).await;
    });
    assert_eq!(page.expect("read").expect("one").publications.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_asked_again_after_a_reconnect() {
    let (mut gateway, mut connection, client) = connected(Limits::default()).await;
    let mut history = client.history("market.a");
    let (page, _connection) = tokio::join!(history.next_page(), async {
        asked(&mut connection).await;
        drop(connection);
        let mut next = gateway.welcome(Limits::default()).await;
        let read = asked(&mut next).await;
        answer(&mut next, read.id, &[(0, 1)], false).await;
        next
    });
    assert_eq!(page.expect("read").expect("one").publications.len(), 1);
}
