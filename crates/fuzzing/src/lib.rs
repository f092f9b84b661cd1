//! What the fuzz targets check, one module for each thing that parses bytes from
//! outside: so that the tests check it too, on the committed corpora and on changed
//! copies of them. The targets themselves are in `crates/fuzz`.

mod bus_messages;
mod channel_names;
mod event_ids;
mod forwarded_for;
mod frame_codec;
mod http_heads;
mod json_events;
mod protobuf_events;
mod proxy_headers;
mod public_keys;
mod tickets;
mod tls_links;
mod tokens;
mod traceparents;

/// A check of one input. It panics if anything is wrong.
pub type Check = fn(&[u8]);

/// Every check, by the name of its target and of the folder of its corpus.
pub const TARGETS: &[(&str, Check)] = &[
    ("bus_messages", bus_messages::check),
    ("channel_names", channel_names::check),
    ("event_ids", event_ids::check),
    ("forwarded_for", forwarded_for::check),
    ("frame_codec", frame_codec::check),
    ("http_heads", http_heads::check),
    ("json_events", json_events::check),
    ("protobuf_events", protobuf_events::check),
    ("proxy_headers", proxy_headers::check),
    ("public_keys", public_keys::check),
    ("tickets", tickets::check),
    ("tls_links", tls_links::check),
    ("tokens", tokens::check),
    ("traceparents", traceparents::check),
];

/// The check of this name.
///
/// # Panics
/// If there is none.
pub fn check(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, check) = found.unwrap_or_else(|| panic!("there is no target {name}"));
    check(data);
}
