//! Non-blocking sockets and epoll, level-triggered.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::sockopt::{set_socket_linger, set_socket_reuseaddr, set_tcp_nodelay};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::clock::SECOND;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// Events taken from the kernel at once.
const EVENTS: usize = 512;

/// What a non-blocking read gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Bytes(usize),
    Nothing,
    End,
}

/// An epoll instance; sockets are known by number.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// A socket that can be read or written (or has failed, which reading tells).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    pub(crate) number: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}

/// Starts to connect `from` an address (any port) `to` another.
pub(crate) fn connect(from: Ipv4Addr, to: SocketAddrV4) -> Result<OwnedFd> {
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None)?;
    set_tcp_nodelay(&socket, true)?;
    net::bind(&socket, &SocketAddrV4::new(from, 0))?;
    match net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Listens on a free port of the loopback interface.
pub(crate) fn listen() -> Result<(OwnedFd, SocketAddrV4)> {
    let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None)?;
    set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    net::listen(&socket, 4096)?;
    let address = net::getsockname(&socket)?.try_into()?;
    Ok((socket, address))
}

/// Takes one connection, if one waits.
pub(crate) fn accept(listener: &OwnedFd) -> Option<OwnedFd> {
    let socket = net::accept_with(listener, FLAGS).ok()?;
    set_tcp_nodelay(&socket, true).ok()?;
    Some(socket)
}

/// Sends what fits at once; zero if the socket is full or not yet connected.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    match net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR | Errno::NOTCONN) => Ok(0),
        result => result,
    }
}

/// Reads what is there.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<Received> {
    match net::recv(socket, buffer, RecvFlags::DONTWAIT) {
        Ok((0, _)) => Ok(Received::End),
        Ok((count, _)) => Ok(Received::Bytes(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Received::Nothing),
        Err(error) => Err(error),
    }
}

/// Closes with a reset, so that no end stays in TIME_WAIT and the next run finds its ports free.
pub(crate) fn reset(socket: OwnedFd) {
    // Where this fails, the close is an ordinary one.
    let _ = set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

/// Raises the soft limit of open files to the hard one and returns it.
pub(crate) fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    // Refused only if the limit is fine already.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

// === impl Poller ===

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller")
            .field("epoll", &self.epoll)
            .finish_non_exhaustive()
    }
}

impl Poller {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS),
        })
    }

    pub(crate) fn add(&self, socket: BorrowedFd<'_>, number: u64) -> Result<()> {
        epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(number),
            EventFlags::IN,
        )
    }

    /// Watches a socket also (or no longer) for room to write.
    pub(crate) fn watch_writing(
        &self,
        socket: BorrowedFd<'_>,
        number: u64,
        writing: bool,
    ) -> Result<()> {
        let flags = if writing {
            EventFlags::IN | EventFlags::OUT
        } else {
            EventFlags::IN
        };
        epoll::modify(&self.epoll, socket, EventData::new_u64(number), flags)
    }

    /// Watches a socket no longer.
    pub(crate) fn forget(&self, socket: BorrowedFd<'_>) -> Result<()> {
        epoll::delete(&self.epoll, socket)
    }

    /// Waits for at most so many nanoseconds (`None`: for ever). The sockets
    /// lie in `ready` afterwards.
    ///
    /// `epoll_pwait` counts in milliseconds, too coarse for a fixed rate:
    /// waiting is left to `ppoll` on the epoll descriptor.
    pub(crate) fn wait(&mut self, nanos: Option<u64>, ready: &mut Vec<Ready>) {
        ready.clear();
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut timeout = None;
        if let Some(nanos) = nanos {
            timeout = Some(&zero);
            if nanos > 0 {
                let span = Timespec {
                    tv_sec: (nanos / SECOND).cast_signed(),
                    tv_nsec: (nanos % SECOND).cast_signed(),
                };
                // An interruption only ends the wait early.
                let _ = poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&span));
            }
        }
        self.events.clear();
        if epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout).is_err() {
            return;
        }
        ready.extend(self.events.drain(..).map(|event| {
            let flags = event.flags;
            Ready {
                number: event.data.u64(),
                readable: flags.intersects(!EventFlags::OUT),
                writable: flags.contains(EventFlags::OUT),
            }
        }));
    }
}
