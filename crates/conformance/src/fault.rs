//! What a client got wrong.

use std::io;

use thiserror::Error;

/// Why a situation was not passed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The client, or its program, did something that the protocol does not allow.
    #[error("{0}")]
    Wrong(String),
    /// What had to come did not, in time.
    #[error("waited in vain {0}")]
    Late(String),
    /// The program of the client can't be talked to.
    #[error("the program of the client: {0}")]
    Program(#[source] io::Error),
    /// The kit can't listen.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
}

/// How a script, or a part of it, ends.
pub(crate) type Outcome<T = ()> = Result<T, Fault>;

/// Something wrong, in words.
pub(crate) fn wrong<T>(what: impl Into<String>) -> Outcome<T> {
    Err(Fault::Wrong(what.into()))
}

/// Fails with these words unless it holds.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    match holds {
        true => Ok(()),
        false => wrong(otherwise()),
    }
}
