//! How failures look to callers: a gRPC status, and in its details the stable
//! name of the cause as `google.rpc.ErrorInfo`.

use std::collections::HashMap;

use bus::BusError;
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use wire::{client::ErrorCode, control::PublishError};

/// `ErrorInfo.domain`: whose names the reasons are.
const DOMAIN: &str = "tidegate";

/// Why something was refused, in the words of the client protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    pub(crate) detail: String,
}

/// `google.rpc.Status`, as the `grpc-status-details-bin` trailer carries it.
#[derive(Clone, PartialEq, Message)]
struct RichStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(map = "string, string", tag = "3")]
    metadata: HashMap<String, String>,
}

/// INVALID_ARGUMENT that names the field.
pub(crate) fn invalid(field: &str, problem: impl std::fmt::Display) -> Status {
    rich(
        Code::InvalidArgument,
        "INVALID_ARGUMENT",
        format!("{field}: {problem}"),
    )
}

/// A status with its reason in the details.
pub(crate) fn rich(code: Code, reason: &str, message: String) -> Status {
    rich_with(code, reason, message, None)
}

/// The same with a fact for programs.
pub(crate) fn rich_with(
    code: Code,
    reason: &str,
    message: String,
    fact: Option<(&str, &str)>,
) -> Status {
    let fact = fact.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let info = ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: fact.into_iter().collect(),
    };
    let details = RichStatus {
        code: code.into(),
        message: message.clone(),
        details: vec![Any {
            type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
            value: info.encode_to_vec(),
        }],
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

/// The reason in a status's details, if they are ours.
pub(crate) fn reason(status: &Status) -> Option<String> {
    let rich = RichStatus::decode(status.details()).ok()?;
    let infos = rich
        .details
        .iter()
        .filter_map(|any| ErrorInfo::decode(&*any.value).ok());
    infos
        .filter(|info| info.domain == DOMAIN)
        .map(|info| info.reason)
        .next()
}

// === impl Refusal ===

impl Refusal {
    pub(crate) fn new(code: ErrorCode, detail: impl ToString) -> Self {
        let detail = detail.to_string();
        Self { code, detail }
    }

    /// The code's stable name, e.g. `INVALID_CHANNEL`.
    fn reason(&self) -> &'static str {
        let name = self.code.as_str_name();
        name.strip_prefix("ERROR_CODE_").unwrap_or(name)
    }

    fn message(&self) -> String {
        wire::failure(self.code, &self.detail).message
    }
}

impl From<BusError> for Refusal {
    fn from(error: BusError) -> Self {
        let code = match error {
            BusError::Overloaded => ErrorCode::Overloaded,
            BusError::Unavailable => ErrorCode::Unavailable,
            BusError::DeadlineExceeded => ErrorCode::DeadlineExceeded,
            BusError::Cancelled => ErrorCode::Cancelled,
            BusError::NoResponders
            | BusError::HandlerGone
            | BusError::Worker(_)
            | BusError::NoTable
            | BusError::Conflict => ErrorCode::Internal,
            BusError::NoLog => ErrorCode::NoHistory,
            BusError::TooLarge => ErrorCode::MessageTooLarge,
        };
        Self::new(code, error)
    }
}

impl From<Refusal> for PublishError {
    fn from(refusal: Refusal) -> Self {
        Self {
            code: refusal.reason().to_owned(),
            message: refusal.message(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal.code {
            ErrorCode::MalformedMessage
            | ErrorCode::MessageTooLarge
            | ErrorCode::InvalidChannel => Code::InvalidArgument,
            ErrorCode::UnknownNamespace => Code::NotFound,
            ErrorCode::PermissionDenied => Code::PermissionDenied,
            ErrorCode::NoHistory | ErrorCode::NoPresence | ErrorCode::OtherEpoch => {
                Code::FailedPrecondition
            }
            ErrorCode::Overloaded => Code::ResourceExhausted,
            ErrorCode::Unavailable => Code::Unavailable,
            ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
            ErrorCode::Cancelled => Code::Cancelled,
            _ => Code::Internal,
        };
        rich(code, refusal.reason(), refusal.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_the_stable_name_in_its_details() {
        let status = Status::from(Refusal::new(ErrorCode::UnknownNamespace, "nope"));
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "no such namespace: nope");
        assert_eq!(reason(&status).as_deref(), Some("UNKNOWN_NAMESPACE"));
        let rich = RichStatus::decode(status.details()).expect("encoded by us");
        assert_eq!((rich.code, rich.message.as_str()), (5, status.message()));
        let info = ErrorInfo::decode(&*rich.details[0].value).expect("encoded by us");
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("UNKNOWN_NAMESPACE", "tidegate")
        );
    }
}
