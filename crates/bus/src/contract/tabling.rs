//! Checks of tables: entries, revisions, expectations, wildcards, age.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    PATIENCE,
    probes::{Seen, joined, pattern, subject},
};
use crate::{
    BusExt,
    port::{Bus, BusError, Entry, Expect, Put, Remove, Revision, Table, TableSpec},
};

const TABLE: Table = Table("tabling");

/// More entries than one answer of any adapter holds.
const MANY: u64 = 3_000;

/// With its value and the revision that its writer was told.
pub async fn an_entry_is_read_as_it_was_written(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let revision = put(&bus, "a.b", "value").await;
    let expected = Entry {
        key: subject("a.b"),
        value: "value".into(),
        revision,
    };
    assert_eq!(bus.look_up(TABLE, all()).await, Ok(vec![expected]));
}

/// The newer value takes the older one's place.
pub async fn an_entry_is_overwritten(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let first = put(&bus, "a", "1").await;
    let second = put(&bus, "a", "2").await;
    assert!(second > first);
    let entries = look_up(&bus, &["a"]).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0].value[..], entries[0].revision),
        (&b"2"[..], second)
    );
}

/// An empty value is a value.
pub async fn an_empty_value_is_an_entry(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    put(&bus, "a", "").await;
    assert_eq!(keys(&bus, &["a"]).await, ["a"]);
}

/// Across keys and removals, too.
pub async fn revisions_grow_within_a_table(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let mut revisions = Vec::new();
    for key in ["a", "b", "a", "c"] {
        revisions.push(put(&bus, key, "value").await);
        erase(&bus, key, Expect::Anything).await.expect("removes");
    }
    assert!(revisions.is_sorted_by(|one, next| one < next));
}

/// Exact keys, `*` and `>`, several at once; an entry that several match is
/// there once.
pub async fn entries_are_found_by_patterns(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    for key in ["a.1", "a.2", "b.1", "b.1.x", "c"] {
        put(&bus, key, key).await;
    }
    assert_eq!(keys(&bus, &["a.1"]).await, ["a.1"]);
    assert_eq!(keys(&bus, &["a.*", "c"]).await, ["a.1", "a.2", "c"]);
    assert_eq!(keys(&bus, &["b.>"]).await, ["b.1", "b.1.x"]);
    assert_eq!(
        keys(&bus, &["*.1", "a.>", "a.1"]).await,
        ["a.1", "a.2", "b.1"]
    );
    assert!(keys(&bus, &["d", "d.>"]).await.is_empty());
    assert!(keys(&bus, &[]).await.is_empty());
}

/// Removed entries are seen by no read, and may come back.
pub async fn a_removed_entry_is_gone(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let first = put(&bus, "a", "1").await;
    erase(&bus, "a", Expect::Anything).await.expect("removes");
    assert!(keys(&bus, &[">"]).await.is_empty());
    erase(&bus, "a", Expect::Anything)
        .await
        .expect("removes nothing");
    let again = put(&bus, "a", "2").await;
    assert!(again > first);
    assert_eq!(keys(&bus, &[">"]).await, ["a"]);
}

/// A writer that finds something else than it expected changes nothing.
pub async fn a_write_that_expects_wrongly_changes_nothing(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let first = expecting(&bus, "a", "1", Expect::Absent)
        .await
        .expect("absent");
    let refused = expecting(&bus, "a", "2", Expect::Absent).await;
    assert_eq!(refused, Err(BusError::Conflict));
    let second = expecting(&bus, "a", "3", Expect::At(first))
        .await
        .expect("at first");
    let refused = expecting(&bus, "a", "4", Expect::At(first)).await;
    assert_eq!(refused, Err(BusError::Conflict));
    let refused = expecting(&bus, "b", "5", Expect::At(first)).await;
    assert_eq!(refused, Err(BusError::Conflict));
    let entries = look_up(&bus, &[">"]).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0].value[..], entries[0].revision),
        (&b"3"[..], second)
    );
}

/// The same for removals.
pub async fn a_removal_that_expects_wrongly_changes_nothing(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let first = put(&bus, "a", "1").await;
    let second = put(&bus, "a", "2").await;
    for wrong in [Expect::At(first), Expect::Absent] {
        assert_eq!(erase(&bus, "a", wrong).await, Err(BusError::Conflict));
    }
    assert_eq!(keys(&bus, &["a"]).await, ["a"]);
    erase(&bus, "a", Expect::At(second)).await.expect("removes");
    assert!(keys(&bus, &["a"]).await.is_empty());
}

/// A removed entry is as absent as one that never was.
pub async fn a_removed_entry_counts_as_absent(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let first = put(&bus, "a", "1").await;
    erase(&bus, "a", Expect::At(first)).await.expect("removes");
    let refused = expecting(&bus, "a", "2", Expect::At(first)).await;
    assert_eq!(refused, Err(BusError::Conflict));
    expecting(&bus, "a", "3", Expect::Absent)
        .await
        .expect("absent");
    let refused = expecting(&bus, "a", "4", Expect::Absent).await;
    assert_eq!(refused, Err(BusError::Conflict));
}

/// Of several that expect the same state one succeeds.
pub async fn a_concurrent_compare_and_set_has_one_winner(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let mut expect = Expect::Absent;
    for round in 0..50 {
        let outcomes = Seen::new();
        let writers = [0, 1, 2].map(|writer| {
            let (bus, done) = (Arc::clone(&bus), outcomes.done());
            let put = Put {
                table: TABLE,
                key: subject("a"),
                value: format!("{round}.{writer}").into(),
                expect,
            };
            tokio::task::spawn_blocking(move || bus.put(put, done))
        });
        for writer in writers {
            joined(writer).await;
        }
        let outcomes = outcomes.wait(3).await;
        let won: Vec<Revision> = outcomes.iter().flatten().copied().collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        let conflicts = outcomes
            .iter()
            .filter(|one| **one == Err(BusError::Conflict));
        assert_eq!(conflicts.count(), 2, "{outcomes:?}");
        assert_eq!(look_up(&bus, &["a"]).await[0].revision, won[0]);
        expect = Expect::At(won[0]);
    }
}

/// Writing again makes an entry young.
pub async fn entries_past_their_age_vanish(bus: Arc<dyn Bus>) {
    let table = TableSpec {
        table: TABLE,
        max_age: Some(Duration::from_secs(1)),
        durable: false,
    };
    bus.keep_table(table).await.expect("declares");
    put(&bus, "a", "1").await;
    let vanished = async {
        while !keys(&bus, &["a"]).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, vanished)
        .await
        .expect("vanishes");
    expecting(&bus, "a", "2", Expect::Absent)
        .await
        .expect("absent");
}

/// By every operation.
pub async fn an_undeclared_table_is_refused(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let table = Table("undeclared");
    let (key, expect) = (subject("a"), Expect::Anything);
    let put = Put {
        table,
        key: key.clone(),
        value: "value".into(),
        expect,
    };
    assert_eq!(bus.write(put).await, Err(BusError::NoTable));
    let remove = Remove { table, key, expect };
    assert_eq!(bus.erase(remove).await, Err(BusError::NoTable));
    assert_eq!(bus.look_up(table, all()).await, Err(BusError::NoTable));
}

/// What one table holds no other shows.
pub async fn tables_are_apart(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let other = TableSpec {
        table: Table("other"),
        max_age: None,
        durable: true,
    };
    bus.keep_table(other).await.expect("declares");
    put(&bus, "a", "value").await;
    assert_eq!(bus.look_up(other.table, all()).await, Ok(Vec::new()));
}

/// A wide pattern and many exact keys alike.
pub async fn many_entries_are_read_back_whole(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let outcomes = Seen::new();
    for number in 0..MANY {
        let put = Put {
            table: TABLE,
            key: subject(&format!("many.{number}")),
            value: number.to_string().into(),
            expect: Expect::Anything,
        };
        bus.put(put, outcomes.done());
    }
    let count = usize::try_from(MANY).expect("fits");
    let written: Result<Vec<_>, _> = outcomes.wait(count).await.into_iter().collect();
    assert!(written.is_ok(), "{written:?}");
    let exact: Vec<_> = (0..MANY).map(|n| pattern(&format!("many.{n}"))).collect();
    for wanted in [vec![pattern("many.*")], exact] {
        let entries = bus.look_up(TABLE, wanted).await.expect("reads");
        let fits = |entry: &Entry| entry.key.as_str().as_bytes().ends_with(&entry.value);
        assert!(entries.iter().all(fits));
        let keys: HashSet<_> = entries.iter().map(|entry| entry.key.clone()).collect();
        assert_eq!((entries.len(), keys.len()), (count, count));
    }
}

/// Whatever it was declared with.
pub async fn declaring_a_table_again_keeps_its_entries(bus: Arc<dyn Bus>) {
    keep_table(&bus).await;
    let revision = put(&bus, "a", "value").await;
    let aged = TableSpec {
        table: TABLE,
        max_age: Some(Duration::from_secs(3_600)),
        durable: false,
    };
    for again in [SPEC, aged, SPEC] {
        bus.keep_table(again).await.expect("declares");
        assert_eq!(look_up(&bus, &["a"]).await[0].revision, revision);
    }
}

const SPEC: TableSpec = TableSpec {
    table: TABLE,
    max_age: None,
    durable: false,
};

async fn keep_table(bus: &Arc<dyn Bus>) {
    bus.keep_table(SPEC).await.expect("declares");
}

async fn put(bus: &Arc<dyn Bus>, key: &str, value: &str) -> Revision {
    let put = expecting(bus, key, value, Expect::Anything);
    put.await.expect("writes")
}

async fn expecting(
    bus: &Arc<dyn Bus>,
    key: &str,
    value: &str,
    expect: Expect,
) -> Result<Revision, BusError> {
    let key = subject(key);
    let value = bytes::Bytes::copy_from_slice(value.as_bytes());
    let put = Put {
        table: TABLE,
        key,
        value,
        expect,
    };
    bus.write(put).await
}

async fn erase(bus: &Arc<dyn Bus>, key: &str, expect: Expect) -> Result<(), BusError> {
    let (table, key) = (TABLE, subject(key));
    bus.erase(Remove { table, key, expect }).await
}

async fn look_up(bus: &Arc<dyn Bus>, keys: &[&str]) -> Vec<Entry> {
    let keys = keys.iter().copied().map(pattern).collect();
    bus.look_up(TABLE, keys).await.expect("reads")
}

/// The keys found, sorted.
async fn keys(bus: &Arc<dyn Bus>, wanted: &[&str]) -> Vec<String> {
    let entries = look_up(bus, wanted).await;
    let mut keys: Vec<_> = entries.iter().map(|entry| entry.key.to_string()).collect();
    keys.sort_unstable();
    keys
}

fn all() -> Vec<crate::Pattern> {
    vec![pattern(">")]
}
