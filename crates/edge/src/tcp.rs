//! What the kernel says of a socket.

use std::os::fd::AsRawFd;

use wire::control::Tcp;

/// Bytes of Linux's `struct tcp_info` that are read. Later kernels append to it;
/// earlier ones return less, and what is missing is zero.
const TCP_INFO_BYTES: usize = 232;

/// `IPPROTO_TCP`, and `TCP_INFO` of Linux.
const LEVEL_AND_OPTION: (i32, i32) = (6, 11);

/// Reads it; `None` where the system does not tell.
pub(crate) fn read(socket: &impl AsRawFd) -> Option<Tcp> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let mut info = [0; TCP_INFO_BYTES];
    let (level, option) = LEVEL_AND_OPTION;
    uapi::getsockopt(socket.as_raw_fd(), level, option, &mut info).ok()?;
    Some(parse(&info))
}

/// By the layout of `include/uapi/linux/tcp.h`, which never changes.
fn parse(info: &[u8; TCP_INFO_BYTES]) -> Tcp {
    let long = |at: usize| {
        info[at..]
            .first_chunk()
            .map_or(0, |it| u64::from_ne_bytes(*it))
    };
    let int = |at: usize| {
        info[at..]
            .first_chunk()
            .map_or(0, |it| u32::from_ne_bytes(*it))
    };
    // A socket that has measured none says so by the largest number.
    let min_rtt = int(148);
    Tcp {
        rtt_us: int(68),
        rtt_variance_us: int(72),
        min_rtt_us: if min_rtt == u32::MAX { 0 } else { min_rtt },
        retransmits: int(100),
        backoffs: info[4].max(info[3]).max(info[2]).into(),
        unacked_segments: int(24),
        unsent_bytes: int(144),
        congestion_window: int(80),
        segment_bytes: int(16),
        delivery_rate: long(160),
        acked_bytes: long(120),
        received_bytes: long(128),
        last_sent_ms: int(44).into(),
        last_received_ms: int(52).into(),
        last_acked_ms: int(56).into(),
        busy_us: long(168),
        window_limited_us: long(176),
        buffer_limited_us: long(184),
        peer_window: int(228),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).expect("it listens");
        let (server, _) = listener.accept().expect("a connection");
        (client, server)
    }

    #[test]
    fn a_peer_that_does_not_read_shows_in_what_is_unsent() {
        let (_client, mut server) = pair();
        server.set_nonblocking(true).expect("a socket");
        let mut written = 0;
        loop {
            match server.write(&[b'x'; 1 << 16]) {
                Ok(bytes) => written += bytes as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let tcp = read(&server).expect("Linux tells");
        assert!(tcp.unsent_bytes > 0, "{tcp:?}");
        assert!(u64::from(tcp.unsent_bytes) <= written, "{tcp:?}");
        assert!(
            tcp.segment_bytes > 0 && tcp.congestion_window > 0,
            "{tcp:?}"
        );
    }

    #[test]
    fn bytes_of_both_directions_are_counted() {
        let (mut client, mut server) = pair();
        client.write_all(&[b'x'; 1000]).expect("connected");
        let mut received = [0; 1000];
        server.read_exact(&mut received).expect("connected");
        server.write_all(&received[..10]).expect("connected");
        client.read_exact(&mut received[..10]).expect("connected");
        client.write_all(b"x").expect("connected");
        server.read_exact(&mut received[..1]).expect("connected");
        // The answer's bytes were confirmed with what came behind them.
        let tcp = read(&server).expect("Linux tells");
        assert_eq!((tcp.received_bytes, tcp.acked_bytes), (1001, 10));
        assert!(tcp.rtt_us > 0 && tcp.unsent_bytes == 0, "{tcp:?}");
    }
}
