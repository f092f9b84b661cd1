//! A connection whose messages go down as server-sent events (WHATWG HTML, section
//! 9.2), one stream for all of its life.

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};
use wire::{Subprotocol, gateway::CarriedOutcome};

use super::{
    carriers::{Ask, Entry, Upstream, carried},
    pair::{Frame, Pair},
    watching::Watcher,
};

/// Says nothing, but that somebody is there.
const HEARTBEAT: &[u8] = b": heartbeat\n\n";

/// See the module. Ends with the client's stream, or with the connection.
pub(super) struct Streaming {
    pub(super) pair: Pair,
    pub(super) entry: Entry,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) teller: Teller,
}

/// What goes down, as chunks of HTTP (RFC 9112, section 7.1).
struct Down {
    out: Vec<u8>,
    /// How much of it the socket has taken.
    written: usize,
    /// The socket keeps nothing back.
    flushed: bool,
    /// The last chunk is in it.
    ended: bool,
}

/// How the client is told.
pub(super) enum Teller {
    /// As the protocol has it.
    Plainly(Subprotocol),
    /// For people and `EventSource`.
    Readably(Box<Watcher>),
}

// === impl Streaming ===

impl Streaming {
    /// `head` goes first.
    pub(super) async fn run(self, head: Vec<u8>, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
        let Self {
            mut pair,
            entry,
            mut asks,
            mut teller,
        } = self;
        let mut upstream = Upstream::default();
        let mut down = Down::new(head);
        down.chunk(&teller.greeting(&entry));
        let mut told = Vec::new();
        loop {
            let (idle, has_ended) = (down.is_idle(), pair.has_ended());
            if has_ended && idle {
                if down.ended {
                    // The peer may be gone, which is as good.
                    return drop(socket.shutdown().await);
                }
                down.end();
                continue;
            }
            tokio::select! {
                went = down.go_on(&mut socket) => if went.is_err() { return },
                Some(ask) = asks.recv() => teller.serve(ask, &mut upstream, &mut pair),
                // What is not taken stays with the shard, which knows what may be let go.
                () = pair.go_on(idle) => {}
            }
            while let Some(frame) = pair.next_frame() {
                match frame {
                    Frame::Message(message) => teller.tell(&message, &mut told),
                    Frame::Ping => told.extend_from_slice(HEARTBEAT),
                }
            }
            down.chunk(&told);
            told = Vec::new();
        }
    }
}

// === impl Down ===

impl Down {
    fn new(head: Vec<u8>) -> Self {
        Self {
            out: head,
            written: 0,
            flushed: false,
            ended: false,
        }
    }

    /// Everything is with the kernel; idle streams hold no buffer.
    fn is_idle(&self) -> bool {
        self.out.is_empty() && self.flushed
    }

    fn chunk(&mut self, piece: &[u8]) {
        if !piece.is_empty() {
            self.out.extend(format!("{:x}\r\n", piece.len()).bytes());
            self.out.extend_from_slice(piece);
            self.out.extend_from_slice(b"\r\n");
            self.flushed = false;
        }
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"0\r\n\r\n");
        self.flushed = false;
        self.ended = true;
    }

    /// Writes, as far as the socket takes it at once; with nothing to write, waits for
    /// the end. Cancel-safe.
    async fn go_on(
        &mut self,
        socket: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ) -> io::Result<()> {
        if self.is_idle() {
            // Whatever else a reader says is not for us.
            return match socket.read(&mut [0; 64]).await? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            };
        }
        if self.out.is_empty() {
            socket.flush().await?;
            self.flushed = true;
            return Ok(());
        }
        match socket.write(&self.out[self.written..]).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => self.written += written,
        }
        if self.written == self.out.len() {
            (self.out, self.written) = (Vec::new(), 0);
        }
        Ok(())
    }
}

// === impl Teller ===

impl Teller {
    /// What comes first.
    fn greeting(&self, entry: &Entry) -> Vec<u8> {
        match self {
            Self::Plainly(_) => format!("event: open\ndata: {}\n\n", entry.handle()).into_bytes(),
            Self::Readably(_) => Vec::new(),
        }
    }

    fn serve(&self, ask: Ask, upstream: &mut Upstream, pair: &mut Pair) {
        let codec = match self {
            Self::Plainly(codec) => Some(*codec),
            // Its reader has no handle.
            Self::Readably(_) => None,
        };
        match (ask, codec) {
            (
                Ask::Send {
                    sequence,
                    message,
                    text,
                    answer,
                },
                Some(codec),
            ) => answer.give(upstream.take(pair, codec, (sequence, &message, text))),
            (Ask::Send { answer, .. } | Ask::Poll { answer, .. }, _) => {
                answer.give(carried(CarriedOutcome::Mismatch));
            }
        }
    }

    /// Writes a message of the gateway as events.
    fn tell(&mut self, message: &[u8], into: &mut Vec<u8>) {
        let codec = match self {
            Self::Readably(watcher) => return watcher.tell(message, into),
            Self::Plainly(codec) => codec,
        };
        into.extend_from_slice(b"data: ");
        match codec.is_text() {
            // Without line breaks, which JSON escapes in texts.
            true => into.extend_from_slice(message),
            false => into.extend_from_slice(STANDARD.encode(message).as_bytes()),
        }
        into.extend_from_slice(b"\n\n");
    }
}
