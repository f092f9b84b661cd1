//! Tables on NATS: what several replicas, restarts and other programs do.

use std::sync::Arc;

use bus::{
    Bus, BusError, BusExt, BusState, Expect, Pattern, Put, Remove, Revision, Subject, Table,
    TableSpec,
};
use testkit::{NatsCluster, RawNats, eventually, within};

const TABLE: Table = Table("table");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_writes_are_seen_whichever_replica_answers() {
    let cluster = NatsCluster::start(3).await;
    let bus = cluster.bus().await;
    keep_table(&bus).await;
    for round in 0..200 {
        let key = format!("user{}.connection", round % 7);
        let revision = put(&bus, &key, Expect::Anything).await.expect("writes");
        let user = format!("user{}.*", round % 7);
        assert_eq!(revisions(&bus, &user).await, [revision], "round {round}");
        if round % 3 == 0 {
            erase(&bus, &key).await;
            assert_eq!(revisions(&bus, &user).await, [], "round {round}");
        }
    }
    // Too many for one answer: read page by page, each from any replica.
    for number in 0..1_100 {
        let key = format!("many.{number}");
        put(&bus, &key, Expect::Absent).await.expect("writes");
        if number > 1_024 && number % 25 == 0 {
            assert_eq!(revisions(&bus, "many.*").await.len(), number + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_in_memory_is_empty_after_its_server_and_works() {
    let cluster = NatsCluster::start(1).await;
    let bus = cluster.bus().await;
    keep_table(&bus).await;
    for number in 0..10 {
        let key = format!("key{number}");
        put(&bus, &key, Expect::Absent).await.expect("writes");
    }
    let mut state = bus.state();
    cluster.kill(0).await;
    let down = state.wait_for(|state| *state != BusState::Up);
    within("the bus is down", down).await.expect("it runs");
    let refused = bus.look_up(TABLE, vec![pattern(">")]).await;
    assert_eq!(refused, Err(BusError::Unavailable));
    assert_eq!(
        put(&bus, "key1", Expect::Absent).await,
        Err(BusError::Unavailable)
    );
    cluster.restart(0).await;
    eventually("it is written", async || {
        put(&bus, "key1", Expect::Absent).await.is_ok()
    })
    .await;
    eventually("it is read", async || {
        let entries = bus.look_up(TABLE, vec![pattern(">")]).await;
        entries.is_ok_and(|entries| entries.len() == 1)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_vanished_is_made_again_after_an_outage() {
    let cluster = NatsCluster::start(1).await;
    let bus = cluster.bus().await;
    keep_table(&bus).await;
    put(&bus, "key", Expect::Absent).await.expect("writes");
    let mut raw = RawNats::connect(&cluster.server(0).address()).await;
    raw.ask("$JS.API.STREAM.DELETE.KV_table", b"")
        .await
        .expect("deletes");
    cluster.kill(0).await;
    cluster.restart(0).await;
    eventually("it is written", async || {
        put(&bus, "key", Expect::Absent).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_clients_see_entries_and_removals_as_nats_kv() {
    let cluster = NatsCluster::start(1).await;
    let bus = cluster.bus().await;
    keep_table(&bus).await;
    let mut raw = RawNats::connect(&cluster.server(0).address()).await;
    put(&bus, "ours", Expect::Absent).await.expect("writes");
    let read = raw
        .ask("$JS.API.DIRECT.GET.KV_table.$KV.table.ours", b"")
        .await;
    assert_eq!(read.expect("is there").payload, b"value");
    erase(&bus, "ours").await;
    let marker = raw
        .ask("$JS.API.DIRECT.GET.KV_table.$KV.table.ours", b"")
        .await;
    let headers = marker.expect("is there").headers;
    // It counts as removed, and vanishes by itself.
    for header in ["KV-Operation: PURGE", "Nats-TTL: 60s"] {
        assert!(headers.contains(header), "{headers}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_other_clients_write_and_delete_is_seen() {
    let cluster = NatsCluster::start(1).await;
    let bus = cluster.bus().await;
    keep_table(&bus).await;
    let mut raw = RawNats::connect(&cluster.server(0).address()).await;
    raw.ask("$KV.table.theirs", b"value")
        .await
        .expect("is stored");
    let found = revisions(&bus, "theirs").await;
    assert_eq!(found.len(), 1);
    raw.publish_with("$KV.table.theirs", &["KV-Operation: DEL"], b"")
        .await;
    eventually("it is gone", async || {
        revisions(&bus, "theirs").await.is_empty()
    })
    .await;
    let again = put(&bus, "theirs", Expect::Absent).await.expect("absent");
    assert!(again > found[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_table_is_stored_in_cannot_be_changed() {
    let cluster = NatsCluster::start(1).await;
    let bus = cluster.bus().await;
    keep_table(&bus).await;
    let durable = TableSpec {
        table: TABLE,
        max_age: None,
        durable: true,
    };
    assert_eq!(bus.keep_table(durable).await, Err(BusError::Conflict));
}

async fn keep_table(bus: &Arc<dyn Bus>) {
    let table = TableSpec {
        table: TABLE,
        max_age: None,
        durable: false,
    };
    bus.keep_table(table).await.expect("declares");
}

async fn put(bus: &Arc<dyn Bus>, key: &str, expect: Expect) -> Result<Revision, BusError> {
    let put = Put {
        table: TABLE,
        key: Subject::new(key).expect("valid"),
        value: "value".into(),
        expect,
    };
    bus.write(put).await
}

async fn erase(bus: &Arc<dyn Bus>, key: &str) {
    let remove = Remove {
        table: TABLE,
        key: Subject::new(key).expect("valid"),
        expect: Expect::Anything,
    };
    bus.erase(remove).await.expect("removes");
}

async fn revisions(bus: &Arc<dyn Bus>, keys: &str) -> Vec<Revision> {
    let entries = bus.look_up(TABLE, vec![pattern(keys)]).await;
    let entries = entries.expect("reads");
    entries.iter().map(|entry| entry.revision).collect()
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("valid")
}
