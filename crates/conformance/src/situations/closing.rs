//! How connections are closed by the gateway, and what the client makes of it.

use std::time::Instant;

use wire::{CloseCause, CloseVerdict, client::server_event::Event};

use super::{Scripted, connecting::returns_no_sooner, saying::closing};
use crate::{
    contract::State,
    fault::{Outcome, ensure},
    stage::Stage,
};

pub(super) const ALL: &[Scripted] = &[
    Scripted {
        name: "close_frame_alone",
        rule: "a Close frame without Closing counts by its code",
        play: |stage| Box::pin(close_frame_alone(stage)),
    },
    Scripted {
        name: "closing_alone",
        rule: "Closing counts, also where the Close frame gets lost",
        play: |stage| Box::pin(closing_alone(stage)),
    },
    Scripted {
        name: "retry_after",
        rule: "a client comes no sooner than retry_after_ms says",
        play: |stage| Box::pin(retry_after(stage)),
    },
    Scripted {
        name: "drained_again",
        rule: "a client whose gateways are drained one after the other comes back each time, with its newest ticket",
        play: |stage| Box::pin(drained_again(stage)),
    },
    Scripted {
        name: "token_expired",
        rule: "a client with a source of tokens comes back after 4007 with a fresh one",
        play: |stage| Box::pin(token_expired(stage)),
    },
];

/// The gateway closes with a code, known or not.
pub(super) async fn closed(
    stage: &mut Stage,
    verdict: CloseVerdict,
    code: u16,
    label: &str,
) -> Outcome {
    let peer = stage.connected().await?;
    peer.close(closing(code, label, 0)).await?;
    if verdict == CloseVerdict::Stay {
        return stage.stays_away(code).await;
    }
    let (_peer, hello) = stage.welcome().await?;
    ensure(hello.session_ticket == "ticket-1", || {
        "it came back without its ticket".into()
    })?;
    stage.stands(State::Connected).await.map(drop)
}

async fn close_frame_alone(stage: &mut Stage) -> Outcome {
    let peer = stage.connected().await?;
    peer.close_frame(CloseCause::IdleTimeout.code()).await?;
    let (peer, _) = stage.welcome().await?;
    stage.stands(State::Connected).await?;
    peer.close_frame(CloseCause::Revoked.code()).await?;
    stage.stays_away(CloseCause::Revoked.code()).await
}

async fn closing_alone(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let cause = CloseCause::Revoked;
    let closing = closing(cause.code(), cause.label(), 0);
    peer.say([Event::Closing(closing)]).await?;
    drop(peer);
    stage.stays_away(cause.code()).await
}

async fn retry_after(stage: &mut Stage) -> Outcome {
    let peer = stage.connected().await?;
    let since = Instant::now();
    let cause = CloseCause::RateLimited;
    peer.close(closing(cause.code(), cause.label(), 1_200))
        .await?;
    returns_no_sooner(stage, since, 1_200).await
}

async fn drained_again(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let cause = CloseCause::Draining;
    for nth in 1..=3 {
        peer.close(closing(cause.code(), cause.label(), 0)).await?;
        let (next, hello) = stage.welcome().await?;
        let ticket = format!("ticket-{nth}");
        ensure(hello.session_ticket == ticket, || {
            format!("the ticket is {:?}, not {ticket}", hello.session_ticket)
        })?;
        peer = next;
    }
    stage.stands(State::Connected).await.map(drop)
}

async fn token_expired(stage: &mut Stage) -> Outcome {
    let peer = stage.connected().await?;
    let cause = CloseCause::TokenExpired;
    peer.close(closing(cause.code(), cause.label(), 0)).await?;
    let (_peer, hello) = stage.welcome().await?;
    ensure(hello.token == "token-2", || {
        format!("it came back with {:?}, which has expired", hello.token)
    })?;
    stage.stands(State::Connected).await.map(drop)
}
