//! One connection's TLS, without I/O.

use std::{fmt, mem, sync::Arc};

use rustls::{
    Error, HandshakeKind, ProtocolVersion,
    server::{ServerConfig, ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{
        ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    },
};
use thiserror::Error as ThisError;

/// Most bytes of a record as it travels: header, 16 KiB, and what TLS 1.2 may add
/// (RFC 5246 section 6.2.3).
pub const MAX_RECORD_BYTES: usize = 5 + (16 << 10) + 2048;

/// Room that is made for records of ours, at first.
const ROOM: usize = 512;

/// A connection's TLS, on the server's side. Holds what is left of an unfinished
/// record, and no other buffer.
///
/// Does no I/O: whoever owns the socket hands over what came ([`Link::receive`]), and
/// sends what was put into `out`, in order.
pub struct Link {
    connection: Box<UnbufferedServerConnection>,
    /// Ciphertext that is no whole record yet; at most [`MAX_RECORD_BYTES`].
    tail: Vec<u8>,
    /// The peer has said that it sends no more.
    ended: bool,
    /// We have said so.
    closed: bool,
    /// Nothing more is read: the library must not be asked again.
    failure: Option<Error>,
}

/// What has come of some input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of plaintext.
    pub plain: usize,
    /// The peer sends no more (`close_notify`).
    pub ended: bool,
}

/// Why a connection can't go on. An alert for the peer may be in `out`.
#[derive(Clone, Debug, PartialEq, ThisError)]
#[error(transparent)]
pub struct LinkError(#[from] Error);

// === impl Link ===

impl Link {
    /// A connection before its first byte.
    ///
    /// # Errors
    /// If the configuration can't serve anybody.
    pub fn new(config: Arc<ServerConfig>) -> Result<Self, LinkError> {
        Ok(Self {
            connection: Box::new(UnbufferedServerConnection::new(config)?),
            tail: Vec::new(),
            ended: false,
            closed: false,
            failure: None,
        })
    }

    /// Whether the two sides have not agreed on keys yet.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the handshake was short, by a ticket of an earlier one.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// `TLSv1_3` or `TLSv1_2`, once it is agreed.
    pub fn version(&self) -> Option<&'static str> {
        match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_3 => Some("TLSv1_3"),
            ProtocolVersion::TLSv1_2 => Some("TLSv1_2"),
            _ => None,
        }
    }

    /// Bytes of an unfinished record.
    pub fn unfinished(&self) -> usize {
        self.tail.len()
    }

    /// Takes ciphertext as it comes, in any pieces. `input` begins with
    /// [`Link::unfinished`] bytes of room for what is kept, and the new ones follow;
    /// its content is used up. Plaintext is added to `plain`, and what the peer is to
    /// get to `out`, also if it fails.
    ///
    /// # Errors
    /// If the peer breaks the protocol, or nobody can be served so.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Progress, LinkError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into());
        }
        let tail = mem::take(&mut self.tail);
        input[..tail.len()].copy_from_slice(&tail);
        let before = plain.len();
        let mut used = 0;
        if let Err(failure) = self.process(input, &mut used, plain, out) {
            self.queue_alert(&mut input[used..], out);
            self.failure = Some(failure.clone());
            return Err(failure.into());
        }
        if !self.ended {
            self.tail = input[used..].to_vec();
        }
        Ok(Progress {
            plain: plain.len() - before,
            ended: self.ended,
        })
    }

    /// Encrypts, in records of 16 KiB at most.
    ///
    /// # Errors
    /// If the handshake is not over, or the connection has been closed by us.
    pub fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), LinkError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into());
        }
        // What is kept must be shown again, though nothing has come to it.
        let status = self.connection.process_tls_records(&mut self.tail);
        let mut traffic = match status.state? {
            ConnectionState::WriteTraffic(traffic) if !self.closed => traffic,
            _ => return Err(Error::HandshakeNotComplete.into()),
        };
        let begin = out.len();
        let mut room = plain.len() + plain.len() / (8 << 10) * 64 + ROOM;
        loop {
            out.resize(begin + room, 0);
            match traffic.encrypt(plain, &mut out[begin..]) {
                Ok(written) => {
                    out.truncate(begin + written);
                    return Ok(());
                }
                Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) => {
                    room = required_size;
                }
                Err(EncryptError::EncryptExhausted) => {
                    out.truncate(begin);
                    return Err(Error::EncryptError.into());
                }
            }
        }
    }

    /// Says that we send no more (RFC 8446 section 6.1). Repeating it does nothing.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if mem::replace(&mut self.closed, true) || self.failure.is_some() {
            return;
        }
        let status = self.connection.process_tls_records(&mut self.tail);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = status.state {
            let begin = out.len();
            out.resize(begin + ROOM, 0);
            let written = traffic.queue_close_notify(&mut out[begin..]);
            out.truncate(begin + written.unwrap_or(0));
        }
    }

    /// Goes through `input`, and notes how much of it is `used` up.
    fn process(
        &mut self,
        input: &mut [u8],
        used: &mut usize,
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        loop {
            let status = self.connection.process_tls_records(&mut input[*used..]);
            let discard = status.discard;
            let mut goes_on = true;
            let outcome = status.state.map(|state| match state {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        plain.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(data) => encode(data, out),
                // What is in `out` goes before anything else.
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.ended = true,
                ConnectionState::Closed => {
                    self.ended = true;
                    goes_on = false;
                }
                // Early data is not asked for; anything else waits for more input.
                _ => goes_on = false,
            });
            *used += discard;
            outcome?;
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// After a failure the library is asked once more, for the alert that it has: it
    /// gives that before it looks at the input again, which it must not.
    fn queue_alert(&mut self, rest: &mut [u8], out: &mut Vec<u8>) {
        let status = self.connection.process_tls_records(rest);
        if let Ok(ConnectionState::EncodeTlsData(data)) = status.state {
            encode(data, out);
        }
    }
}

fn encode(mut data: EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) {
    let begin = out.len();
    out.resize(begin + ROOM, 0);
    let mut encoded = data.encode(&mut out[begin..]);
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) = encoded {
        out.resize(begin + required_size, 0);
        encoded = data.encode(&mut out[begin..]);
    }
    out.truncate(begin + encoded.unwrap_or(0));
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("handshaking", &self.is_handshaking())
            .field("unfinished", &self.tail.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
