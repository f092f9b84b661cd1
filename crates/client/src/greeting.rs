//! From nothing to Welcome: dial, upgrade, Hello.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use tokio_tungstenite::{
    client_async,
    tungstenite::{self, client::ClientRequestBuilder, http::Response},
};
use wire::client::{ClientEvent, Hello, ServerEvent, Welcome, client_event, server_event::Event};

use crate::{
    batch::Batch,
    builder::Config,
    socket::{Incoming, Socket},
    state::Ending,
};

/// What this client is able to do: it follows `Migrate`.
const CAPABILITIES: [&str; 1] = ["migrate"];

/// Where the upgrade request shows the ticket: those who come back to a session
/// are let in before others.
const TICKET_HEADER: &str = "tidegate-ticket";

/// What a client remembers of its session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) ticket: Bytes,
    pub(crate) mailbox_offset: u64,
    /// Where the gateway says to go; empty: to the usual address.
    pub(crate) hint: Box<str>,
}

/// A socket on which the gateway has said Welcome.
#[derive(Debug)]
pub(crate) struct Welcomed {
    pub(crate) socket: Socket,
    pub(crate) welcome: Welcome,
    /// What came right behind it.
    pub(crate) rest: Vec<ServerEvent>,
}

/// What goes out right behind Hello, before the gateway has said Welcome.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    pub(crate) events: Vec<ClientEvent>,
    /// As the last Welcome said; zero: it said nothing.
    pub(crate) max_message_bytes: u32,
}

/// Makes one connection.
pub(crate) async fn greet(
    config: Arc<Config>,
    session: Session,
    behind: Behind,
) -> Result<Welcomed, Ending> {
    let token = config.token.get().await.map_err(|error| {
        let message = format!("no token: {error}");
        Ending::lost(message)
    })?;
    let mut socket = upgrade(&config, &session).await?;
    let hello = ClientEvent {
        event: Some(client_event::Event::Hello(Box::new(Hello {
            token,
            client_name: config.client_name.clone(),
            client_version: env!("CARGO_PKG_VERSION").into(),
            capabilities: CAPABILITIES.map(String::from).into(),
            session_ticket: session.ticket,
            mailbox_offset: session.mailbox_offset,
        }))),
    };
    let mut batch = Batch::new(config.subprotocol);
    batch.push(hello).expect("no limit is known yet");
    batch.limit(behind.max_message_bytes);
    for event in behind.events {
        batch
            .push(event)
            .expect("the exchange has seen that it fits");
    }
    batch
        .take()
        .into_iter()
        .for_each(|message| socket.push(message));
    welcomed(socket).await
}

async fn welcomed(mut socket: Socket) -> Result<Welcomed, Ending> {
    loop {
        match socket.next().await {
            Incoming::Message(message) => {
                let mut events = message.events.into_iter();
                // Nothing but Closing can come before Welcome, and the end says
                // what that one said.
                if let Some(Event::Welcome(welcome)) = events.next().and_then(|first| first.event) {
                    return Ok(Welcomed {
                        socket,
                        welcome,
                        rest: events.collect(),
                    });
                }
            }
            Incoming::Heard | Incoming::Flushed => {}
            Incoming::Ended(ending) => return Err(ending),
        }
    }
}

async fn upgrade(config: &Config, session: &Session) -> Result<Socket, Ending> {
    let uri = config.destination(&session.hint);
    let transport = config.dial(&uri).await.map_err(Ending::lost)?;
    let mut request = ClientRequestBuilder::new(uri).with_sub_protocol(config.subprotocol.name());
    if !session.ticket.is_empty() {
        let ticket = URL_SAFE_NO_PAD.encode(&session.ticket);
        request = request.with_header(TICKET_HEADER, ticket);
    }
    match client_async(request, transport).await {
        Ok((stream, _)) => Ok(Socket::new(stream, config.subprotocol)),
        Err(tungstenite::Error::Http(response)) => Err(refused(&response)),
        Err(error) => Err(Ending::lost(error)),
    }
}

fn refused<B>(response: &Response<B>) -> Ending {
    let header = |name| {
        let value = response.headers().get(name)?.to_str().ok()?;
        value.parse().ok()
    };
    let status = response.status().as_u16();
    match (header("retry-after-ms"), header("retry-after")) {
        // A place in the gateway's line.
        (Some(ms), _) => Ending::refused(status, Duration::from_millis(ms)).scheduled(),
        (None, seconds) => Ending::refused(status, Duration::from_secs(seconds.unwrap_or(0))),
    }
}
