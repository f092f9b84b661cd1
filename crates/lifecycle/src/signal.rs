//! The signals that end the process.

use std::{fmt, io};

use tokio::signal::unix::{self, SignalKind};

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: what Kubernetes sends.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

/// Listens from its creation on; both signals lose their default action for
/// the rest of the process. The first asks for a drain; what a second one
/// means is the caller's choice.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

// === impl Signals ===

impl Signals {
    /// Starts to listen, on the current runtime.
    ///
    /// # Errors
    /// If the system refuses the handlers.
    pub fn listen() -> io::Result<Self> {
        let terminate = unix::signal(SignalKind::terminate())?;
        let interrupt = unix::signal(SignalKind::interrupt())?;
        Ok(Self {
            terminate,
            interrupt,
        })
    }

    /// Waits for the next signal. Cancel-safe.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Raw, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn signals_sent_after_listening_are_not_lost() {
        let mut signals = Signals::listen().expect("handlers");
        kill_process(getpid(), Raw::TERM).expect("own process");
        assert_eq!(signals.next().await, Signal::Terminate);
        kill_process(getpid(), Raw::INT).expect("own process");
        assert_eq!(signals.next().await, Signal::Interrupt);
    }
}
