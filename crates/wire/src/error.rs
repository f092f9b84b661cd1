//! Failures as clients see them: one text and one retry verdict per code.

use crate::client::{ErrorCode, Failure};

/// Builds the [`Failure`] for a code, with `detail` after its usual text.
pub fn failure(code: ErrorCode, detail: &str) -> Failure {
    let usual = message(code);
    let message = if detail.is_empty() {
        usual.to_owned()
    } else {
        format!("{usual}: {detail}")
    };
    Failure {
        code: code.into(),
        message,
        retryable: retryable(code),
        worker_code: Default::default(),
        not_executed: never_executed(code),
    }
}

fn message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Unspecified => "unspecified error",
        ErrorCode::MalformedMessage => "the message is malformed",
        ErrorCode::MessageTooLarge => "the message is too large",
        ErrorCode::ProtocolViolation => "the event is not allowed now",
        ErrorCode::Unimplemented => "this gateway does not serve this event",
        ErrorCode::AuthenticationTimeout => "no Hello with a token came in time",
        ErrorCode::InvalidToken => "the token is not valid",
        ErrorCode::NotAuthenticated => "the first event must be Hello with a token",
        ErrorCode::PermissionDenied => "the token does not allow this",
        ErrorCode::InvalidChannel => "not a channel name",
        ErrorCode::UnknownNamespace => "no such namespace",
        ErrorCode::AlreadySubscribed => "already subscribed",
        ErrorCode::NotSubscribed => "not subscribed",
        ErrorCode::UnsubscribedByServer => "the server ended the subscription",
        ErrorCode::TooManySubscriptions => "too many subscriptions",
        ErrorCode::NoHistory => "the channel keeps no log",
        ErrorCode::OtherEpoch => "the position is of another log",
        ErrorCode::NoPresence => "the channel keeps no presence",
        ErrorCode::NoSignals => "the channel permits no signals",
        ErrorCode::UnknownRoute => "no such route",
        ErrorCode::NoWorker => "no worker serves this route",
        ErrorCode::DeadlineExceeded => "no answer came in time; it may have been executed",
        ErrorCode::Cancelled => "cancelled",
        ErrorCode::WorkerError => "the worker failed the request",
        ErrorCode::DuplicateId => "the id is in use",
        ErrorCode::InProgress => "the request with this idempotency key has no outcome yet",
        ErrorCode::IdempotencyKeyReused => "the idempotency key was used for another request",
        ErrorCode::OutcomeUnknown => "whether it was executed will never be known",
        ErrorCode::WillFired => "the will has been fired",
        ErrorCode::RateLimited => "too many messages",
        ErrorCode::Overloaded => "the gateway is overloaded",
        ErrorCode::Unavailable => "the bus cannot be reached",
        ErrorCode::NobodyThere => "nobody was there to get it",
        ErrorCode::Internal => "the gateway failed",
    }
}

/// Whether a request that fails with the code was certainly given to no worker.
fn never_executed(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NoWorker
            | ErrorCode::UnknownRoute
            | ErrorCode::PermissionDenied
            | ErrorCode::MalformedMessage
            | ErrorCode::IdempotencyKeyReused
            | ErrorCode::RateLimited
    )
}

fn retryable(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NoWorker
            | ErrorCode::DeadlineExceeded
            | ErrorCode::InProgress
            | ErrorCode::RateLimited
            | ErrorCode::Overloaded
            | ErrorCode::Unavailable
            | ErrorCode::Internal
            | ErrorCode::AuthenticationTimeout
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_guide_has_every_code_where_it_belongs() {
        let guide = include_str!("../../../docs/protocol.md");
        let codes = (1..=255).filter_map(|number| ErrorCode::try_from(number).ok());
        for code in codes {
            let name = code.as_str_name().trim_start_matches("ERROR_CODE_");
            let row = guide
                .lines()
                .find(|line| line.starts_with("| ") && line.contains(&format!("`{name}`")))
                .unwrap_or_else(|| panic!("docs/protocol.md lacks {name}"));
            // Only a close has it, so that whoever gets it as a code reconnects.
            let is_later = row.starts_with("| later") || code == ErrorCode::AuthenticationTimeout;
            assert_eq!(is_later, retryable(code), "{name}");
        }
    }
}
