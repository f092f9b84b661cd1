//! Programs that know NATS and nothing of ours: publishers, workers, callers.

use std::{sync::Arc, time::Duration};

use bus::{Bus, BusError, BusExt, Request, RequestContext, Service, WorkerFailure};
use testkit::{NatsServer, RawNats};
use wire::UserId;

use super::{
    Echo, Kept, Record, beside, connect, eventually, message, outgoing, pattern, question, subject,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_headers_is_delivered_and_stamped() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        let record = Arc::new(Record::default());
        let listening = bus.listen(pattern("a"), record.clone()).await;
        listening.expect("subscribes");
        let mut stranger = RawNats::connect(&server.address()).await;
        stranger.publish("a", b"plain").await;
        let odd = ["Tg-Published-At: yesterday", "Tg-Key: 100%", "Other: x"];
        stranger.publish_with("a", &odd, b"odd").await;
        let both = |given: &[_]| given == [message("plain"), message("odd")];
        record.until("both", both).await;
        let messages = record.messages.lock();
        for message in &*messages {
            assert!(message.published_at_us > 1_700_000_000_000_000);
        }
        assert_eq!((&*messages[0].key, &*messages[1].key), ("", "100%"));
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publication_can_be_read_by_anybody() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        let mut stranger = RawNats::connect(&server.address()).await;
        stranger.subscribe("a", "").await;
        let ours = bus::Outgoing {
            key: "line\nbreak".into(),
            published_at_us: 17,
            message_id: "id".into(),
            traceparent: "00-trace".into(),
            ..outgoing("a", "x")
        };
        bus.send(ours).await.expect("publishes");
        let seen = stranger.next().await;
        assert_eq!(seen.payload, b"x");
        for line in [
            "Tg-Key: line%0Abreak",
            "Nats-Msg-Id: id",
            "traceparent: 00-trace",
        ] {
            let shown = line.replace(": ", ":");
            let headers = seen.headers.replace(": ", ":");
            assert!(headers.contains(&shown), "{line} in {headers:?}");
        }
        let origin = seen
            .headers
            .lines()
            .find(|line| line.starts_with("Tg-Origin:"));
        let numbers: Vec<_> = origin.expect("says whose it is").split(' ').collect();
        assert_eq!(numbers[numbers.len() - 2..], ["1", "17"]);
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_needs_no_headers_and_fails_with_two() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        let mut worker = RawNats::connect(&server.address()).await;
        worker.subscribe("q", "q").await;
        let context = RequestContext {
            user: UserId::new("Zo\u{eb} 100%"),
            ..RequestContext::default()
        };
        let asked = Request {
            context,
            ..question("q", "ping")
        };
        let working = async {
            let request = worker.next().await;
            assert!(request.headers.contains("100%25"), "{:?}", request.headers);
            let reply = request.reply.expect("wants an answer");
            worker.publish(&reply, b"pong").await;
            let request = worker.next().await;
            let reply = request.reply.expect("wants an answer");
            let failure = [
                "Nats-Service-Error: too many",
                "Nats-Service-Error-Code: 429",
            ];
            worker.publish_with(&reply, &failure, b"").await;
        };
        let asking = async {
            let reply = bus.ask(asked).await.expect("is answered");
            assert_eq!(reply.payload, "pong");
            let failed = bus.ask(question("q", "again")).await;
            let expected = WorkerFailure {
                code: "429".into(),
                message: "too many".into(),
                retryable: true,
            };
            assert_eq!(failed, Err(BusError::Worker(expected)));
        };
        tokio::join!(working, asking);
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_needs_no_headers() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        bus.serve(subject("q"), Arc::new(Echo));
        let mut caller = RawNats::connect(&server.address()).await;
        eventually("the service is there", async || {
            caller
                .ask("q", b"ping")
                .await
                .is_some_and(|answer| answer.payload == b"ping")
        })
        .await;
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_and_an_expired_request_are_told_to_whoever_works_on_them() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        let kept = Arc::new(Kept::default());
        bus.serve(subject("q"), kept.clone());
        let mut listener = RawNats::connect(&server.address()).await;
        listener.subscribe("tg.cn.q", "").await;
        let token = bus.request(question("q", "1"), Box::new(drop));
        eventually("the first is there", async || kept.0.lock().len() == 1).await;
        bus.cancel(token);
        let expiring = Request {
            deadline: Duration::from_millis(50),
            ..question("q", "2")
        };
        assert_eq!(bus.ask(expiring).await, Err(BusError::DeadlineExceeded));
        eventually("both handlers are told", async || {
            let requests = kept.0.lock();
            requests.len() == 2 && requests.iter().all(|one| one.cancelled.is_cancelled())
        })
        .await;
        let (first, second) = (listener.next().await, listener.next().await);
        assert!(first.payload.starts_with(b"_INBOX."));
        assert_ne!(first.payload, second.payload);
    };
    beside(running, check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_are_discovered_with_their_counts() {
    let server = NatsServer::start().await;
    let (bus, running) = connect(&server.url()).await;
    let check = async {
        bus.serve(subject("q"), Arc::new(Echo));
        bus.ask(question("q", "")).await.expect("is answered");
        let token = bus.announce(Service {
            name: "prices".into(),
            version: "1.2.3".into(),
            description: "what things cost".into(),
            endpoints: vec![("ask".into(), subject("q"))],
        });
        let mut tool = RawNats::connect(&server.address()).await;
        let mut answer = async |verb: &str| {
            let answer = tool.ask(&format!("$SRV.{verb}"), b"").await?;
            serde_json::from_slice::<serde_json::Value>(&answer.payload).ok()
        };
        let mut ping = None;
        eventually("the service is seen", async || {
            ping = answer("PING").await;
            ping.is_some()
        })
        .await;
        let ping = ping.expect("it was waited for");
        assert_eq!(ping["type"], "io.nats.micro.v1.ping_response");
        assert_eq!(
            (&ping["name"], &ping["version"]),
            (&"prices".into(), &"1.2.3".into())
        );
        let id = ping["id"].as_str().expect("an id");
        let info = answer(&format!("INFO.prices.{id}")).await.expect("answers");
        assert_eq!(info["endpoints"][0]["subject"], "q");
        assert_eq!(info["endpoints"][0]["queue_group"], "q");
        let stats = answer("STATS.prices").await.expect("answers");
        assert_eq!(stats["endpoints"][0]["num_requests"], 1);
        assert_eq!(stats["endpoints"][0]["num_errors"], 0);
        bus.unsubscribe(token);
        eventually("the service is gone", async || {
            answer("PING").await.is_none()
        })
        .await;
    };
    beside(running, check).await;
}
