//! Channels as server-sent events that people and `EventSource` can read: a client of
//! ours that subscribes for them, and tells what it hears in plain JSON.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use prost::Message;
use serde_json::{Value, json};
use wire::{
    Channel, Epoch, EventId, MAX_CHANNEL_BYTES, Offset,
    client::{
        ClientEvent, ClientMessage, Closing, Gap, Hello, Position, Publication, ServerMessage,
        Subscribe, Subscribed, Verdict, client_event, server_event::Event,
    },
};

/// The id of the last event of a stream that makes no sense to come back to.
pub(super) const END: &str = "end";

/// Tells a stream's reader of everything.
pub(super) struct Watcher {
    at: EventId,
    channels: HashMap<u32, Channel>,
}

/// What a reader asks for.
pub(super) struct Wish {
    pub(super) token: String,
    pub(super) channels: Vec<Channel>,
    /// Where it stands.
    pub(super) since: EventId,
}

// === impl Wish ===

impl Wish {
    /// The channels that a query names; `None`: none, too many, or what is no name.
    pub(super) fn channels(query: &str) -> Option<Vec<Channel>> {
        // Names of channels hold nothing that percent-encoding would change.
        let names = query
            .split('&')
            .filter_map(|it| it.strip_prefix("channel="));
        let channels: Result<Vec<_>, _> = names
            .map(|name| Channel::parse(name, MAX_CHANNEL_BYTES))
            .collect();
        let channels = channels.ok()?;
        (1..=EventId::MAX_CHANNELS)
            .contains(&channels.len())
            .then_some(channels)
    }

    /// What a client says who wants that.
    pub(super) fn message(&self) -> Vec<u8> {
        let hello = client_event::Event::Hello(Box::new(Hello {
            token: self.token.clone(),
            client_name: "sse".to_owned(),
            ..Hello::default()
        }));
        let subscribe = |(index, channel): (usize, &Channel)| {
            let since = self.since.position(channel);
            client_event::Event::Subscribe(Subscribe {
                id: u32::try_from(index).map_or(u32::MAX, |index| index + 1),
                channel: channel.as_str().to_owned(),
                since: since.map(|(epoch, offset)| Position {
                    epoch: epoch.as_str().to_owned(),
                    offset: offset.0,
                }),
                options: None,
            })
        };
        let subscriptions = self.channels.iter().enumerate().map(subscribe);
        let events = std::iter::once(hello).chain(subscriptions);
        let events = events.map(|event| ClientEvent { event: Some(event) });
        ClientMessage {
            events: events.collect(),
        }
        .encode_to_vec()
    }
}

// === impl Watcher ===

impl Watcher {
    /// For a reader who stands there.
    pub(super) fn new(at: EventId) -> Self {
        Self {
            at,
            channels: HashMap::new(),
        }
    }

    /// Writes what the gateway says as events.
    pub(super) fn tell(&mut self, message: &[u8], into: &mut Vec<u8>) {
        let Ok(message) = ServerMessage::decode(message) else {
            tracing::error!("a message of ours can't be read");
            return;
        };
        for event in message.events.into_iter().filter_map(|event| event.event) {
            self.tell_event(event, into);
        }
    }

    fn tell_event(&mut self, event: Event, into: &mut Vec<u8>) {
        match event {
            Event::Subscribed(subscribed) => {
                let data = self.subscribed(&subscribed);
                self.write("subscribed", &data, into);
            }
            Event::Publication(publication) => {
                let data = self.publication(&publication);
                self.write("publication", &data, into);
            }
            Event::Gap(gap) => {
                let data = self.gap(&gap);
                self.write("gap", &data, into);
            }
            Event::Unsubscribed(unsubscribed) => {
                if let Some(channel) = self.channels.remove(&unsubscribed.alias) {
                    self.at.forget(&channel);
                }
                self.write("unsubscribed", &json!(unsubscribed), into);
            }
            Event::Error(error) => self.write("error", &json!(error), into),
            Event::Notice(notice) => self.write("notice", &json!(notice), into),
            Event::Closing(closing) => self.closing(&closing, into),
            // Whoever only listens has no use for the others.
            _ => {}
        }
    }

    fn subscribed(&mut self, subscribed: &Subscribed) -> Value {
        let position = subscribed.position.clone().unwrap_or_default();
        if let Ok(channel) = Channel::parse(&subscribed.channel, MAX_CHANNEL_BYTES) {
            if !position.epoch.is_empty() {
                let epoch = Epoch::new(&position.epoch);
                self.at.set(channel.clone(), epoch, Offset(position.offset));
            }
            self.channels.insert(subscribed.alias, channel);
        }
        json!({
            "channel": subscribed.channel,
            "verdict": Verdict::try_from(subscribed.verdict).unwrap_or_default().as_str_name(),
            "offset": position.offset.to_string(),
        })
    }

    fn publication(&mut self, publication: &Publication) -> Value {
        let channel = self.channels.get(&publication.alias);
        if let Some(channel) = channel.filter(|_| publication.offset > 0) {
            self.at.advance(channel, Offset(publication.offset));
        }
        let mut data = json!({
            "channel": channel.map_or("", |channel| channel.as_str()),
            "offset": publication.offset.to_string(),
            "publishedAtUs": publication.published_at_us.to_string(),
        });
        if !publication.key.is_empty() {
            data["key"] = publication.key.as_str().into();
        }
        match str::from_utf8(&publication.payload) {
            Ok(text) => data["text"] = text.into(),
            Err(_) => data["base64"] = STANDARD.encode(&publication.payload).into(),
        }
        data
    }

    fn gap(&mut self, gap: &Gap) -> Value {
        let channel = self.channels.get(&gap.alias);
        let mut data = json!(gap);
        if let Some(fields) = data.as_object_mut() {
            fields.remove("alias");
        }
        data["channel"] = channel.map_or("", |channel| channel.as_str()).into();
        data
    }

    /// When to come back is the reader's `retry`; who need not come finds the end.
    fn closing(&self, closing: &Closing, into: &mut Vec<u8>) {
        let data = json!(closing);
        // Codes of 4100 and more are those of who may come back.
        if closing.close_code >= 4100 {
            let retry = format!("retry: {}\n", closing.retry_after_ms);
            into.extend_from_slice(retry.as_bytes());
            self.write("closing", &data, into);
        } else {
            write("closing", END, &data, into);
        }
    }

    fn write(&self, name: &str, data: &Value, into: &mut Vec<u8>) {
        write(name, &self.at.to_string(), data, into);
    }
}

fn write(name: &str, id: &str, data: &Value, into: &mut Vec<u8>) {
    // JSON escapes line breaks.
    let data = data.to_string();
    into.extend_from_slice(b"event: ");
    into.extend_from_slice(name.as_bytes());
    if !id.is_empty() {
        into.extend_from_slice(b"\nid: ");
        into.extend_from_slice(id.as_bytes());
    }
    into.extend_from_slice(b"\ndata: ");
    into.extend_from_slice(data.as_bytes());
    into.extend_from_slice(b"\n\n");
}
