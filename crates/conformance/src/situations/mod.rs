//! All situations, in the order in which they are worth looking at.

use std::{fmt, net::SocketAddr};

use futures_util::future::BoxFuture;
use wire::{CloseCause, CloseVerdict};

use crate::{
    client::Client,
    fault::{Fault, Outcome},
    stage::Stage,
};

mod closing;
mod connecting;
mod living;
mod moving;
mod operations;
mod resuming;
mod saying;
mod subscribing;

/// Something that happens to clients, and what they have to make of it.
#[derive(Clone, Debug)]
pub struct Situation {
    name: String,
    rule: String,
    script: Script,
}

/// One row of a module's table.
#[derive(Clone, Copy)]
struct Scripted {
    name: &'static str,
    /// What the client has to do.
    rule: &'static str,
    play: Play,
}

type Play = for<'a> fn(&'a mut Stage) -> BoxFuture<'a, Outcome>;

#[derive(Clone)]
enum Script {
    Plain(Play),
    /// The gateway closes with this code.
    Close(CloseVerdict, u16, &'static str),
}

/// Codes that no gateway of today uses, one of each range.
const UNKNOWN_CODES: [(u16, CloseVerdict); 4] = [
    (4099, CloseVerdict::Stay),
    (4199, CloseVerdict::Reconnect),
    (4299, CloseVerdict::Resume),
    (1012, CloseVerdict::Reconnect),
];

/// All of them.
pub fn all() -> Vec<Situation> {
    let tables = [
        connecting::ALL,
        operations::ALL,
        subscribing::ALL,
        resuming::ALL,
        living::ALL,
        moving::ALL,
        closing::ALL,
    ];
    let plain = tables.into_iter().flatten().map(|row| Situation {
        name: row.name.to_owned(),
        rule: row.rule.to_owned(),
        script: Script::Plain(row.play),
    });
    let is_sent = |cause: &&CloseCause| {
        // A client with a source of tokens comes back after that one.
        !matches!(cause, CloseCause::ConnectionLost | CloseCause::TokenExpired)
    };
    let causes = CloseCause::ALL.iter().filter(is_sent);
    let known = causes.map(|cause| closed(cause.verdict(), cause.code(), cause.label()));
    let unknown = UNKNOWN_CODES.map(|(code, verdict)| closed(verdict, code, ""));
    plain.chain(known).chain(unknown).collect()
}

fn closed(verdict: CloseVerdict, code: u16, label: &'static str) -> Situation {
    let rule = match verdict {
        CloseVerdict::Stay => "after this code a client does not come back",
        CloseVerdict::Reconnect => "after this code a client comes back, after a while",
        CloseVerdict::Resume => "after this code a client comes back at once",
    };
    Situation {
        name: match label {
            "" => format!("close_{code}"),
            label => format!("close_{code}_{label}"),
        },
        rule: rule.to_owned(),
        script: Script::Close(verdict, code, label),
    }
}

// === impl Situation ===

impl Situation {
    /// Its name, in the letters of an identifier.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a client has to do in it, in a sentence.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Plays it with a client that has just been started, at a free port or the one of
    /// `address`.
    ///
    /// # Errors
    /// What the client got wrong.
    pub async fn play(&self, client: Client, address: SocketAddr) -> Result<(), Fault> {
        let mut stage = Stage::new(client, address).await?;
        match self.script {
            Script::Plain(play) => play(&mut stage).await,
            Script::Close(verdict, code, label) => {
                closing::closed(&mut stage, verdict, code, label).await
            }
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => write!(f, "Plain"),
            Self::Close(_, code, _) => write!(f, "Close({code})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let all = all();
        let names: HashSet<_> = all.iter().map(Situation::name).collect();
        assert_eq!(names.len(), all.len());
    }
}
