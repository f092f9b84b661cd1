//! A `tidegate dev` process on free ports, and commands run against it.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");

/// A running development node; killed when dropped.
#[derive(Debug)]
pub(crate) struct DevProcess {
    child: Child,
    announced: Value,
}

/// A command that goes on, read line by line; killed when dropped.
#[derive(Debug)]
pub(crate) struct Following {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// The binary, free of what the environment says.
pub(crate) fn tidegate(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).stdin(Stdio::null());
    for name in [
        "TIDEGATE_GRPC",
        "TIDEGATE_URL",
        "TIDEGATE_TOKEN",
        "TIDEGATE_API_KEY",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Output {
    command.output().expect("the binary runs")
}

/// What it printed, when it did what it was asked.
pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What it complained about, and its exit code.
pub(crate) fn failure(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8(output.stderr.clone()).expect("text"),
    )
}

// === impl DevProcess ===

impl DevProcess {
    /// Starts one and waits until it serves.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let free = [
            "--client-port",
            "0",
            "--grpc-port",
            "0",
            "--admin-port",
            "0",
        ];
        let mut command = tidegate(&["dev", "--json"]);
        command.args(free).args(options).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("its first line");
        let announced = serde_json::from_str(&line).expect("one JSON object");
        Self { child, announced }
    }

    /// A member of what it announced.
    pub(crate) fn announced(&self, name: &str) -> &str {
        self.announced[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {}", self.announced))
    }

    /// A command against this node.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = tidegate(args);
        command.env("TIDEGATE_GRPC", self.announced("grpc_url"));
        command.env("TIDEGATE_URL", self.announced("client_url"));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run(self.command(args))
    }

    /// Runs a command with something to read.
    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Output {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut pipe = child.stdin.take().expect("piped");
        pipe.write_all(stdin.as_bytes()).expect("it reads");
        drop(pipe);
        child.wait_with_output().expect("it ends")
    }

    /// Runs a command that prints JSON, and reads its last line.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let out = stdout(&self.run(&[args, &["--json"]].concat()));
        serde_json::from_str(out.lines().last().expect("a line")).expect("JSON")
    }

    /// Starts to subscribe. What is published before it says `subscribed` may
    /// not reach it.
    pub(crate) fn subscribe(&self, args: &[&str]) -> Following {
        let mut command = self.command(&[&["subscribe", "--json"], args].concat());
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("piped"));
        Following { child, lines }
    }
}

impl Drop for DevProcess {
    fn drop(&mut self) {
        // Nothing is to be done about a process that has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// === impl Following ===

impl Following {
    /// Reads on to the next event of this name.
    pub(crate) fn until(&mut self, event: &str) -> Value {
        loop {
            let mut line = String::new();
            self.lines.read_line(&mut line).expect("readable");
            let printed: Value = serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("waiting for {event}: {error}: {line:?}"));
            if printed["event"] == event {
                return printed;
            }
        }
    }

    /// Waits for its end by itself; the exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        std::io::copy(&mut self.lines, &mut std::io::sink()).expect("readable");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
