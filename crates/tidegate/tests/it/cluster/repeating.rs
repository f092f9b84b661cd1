//! Requests with an idempotency key, repeated after a gateway was killed.

use std::{
    collections::{HashMap, HashSet},
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use client::{Client, Error, ErrorCode, RequestOptions};
use futures_util::{StreamExt, future::join_all};
use parking_lot::Mutex;
use testkit::eventually;
use tokio::{sync::watch, time::sleep};
use worker::{Request, Worker, WorkerError};

use super::{cluster, connect, within_a_minute};

/// How long a client waits who is not meant to get its answer.
const SHORT: Duration = Duration::from_secs(2);

/// What workers have executed, by key, and how often each was asked.
#[derive(Default)]
struct Book {
    executed: HashMap<String, u32>,
    attempts: HashMap<String, Vec<u32>>,
}

/// Keys whose answers come only once the gate is open.
const HELD: &str = "held";

fn keyed(key: &str, deadline: Duration) -> RequestOptions {
    RequestOptions {
        deadline: Some(deadline),
        idempotency_key: key.to_owned(),
        ..RequestOptions::default()
    }
}

/// Executes each key once where `is_exact`, else each time; answers when it may.
async fn serve(
    book: Arc<Mutex<Book>>,
    mut gate: watch::Receiver<bool>,
    request: Request,
    is_exact: bool,
) -> Bytes {
    let key = request.idempotency_key().expect("given").to_owned();
    {
        let mut book = book.lock();
        let attempts = book.attempts.entry(key.clone()).or_default();
        attempts.push(request.attempt());
        let times = book.executed.entry(key.clone()).or_default();
        *times = if is_exact { 1 } else { *times + 1 };
    }
    if key.starts_with(HELD) {
        // The sender lives as long as the test.
        let _ = gate.wait_for(|open| *open).await;
    }
    format!("{key} executed").into()
}

fn shop(book: &Arc<Mutex<Book>>, gate: &watch::Receiver<bool>) -> Worker {
    let handler = |is_exact| {
        let (book, gate) = (book.clone(), gate.clone());
        move |request| {
            let served = serve(book.clone(), gate.clone(), request, is_exact);
            async move { Ok(served.await) }
        }
    };
    Worker::new("shop")
        .on("buy", handler(false))
        .on("buy_exactly", handler(true))
}

async fn ask(client: &Client, route: &str, key: &str, deadline: Duration) -> Result<Bytes, Error> {
    let options = keyed(key, deadline);
    client.request_with(route, "one", options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_repeated_after_its_gateway_was_killed_is_executed_once() {
    let mut cluster = cluster(1, &["gw1", "gw2"], &["control1"]).await;
    let book = Arc::new(Mutex::new(Book::default()));
    let (open, gate) = watch::channel(false);
    let worker = shop(&book, &gate);
    let bus = cluster.nats.bus().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = worker.start(&bus).expect("starts");
    let asked = async {
        let first = connect(&cluster, "gw1", "ann").await;
        eventually("the worker answers", async || {
            ask(&first, "shop.buy", "done", SHORT).await.is_ok()
        })
        .await;
        // Two are at the worker when their gateway dies.
        let waiting = join_all([
            ask(&first, "shop.buy", "held-1", SHORT),
            ask(&first, "shop.buy_exactly", "held-2", SHORT),
        ]);
        let killed = async {
            eventually("both are at the worker", async || {
                book.lock().executed.len() == 3
            })
            .await;
            cluster.take("gw1").kill().await;
        };
        tokio::select! {
            told = waiting => panic!("nobody could answer: {told:?}"),
            () = killed => {}
        }
        drop(first);
        open.send_replace(true);

        let second = connect(&cluster, "gw2", "ann").await;
        let long = Duration::from_secs(30);
        let (done, unknown, exact) = within_a_minute("every outcome", async {
            tokio::join!(
                ask(&second, "shop.buy", "done", long),
                ask(&second, "shop.buy", "held-1", long),
                ask(&second, "shop.buy_exactly", "held-2", long),
            )
        })
        .await;
        assert_eq!(done.expect("kept"), "done executed");
        assert_eq!(exact.expect("asked again"), "held-2 executed");
        let unknown = unknown.expect_err("the answer died with the gateway");
        assert_eq!(unknown.code(), Some(ErrorCode::OutcomeUnknown));
        drop(stop);
    };
    tokio::join!(
        serving.until(async { drop(stopped.await) }),
        Box::pin(asked)
    );
    let book = book.lock();
    assert!(
        book.executed.values().all(|times| *times == 1),
        "{:?}",
        book.executed
    );
    assert_eq!(book.attempts["done"], [1]);
    assert_eq!(book.attempts["held-1"], [1]);
    assert_eq!(book.attempts["held-2"], [1, 2]);
}

/// Commands of the storm; `TIDEGATE_TEST_COMMANDS` for more.
fn commands() -> usize {
    let told = std::env::var("TIDEGATE_TEST_COMMANDS").ok();
    told.and_then(|count| count.parse().ok()).unwrap_or(400)
}

/// Executes each key once, now and then refuses for the moment, and now and then
/// takes longer than anybody waits.
async fn serve_badly(book: Arc<Mutex<Book>>, request: Request) -> Result<Bytes, WorkerError> {
    let key = request.idempotency_key().expect("given").to_owned();
    if fastrand::u8(..10) == 0 {
        return Err(WorkerError::new("busy", "not now").retryable());
    }
    let answer = {
        let mut book = book.lock();
        let next = book.executed.len() as u32;
        *book.executed.entry(key).or_insert(next)
    };
    if fastrand::u8(..50) == 0 {
        sleep(2 * SHORT).await;
    }
    Ok(answer.to_string().into())
}

/// Gives every command by this client, many at a time, and notes the answers.
async fn give_all(client: &Client, deadline: Duration, answers: &Mutex<Vec<(usize, Bytes)>>) {
    let commands = futures_util::stream::iter(0..commands());
    let give = |number: usize| async move {
        let key = format!("storm-{number}");
        match ask(client, "shop.buy_exactly", &key, deadline).await {
            Ok(answer) => answers.lock().push((number, answer)),
            Err(error) => assert!(error.retryable() || error.code().is_none(), "{error}"),
        }
    };
    commands.for_each_concurrent(48, give).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_repetitions_executes_every_command_once_and_answers_alike() {
    let mut cluster = cluster(1, &["gw1", "gw2", "gw3"], &["control1"]).await;
    let book = Arc::new(Mutex::new(Book::default()));
    let served = book.clone();
    let worker = Worker::new("shop").on("buy_exactly", move |request| {
        serve_badly(served.clone(), request)
    });
    let bus = cluster.nats.bus().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = worker.start(&bus).expect("starts");
    let answers = Mutex::new(Vec::new());
    let began = Instant::now();
    let asked = async {
        // The same user gives the same commands by three gateways at once.
        let clients = join_all(["gw1", "gw2", "gw3"].map(|name| connect(&cluster, name, "ann")));
        let [doomed, second, third] = <[Client; 3]>::try_from(clients.await).expect("three");
        let killed = async {
            eventually("many are executed", async || {
                book.lock().executed.len() > commands().min(3_000) / 3
            })
            .await;
            cluster.take("gw1").kill().await;
        };
        let long = Duration::from_secs(60);
        let others = async {
            tokio::join!(
                give_all(&second, long, &answers),
                give_all(&third, SHORT, &answers),
                killed,
            )
        };
        // With its gateway gone it would ask in vain.
        tokio::select! {
            _ = others => {}
            () = async { give_all(&doomed, SHORT, &answers).await; pending().await } => {}
        }
        drop(stop);
    };
    tokio::join!(
        serving.until(async { drop(stopped.await) }),
        Box::pin(asked)
    );
    let (book, answers) = (book.lock(), answers.lock());
    println!("{} commands in {:?}", commands(), began.elapsed());
    for (number, answer) in &*answers {
        let executed = book.executed[&format!("storm-{number}")];
        assert_eq!(*answer, executed.to_string(), "of command {number}");
    }
    let answered: HashSet<usize> = answers.iter().map(|(number, _)| *number).collect();
    assert_eq!(answered.len(), commands(), "commands without an answer");
}
