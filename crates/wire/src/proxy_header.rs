//! The header of the PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt,
//! section 2.2): what a proxy says, ahead of everything else, of the client that it
//! speaks for. Version 1, which is text, is refused.
//!
//! It is read in two pieces of known length, so that not a byte behind it is taken.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// Bytes of the first piece, which says how long the second one is.
pub const PROXY_START_BYTES: usize = 16;

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of the second piece at most. Addresses of IPv6 take 36; what proxies add to
/// them, such as a client's certificate names, is some hundred.
const MAX_REST: usize = 2048;

/// The first piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyStart {
    source: Source,
    rest: usize,
}

/// Why this is no header that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// It is of version 1.
    #[error("the PROXY header is of version 1")]
    Version1,
    /// Something else came.
    #[error("there is no PROXY header")]
    Missing,
    /// A version, command or protocol that we do not know, or that is not TCP.
    #[error("the PROXY header is of an unknown kind")]
    Kind,
    /// Its second piece is longer than 2 KiB.
    #[error("the PROXY header is too long")]
    TooLong,
    /// The second piece is too short for its addresses, or what is behind them is
    /// not well formed.
    #[error("the PROXY header is malformed")]
    Malformed,
}

/// What the second piece begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The proxy speaks for itself (LOCAL), or does not say for whom (UNSPEC).
    Unnamed,
    Ipv4,
    Ipv6,
}

// === impl ProxyStart ===

impl ProxyStart {
    /// Reads the first piece.
    ///
    /// # Errors
    /// If it is none, or not of a TCP connection.
    pub fn parse(piece: &[u8; PROXY_START_BYTES]) -> Result<Self, ProxyError> {
        if piece.starts_with(b"PROXY ") {
            return Err(ProxyError::Version1);
        }
        if !piece.starts_with(&SIGNATURE) {
            return Err(ProxyError::Missing);
        }
        let source = match (piece[12], piece[13]) {
            // LOCAL: whatever protocol is named does not count.
            (0x20, _) | (0x21, 0x00) => Source::Unnamed,
            (0x21, 0x11) => Source::Ipv4,
            (0x21, 0x21) => Source::Ipv6,
            _ => return Err(ProxyError::Kind),
        };
        let rest = usize::from(u16::from_be_bytes([piece[14], piece[15]]));
        if rest > MAX_REST {
            return Err(ProxyError::TooLong);
        }
        Ok(Self { source, rest })
    }

    /// Bytes of the second piece; 2,048 at most.
    pub const fn rest_bytes(self) -> usize {
        self.rest
    }

    /// Whose connection it is; `None`: the proxy's own. `rest` is the second piece.
    ///
    /// # Errors
    /// If `rest` is of another length, or malformed.
    pub fn client(self, rest: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
        if rest.len() != self.rest {
            return Err(ProxyError::Malformed);
        }
        let (address, behind) = match self.source {
            Source::Unnamed => return Ok(None),
            Source::Ipv4 => {
                let (addresses, behind) = split::<12>(rest)?;
                let [a, b, c, d, _, _, _, _, high, low, _, _] = *addresses;
                let port = u16::from_be_bytes([high, low]);
                (SocketAddr::from(([a, b, c, d], port)), behind)
            }
            Source::Ipv6 => {
                let (addresses, behind) = split::<36>(rest)?;
                let (ip, _) = split::<16>(addresses)?;
                let port = u16::from_be_bytes([addresses[32], addresses[33]]);
                let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
                (SocketAddr::new(ip, port), behind)
            }
        };
        skip_fields(behind)?;
        Ok(Some(address))
    }
}

fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), ProxyError> {
    bytes.split_first_chunk().ok_or(ProxyError::Malformed)
}

/// Type, length and value, one behind the other; none of them matters to us.
fn skip_fields(mut fields: &[u8]) -> Result<(), ProxyError> {
    while !fields.is_empty() {
        let ([_, high, low], behind) = split::<3>(fields)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        fields = behind.get(length..).ok_or(ProxyError::Malformed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
        let (start, rest) = header.split_first_chunk().expect("a first piece");
        ProxyStart::parse(start)?.client(rest)
    }

    fn header(command: u8, protocol: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
        [&SIGNATURE[..], &[command, protocol], &length, rest].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 9, 10, 0, 0, 1, 0xd4, 0x31, 0x1c, 0xe8];

    fn v6(source: [u8; 16]) -> Vec<u8> {
        [&source[..], &[0; 16], &[0x01, 0x02, 0, 80]].concat()
    }

    #[test]
    fn addresses_of_clients_are_read_with_whatever_is_behind_them() {
        let four = Some("203.0.113.9:54321".parse().expect("an address"));
        assert_eq!(read(&header(0x21, 0x11, &V4)), Ok(four));
        let field = [&V4[..], &[0x02, 0, 3, b'a', b'b', b'c'], &[0x04, 0, 0]].concat();
        assert_eq!(read(&header(0x21, 0x11, &field)), Ok(four));
        let mut source = [0; 16];
        source[0] = 0x20;
        source[15] = 7;
        let six = Some("[2000::7]:258".parse().expect("an address"));
        assert_eq!(read(&header(0x21, 0x21, &v6(source))), Ok(six));
        let mapped = "203.0.113.9".parse::<std::net::Ipv4Addr>().expect("v4");
        let mapped = mapped.to_ipv6_mapped().octets();
        let canonical = Some("203.0.113.9:258".parse().expect("an address"));
        assert_eq!(read(&header(0x21, 0x21, &v6(mapped))), Ok(canonical));
    }

    #[test]
    fn a_proxy_may_speak_for_itself() {
        assert_eq!(read(&header(0x20, 0x00, b"")), Ok(None));
        assert_eq!(read(&header(0x20, 0x77, b"whatever")), Ok(None));
        assert_eq!(read(&header(0x21, 0x00, b"whatever")), Ok(None));
    }

    #[test]
    fn everything_else_is_refused() {
        let text = *b"PROXY TCP4 1.2.3";
        assert_eq!(ProxyStart::parse(&text), Err(ProxyError::Version1));
        let http = *b"GET /v1/ws HTTP/";
        assert_eq!(ProxyStart::parse(&http), Err(ProxyError::Missing));
        for (command, protocol) in [(0x11, 0x11), (0x22, 0x11), (0x21, 0x12), (0x21, 0x31)] {
            let header = header(command, protocol, &V4);
            assert_eq!(read(&header), Err(ProxyError::Kind));
        }
        assert_eq!(
            read(&header(0x21, 0x11, &[0; 2049])),
            Err(ProxyError::TooLong)
        );
        let cut = [&V4[..], &[0x02, 0, 4, b'a', b'b', b'c']].concat();
        for rest in [&V4[..11], &cut] {
            assert_eq!(read(&header(0x21, 0x11, rest)), Err(ProxyError::Malformed));
        }
        assert_eq!(read(&header(0x21, 0x21, &V4)), Err(ProxyError::Malformed));
        let start = header(0x21, 0x11, &V4);
        let start = ProxyStart::parse(start.first_chunk().expect("16 bytes")).expect("valid");
        assert_eq!(start.client(&V4[..11]), Err(ProxyError::Malformed));
    }
}
