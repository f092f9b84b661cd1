//! Subscribing again, from where one was.

use wire::client::{ErrorCode, Gap, GapCause, Position, Verdict, server_event::Event};

use super::{
    Scripted,
    saying::{publication, refusal, tick},
    subscribing::marker,
};
use crate::{
    fault::{Outcome, ensure},
    peer::{Peer, agreement},
    stage::Stage,
};

pub(super) const ALL: &[Scripted] = &[
    Scripted {
        name: "recovered",
        rule: "a client subscribes again from the position held, and goes on there",
        play: |stage| Box::pin(recovered(stage)),
    },
    Scripted {
        name: "recovered_in_part",
        rule: "a recovery that is not complete is found out by the chain",
        play: |stage| Box::pin(recovered_in_part(stage)),
    },
    Scripted {
        name: "resnapshot",
        rule: "after RESNAPSHOT a client holds the position of the state, once it has come whole",
        play: |stage| Box::pin(resnapshot(stage)),
    },
    Scripted {
        name: "half_a_snapshot",
        rule: "of a state of which a part is missing a client does not go on",
        play: |stage| Box::pin(half_a_snapshot(stage)),
    },
    Scripted {
        name: "lost",
        rule: "LOST is told, and the client goes on from the position given",
        play: |stage| Box::pin(lost(stage)),
    },
    Scripted {
        name: "other_epoch",
        rule: "offsets of another epoch say nothing; the position held is of the newest one",
        play: |stage| Box::pin(other_epoch(stage)),
    },
    Scripted {
        name: "gap_is_held",
        rule: "what a Gap reported is not asked for again",
        play: |stage| Box::pin(gap_is_held(stage)),
    },
    Scripted {
        name: "no_position",
        rule: "a channel without a log is subscribed again without a position, and that is told",
        play: |stage| Box::pin(no_position(stage)),
    },
    Scripted {
        name: "old_alias",
        rule: "aliases of another connection mean nothing",
        play: |stage| Box::pin(old_alias(stage)),
    },
    Scripted {
        name: "refused_for_now",
        rule: "a subscription that can't be renewed now is asked for again, from the same position",
        play: |stage| Box::pin(refused_for_now(stage)),
    },
    Scripted {
        name: "refused_on_return",
        rule: "a subscription that is refused for good on return ends, and is not asked for again",
        play: |stage| Box::pin(refused_on_return(stage)),
    },
];

/// Whether a position is this one, of epoch `e`.
pub(super) fn held(since: Option<Position>, offset: u64) -> Outcome {
    held_in("e", since, offset)
}

fn held_in(epoch: &str, since: Option<Position>, offset: u64) -> Outcome {
    let expected = Some(Position {
        epoch: epoch.into(),
        offset,
    });
    ensure(since == expected, || {
        format!("it asks for what is after {since:?}, where it holds {epoch}:{offset}")
    })
}

/// A client that holds 6 and has lost its connection.
async fn returning(stage: &mut Stage) -> Outcome<Peer> {
    let mut peer = stage.subscribed(5).await?;
    peer.say([publication(7, 5, 6)]).await?;
    stage.sees(&["publication 6"]).await?;
    let (peer, _) = stage.lose(peer).await?;
    Ok(peer)
}

async fn recovered(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    held(peer.agree(Verdict::Recovered, 6, 8).await?, 6)?;
    peer.say([publication(8, 6, 7), publication(8, 7, 9)])
        .await?;
    stage
        .sees(&["subscribed recovered", "publication 7", "publication 9"])
        .await?;
    let (mut peer, _) = stage.lose(peer).await?;
    held(peer.agree(Verdict::Recovered, 9, 9).await?, 9)?;
    peer.say([publication(9, 9, 10)]).await?;
    stage
        .sees(&["subscribed recovered", "publication 10"])
        .await
}

async fn recovered_in_part(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    peer.agree(Verdict::Recovered, 6, 8).await?;
    peer.say([publication(8, 8, 9)]).await?;
    stage
        .sees(&["subscribed recovered", "gap 7-8", "publication 9"])
        .await
}

async fn resnapshot(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    peer.agree(Verdict::Resnapshot, 30, 8).await?;
    peer.say([publication(8, 29, 30)]).await?;
    stage
        .sees(&["subscribed resnapshot", "snapshot 30"])
        .await?;
    let (mut peer, _) = stage.lose(peer).await?;
    held(peer.agree(Verdict::Recovered, 30, 9).await?, 30)
}

async fn half_a_snapshot(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    peer.agree(Verdict::Resnapshot, 30, 8).await?;
    peer.say([publication(8, 11, 12)]).await?;
    stage
        .sees(&["subscribed resnapshot", "snapshot 12"])
        .await?;
    let (mut peer, _) = stage.lose(peer).await?;
    let since = peer.agree(Verdict::Fresh, 31, 9).await?;
    ensure(since.is_none(), || {
        format!("it goes on from {since:?}, although half of the state is missing")
    })
}

async fn lost(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    peer.agree(Verdict::Lost, 40, 8).await?;
    peer.say([publication(8, 40, 41)]).await?;
    stage.sees(&["subscribed lost", "publication 41"]).await?;
    let (mut peer, _) = stage.lose(peer).await?;
    held(peer.agree(Verdict::Recovered, 41, 9).await?, 41)
}

async fn other_epoch(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    let subscribe = peer.subscribe().await?;
    let mut answer = agreement(&subscribe, Verdict::Lost, 2, 8);
    answer.position = Some(Position {
        epoch: "f".into(),
        offset: 2,
    });
    peer.say([Event::Subscribed(answer), publication(8, 2, 3)])
        .await?;
    stage.sees(&["subscribed lost", "publication 3"]).await?;
    let (mut peer, _) = stage.lose(peer).await?;
    let since = peer.subscribe().await?.since;
    held_in("f", since, 3)
}

async fn gap_is_held(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    let lost = Gap {
        alias: 7,
        dropped: 3,
        from: 6,
        to: 8,
        cause: GapCause::SlowConnection.into(),
        ..Gap::default()
    };
    peer.say([Event::Gap(lost)]).await?;
    stage.sees(&["gap 6-8"]).await?;
    let (mut peer, _) = stage.lose(peer).await?;
    held(peer.agree(Verdict::Recovered, 8, 8).await?, 8)?;
    peer.say([publication(8, 8, 9)]).await?;
    stage.sees(&["subscribed recovered", "publication 9"]).await
}

async fn no_position(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(0).await?;
    peer.say([tick(7, 1, "a")]).await?;
    stage.sees(&["publication a"]).await?;
    let (mut peer, _) = stage.lose(peer).await?;
    let since = peer.agree(Verdict::Fresh, 0, 8).await?;
    ensure(since.is_none(), || {
        format!("a position without a log: {since:?}")
    })?;
    peer.say([tick(8, 2, "b")]).await?;
    stage.sees(&["subscribed fresh", "publication b"]).await
}

async fn old_alias(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    let subscribe = peer.subscribe().await?;
    let answer = agreement(&subscribe, Verdict::Recovered, 6, 8);
    let said = [
        publication(7, 6, 7),
        Event::Subscribed(answer),
        publication(7, 6, 8),
        publication(8, 6, 9),
    ];
    peer.say(said).await?;
    stage.sees(&["subscribed recovered", "publication 9"]).await
}

async fn refused_for_now(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    let id = peer.subscribe().await?.id;
    peer.say([refusal(id, ErrorCode::Overloaded)]).await?;
    held(peer.agree(Verdict::Recovered, 6, 8).await?, 6)?;
    peer.say([publication(8, 6, 7)]).await?;
    stage.sees(&["subscribed recovered", "publication 7"]).await
}

async fn refused_on_return(stage: &mut Stage) -> Outcome {
    let mut peer = returning(stage).await?;
    let id = peer.subscribe().await?.id;
    peer.say([refusal(id, ErrorCode::PermissionDenied)]).await?;
    stage.sees(&["ended"]).await?;
    marker(stage, &mut peer).await
}
