//! Requests and publications.

use wire::client::{
    Accepted, ErrorCode, Response, response::Outcome as Answer, server_event::Event,
};

use super::{
    Scripted,
    saying::{echo, refusal},
};
use crate::{
    contract::Task,
    fault::{Outcome, ensure, wrong},
    stage::{CHANNEL, QUIET, Stage},
};

pub(super) const ALL: &[Scripted] = &[
    Scripted {
        name: "answers",
        rule: "answers belong to operations by their id, in whatever order they come",
        play: |stage| Box::pin(answers(stage)),
    },
    Scripted {
        name: "failures",
        rule: "the code of a failure reaches the application",
        play: |stage| Box::pin(failures(stage)),
    },
    Scripted {
        name: "unknown_answers",
        rule: "answers with unknown ids are ignored",
        play: |stage| Box::pin(unknown_answers(stage)),
    },
    Scripted {
        name: "unanswered",
        rule: "what was sent and not answered fails with its connection, and is not repeated",
        play: |stage| Box::pin(unanswered(stage)),
    },
    Scripted {
        name: "repeated_request",
        rule: "a request with an idempotency key is repeated after a lost connection, with the same key",
        play: |stage| Box::pin(repeated_request(stage)),
    },
    Scripted {
        name: "repeated_publish",
        rule: "a publication with an id is repeated after a lost connection, with the same id",
        play: |stage| Box::pin(repeated_publish(stage)),
    },
    Scripted {
        name: "window",
        rule: "no more operations are in flight than max_in_flight allows, and none is forgotten",
        play: |stage| Box::pin(window(stage)),
    },
    Scripted {
        name: "sizes",
        rule: "no message is larger than max_message_bytes; an operation that can't fit fails alone",
        play: |stage| Box::pin(sizes(stage)),
    },
];

async fn answers(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    stage.call(1, "one", "").await?;
    stage.call(2, "two", "").await?;
    let (first, second) = (peer.request().await?, peer.request().await?);
    ensure(first.id != 0 && second.id != 0, || {
        "an operation has the id 0".into()
    })?;
    ensure(first.id != second.id, || {
        "two operations in flight have one id".into()
    })?;
    peer.say([echo(&second), echo(&first)]).await?;
    stage.succeeds(1, "one").await?;
    stage.succeeds(2, "two").await
}

async fn failures(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    stage.call(1, "one", "").await?;
    let id = peer.request().await?.id;
    let failure = wire::failure(ErrorCode::UnknownRoute, "");
    let outcome = Some(Answer::Failure(failure));
    peer.say([Event::Response(Response { id, outcome })])
        .await?;
    stage.fails(1, "UNKNOWN_ROUTE").await?;
    publish(stage, 2, "").await?;
    let id = peer.publish().await?.id;
    peer.say([refusal(id, ErrorCode::PermissionDenied)]).await?;
    stage.fails(2, "PERMISSION_DENIED").await
}

async fn unknown_answers(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    let outcome = Some(Answer::Payload("late".into()));
    let late = Response {
        id: 4_000_000,
        outcome,
    };
    let accepted = Accepted {
        id: 4_000_001,
        ..Accepted::default()
    };
    let about_nothing = refusal(0, ErrorCode::Unimplemented);
    let said = [
        Event::Response(late),
        Event::Accepted(accepted),
        about_nothing,
    ];
    peer.say(said).await?;
    stage.call(1, "one", "").await?;
    let request = peer.request().await?;
    peer.say([echo(&request)]).await?;
    stage.succeeds(1, "one").await
}

async fn unanswered(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    stage.call(1, "one", "").await?;
    peer.request().await?;
    let (mut peer, _) = stage.lose(peer).await?;
    stage.fails(1, "connection_lost").await?;
    stage.call(2, "two", "").await?;
    let request = peer.request().await?;
    ensure(request.payload == "two", || {
        "it was repeated, although it may have been executed".into()
    })?;
    peer.say([echo(&request)]).await?;
    stage.succeeds(2, "two").await
}

async fn repeated_request(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    stage.call(1, "one", "key-1").await?;
    peer.request().await?;
    let (mut peer, _) = stage.lose(peer).await?;
    let request = peer.request().await?;
    ensure(request.idempotency_key == "key-1", || {
        format!("it was repeated with the key {:?}", request.idempotency_key)
    })?;
    peer.say([echo(&request)]).await?;
    stage.succeeds(1, "one").await
}

async fn repeated_publish(stage: &mut Stage) -> Outcome {
    let mut peer = stage.connected().await?;
    publish(stage, 1, "publication-1").await?;
    peer.publish().await?;
    let (mut peer, _) = stage.lose(peer).await?;
    let publish = peer.publish().await?;
    ensure(publish.publication_id == "publication-1", || {
        format!("it was repeated with the id {:?}", publish.publication_id)
    })?;
    let accepted = Accepted {
        id: publish.id,
        offset: 6,
        ..Accepted::default()
    };
    peer.say([Event::Accepted(accepted)]).await?;
    stage.succeeds(1, "").await
}

async fn window(stage: &mut Stage) -> Outcome {
    stage.limits.max_in_flight = 2;
    let mut peer = stage.connected().await?;
    for call in 1..=4 {
        stage.call(call, "same", "").await?;
    }
    let mut in_flight = vec![peer.request().await?, peer.request().await?];
    peer.is_quiet(QUIET).await?;
    for _ in 3..=4 {
        peer.say([echo(&in_flight.remove(0))]).await?;
        in_flight.push(peer.request().await?);
    }
    for request in &in_flight {
        peer.say([echo(request)]).await?;
    }
    for call in 1..=4 {
        stage.succeeds(call, "same").await?;
    }
    Ok(())
}

async fn sizes(stage: &mut Stage) -> Outcome {
    stage.limits.max_message_bytes = 1_024;
    let mut peer = stage.connected().await?;
    stage.call(1, &"x".repeat(4_000), "").await?;
    if let Ok(answer) = stage.answer(1).await? {
        return wrong(format!("what is too large was answered: {answer}"));
    }
    let text = "y".repeat(300);
    for call in 2..=12 {
        stage.call(call, &text, "").await?;
    }
    for _ in 2..=12 {
        let request = peer.request().await?;
        peer.say([echo(&request)]).await?;
    }
    for call in 2..=12 {
        stage.succeeds(call, &text).await?;
    }
    Ok(())
}

async fn publish(stage: &mut Stage, call: u32, publication_id: &str) -> Outcome {
    let task = Task::Publish {
        call,
        channel: CHANNEL.into(),
        payload: "p".into(),
        publication_id: publication_id.into(),
    };
    stage.tell(task).await
}
