//! From nothing to Welcome, and back to it.

use std::time::{Duration, Instant};

use wire::CloseCause;

use super::{Scripted, saying::closing};
use crate::{
    contract::{State, Task},
    fault::{Outcome, ensure},
    stage::{Refusal, Stage},
};

pub(super) const ALL: &[Scripted] = &[
    Scripted {
        name: "hello",
        rule: "Hello comes first, with a token and a name, and nothing else before Welcome",
        play: |stage| Box::pin(hello(stage)),
    },
    Scripted {
        name: "token_refused",
        rule: "a client whose token is refused before Welcome does not come back",
        play: |stage| Box::pin(token_refused(stage)),
    },
    Scripted {
        name: "refused_by_status",
        rule: "a client whose upgrade is refused with 403 does not come back",
        play: |stage| Box::pin(refused_by_status(stage)),
    },
    Scripted {
        name: "put_off_by_status",
        rule: "a client that is refused with Retry-After-Ms comes no sooner",
        play: |stage| Box::pin(put_off_by_status(stage)),
    },
    Scripted {
        name: "put_off_by_closing",
        rule: "a client that is put off by Closing before Welcome comes no sooner than it says",
        play: |stage| Box::pin(put_off_by_closing(stage)),
    },
    Scripted {
        name: "back_to_session",
        rule: "a client that lost its connection comes back with its newest ticket and a fresh token",
        play: |stage| Box::pin(back_to_session(stage)),
    },
    Scripted {
        name: "back_off",
        rule: "a client backs off while it can't connect, and goes on trying",
        play: |stage| Box::pin(back_off(stage)),
    },
    Scripted {
        name: "owner_closes",
        rule: "a client that its owner closes says so with 1000, and does not come back",
        play: |stage| Box::pin(owner_closes(stage)),
    },
];

/// Longest name and version of a client, in bytes.
const MOST_NAME: usize = 64;

/// Timers may fire by so much too early, by the clock of another process.
const EARLY: Duration = Duration::from_millis(20);

/// What a client is told to wait.
const PUT_OFF_MS: u32 = 700;

async fn hello(stage: &mut Stage) -> Outcome {
    stage.connect().await?;
    let mut peer = stage.accept().await?;
    let hello = peer.hello().await?;
    ensure(hello.token == "token-1", || {
        format!("the token is {:?}", hello.token)
    })?;
    ensure(hello.session_ticket.is_empty(), || {
        "a ticket, from nowhere".into()
    })?;
    ensure(hello.mailbox_offset == 0, || {
        "a mailbox offset, from nowhere".into()
    })?;
    let name = hello.client_name.len();
    ensure((1..=MOST_NAME).contains(&name), || {
        format!("a name of {name} bytes")
    })?;
    let version = hello.client_version.len();
    ensure(version <= MOST_NAME, || {
        format!("a version of {version} bytes")
    })?;
    peer.is_quiet(crate::stage::QUIET).await?;
    let welcome = stage.says_welcome();
    peer.say([welcome]).await?;
    stage.stands(State::Connected).await.map(drop)
}

async fn token_refused(stage: &mut Stage) -> Outcome {
    stage.connect().await?;
    let mut peer = stage.accept().await?;
    peer.hello().await?;
    let cause = CloseCause::InvalidToken;
    peer.close(closing(cause.code(), cause.label(), 0)).await?;
    stage.stays_away(cause.code()).await
}

async fn refused_by_status(stage: &mut Stage) -> Outcome {
    stage.connect().await?;
    let refusal = Refusal {
        status: 403,
        retry_after_ms: 0,
    };
    stage.refuse(refusal).await?;
    stage.stands(State::Closed).await?;
    stage.is_left_alone().await
}

async fn put_off_by_status(stage: &mut Stage) -> Outcome {
    stage.connect().await?;
    let refusal = Refusal {
        status: 503,
        retry_after_ms: PUT_OFF_MS,
    };
    stage.refuse(refusal).await?;
    returns_no_sooner(stage, Instant::now(), PUT_OFF_MS).await
}

async fn put_off_by_closing(stage: &mut Stage) -> Outcome {
    stage.connect().await?;
    let mut peer = stage.accept().await?;
    peer.hello().await?;
    let since = Instant::now();
    let cause = CloseCause::AdmissionRate;
    peer.close(closing(cause.code(), cause.label(), PUT_OFF_MS))
        .await?;
    returns_no_sooner(stage, since, PUT_OFF_MS).await
}

/// The client comes `wait_ms` after `since` at the earliest, and is welcomed.
pub(super) async fn returns_no_sooner(stage: &mut Stage, since: Instant, wait_ms: u32) -> Outcome {
    let peer = stage.accept().await?;
    let waited = since.elapsed();
    let least = Duration::from_millis(wait_ms.into()) - EARLY;
    ensure(waited >= least, || {
        format!(
            "told to come back after {wait_ms} ms, it came after {}",
            waited.as_millis()
        )
    })?;
    let (_peer, _) = stage.welcome_peer(peer).await?;
    stage.stands(State::Connected).await.map(drop)
}

async fn back_to_session(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    for nth in 1..=2 {
        let (next, hello) = stage.lose(peer).await?;
        let ticket = format!("ticket-{nth}");
        ensure(hello.session_ticket == ticket, || {
            format!(
                "the ticket is {:?}, not that of the last Welcome",
                hello.session_ticket
            )
        })?;
        let token = format!("token-{}", nth + 1);
        ensure(hello.token == token, || {
            format!(
                "the token is {:?}, where the application has {token}",
                hello.token
            )
        })?;
        stage.stands(State::Connected).await?;
        peer = next;
    }
    Ok(())
}

async fn back_off(stage: &mut Stage) -> Outcome {
    let peer = stage.connected().await?;
    let since = Instant::now();
    drop(peer);
    for _ in 0..5 {
        drop(stage.dialled().await?);
    }
    // Waits of up to 200 ms, 400 ms, … at random: less than this is no back-off.
    let took = since.elapsed();
    ensure(took >= Duration::from_millis(50), || {
        format!("five tries within {} ms", took.as_millis())
    })?;
    let (_peer, _) = stage.welcome().await?;
    stage.stands(State::Connected).await.map(drop)
}

async fn owner_closes(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    stage.tell(Task::Close).await?;
    let code = peer.ended().await?;
    ensure(code == Some(1000), || {
        format!("closed with {code:?}, not with 1000")
    })?;
    drop(peer);
    stage.is_left_alone().await
}
