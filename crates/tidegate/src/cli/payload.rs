//! Payloads from the command line, a file or stdin.

use std::{
    io::{self, BufRead, Read},
    path::PathBuf,
    thread,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Failure;

/// Payloads read ahead of the network.
const READ_AHEAD: usize = 1024;

/// Where a payload comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PayloadArgs {
    /// The payload; `-` reads it from stdin. Empty if left out
    payload: Option<String>,

    /// Take the payload from a file
    #[arg(long, value_name = "FILE", conflicts_with = "payload")]
    file: Option<PathBuf>,
}

// === impl PayloadArgs ===

impl PayloadArgs {
    /// Reads it. A terminal is read until Ctrl-D.
    pub(super) fn read(self) -> Result<Bytes, Failure> {
        if let Some(file) = self.file {
            let read = std::fs::read(&file).map(Bytes::from);
            return read.map_err(|error| Failure::file(&file, &error));
        }
        match self.payload.as_deref() {
            Some("-") => {
                let mut bytes = Vec::new();
                io::stdin().lock().read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
            text => Ok(text.unwrap_or_default().to_owned().into()),
        }
    }
}

/// The lines of stdin, without their ends.
pub(super) fn stdin_lines() -> impl Iterator<Item = io::Result<Bytes>> {
    let lines = io::BufReader::new(io::stdin()).split(b'\n');
    lines.map(|line| line.map(without_return))
}

/// Windows ends lines with two characters.
fn without_return(mut line: Vec<u8>) -> Bytes {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    line.into()
}

/// Reads on a thread of its own, which may block for ever on a terminal and
/// ends with the process. It waits while [`READ_AHEAD`] payloads are not taken.
pub(super) fn read_ahead<I>(payloads: I) -> io::Result<mpsc::Receiver<io::Result<Bytes>>>
where
    I: Iterator<Item = io::Result<Bytes>> + Send + 'static,
{
    let (tx, rx) = mpsc::channel(READ_AHEAD);
    thread::Builder::new()
        .name("payloads".to_owned())
        .spawn(move || {
            for payload in payloads {
                // Refused when nobody publishes any more.
                if tx.blocking_send(payload).is_err() {
                    break;
                }
            }
        })?;
    Ok(rx)
}
