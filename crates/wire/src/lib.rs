//! What travels: generated messages, the WebSocket frame codec, identities,
//! and the catalogues of close causes and error codes.
//!
//! The only crate that knows how bytes look. It does no I/O.

mod channel;
mod close;
mod error;
mod generated;
mod id;
mod subprotocol;
mod traceparent;
pub mod websocket;

pub use channel::{Channel, ChannelError, MAX_CHANNEL_BYTES, NamespaceName};
pub use close::{CloseCause, CloseVerdict, Side};
pub use error::failure;
pub use generated::{client, control, gateway};
pub use id::{
    ConnectionId, ConnectionIdError, Epoch, GatewayId, Offset, SessionId, SessionIdError, UserId,
};
pub use subprotocol::{MalformedMessage, Subprotocol};
pub use traceparent::Traceparent;
