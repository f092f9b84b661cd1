//! Why a command failed: one sentence for people, one exit code for scripts.

use std::{
    fmt::{self, Display},
    io,
    path::Path,
    process::ExitCode,
};

use control::client::{ConnectError, reason};
use telemetry::chain;
use tidegate::config::ConfigError;
use tonic::{Code, Status};
use wire::{CloseCause, client::ErrorCode};

/// What helps most newcomers.
const DEV_STARTS_ONE: &str = "(`tidegate dev` starts one)";

/// The end of a command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

/// How the process ends, in the numbers of sysexits.h where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// Nobody reads the output any more (`tidegate … | head`). Silent, and no
    /// failure: the reader had enough.
    OutputClosed = 0,
    /// The operation was refused or failed.
    Failed = 1,
    /// The command line makes no sense; the same number as clap's.
    Usage = 2,
    /// The configuration can't be used.
    Configuration = 64,
    /// No connection to the server.
    Unavailable = 69,
    /// Trying again may help.
    Temporary = 75,
}

// === impl Failure ===

impl Failure {
    /// The operation failed.
    pub(super) fn failed(message: impl Display) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// An argument that clap could not judge.
    pub(super) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// A file can't be read.
    pub(super) fn file(path: &Path, error: &io::Error) -> Self {
        Self::failed(format_args!("{}: {error}", path.display()))
    }

    /// What a client says of the gateway at `url`.
    pub(super) fn of_client(error: &client::Error, url: &str) -> Self {
        match error {
            client::Error::InvalidUrl { .. } | client::Error::Tls { .. } => Self::usage(error),
            client::Error::Connect(ending)
                if ending.code() == CloseCause::ConnectionLost.code() =>
            {
                Self::new(
                    Exit::Unavailable,
                    format_args!(
                        "{}: is the gateway on {} running? {DEV_STARTS_ONE}",
                        ending.message(),
                        authority(url)
                    ),
                )
            }
            client::Error::Connect(ending) | client::Error::Closed(ending) => {
                let exit = if ending.may_reconnect() {
                    Exit::Temporary
                } else {
                    Exit::Failed
                };
                Self::new(exit, ending)
            }
            client::Error::Failed {
                code,
                message,
                worker_code,
                ..
            } => match worker_code.as_str() {
                "" => Self::of_code(*code, message),
                worker_code => Self::failed(format_args!("{message} ({worker_code})")),
            },
            client::Error::ConnectionLost => Self::new(Exit::Temporary, error),
            _ => Self::failed(error),
        }
    }

    /// The server refused or failed an operation, with a code of the client
    /// protocol.
    pub(super) fn of_code(code: ErrorCode, message: &str) -> Self {
        let exit = match code {
            ErrorCode::Unavailable => Exit::Unavailable,
            ErrorCode::DeadlineExceeded
            | ErrorCode::NoWorker
            | ErrorCode::RateLimited
            | ErrorCode::Overloaded
            | ErrorCode::AuthenticationTimeout => Exit::Temporary,
            _ => Exit::Failed,
        };
        let name = code.as_str_name().trim_start_matches("ERROR_CODE_");
        Self::new(exit, format_args!("{message} ({name})"))
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) {
        if self.exit != Exit::OutputClosed {
            anstream::eprintln!("tidegate: {self}");
        }
    }

    /// What the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }

    fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Address { .. } | ConnectError::Key | ConnectError::Trust => {
                Self::usage(error)
            }
            ConnectError::Refused { .. } => {
                Self::new(Exit::Unavailable, format_args!("{error} {DEV_STARTS_ONE}"))
            }
            ConnectError::Failed { .. } => Self::new(Exit::Unavailable, chain(&error)),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let (exit, what) = meaning(status.code());
        match (status.message(), reason(&status)) {
            (message, Some(name)) => Self::new(exit, format_args!("{message} ({name})")),
            ("", None) => Self::new(exit, what),
            (message, None) => Self::new(exit, format_args!("{what}: {message}")),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Configuration, chain(&error))
    }
}

impl From<anyhow::Error> for Failure {
    /// Of a whole node; only its configuration has an exit code of its own.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<ConfigError>() {
            Ok(error) => error.into(),
            Err(error) => Self::failed(format_args!("{error:#}")),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of stdin and stdout.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::OutputClosed, error),
            _ => Self::failed(error),
        }
    }
}

/// What a status means to the caller, in words, without its message.
fn meaning(code: Code) -> (Exit, &'static str) {
    match code {
        Code::Ok => (Exit::Failed, "the server failed without an error"),
        Code::NotFound => (Exit::Failed, "not found"),
        Code::AlreadyExists => (Exit::Failed, "already there"),
        Code::InvalidArgument | Code::OutOfRange => (Exit::Failed, "not valid"),
        Code::PermissionDenied => (Exit::Failed, "not allowed"),
        Code::Unauthenticated => (Exit::Failed, "the server does not know who you are"),
        Code::FailedPrecondition => (Exit::Failed, "not possible"),
        Code::Unimplemented => (Exit::Failed, "this server can't do that"),
        Code::Cancelled => (Exit::Failed, "cancelled"),
        Code::Internal | Code::Unknown | Code::DataLoss => (Exit::Failed, "the server failed"),
        Code::Unavailable => (Exit::Unavailable, "the server can't be reached"),
        Code::DeadlineExceeded => (Exit::Temporary, "no answer in time"),
        Code::ResourceExhausted => (Exit::Temporary, "the server is overloaded"),
        Code::Aborted => (Exit::Temporary, "the server gave up"),
    }
}

/// Host and port of a URL, as far as it has them.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_says_what_to_start() {
        let failure = Failure::from(ConnectError::Refused {
            address: "127.0.0.1:7410".to_owned(),
        });
        assert_eq!(failure.exit, Exit::Unavailable);
        assert_eq!(
            failure.message,
            "connection refused on 127.0.0.1:7410: is the control plane running? (`tidegate dev` starts one)"
        );
    }

    #[test]
    fn a_status_is_a_sentence_and_an_exit_code() {
        let cases = [
            (
                Status::not_found("no such connection"),
                Exit::Failed,
                "not found: no such connection",
            ),
            (
                Status::deadline_exceeded(""),
                Exit::Temporary,
                "no answer in time",
            ),
            (
                Status::unavailable("no bus"),
                Exit::Unavailable,
                "the server can't be reached: no bus",
            ),
        ];
        for (status, exit, message) in cases {
            let failure = Failure::from(status);
            assert_eq!((failure.exit, failure.message.as_str()), (exit, message));
        }
    }

    #[test]
    fn codes_of_the_protocol_are_shown_by_name() {
        let failure = Failure::of_code(ErrorCode::UnknownRoute, "no such route");
        assert_eq!(failure.message, "no such route (UNKNOWN_ROUTE)");
        assert_eq!(failure.exit, Exit::Failed);
        assert_eq!(
            Failure::of_code(ErrorCode::Overloaded, "").exit,
            Exit::Temporary
        );
    }

    #[test]
    fn a_reader_that_had_enough_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.exit_code(), ExitCode::SUCCESS);
    }
}
