//! Keys of callers, keys that sign, and keys that everybody knows.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
};

use auth::{Algorithm, KeySet};
use serde_json::Value;

use crate::dev_process::{DevProcess, failure, run, stdout, tidegate};

/// A file that goes with the test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("tidegate-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("a writable folder");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing is to be done about a file that is gone.
        drop(fs::remove_file(&self.0));
    }
}

/// Head and body of a page of the admin port.
fn page(node: &DevProcess, path: &str) -> (String, String) {
    let address = node.announced("admin_url").trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_lowercase(), body.to_owned())
}

#[test]
fn a_new_key_opens_what_its_scopes_have() {
    let made = run(tidegate(&[
        "key",
        "new",
        "--name",
        "ops",
        "--scope",
        "gateways.read",
    ]));
    let key = stdout(&made).trim().to_owned();
    let note = String::from_utf8(made.stderr).expect("text");
    let begin = note.find("[[control.key]]").expect("what to configure");
    let config = Temporary::new("callers.toml", &note[begin..]);
    let node = DevProcess::start_with(&["--config", config.path()]);

    let (code, message) = failure(&node.run(&["gateways"]));
    assert_eq!(code, Some(1));
    assert!(message.contains("MISSING_CREDENTIALS"), "{message}");

    let with_key = |args: &[&str]| {
        let mut command = node.command(args);
        command.env("TIDEGATE_API_KEY", &key);
        run(command)
    };
    stdout(&with_key(&["gateways"]));
    let (code, message) = failure(&with_key(&["publish", "demo.a", "x"]));
    assert_eq!(code, Some(1));
    let expected = "the caller lacks the scope publish (SCOPE_TOO_SMALL)";
    assert!(message.contains(expected), "{message}");

    // A file ends with a line break.
    let file = Temporary::new("api.key", &format!("{key}\n"));
    stdout(&node.run(&["gateways", "--api-key-file", file.path()]));
    let other = Temporary::new("other.key", "tgk_other");
    let (code, message) = failure(&node.run(&["gateways", "--api-key-file", other.path()]));
    assert_eq!(code, Some(1));
    assert!(message.contains("UNKNOWN_KEY"), "{message}");
}

#[test]
fn public_keys_are_published_where_verifiers_look() {
    let pem = stdout(&run(tidegate(&["key", "new", "--signing"])));
    let file = Temporary::new("signing.pem", &pem);
    let entry = format!("[[control.signing_key]]\nfile = {:?}\n", file.path());
    let config = Temporary::new("signing.toml", &entry);
    let node = DevProcess::start_with(&["--config", config.path()]);
    let (head, body) = page(&node, "/.well-known/jwks.json");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(
        head.contains("cache-control: public, max-age=300"),
        "{head}"
    );
    assert!(
        head.contains("content-type: application/jwk-set+json"),
        "{head}"
    );
    let keys = KeySet::read_public(&body, &[Algorithm::EdDsa]).expect("a set of keys");
    assert_eq!(keys.len(), 1);
    let jwks: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(jwks["keys"][0]["d"], Value::Null, "private parts stay here");

    // The gateway of the same process takes what is signed with it.
    let token = stdout(&node.run(&["token", "--user", "alice", "--route", "echo"]));
    let mut request = node.command(&["request", "echo", "hello"]);
    request.env("TIDEGATE_TOKEN", token.trim());
    assert_eq!(stdout(&run(request)).trim(), "hello");
}

#[test]
fn keys_that_everybody_knows_are_for_development_only() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/config/tidegate.toml");
    let example = example.to_str().expect("UTF-8");
    stdout(&run(tidegate(&["config", "check", example])));
    for role in ["gateway", "control"] {
        let (code, message) = failure(&run(tidegate(&[role, "--config", example])));
        assert_eq!(code, Some(64), "{role} {message}");
        assert!(message.contains("auth.key"), "{role} {message}");
        assert!(message.contains("DEMO_KEY"), "{role} {message}");
    }
}

#[test]
fn the_command_line_speaks_tls_and_shows_certificates() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../control/tests/it/tls");
    let file = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
    let [server, server_key, ca] = ["server.pem", "server.key", "ca.pem"].map(file);
    let text = format!(
        "[control.tls]\ncertificate_file = {server:?}\nkey_file = {server_key:?}\n\
         client_ca_file = {ca:?}\n[[control.client]]\nname = \"spiffe://tidegate/billing\"\n\
         scopes = [\"gateways.read\"]\n"
    );
    let config = Temporary::new("tls.toml", &text);
    let node = DevProcess::start_with(&["--config", config.path()]);
    assert!(node.announced("grpc_url").starts_with("https://"));
    let (code, message) = failure(&node.run(&["gateways", "--ca", &ca]));
    assert_eq!(code, Some(1));
    assert!(message.contains("MISSING_CREDENTIALS"), "{message}");
    let (code, message) = failure(&node.run(&["gateways"]));
    assert_eq!(code, Some(2), "{message}");
    let [certificate, key] = ["client.pem", "client.key"].map(file);
    let identity = ["--client-cert", &certificate, "--client-key", &key];
    let shown = ["gateways", "--ca", &ca];
    stdout(&node.run(&[&shown[..], &identity].concat()));
}
