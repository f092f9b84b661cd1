//! Who is connected here is known to the cluster.

use std::sync::Arc;

use bus::{BusExt, Expect, Message, Pattern, Remove, Sink, Subject, Table};
use parking_lot::Mutex;
use prost::Message as _;
use registry::Reader;
use testkit::eventually;
use wire::{UserId, control::ConnectionEvent};

use crate::gateway::Site;

/// Hears how connections begin and end.
#[derive(Default)]
struct Events(Mutex<Vec<ConnectionEvent>>);

// === impl Events ===

impl Events {
    async fn of(site: &Site) -> Arc<Self> {
        let events = Arc::new(Self::default());
        let all = Pattern::new(registry::EVENTS_PATTERN).expect("a constant");
        site.bus.listen(all, events.clone()).await.expect("listens");
        events
    }

    /// User and cause of each event; openings have none.
    fn told(&self) -> Vec<(String, String)> {
        let events = self.0.lock();
        let told = events.iter().map(|event| {
            let user = event.connection.as_ref().map(|it| it.user.clone());
            (user.unwrap_or_default(), event.cause.clone())
        });
        told.collect()
    }
}

impl Sink for Events {
    fn deliver(&self, message: &Message) {
        let event = ConnectionEvent::decode(message.payload.clone()).expect("an event");
        self.0.lock().push(event);
    }

    fn lost(&self, _: u64) {}
}

async fn entries(site: &Site, table: &'static str) -> usize {
    let all = vec![Pattern::new(">").expect("valid")];
    let entries = site.bus.look_up(Table(table), all).await;
    entries.expect("declared").len()
}

#[tokio::test]
async fn connections_are_registered_and_told_from_their_welcome_to_their_end() {
    let site = Site::new().await;
    let events = Events::of(&site).await;
    let gateway = site.register("gw-a", |config| config.shards = 2);
    // Never says who it is.
    let _silent = gateway.dial().connect().await;
    let ann = gateway.client("ann").await;
    let _ben = gateway.json_client("ben").await;
    let reader = Reader::new(site.bus.clone());
    let user = UserId::new("ann").expect("valid");
    eventually("both are registered", async || {
        entries(&site, "tg_registry").await == 2
    })
    .await;
    let of_ann = reader.of_user(&user).await.expect("declared");
    assert_eq!(of_ann.len(), 1);
    assert!(of_ann[0].connection_id.starts_with("gw-a"));
    assert_eq!(of_ann[0].session_epoch, 1);
    ann.leave().await;
    eventually("her entry is gone", async || {
        reader.of_user(&user).await.expect("declared").is_empty()
    })
    .await;
    gateway.drain().await;
    // By the end of the drain, and not later.
    for table in ["tg_registry", "tg_gateways", "tg_labels"] {
        assert_eq!(entries(&site, table).await, 0, "{table}");
    }
    let mut told = events.told();
    told.sort();
    let expected = [
        ("ann", ""),
        ("ann", "closed_by_peer"),
        ("ben", ""),
        ("ben", "draining"),
    ];
    assert_eq!(
        told,
        expected.map(|(user, cause)| (user.into(), cause.into()))
    );
}

#[tokio::test]
async fn a_gateway_that_was_taken_for_dead_registers_everybody_anew() {
    let site = Site::new().await;
    let gateway = site.register("gw-a", |config| config.shards = 2);
    let mut clients = Vec::new();
    for user in 0..5 {
        clients.push(gateway.client(&format!("user{user}")).await);
    }
    eventually("all are registered", async || {
        entries(&site, "tg_registry").await == 5 && entries(&site, "tg_gateways").await == 1
    })
    .await;
    let all = vec![Pattern::new(">").expect("valid")];
    let held = site.bus.look_up(Table("tg_registry"), all).await;
    for entry in held.expect("declared") {
        erase(&site, "tg_registry", entry.key).await;
    }
    let key = Subject::new("gw-a").expect("valid");
    erase(&site, "tg_gateways", key).await;
    eventually("all are back", async || {
        entries(&site, "tg_registry").await == 5 && entries(&site, "tg_gateways").await == 1
    })
    .await;
    gateway.drain().await;
}

async fn erase(site: &Site, table: &'static str, key: Subject) {
    let remove = Remove {
        table: Table(table),
        key,
        expect: Expect::Anything,
    };
    site.bus.erase(remove).await.expect("declared");
}
