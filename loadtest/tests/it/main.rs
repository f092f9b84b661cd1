//! Every scenario, small, against the baseline: they can't rot unnoticed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use serde_json::Value;

/// Runs the program against its baseline; returns the figures of the only run.
fn figures(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .args(["--against", "baseline", "--json"])
        .output()
        .expect("the program starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    report["subjects"]["baseline"]["runs"][0]["figures"].clone()
}

#[test]
fn idle_connections_are_held_and_move_large_messages() {
    let figures = figures(&["idle", "-n", "20", "--hold", "0.1", "--after-large"]);
    assert_eq!(figures["connections ready"], 20.0);
    assert_eq!(figures["large messages answered"], 20.0);
    assert_eq!(figures["connections lost"], 0.0);
}

#[test]
fn every_subscriber_gets_every_publication() {
    for arguments in [
        ["--rate", "0", "--burst", "1", "--batch", "1"],
        ["--rate", "0", "--burst", "8", "--batch", "8"],
        ["--rate", "500", "--burst", "1", "--batch", "1"],
    ] {
        let common = ["fanout", "-n", "10", "--messages", "40", "--warmup", "8"];
        let figures = figures(&[common.as_slice(), arguments.as_slice()].concat());
        assert_eq!(figures["subscribers"], 10.0);
        for bad in ["lost", "duplicated", "out of order", "connections failed"] {
            assert_eq!(figures[bad], 0.0, "{bad} with {arguments:?}");
        }
        assert!(figures["latency p50, ms"].as_f64().expect("a number") > 0.0);
    }
}

#[test]
fn stalled_subscribers_do_not_hold_up_the_others() {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([
            "fanout",
            "-n",
            "6",
            "--slow",
            "2",
            "--messages",
            "10",
            "--against",
            "baseline",
            "--json",
        ])
        .output()
        .expect("the program starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let stalled = &report["subjects"]["baseline, stalled"]["runs"][0]["figures"];
    assert_eq!(
        (&stalled["subscribers"], &stalled["lost"]),
        (&Value::from(4.0), &Value::from(0.0))
    );
}

#[test]
fn several_processes_share_the_connections() {
    let figures = figures(&["fanout", "-n", "9", "--messages", "20", "--processes", "3"]);
    assert_eq!(
        (&figures["subscribers"], &figures["lost"]),
        (&Value::from(9.0), &Value::from(0.0))
    );
}

#[test]
fn every_request_is_answered() {
    for pace in [["--rate", "0"], ["--rate", "1000"]] {
        let common = [
            "echo",
            "-n",
            "5",
            "--depth",
            "3",
            "--messages",
            "100",
            "--token-in",
            "query",
        ];
        let figures = figures(&[common.as_slice(), pace.as_slice()].concat());
        assert_eq!(figures["unanswered or refused"], 0.0);
        assert!(figures["answers per s"].as_f64().expect("a number") > 0.0);
    }
}

#[test]
fn storm_opens_and_closes() {
    let figures = figures(&["storm", "--secs", "0.2", "--inflight", "8"]);
    assert_eq!(
        (&figures["unanswered"], &figures["connections failed"]),
        (&Value::from(0.0), &Value::from(0.0))
    );
    assert!(figures["connections per s"].as_f64().expect("a number") > 0.0);
}

#[test]
fn refusals_are_told_by_their_status() {
    const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull";
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("ws://{}/v1/ws", listener.local_addr().expect("bound"));
    // Ends with the test's process.
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The client may be gone already.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(REFUSAL);
        }
    });
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args([
            "storm",
            "--secs",
            "0.2",
            "--inflight",
            "1",
            "--against",
            "gateway",
            "--json",
            "--url",
            &url,
        ])
        .output()
        .expect("the program starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    let run = &report["subjects"]["gateway"]["runs"][0];
    let notes: Vec<&String> = run["notes"].as_object().expect("notes").keys().collect();
    assert_eq!(
        notes,
        ["Upgrading: refused with HTTP/1.1 503 Service Unavailable"]
    );
    assert_eq!(run["figures"]["connections per s"], 0.0);
}
