//! What a subscription delivers, and in which order.

use wire::client::{
    ErrorCode, Gap, GapCause, Publication, Unsubscribed, Verdict, server_event::Event,
};

use super::{
    Scripted,
    saying::{echo, publication, refusal, tick},
};
use crate::{
    contract::Task,
    fault::Outcome,
    peer::{Peer, agreement},
    stage::{CHANNEL, Stage},
};

pub(super) const ALL: &[Scripted] = &[
    Scripted {
        name: "in_order",
        rule: "publications are delivered in order; offsets need not be contiguous",
        play: |stage| Box::pin(in_order(stage)),
    },
    Scripted {
        name: "without_a_log",
        rule: "publications without offsets are delivered as they come, equal ones too",
        play: |stage| Box::pin(without_a_log(stage)),
    },
    Scripted {
        name: "unknown_alias",
        rule: "what comes with an alias that was not given is ignored",
        play: |stage| Box::pin(unknown_alias(stage)),
    },
    Scripted {
        name: "two_channels",
        rule: "aliases tell channels apart",
        play: |stage| Box::pin(two_channels(stage)),
    },
    Scripted {
        name: "duplicates",
        rule: "what was delivered is not delivered again",
        play: |stage| Box::pin(duplicates(stage)),
    },
    Scripted {
        name: "broken_chain",
        rule: "a break in the chain that nobody announced is told, once, in its place",
        play: |stage| Box::pin(broken_chain(stage)),
    },
    Scripted {
        name: "gap",
        rule: "a Gap is told in its place, and what it tells is no break of the chain",
        play: |stage| Box::pin(gap(stage)),
    },
    Scripted {
        name: "conflating",
        rule: "on a channel that conflates the chain is not checked, and older offsets of other keys are news",
        play: |stage| Box::pin(conflating(stage)),
    },
    Scripted {
        name: "latest_state",
        rule: "publications up to the position of RESNAPSHOT are state, and of no chain",
        play: |stage| Box::pin(latest_state(stage)),
    },
    Scripted {
        name: "refused",
        rule: "a subscription that is refused for good ends",
        play: |stage| Box::pin(refused(stage)),
    },
    Scripted {
        name: "ended_by_server",
        rule: "a subscription that the server ends is told as ended, gives nothing more and is not made again",
        play: |stage| Box::pin(ended_by_server(stage)),
    },
];

/// Says nothing about channels by now, after a request went to and fro.
pub(super) async fn marker(stage: &mut Stage, peer: &mut Peer) -> Outcome {
    stage.call(99, "marker", "").await?;
    let request = peer.request().await?;
    peer.say([echo(&request)]).await?;
    stage.succeeds(99, "marker").await?;
    stage.has_seen_no_more()
}

async fn in_order(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    peer.say([publication(7, 5, 6), publication(7, 6, 9)])
        .await?;
    peer.say([publication(7, 9, 10)]).await?;
    stage
        .sees(&["publication 6", "publication 9", "publication 10"])
        .await
}

async fn without_a_log(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(0).await?;
    peer.say([tick(7, 1, "a"), tick(7, 2, "a"), tick(7, 3, "b")])
        .await?;
    stage
        .sees(&["publication a", "publication a", "publication b"])
        .await
}

async fn unknown_alias(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    peer.say([publication(8, 5, 6), publication(7, 5, 7)])
        .await?;
    stage.sees(&["publication 7"]).await
}

async fn two_channels(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    let channel = "market.b".to_owned();
    stage.tell(Task::Subscribe { channel }).await?;
    peer.agree(Verdict::Fresh, 50, 3).await?;
    stage.sees(&["subscribed fresh"]).await?;
    peer.say([publication(3, 50, 51)]).await?;
    stage.sees(&["publication 51"]).await?;
    peer.say([publication(7, 5, 6)]).await?;
    stage.sees(&["publication 6"]).await
}

async fn duplicates(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    peer.say([publication(7, 5, 6), publication(7, 6, 7)])
        .await?;
    peer.say([
        publication(7, 5, 6),
        publication(7, 6, 7),
        publication(7, 7, 8),
    ])
    .await?;
    stage
        .sees(&["publication 6", "publication 7", "publication 8"])
        .await
}

async fn broken_chain(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    peer.say([publication(7, 7, 8), publication(7, 8, 9)])
        .await?;
    stage
        .sees(&["gap 6-7", "publication 8", "publication 9"])
        .await
}

async fn gap(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    let lost = Gap {
        alias: 7,
        dropped: 2,
        from: 7,
        to: 8,
        cause: GapCause::SlowConnection.into(),
        ..Gap::default()
    };
    let said = [publication(7, 5, 6), Event::Gap(lost), publication(7, 8, 9)];
    peer.say(said).await?;
    stage
        .sees(&["publication 6", "gap 7-8", "publication 9"])
        .await
}

async fn conflating(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let channel = CHANNEL.to_owned();
    stage.tell(Task::Subscribe { channel }).await?;
    let subscribe = peer.subscribe().await?;
    let mut answer = agreement(&subscribe, Verdict::Fresh, 5, 7);
    answer.conflates = true;
    peer.say([Event::Subscribed(answer)]).await?;
    let keyed = |key: &str, previous, offset| {
        Event::Publication(Publication {
            alias: 7,
            offset,
            previous,
            key: key.into(),
            ..Publication::default()
        })
    };
    peer.say([keyed("a", 8, 9), keyed("b", 6, 7), keyed("a", 9, 12)])
        .await?;
    stage
        .sees(&[
            "subscribed fresh",
            "publication 9",
            "publication 7",
            "publication 12",
        ])
        .await
}

async fn latest_state(stage: &mut Stage) -> Outcome {
    let peer = stage.subscribed(5).await?;
    let (mut peer, _) = stage.lose(peer).await?;
    peer.agree(Verdict::Resnapshot, 20, 8).await?;
    let state = [publication(8, 11, 12), publication(8, 19, 20)];
    peer.say(state).await?;
    peer.say([publication(8, 20, 21), publication(8, 22, 23)])
        .await?;
    let seen = [
        "subscribed resnapshot",
        "snapshot 12",
        "snapshot 20",
        "publication 21",
        "gap 22-22",
        "publication 23",
    ];
    stage.sees(&seen).await
}

async fn refused(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let channel = CHANNEL.to_owned();
    stage.tell(Task::Subscribe { channel }).await?;
    let id = peer.subscribe().await?.id;
    peer.say([refusal(id, ErrorCode::PermissionDenied)]).await?;
    stage.sees(&["ended"]).await?;
    marker(stage, &mut peer).await
}

async fn ended_by_server(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    let ended = Unsubscribed {
        id: 0,
        channel: CHANNEL.into(),
        code: ErrorCode::UnsubscribedByServer.into(),
        alias: 7,
    };
    peer.say([Event::Unsubscribed(ended), publication(7, 5, 6)])
        .await?;
    stage.sees(&["ended"]).await?;
    marker(stage, &mut peer).await
}
