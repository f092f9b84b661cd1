//! A kit is worth what it finds: the Rust SDK behind a relay that makes mistakes which
//! SDKs make, each found by the situation that is about it.

use std::future::pending;

use conformance::{Client, Fault, Report, Situation, Task};
use tokio::{
    io::{self, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream},
    net::{TcpListener, TcpStream},
    select,
    task::JoinSet,
};

use crate::{PIPE, anywhere, driver};

/// What becomes of a report on its way.
type Distortion = fn(Report) -> Vec<Report>;

fn situation(name: &str) -> Situation {
    let found = conformance::all()
        .into_iter()
        .find(|one| one.name() == name);
    found.expect("there is one of that name")
}

/// Passes lines on as `distortion` likes them.
async fn relay_reports(from: DuplexStream, mut to: DuplexStream, distortion: Distortion) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let report = serde_json::from_str(&line).expect("a report");
        for report in distortion(report) {
            let line = serde_json::to_string(&report).expect("plain") + "\n";
            if to.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn played_with(name: &str, distortion: Distortion) -> Result<(), Fault> {
    let (tasks, to_read) = io::duplex(PIPE);
    let (to_write, undistorted) = io::duplex(PIPE);
    let (distorted, reports) = io::duplex(PIPE);
    let situation = situation(name);
    select! {
        outcome = situation.play(Client::over(tasks, reports), anywhere()) => outcome,
        ended = driver::drive(to_read, to_write) => panic!("the driver ended: {ended:?}"),
        () = relay_reports(undistorted, distorted, distortion) => panic!("the relay ended"),
    }
}

#[tokio::test]
async fn what_the_application_is_told_wrong_is_found() {
    let hide_gaps: Distortion = |report| match report {
        Report::Gap { .. } | Report::DirectGap { .. } => vec![],
        other => vec![other],
    };
    let deliver_twice: Distortion = |report| match report {
        Report::Publication { .. } | Report::Direct { .. } => vec![report.clone(), report],
        other => vec![other],
    };
    let always_recovered: Distortion = |report| match report {
        Report::Subscribed { channel, .. } => {
            let verdict = "recovered".into();
            vec![Report::Subscribed { channel, verdict }]
        }
        other => vec![other],
    };
    let all_is_well: Distortion = |report| match report {
        Report::Answer { call, payload, .. } => vec![Report::Answer {
            call,
            payload,
            error: String::new(),
        }],
        other => vec![other],
    };
    let mistakes: [(Distortion, &[&str]); 4] = [
        (hide_gaps, &["gap", "broken_chain", "recovered_in_part"]),
        (
            deliver_twice,
            &["in_order", "duplicates", "direct", "migrate"],
        ),
        (always_recovered, &["resnapshot", "lost", "no_position"]),
        (all_is_well, &["failures", "unanswered"]),
    ];
    for (distortion, names) in mistakes {
        for name in names {
            let outcome = played_with(name, distortion).await;
            assert!(
                matches!(outcome, Err(Fault::Wrong(_))),
                "{name}: {outcome:?}"
            );
        }
    }
}

/// What becomes of the bytes that a gateway sends.
type Tampering = fn(&mut [u8]);

/// A door before the kit's: what comes through it is not what the kit said, so the
/// client does what it should not.
async fn tampered(door: TcpListener, kit: String, tampering: Tampering) {
    let mut links = JoinSet::new();
    while let Ok((stream, _)) = door.accept().await {
        let onward = TcpStream::connect(&kit).await.expect("the kit listens");
        let (mut from_client, mut to_client) = stream.into_split();
        let (mut from_kit, mut to_kit) = onward.into_split();
        links.spawn(async move {
            // Either side may end it.
            let _ = io::copy(&mut from_client, &mut to_kit).await;
        });
        links.spawn(async move {
            let mut bytes = Vec::with_capacity(PIPE);
            while matches!(from_kit.read_buf(&mut bytes).await, Ok(1..)) {
                tampering(&mut bytes);
                if to_client.write_all(&bytes).await.is_err() {
                    return;
                }
                bytes.clear();
            }
        });
    }
}

/// Passes tasks on; the client is sent to the door instead.
async fn relay_tasks(from: DuplexStream, mut to: DuplexStream, tampering: Tampering) {
    let mut doors = JoinSet::new();
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut task: Task = serde_json::from_str(&line).expect("a task");
        if let Task::Connect { url } = &mut task {
            let kit = url.split('/').nth(2).expect("ws://address/").to_owned();
            let door = TcpListener::bind(anywhere()).await.expect("a free port");
            let address = door.local_addr().expect("bound").to_string();
            *url = url.replace(&kit, &address);
            doors.spawn(tampered(door, kit, tampering));
        }
        let line = serde_json::to_string(&task).expect("plain") + "\n";
        to.write_all(line.as_bytes())
            .await
            .expect("the driver reads");
    }
    pending().await
}

async fn played_through(name: &str, tampering: Tampering) -> Result<(), Fault> {
    let (tasks, untold) = io::duplex(PIPE);
    let (told, to_read) = io::duplex(PIPE);
    let (to_write, reports) = io::duplex(PIPE);
    let situation = situation(name);
    select! {
        outcome = situation.play(Client::over(tasks, reports), anywhere()) => outcome,
        ended = driver::drive(to_read, to_write) => panic!("the driver ended: {ended:?}"),
        () = relay_tasks(untold, told, tampering) => unreachable!("it never ends"),
    }
}

/// Replaces each `from` with `to`, which is as long.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let starts: Vec<_> = (0..bytes.len().saturating_sub(from.len() - 1))
        .filter(|&at| bytes[at..].starts_with(from))
        .collect();
    for at in starts {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
}

#[tokio::test]
async fn what_the_client_does_wrong_is_found() {
    let another_ticket: Tampering = |bytes| replace(bytes, b"ticket-1", b"ticket-9");
    // 4002 is 4102 to it, in the Closing and in the Close frame.
    let comes_back: Tampering = |bytes| {
        replace(bytes, &[0xa2, 0x1f], &[0x86, 0x20]);
        replace(bytes, &4002_u16.to_be_bytes(), &4102_u16.to_be_bytes());
    };
    let stays_away: Tampering = |bytes| {
        replace(bytes, &[0x85, 0x20], &[0xa1, 0x1f]);
        replace(bytes, &4101_u16.to_be_bytes(), &4001_u16.to_be_bytes());
    };
    let mistakes = [
        ("back_to_session", another_ticket),
        ("close_4002_invalid_token", comes_back),
        ("close_4101_slow_consumer", stays_away),
    ];
    for (name, tampering) in mistakes {
        let outcome = played_through(name, tampering).await;
        let is_found = matches!(outcome, Err(Fault::Wrong(_) | Fault::Late(_)));
        assert!(is_found, "{name}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_nothing_passes_nothing() {
    for situation in conformance::all() {
        let (tasks, _unread) = io::duplex(PIPE);
        let (_unwritten, reports) = io::duplex(PIPE);
        let outcome = situation
            .play(Client::over(tasks, reports), anywhere())
            .await;
        assert!(outcome.is_err(), "{}", situation.name());
    }
}
