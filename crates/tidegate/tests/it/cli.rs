//! Each command against a running node, by its output and its exit code.

use std::{fs, io::Read, net::TcpListener, path::PathBuf, process::Stdio};

use crate::dev_process::{DevProcess, failure, run, stdout, tidegate};

/// A file of its own for each test.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("writable");
    path
}

/// A port where nobody listens: it was free a moment ago.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

#[test]
fn what_is_published_reaches_subscribers() {
    let node = DevProcess::start();
    let mut subscriber = node.subscribe(&["chat.a", "chat.b", "--count", "2"]);
    subscriber.until("subscribed");
    subscriber.until("subscribed");

    let first = node.json(&["publish", "chat.a", "Hello, tide!", "--key", "k"]);
    let second = node.run_with_stdin(&["publish", "chat.b", "-"], "from stdin");
    let offset = stdout(&second);
    assert_eq!(offset, "1\n", "the first of its channel");

    let publication = subscriber.until("publication");
    assert_eq!(publication["channel"], "chat.a");
    assert_eq!(publication["payload"], "Hello, tide!");
    assert_eq!(publication["key"], "k");
    assert_eq!(publication["offset"], first["offset"]);
    assert_eq!(subscriber.until("publication")["payload"], "from stdin");
    assert_eq!(subscriber.end(), Some(0));
}

#[test]
fn lines_become_publications_in_order() {
    let node = DevProcess::start();
    let mut subscriber = node.subscribe(&["demo.lines", "--count", "3"]);
    subscriber.until("subscribed");
    let published = node.run_with_stdin(&["publish", "demo.lines", "--lines"], "a\r\n\nc\n");
    assert_eq!(stdout(&published), "3\n");
    for line in ["a", "", "c"] {
        assert_eq!(subscriber.until("publication")["payload"], line);
    }
}

#[test]
fn a_count_repeats_a_publication() {
    let node = DevProcess::start();
    let mut subscriber = node.subscribe(&["demo.many", "--count", "1000"]);
    subscriber.until("subscribed");
    let published = node.json(&["publish", "demo.many", "x", "--count", "1000"]);
    assert_eq!(
        (&published["published"], &published["refused"]),
        (&1000.into(), &0.into())
    );
    assert_eq!(subscriber.end(), Some(0));
}

#[test]
fn the_log_of_a_channel_is_printed() {
    let node = DevProcess::start();
    for payload in ["a", "b", "c"] {
        node.json(&["publish", "chat.log", payload]);
    }
    let offsets = |args: &[&str]| -> Vec<u64> {
        let printed = node.run(&[&["history", "chat.log", "--json"], args].concat());
        let object = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let offset = |line| object(line)["offset"].as_u64().expect("a number");
        stdout(&printed).lines().map(offset).collect()
    };
    let all = offsets(&[]);
    assert_eq!(all.len(), 3);
    assert_eq!(offsets(&["--since", "1h"]), all);
    assert_eq!(offsets(&["--limit", "1"]), all[..1]);
    let after = all[0].to_string();
    assert_eq!(offsets(&["--after", &after, "--limit", "5"]), all[1..]);
    assert!(offsets(&["--since", "2100-01-01T00:00:00Z"]).is_empty());
    let more = node.run(&["history", "chat.log", "--limit", "2"]);
    let note = String::from_utf8_lossy(&more.stderr).into_owned();
    assert!(note.contains(&format!("--after {}", all[1])), "{note}");
    let (code, message) = failure(&node.run(&["history", "nowhere.a"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("UNKNOWN_NAMESPACE"), "{message}");
}

#[test]
fn who_is_in_a_channel_is_printed() {
    let node = DevProcess::start();
    let nobody = node.json(&["presence", "chat.lobby"]);
    assert_eq!(nobody["sessions"], 0);
    let _ann = node.subscribe(&["chat.lobby", "--count", "1"]);
    let mut there = nobody;
    for _ in 0..100 {
        there = node.json(&["presence", "chat.lobby"]);
        if there["sessions"] == 1 {
            break;
        }
    }
    assert_eq!(
        (&there["sessions"], &there["users"]),
        (&1.into(), &1.into())
    );
    let member = &there["members"][0];
    assert_eq!(member["user"], "cli");
    let mut watcher = node.subscribe(&["chat.lobby", "--presence", "--count", "1"]);
    let seen = watcher.until("presence");
    assert_eq!(
        (&seen["sessions"], &seen["joined"][0]),
        (&2.into(), &"cli".into())
    );
    let printed = node.run(&["presence", "chat.lobby"]);
    let session = member["session"].as_str().expect("it has one");
    assert!(stdout(&printed).contains(session));
}

#[test]
fn a_subscriber_may_begin_with_the_newest_of_each_key() {
    let node = DevProcess::start();
    for (key, payload) in [("a", "1"), ("b", "2"), ("a", "3")] {
        node.json(&["publish", "chat.state", payload, "--key", key]);
    }
    let mut subscriber = node.subscribe(&["chat.state", "--latest", "--count", "2"]);
    for payload in ["2", "3"] {
        let publication = subscriber.until("publication");
        assert_eq!(publication["payload"], payload);
        assert_eq!(publication["snapshot"], true);
    }
    assert_eq!(subscriber.end(), Some(0));
}

#[test]
fn a_refused_publication_names_the_code() {
    let node = DevProcess::start();
    let (code, message) = failure(&node.run(&["publish", "nowhere.a", "x"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("UNKNOWN_NAMESPACE"), "{message}");
    let (code, message) = failure(&node.run(&["publish", "nowhere.a", "x", "--count", "3"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("3 of 3 were refused"), "{message}");
}

#[test]
fn a_request_prints_the_reply() {
    let node = DevProcess::start();
    let reply = node.run(&["request", "echo", "Is anybody there?"]);
    assert_eq!(stdout(&reply), "Is anybody there?");
    let (code, message) = failure(&node.run(&["request", "nowhere", "x"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("UNKNOWN_ROUTE"), "{message}");
    // A route of the demo that no worker serves.
    let (code, message) = failure(&node.run(&["request", "orders.place", "x"]));
    assert_eq!(code, Some(75));
    assert!(message.contains("NO_WORKER"), "{message}");
}

#[test]
fn a_send_reaches_the_user() {
    let node = DevProcess::start();
    let mut subscriber = node.subscribe(&["demo.a", "--user", "alice"]);
    subscriber.until("subscribed");
    let receipt = node.json(&["send", "--user", "alice", "psst", "--level", "written"]);
    assert_eq!(receipt["level"], "written");
    assert_eq!(subscriber.until("direct")["payload"], "psst");

    let (code, message) = failure(&node.run(&["send", "--user", "nobody", "psst"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("NOT_CONNECTED"), "{message}");
}

#[test]
fn connections_are_listed_counted_and_closed() {
    let node = DevProcess::start();
    let mut alice = node.subscribe(&["demo.a", "demo.b", "--user", "alice"]);
    alice.until("subscribed");
    alice.until("subscribed");
    let mut bob = node.subscribe(&["demo.a", "--user", "bob"]);
    bob.until("subscribed");

    let counted = node.json(&["connections", "count"]);
    assert_eq!(
        (&counted["connections"], &counted["users"]),
        (&2.into(), &2.into())
    );
    let table = stdout(&node.run(&["connections"]));
    assert!(table.starts_with("CONNECTION"), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");

    let listed = node.json(&["connections", "list", "--user", "alice"]);
    assert_eq!(listed["user"], "alice");
    let id = listed["connection_id"].as_str().expect("an id");
    let shown = node.json(&["connections", "get", id]);
    assert_eq!(
        shown["channels"].as_array().map(Vec::len),
        Some(2),
        "{shown}"
    );

    let closed = node.json(&["connections", "disconnect", "--connection", id]);
    assert_eq!(closed["closed"], 1);
    assert_eq!(alice.end(), Some(1));
    let (code, message) = failure(&node.run(&["connections", "get", id]));
    assert_eq!(
        (code, message.contains("NOT_CONNECTED")),
        (Some(1), true),
        "{message}"
    );
}

#[test]
fn a_token_connects_as_its_user() {
    let node = DevProcess::start();
    let issued = node.json(&["token", "--user", "carol", "--subscribe", "demo.only"]);
    let token = issued["token"].as_str().expect("a token");
    let mut subscriber = node.subscribe(&["demo.only", "--token", token]);
    subscriber.until("subscribed");
    assert_eq!(node.json(&["connections"])["user"], "carol");

    let (code, message) = failure(&node.run(&["subscribe", "demo.other", "--token", token]));
    assert_eq!(code, Some(1));
    assert!(message.contains("PERMISSION_DENIED"), "{message}");
    let (code, message) = failure(&node.run(&["subscribe", "demo.only", "--token", "forged"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("invalid_token"), "{message}");
}

#[test]
fn a_closed_port_is_one_sentence_and_exit_code_69() {
    let port = closed_port();
    let (grpc, url) = (
        format!("http://127.0.0.1:{port}"),
        format!("ws://127.0.0.1:{port}/v1/ws"),
    );
    for args in [
        vec!["publish", "demo.a", "x", "--grpc", &grpc],
        vec!["subscribe", "demo.a", "--token", "t", "--url", &url],
    ] {
        let (code, message) = failure(&run(tidegate(&args)));
        assert_eq!(code, Some(69), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(&format!("127.0.0.1:{port}")), "{message}");
        assert!(message.contains("`tidegate dev` starts one"), "{message}");
    }
}

#[test]
fn a_bad_configuration_names_the_key_with_exit_code_64() {
    let bad = file("bad.toml", "[gateway]\nheartbeet = \"25s\"\n");
    let bad = bad.to_str().expect("text");
    for args in [["config", "check", bad], ["dev", "--config", bad]] {
        let (code, message) = failure(&run(tidegate(&args)));
        assert_eq!(code, Some(64), "{message}");
        assert!(message.contains("heartbeet"), "{message}");
    }
    let good = file("good.toml", "[gateway]\nheartbeat = \"30s\"\n");
    stdout(&run(tidegate(&[
        "config",
        "check",
        good.to_str().expect("text"),
    ])));
}

#[test]
fn unsafe_settings_are_told_by_code_and_fail_if_they_are_denied() {
    let text = "[gateway]\nallowed_origins = [\"*\"]\n[nats]\ntoken = \"hidden-one\"\n";
    let unsafe_one = file("unsafe.toml", text);
    let check = ["config", "check", unsafe_one.to_str().expect("text")];
    let told = stdout(&run(tidegate(&check)));
    for warning in [
        "warning[any_origin] gateway.allowed_origins",
        "warning[secret_in_file] nats.token",
    ] {
        assert!(told.contains(warning), "{told}");
    }
    assert!(!told.contains("hidden-one"), "{told}");
    let as_json = stdout(&run(tidegate(&[&check[..], &["--json"]].concat())));
    let as_json: serde_json::Value = serde_json::from_str(&as_json).expect("JSON");
    let warnings = as_json["warnings"].as_array().expect("a list");
    assert!(warnings.iter().any(|it| it["code"] == "any_origin"));
    let (code, message) = failure(&run(tidegate(&[&check[..], &["--deny-warnings"]].concat())));
    assert_eq!(code, Some(1));
    assert!(message.contains("not safe"), "{message}");
}

#[test]
fn variables_with_two_levels_are_keys_and_others_are_not() {
    let mut command = tidegate(&["config", "show"]);
    command
        .env("TIDEGATE_TOKEN", "t")
        .env("TIDEGATE_GATEWAY__ID", "gw-of-env");
    let shown = stdout(&run(command));
    assert!(shown.contains("id = \"gw-of-env\""), "{shown}");

    let mut command = tidegate(&["config", "show"]);
    command.env("TIDEGATE_GATEWAY__NONE", "1");
    let (code, message) = failure(&run(command));
    assert_eq!(
        (code, message.contains("none")),
        (Some(64), true),
        "{message}"
    );
}

#[test]
fn what_is_shown_can_be_read_again_and_hides_secrets() {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA";
    let text = format!("[[auth.key]]\nalgorithm = \"HS256\"\nsecret = \"{secret}\"\n");
    let path = file("secret.toml", &text);
    let shown = stdout(&run(tidegate(&[
        "config",
        "show",
        path.to_str().expect("text"),
    ])));
    assert!(
        shown.contains("(hidden)") && !shown.contains(secret),
        "{shown}"
    );

    let shown = stdout(&run(tidegate(&["config", "show"])));
    let again = file("again.toml", &shown);
    let again = stdout(&run(tidegate(&[
        "config",
        "show",
        again.to_str().expect("text"),
    ])));
    assert_eq!(shown, again);
}

#[test]
fn the_schema_names_every_part() {
    let schema = stdout(&run(tidegate(&["config", "schema"])));
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    for part in [
        "gateway",
        "control",
        "admin",
        "log",
        "auth",
        "namespace",
        "route",
    ] {
        assert!(schema["properties"].get(part).is_some(), "{part}: {schema}");
    }
}

#[test]
fn a_connection_is_explained_and_recorded() {
    let node = DevProcess::start();
    let mut alice = node.subscribe(&["chat.a", "--user", "alice"]);
    alice.until("subscribed");
    let page = stdout(&node.run(&["explain", "--user", "alice"]));
    for line in ["live", "round trip", "chat.a", "a second", "nothing"] {
        assert!(page.contains(line), "{line:?} in\n{page}");
    }
    let mut recording = node.command(&["explain", "--user", "alice", "--record", "3s", "--json"]);
    let recording = recording.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut recording = recording.spawn().expect("the binary runs");
    let mut note = [0; 9];
    let stderr = recording.stderr.as_mut().expect("piped");
    stderr
        .read_exact(&mut note)
        .expect("it says that it records");
    node.json(&["publish", "chat.a", "x"]);
    alice.until("publication");
    let recorded = stdout(&recording.wait_with_output().expect("it ends"));
    let recorded: serde_json::Value = serde_json::from_str(&recorded).expect("JSON");
    assert!(recorded["rates"].is_object(), "{recorded}");
    let entries = recorded["recording"]["entries"].as_array().expect("a list");
    let sent = entries.iter().filter(|it| it["kind"] == "publications");
    let sent: Vec<_> = sent.map(|it| &it["subject"]).collect();
    assert_eq!(sent, [&serde_json::Value::from("chat.a")], "{recorded}");
    let id = recorded["connection"]["connection_id"]
        .as_str()
        .expect("an id");

    let mut second = node.subscribe(&["chat.a", "--user", "alice"]);
    second.until("subscribed");
    let list = stdout(&node.run(&["explain", "--user", "alice"]));
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains(id), "{list}");
    for args in [
        ["explain", "--user", "nobody"],
        ["explain", "--session", &"0".repeat(32)],
    ] {
        let (code, message) = failure(&node.run(&args));
        assert_eq!(code, Some(1));
        assert!(message.contains("NOT_CONNECTED"), "{message}");
    }
}
