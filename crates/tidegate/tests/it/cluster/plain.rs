//! Clients without WebSocket, over gateways that die and that are rolled; and what they
//! cost beside those that have one.

mod costs;

use std::net::SocketAddr;

use serde_json::Value;
use testkit::{
    Cluster, Layout, Plain, SentEvent, eventually, hello, hello_again, server_events, subscribe,
    subscribe_since,
};
use tokio::task::JoinSet;
use wire::client::{ClientEvent, Position, server_event::Event};

use super::{CONFIG, grpc, publish, setting, within_a_minute};

const GATEWAYS: [&str; 3] = ["gw1", "gw2", "gw3"];

/// The last publication.
const LAST: &str = "last";

/// Where clients find a gateway, whichever lives.
fn addresses(cluster: &Cluster) -> Vec<SocketAddr> {
    let address = |name: &&str| cluster.process(name).address("client_url");
    GATEWAYS.iter().map(address).collect()
}

/// Reads as `EventSource` does, beginning anywhere, until the last publication: what came,
/// and how often it came back.
async fn watch(addresses: Vec<SocketAddr>, mut next: usize, token: String) -> (Vec<String>, usize) {
    let target = format!("/v1/sse?access_token={token}&channel=log.a");
    let (mut texts, mut id, mut streams) = (Vec::new(), String::new(), 0);
    loop {
        next += 1;
        let address = addresses[next % addresses.len()];
        let request = Plain::new(address, "GET", &target);
        let request = match &*id {
            "" => request,
            id => request.header("Last-Event-ID", id),
        };
        // Nobody listens, or it is going away.
        let Some(Ok(mut stream)) = request.try_events().await else {
            continue;
        };
        streams += 1;
        while let Some(event) = stream.next().await {
            if !event.id.is_empty() {
                event.id.clone_into(&mut id);
            }
            if let Some(text) = told(&event) {
                texts.push(text);
            }
            if texts.last().is_some_and(|text| text == LAST) {
                return (texts, streams);
            }
        }
    }
}

fn told(event: &SentEvent) -> Option<String> {
    let data = event.json();
    match &*event.name {
        "gap" => panic!("lost: {data}"),
        "subscribed" => assert_ne!(data["verdict"], "VERDICT_LOST"),
        "publication" => return Some(data["text"].as_str().expect("text").to_owned()),
        _ => {}
    }
    None
}

/// What a client that polls knows.
#[derive(Default)]
struct Poller {
    handle: String,
    cursor: u64,
    ticket: Vec<u8>,
    since: Option<Position>,
    subscribed: bool,
    texts: Vec<String>,
}

impl Poller {
    /// Polls any gateway, and opens anew where its connection is gone.
    async fn run(
        mut self,
        addresses: Vec<SocketAddr>,
        mut next: usize,
        token: String,
    ) -> (Vec<String>, usize) {
        let mut opened = 0;
        while self.texts.last().is_none_or(|text| text != LAST) {
            next += 1;
            let address = addresses[next % addresses.len()];
            let opens = self.handle.is_empty();
            let request = match opens {
                true => Plain::post(address, "/v1/poll", self.first(&token)),
                false => Plain::post(address, "/v1/poll", Vec::new())
                    .header("Tidegate-Handle", &self.handle)
                    .header("Tidegate-Cursor", &self.cursor.to_string()),
            };
            let Some(answer) = request.try_answer().await else {
                continue;
            };
            match answer.status {
                200 => {
                    opened += usize::from(opens);
                    self.hold(&serde_json::from_str(&answer.body).expect("JSON"));
                }
                410 => self.handle.clear(),
                // Whoever holds it has not answered, or takes nobody.
                503 => {}
                status => panic!("{status}: {}", answer.body),
            }
        }
        (self.texts, opened)
    }

    fn first(&self, token: &str) -> Vec<ClientEvent> {
        let hello = match self.ticket.is_empty() {
            true => hello(token),
            false => hello_again(token, self.ticket.clone()),
        };
        let subscribe = match self.since.clone() {
            None => subscribe(1, "log.a"),
            Some(since) => subscribe_since(1, "log.a", since),
        };
        vec![hello, subscribe]
    }

    fn hold(&mut self, answer: &Value) {
        if let Some(handle) = answer["handle"].as_str() {
            handle.clone_into(&mut self.handle);
        }
        self.cursor = answer["cursor"].as_u64().expect("a number");
        let messages = answer["messages"].as_array().expect("a list");
        for event in messages
            .iter()
            .filter_map(Value::as_str)
            .flat_map(server_events)
        {
            match event {
                Event::Welcome(welcome) => self.ticket = welcome.session_ticket.to_vec(),
                Event::Subscribed(subscribed) => {
                    assert_ne!(subscribed.verdict(), wire::client::Verdict::Lost);
                    self.subscribed = true;
                    self.since = subscribed.position;
                }
                Event::Publication(publication) => {
                    let text = String::from_utf8(publication.payload.to_vec());
                    self.texts.push(text.expect("text"));
                    if let Some(since) = &mut self.since {
                        since.offset = publication.offset;
                    }
                }
                Event::Gap(gap) => panic!("lost: {gap:?}"),
                Event::Closing(_) => {
                    self.handle.clear();
                    self.cursor = 0;
                }
                _ => {}
            }
        }
        if self.handle.is_empty() {
            self.cursor = 0;
        }
    }
}

async fn have_subscribed(cluster: &Cluster, gateways: &[&str], clients: usize) {
    eventually("all have subscribed", async || {
        let mut all = 0.0;
        for name in gateways {
            let gateway = cluster.process(name);
            all += gateway.metric("tidegate_edge_subscriptions", &[]).await;
        }
        all >= clients as f64
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_and_polls_lose_nothing_when_a_gateway_is_killed_and_another_drained() {
    let mut cluster = Cluster::start(Layout {
        binary: env!("CARGO_BIN_EXE_tidegate"),
        nats: 1,
        gateways: &GATEWAYS,
        controls: &["control1"],
        config: &CONFIG.replace("[gateway]", "[gateway]\npoll = \"1s\""),
    })
    .await;
    let clients = setting("TIDEGATE_TEST_CLIENTS", 12);
    let addresses = addresses(&cluster);
    let mut reading = JoinSet::new();
    for number in 0..clients {
        let (addresses, token) = (
            addresses.clone(),
            cluster.tokens.token(&format!("u{number}")),
        );
        if number % 2 == 0 {
            reading.spawn(watch(addresses, number / 2, token));
        } else {
            reading.spawn(Poller::default().run(addresses, number / 2, token));
        }
    }
    have_subscribed(&cluster, &GATEWAYS, clients).await;
    let control = grpc(&cluster, "control1").await;
    let mut published = 0;
    let mut go_on = async |count: usize| {
        for _ in 0..count {
            let text = published.to_string();
            publish(&control, "log.a", text).await.expect("published");
            published += 1;
        }
    };
    go_on(50).await;
    cluster.take("gw1").kill().await;
    go_on(50).await;
    have_subscribed(&cluster, &GATEWAYS[1..], clients).await;
    go_on(50).await;
    let leaving = cluster.take("gw2");
    leaving.terminate();
    go_on(50).await;
    have_subscribed(&cluster, &GATEWAYS[2..], clients).await;
    go_on(50).await;
    within_a_minute("its end", leaving.ended()).await;
    publish(&control, "log.a", LAST).await.expect("published");

    let expected: Vec<_> = (0..published).map(|number| number.to_string()).collect();
    let mut connections = 0;
    while let Some(read) = within_a_minute("all have read", reading.join_next()).await {
        let (mut texts, opened) = read.expect("no client failed");
        assert_eq!(texts.pop().as_deref(), Some(LAST));
        assert_eq!(texts, expected);
        connections += opened;
    }
    println!(
        "{clients} clients by server-sent events and long polling, {published} publications, a gateway killed and one drained: {connections} connections, nothing lost or twice"
    );
}
