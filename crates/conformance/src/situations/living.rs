//! What comes on a connection that lives: heartbeats, messages to the user, tokens, and
//! what the client does not know.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use wire::client::{
    Direct, Notice, Publication, Refreshed, client_event::Event as Asked, server_event::Event,
};

use super::{Scripted, saying::publication, subscribing::marker};
use crate::{
    contract::{Report, State},
    fault::{Outcome, ensure, wrong},
    peer::{Heard, Peer},
    stage::{Stage, within},
};

pub(super) const ALL: &[Scripted] = &[
    Scripted {
        name: "pings",
        rule: "pings of WebSocket are answered, with their payload",
        play: |stage| Box::pin(pings(stage)),
    },
    Scripted {
        name: "slow_pongs",
        rule: "a gateway that is slow to answer, and lives, is not given up",
        play: |stage| Box::pin(slow_pongs(stage)),
    },
    Scripted {
        name: "silence",
        rule: "a gateway that says nothing for several heartbeats is given up",
        play: |stage| Box::pin(silence(stage)),
    },
    Scripted {
        name: "unknown",
        rule: "events and fields that the client does not know are ignored, and nothing beside them",
        play: |stage| Box::pin(unknown(stage)),
    },
    Scripted {
        name: "unknown_notice",
        rule: "notices are passed on, of whatever kind",
        play: |stage| Box::pin(unknown_notice(stage)),
    },
    Scripted {
        name: "malformed",
        rule: "a message that can't be read ends the connection, and the client comes back",
        play: |stage| Box::pin(malformed(stage)),
    },
    Scripted {
        name: "large",
        rule: "a message of 8 MiB is delivered",
        play: |stage| Box::pin(large(stage)),
    },
    Scripted {
        name: "direct",
        rule: "messages to the user are delivered once, holes are told, and confirmed where that is asked for",
        play: |stage| Box::pin(direct(stage)),
    },
    Scripted {
        name: "mailbox",
        rule: "Hello brings the offset of the last durable message",
        play: |stage| Box::pin(mailbox(stage)),
    },
    Scripted {
        name: "refresh",
        rule: "each notice about the token is answered by Refresh with another one, on the same connection",
        play: |stage| Box::pin(refresh(stage)),
    },
];

async fn pings(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    peer.ping(b"tide").await?;
    let pong = async {
        loop {
            match peer.hear().await? {
                Heard::Pong(payload) => return Ok(payload),
                Heard::Events(_) => {}
                Heard::Ended(_) => return wrong("the client closed the connection"),
            }
        }
    };
    let payload = within("for a pong of WebSocket", pong).await?;
    ensure(&*payload == b"tide", || format!("a pong with {payload:?}"))
}

/// Pings come every half a heartbeat, and the client's own are answered as late.
async fn slow_pongs(stage: &mut Stage) -> Outcome {
    stage.limits.heartbeat_ms = 1_000;
    let mut peer = stage.connected().await?;
    for _ in 0..8 {
        let asked = gathered(&mut peer, Duration::from_millis(500)).await?;
        peer.answer_pings(&asked).await?;
        peer.ping(b"").await?;
    }
    marker(stage, &mut peer).await
}

/// What comes within a time.
async fn gathered(peer: &mut Peer, time: Duration) -> Outcome<Vec<Asked>> {
    let until = Instant::now() + time;
    let mut asked = Vec::new();
    while let Ok(heard) = timeout_at(until, peer.hear()).await {
        match heard? {
            Heard::Events(events) => asked.extend(events),
            Heard::Pong(_) => {}
            Heard::Ended(_) => return wrong("the client gave up a gateway that lives"),
        }
    }
    Ok(asked)
}

async fn silence(stage: &mut Stage) -> Outcome {
    stage.limits.heartbeat_ms = 300;
    let silent = stage.connected().await?;
    stage.limits.heartbeat_ms = 25_000;
    let (_peer, _) = stage.welcome().await?;
    drop(silent);
    stage.stands(State::Connected).await.map(drop)
}

async fn unknown(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    peer.say_with_unknown(publication(7, 5, 6)).await?;
    peer.say([publication(7, 6, 7)]).await?;
    stage.sees(&["publication 6", "publication 7"]).await
}

async fn unknown_notice(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let kind = "high_tide".to_owned();
    let notice = Notice {
        kind,
        ..Notice::default()
    };
    peer.say([Event::Notice(notice)]).await?;
    let is_notice = |report: &Report| matches!(report, Report::Notice { .. });
    let report = stage
        .report("for the report of a notice", is_notice)
        .await?;
    ensure(report.to_string() == "notice high_tide", || {
        report.to_string()
    })
}

async fn malformed(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    // Neither protobuf nor JSON: an unfinished varint, in ASCII.
    peer.say_bytes(Bytes::from_static(b"\x0a}{")).await?;
    peer.ended().await?;
    let (mut peer, _) = stage.lose(peer).await?;
    let since = peer.agree(wire::client::Verdict::Recovered, 5, 8).await?;
    super::resuming::held(since, 5)?;
    peer.say([publication(8, 5, 6)]).await?;
    stage.sees(&["subscribed recovered", "publication 6"]).await
}

async fn large(stage: &mut Stage) -> Outcome {
    let mut peer = stage.subscribed(5).await?;
    let large = Publication {
        alias: 7,
        offset: 6,
        previous: 5,
        payload: vec![b'x'; (8 << 20) - 64].into(),
        ..Publication::default()
    };
    peer.say([Event::Publication(large)]).await?;
    stage.sees(&["publication 6"]).await
}

async fn direct(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let fleeting = Direct {
        payload: "hi".into(),
        needs_ack: true,
        ack_id: 3,
        ..Direct::default()
    };
    peer.say([Event::Direct(fleeting)]).await?;
    stage.gets(&["direct hi"]).await?;
    peer.acked(|ack| ack.ack_id == 3).await?;
    peer.say([durable(0, 5), durable(0, 5), durable(8, 9)])
        .await?;
    stage
        .gets(&["direct 5", "direct gap 6-8", "direct 9"])
        .await?;
    peer.acked(|ack| ack.up_to == 9).await
}

async fn mailbox(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    peer.say([durable(0, 5), durable(5, 6)]).await?;
    stage.gets(&["direct 5", "direct 6"]).await?;
    let (mut peer, hello) = stage.lose(peer).await?;
    ensure(hello.mailbox_offset == 6, || {
        format!("the mailbox offset is {}, not 6", hello.mailbox_offset)
    })?;
    peer.say([durable(5, 6), durable(6, 7)]).await?;
    stage.gets(&["direct 7"]).await
}

fn durable(previous: u64, offset: u64) -> Event {
    Event::Direct(Direct {
        offset,
        previous,
        payload: "m".into(),
        needs_ack: true,
        ..Direct::default()
    })
}

async fn refresh(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let notice = |kind: &str| {
        Event::Notice(Notice {
            kind: kind.to_owned(),
            in_ms: 30_000,
            ..Notice::default()
        })
    };
    peer.say([notice("token_expiring")]).await?;
    let first = refreshes(&mut peer, "token-2").await?;
    // In one message: the notice is about the token that has just been taken.
    peer.say([first, notice("token_revoked")]).await?;
    let second = refreshes(&mut peer, "token-3").await?;
    peer.say([second]).await?;
    marker(stage, &mut peer).await
}

/// The client refreshes its token with this one; the answer that it waits for.
async fn refreshes(peer: &mut Peer, with: &str) -> Outcome<Event> {
    let Asked::Refresh(refresh) = peer.event().await? else {
        return wrong("something else than Refresh came");
    };
    ensure(refresh.token == with, || {
        format!("the token is {:?}", refresh.token)
    })?;
    Ok(Event::Refreshed(Refreshed {
        id: refresh.id,
        token_expires_at_ms: 0,
    }))
}
