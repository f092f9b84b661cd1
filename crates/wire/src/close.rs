//! The catalogue of every way a connection can end.
//!
//! One [`CloseCause`] per close: the same word goes to the client (`Closing.cause`),
//! into the metric label and into the log. Append-only: numbers and labels are
//! never reused.

/// What a client may do after a close; the range of the code carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseVerdict {
    /// 4000–4099 and the codes of RFC 6455 section 7.4.1: do not reconnect.
    Stay,
    /// 4100–4199: reconnect with back-off.
    Reconnect,
    /// 4200–4299: reconnect now and resume.
    Resume,
}

/// Whose doing a close is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client or the network between.
    Peer,
    /// This gateway, by plan or by fault.
    Gateway,
    /// Something behind the gateway.
    Upstream,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $label:literal, $verdict:ident, $side:ident, $message:literal;)*) => {
        /// Why a connection ended. See the module's rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CloseCause {
            $($(#[$doc])* $name,)*
        }

        impl CloseCause {
            /// Every cause, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The WebSocket close code (RFC 6455 section 7.4).
            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// The stable name in `Closing.cause`, in metrics and in logs.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// What the client may do next.
            pub const fn verdict(self) -> CloseVerdict {
                match self { $(Self::$name => CloseVerdict::$verdict,)* }
            }

            /// Whose doing it is.
            pub const fn side(self) -> Side {
                match self { $(Self::$name => Side::$side,)* }
            }

            /// For people.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

catalogue! {
    /// The peer closed the WebSocket in order.
    ClosedByPeer = 1000, "closed_by_peer", Stay, Peer, "closed by the peer";
    /// The socket ended or failed without a closing handshake.
    ConnectionLost = 1006, "connection_lost", Reconnect, Peer, "the connection was lost";
    /// RFC 6455 was broken: mask, opcode, reserved bits, control frames.
    WebSocketViolation = 1002, "websocket_violation", Stay, Peer, "the WebSocket protocol was violated";
    /// A text message where the subprotocol is binary, or the reverse.
    WrongMessageType = 1003, "wrong_message_type", Stay, Peer, "this subprotocol does not use this type of message";
    /// Text that is not UTF-8, or a close reason that is not.
    InvalidUtf8 = 1007, "invalid_utf8", Stay, Peer, "text was not valid UTF-8";
    /// A message or fragment count beyond the limits.
    MessageTooLarge = 1009, "message_too_large", Stay, Peer, "the message is larger than the limit";
    /// No Hello in time.
    AuthenticationTimeout = 4001, "authentication_timeout", Stay, Peer, "no Hello with a token came in time";
    /// The token is malformed, expired, of an unknown key or revoked.
    InvalidToken = 4002, "invalid_token", Stay, Peer, "the token is not valid";
    /// Something other than Hello came first.
    NotAuthenticated = 4003, "not_authenticated", Stay, Peer, "the first event must be Hello with a token";
    /// The bytes are no message of the subprotocol.
    MalformedMessage = 4004, "malformed_message", Stay, Peer, "the message is malformed";
    /// A well-formed event that this phase does not allow.
    ProtocolViolation = 4005, "protocol_violation", Stay, Peer, "the event is not allowed now";
    /// The control plane closed it for good.
    DisconnectedByServer = 4006, "disconnected_by_server", Stay, Upstream, "disconnected by the server";
    /// The token expired.
    TokenExpired = 4007, "token_expired", Stay, Peer, "the token has expired";
    /// The user, session or token was revoked.
    Revoked = 4008, "revoked", Stay, Upstream, "access was revoked";
    /// A newer connection of the same session took over.
    SessionReplaced = 4009, "session_replaced", Stay, Peer, "a newer connection of this session took over";
    /// The user has more connections than allowed, and this one is to go.
    UserLimit = 4010, "user_limit", Stay, Peer, "the user has too many connections";
    /// The link was silent for two heartbeats.
    IdleTimeout = 4100, "idle_timeout", Reconnect, Peer, "the link was silent for too long";
    /// The outbox overflowed under the policy `disconnect`.
    SlowConsumer = 4101, "slow_consumer", Reconnect, Peer, "messages were read too slowly";
    /// The gateway holds as many connections as it may.
    TooManyConnections = 4102, "too_many_connections", Reconnect, Gateway, "the gateway is full";
    /// The client sent faster than its limits for too long.
    RateLimited = 4103, "rate_limited", Reconnect, Peer, "too many messages";
    /// The control plane asked the client to reconnect.
    ReconnectRequested = 4104, "reconnect_requested", Reconnect, Upstream, "the server asked to reconnect";
    /// The gateway failed.
    GatewayFault = 4105, "gateway_fault", Reconnect, Gateway, "the gateway failed";
    /// Something the gateway needs did not answer.
    UpstreamUnavailable = 4106, "upstream_unavailable", Reconnect, Upstream, "a service behind the gateway did not answer";
    /// The gateway, or the client's address, has let in as many as it may for the moment.
    AdmissionRate = 4107, "admission_rate", Reconnect, Gateway, "the gateway takes no more connections at the moment";
    /// The user's connections came and went too often.
    Flapping = 4108, "flapping", Reconnect, Peer, "connections were made and left too often";
    /// A message was begun and not finished in time.
    MessageTimeout = 4109, "message_timeout", Reconnect, Peer, "a message was not finished in time";
    /// The gateway is stopping.
    Draining = 4200, "draining", Resume, Gateway, "the gateway is going away";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_and_labels_are_unique() {
        let codes: HashSet<_> = CloseCause::ALL.iter().map(|cause| cause.code()).collect();
        let labels: HashSet<_> = CloseCause::ALL.iter().map(|cause| cause.label()).collect();
        assert_eq!(codes.len(), CloseCause::ALL.len());
        assert_eq!(labels.len(), CloseCause::ALL.len());
    }

    #[test]
    fn the_range_of_a_code_carries_its_verdict() {
        for cause in CloseCause::ALL {
            let expected = match cause.code() {
                1006 | 4100..=4199 => CloseVerdict::Reconnect,
                4200..=4299 => CloseVerdict::Resume,
                _ => CloseVerdict::Stay,
            };
            assert_eq!(cause.verdict(), expected, "{}", cause.label());
        }
    }

    #[test]
    fn the_protocol_guide_has_every_cause() {
        let guide = include_str!("../../../docs/protocol.md");
        for cause in CloseCause::ALL {
            let verdict = format!("{:?}", cause.verdict()).to_lowercase();
            let row = format!("| {} | `{}` | {verdict} |", cause.code(), cause.label());
            assert!(guide.contains(&row), "docs/protocol.md lacks {row}");
        }
    }
}
