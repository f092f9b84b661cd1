//! Gateways that go away, and say so.

use tokio::net::TcpListener;
use wire::client::{Migrate, Verdict, server_event::Event};

use super::{
    Scripted,
    resuming::held,
    saying::{echo, publication, tick},
};
use crate::{
    contract::Report,
    fault::{Fault, Outcome, ensure},
    peer::Peer,
    stage::{Stage, dialled, upgrade},
};

pub(super) const ALL: &[Scripted] = &[
    Scripted {
        name: "migrate",
        rule: "a client that is to move opens a second connection first, takes both, and closes the first when all of it has come",
        play: |stage| Box::pin(migrate(stage)),
    },
    Scripted {
        name: "migrate_without_a_log",
        rule: "what two connections bring without offsets is delivered once, and nothing is told as missing",
        play: |stage| Box::pin(migrate_without_a_log(stage)),
    },
    Scripted {
        name: "migrate_lost",
        rule: "if the first connection dies too early, the second one takes its place",
        play: |stage| Box::pin(migrate_lost(stage)),
    },
    Scripted {
        name: "migrate_again",
        rule: "if the second connection fails, it is tried again while the first one goes on",
        play: |stage| Box::pin(migrate_again(stage)),
    },
    Scripted {
        name: "migrate_hint",
        rule: "the second connection goes where the hint says",
        play: |stage| Box::pin(migrate_hint(stage)),
    },
];

fn leave(hint: &str) -> Event {
    Event::Migrate(Migrate {
        session_ticket: "moving".into(),
        spread_ms: 50,
        deadline_ms: 15_000,
        hint: hint.into(),
    })
}

/// The second connection, welcomed; it must bring the ticket of `Migrate`.
async fn second(stage: &mut Stage, peer: Peer) -> Outcome<Peer> {
    let (second, hello) = stage.welcome_peer(peer).await?;
    ensure(hello.session_ticket == "moving", || {
        format!(
            "the ticket is {:?}, not that of Migrate",
            hello.session_ticket
        )
    })?;
    Ok(second)
}

async fn next_second(stage: &mut Stage) -> Outcome<Peer> {
    let peer = stage.accept().await?;
    second(stage, peer).await
}

/// The client was `connected` throughout.
fn was_connected(stage: &mut Stage) -> Outcome {
    let is_break = |report: &Report| {
        let is_state = matches!(report, Report::State { .. });
        is_state && report.to_string() != "Connected"
    };
    stage.has_not_told("a break of the connection", is_break)
}

async fn migrate(stage: &mut Stage) -> Outcome {
    let mut first = stage.subscribed(5).await?;
    first.say([publication(7, 5, 6), leave("")]).await?;
    let mut second = next_second(stage).await?;
    first.say([publication(7, 6, 7)]).await?;
    stage.sees(&["publication 6", "publication 7"]).await?;
    // Until everything is subscribed on the second one.
    stage.call(1, "first", "").await?;
    let request = first.request().await?;
    first.say([echo(&request)]).await?;
    stage.succeeds(1, "first").await?;
    held(second.agree(Verdict::Recovered, 7, 12).await?, 7)?;
    first.say([publication(7, 7, 8)]).await?;
    stage.sees(&["publication 8"]).await?;
    second
        .say([publication(12, 7, 8), publication(12, 8, 9)])
        .await?;
    stage.sees(&["publication 9"]).await?;
    first.say([publication(7, 8, 9)]).await?;
    stage.call(2, "second", "").await?;
    let request = second.request().await?;
    second.say([echo(&request)]).await?;
    stage.succeeds(2, "second").await?;
    let code = first.ended().await?;
    ensure(code == Some(1000), || {
        format!("the first one was closed with {code:?}, not with 1000")
    })?;
    second.say([publication(12, 9, 10)]).await?;
    stage.sees(&["publication 10"]).await?;
    was_connected(stage)
}

async fn migrate_without_a_log(stage: &mut Stage) -> Outcome {
    let mut first = stage.subscribed(0).await?;
    first.say([tick(7, 1, "a"), leave("")]).await?;
    let mut second = next_second(stage).await?;
    first.say([tick(7, 2, "a"), tick(7, 3, "b")]).await?;
    stage
        .sees(&["publication a", "publication a", "publication b"])
        .await?;
    second.agree(Verdict::Fresh, 0, 12).await?;
    first.say([tick(7, 4, "c"), tick(7, 5, "c")]).await?;
    second
        .say([tick(12, 4, "c"), tick(12, 5, "c"), tick(12, 6, "d")])
        .await?;
    stage
        .sees(&["publication c", "publication c", "publication d"])
        .await?;
    first.say([tick(7, 6, "d")]).await?;
    first.ended().await?;
    second.say([tick(12, 7, "e")]).await?;
    stage.sees(&["publication e"]).await?;
    was_connected(stage)
}

async fn migrate_lost(stage: &mut Stage) -> Outcome {
    let mut first = stage.subscribed(5).await?;
    first.say([publication(7, 5, 6), leave("")]).await?;
    stage.sees(&["publication 6"]).await?;
    let mut second = next_second(stage).await?;
    let subscribe = second.subscribe().await?;
    held(subscribe.since.clone(), 6)?;
    drop(first);
    let answer = crate::peer::agreement(&subscribe, Verdict::Recovered, 6, 12);
    let said = [Event::Subscribed(answer), publication(12, 6, 7)];
    second.say(said).await?;
    // Whether it is told that all was recovered is the client's choice.
    let is_news =
        |report: &Report| report.is_of_channel() && report.to_string() != "subscribed recovered";
    let report = stage
        .report("for the report `publication 7`", is_news)
        .await?;
    ensure(report.to_string() == "publication 7", || {
        format!("expected the report `publication 7`, got `{report}`")
    })
}

async fn migrate_again(stage: &mut Stage) -> Outcome {
    let mut first = stage.subscribed(5).await?;
    first.say([leave("")]).await?;
    drop(stage.dialled().await?);
    first.say([publication(7, 5, 6)]).await?;
    stage.sees(&["publication 6"]).await?;
    let mut second = next_second(stage).await?;
    held(second.agree(Verdict::Recovered, 6, 12).await?, 6)?;
    second.say([publication(12, 6, 7)]).await?;
    stage.sees(&["publication 7"]).await?;
    first.ended().await?;
    was_connected(stage)
}

async fn migrate_hint(stage: &mut Stage) -> Outcome {
    let mut first = stage.subscribed(5).await?;
    let ip = stage.address()?.ip();
    let hinted = TcpListener::bind((ip, 0)).await.map_err(Fault::Listen)?;
    let hint = Stage::url_of(&hinted)?;
    first.say([leave(&hint)]).await?;
    let peer = upgrade(dialled(&hinted).await?).await?;
    let mut second = second(stage, peer).await?;
    held(second.agree(Verdict::Recovered, 5, 12).await?, 5)?;
    second.say([publication(12, 5, 6)]).await?;
    stage.sees(&["publication 6"]).await?;
    first.ended().await.map(drop)
}
