//! What travels: generated messages, the WebSocket frame codec, identities,
//! and the catalogues of close causes and error codes.
//!
//! The only crate that knows how bytes look. It does no I/O.

mod channel;
mod close;
mod error;
mod event_id;
mod forwarded;
mod generated;
mod hidden;
mod http_head;
mod id;
mod proxy_header;
mod subprotocol;
mod traceparent;
pub mod websocket;

pub use channel::{Channel, ChannelError, MAX_CHANNEL_BYTES, NamespaceName};
pub use close::{CloseCause, CloseVerdict, Side};
pub use error::failure;
pub use event_id::{EventId, EventIdError};
pub use forwarded::forwarded_client;
pub use generated::{client, control, gateway, worker};
pub use http_head::{HeadProgress, HeadScan, MAX_HEAD_BYTES};
pub use id::{
    ConnectionId, ConnectionIdError, Epoch, GatewayId, Offset, SessionId, SessionIdError, UserId,
};
pub use proxy_header::{PROXY_START_BYTES, ProxyError, ProxyStart};
pub use subprotocol::{MalformedMessage, Subprotocol};
pub use traceparent::Traceparent;
