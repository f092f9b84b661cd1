//! SendService: messages to users and connections, and what became of them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tonic::{Code, Request, Response, Status};
use wire::{
    control::{DeliveryLevel, SendReceipt, SendRequest, SendResponse, send_request::Target},
    gateway::{Deliver, Delivered, Level, Receipt, command::Command, command_reply::Reply},
};

use crate::{
    deadline,
    gateways::{Answer, GatewayError, Gateways, Meant},
    generated::send_service_server::SendService,
    metrics::Method,
    status::{invalid, rich},
};

/// Serves SendService.
pub(crate) struct Sending {
    gateways: Gateways,
    send: Arc<Method>,
}

/// A send whose request is checked.
struct Checked {
    meant: Meant,
    payload: Bytes,
    await_written: bool,
    deadline: Duration,
}

// === impl Sending ===

impl Sending {
    pub(crate) fn new(gateways: Gateways) -> Self {
        let send = Method::new("SendService", "Send");
        Self { gateways, send }
    }

    async fn deliver(&self, request: Request<SendRequest>) -> Result<SendResponse, Status> {
        let send = Checked::new(request)?;
        let deliver = Deliver {
            target: Some(send.meant.target()),
            payload: send.payload,
            await_level: if send.await_written {
                Level::Written.into()
            } else {
                Level::Enqueued.into()
            },
        };
        let answers = self
            .gateways
            .ask_all(
                &send.meant,
                Command::Deliver(deliver),
                send.deadline,
                delivered,
            )
            .await;
        merge(&send.meant, answers)
    }
}

#[tonic::async_trait]
impl SendService for Sending {
    async fn broadcast(
        &self,
        _request: Request<wire::control::BroadcastRequest>,
    ) -> Result<Response<wire::control::BroadcastResponse>, Status> {
        Err(Status::unimplemented("not served yet"))
    }

    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        self.send.observe(self.deliver(request)).await
    }
}

fn delivered(reply: Reply) -> Option<Delivered> {
    match reply {
        Reply::Delivered(delivered) => Some(delivered),
        _ => None,
    }
}

/// One answer of what the gateways said. A gateway that is silent does not
/// hide what others delivered, and is never taken for one where nobody is.
fn merge(meant: &Meant, answers: Vec<Answer<Delivered>>) -> Result<SendResponse, Status> {
    let mut receipts = Vec::new();
    let mut missing = Vec::new();
    for Answer { gateway, outcome } in answers {
        match outcome {
            Ok(delivered) => receipts.extend(delivered.receipts.into_iter().map(receipt)),
            Err(error) => missing.push((gateway, error)),
        }
    }
    if let (Meant::Connection(id), [(_, GatewayError::Timeout)]) = (meant, &*missing) {
        let receipts = vec![failed(id.to_string(), "timeout")];
        return Ok(SendResponse { receipts });
    }
    match (&*missing, receipts.is_empty()) {
        ([], true) => Err(rich(
            Code::NotFound,
            "NOT_CONNECTED",
            "nobody is there".into(),
        )),
        ([(gateway, error), ..], true) => Err(error.status(gateway)),
        (_, false) => {
            receipts.extend(missing.iter().map(|_| failed(String::new(), "timeout")));
            Ok(SendResponse { receipts })
        }
    }
}

fn receipt(receipt: Receipt) -> SendReceipt {
    let (level, failure) = match receipt.level() {
        Level::Enqueued => (DeliveryLevel::Enqueued, ""),
        Level::Written => (DeliveryLevel::Written, ""),
        Level::Acknowledged => (DeliveryLevel::Acknowledged, ""),
        Level::Gone => (DeliveryLevel::Unspecified, "gone"),
        Level::Refused | Level::Unspecified => (DeliveryLevel::Unspecified, "refused"),
    };
    SendReceipt {
        connection_id: receipt.connection_id,
        level: level.into(),
        failure: failure.to_owned(),
    }
}

fn failed(connection_id: String, failure: &str) -> SendReceipt {
    SendReceipt {
        connection_id,
        level: DeliveryLevel::Unspecified.into(),
        failure: failure.to_owned(),
    }
}

// === impl Checked ===

impl Checked {
    fn new(request: Request<SendRequest>) -> Result<Self, Status> {
        let (metadata, _, send) = request.into_parts();
        let meant = match &send.target {
            Some(Target::User(user)) => Meant::user(user)?,
            Some(Target::ConnectionId(id)) => Meant::connection(id)?,
            _ => return Err(invalid("target", "is missing")),
        };
        Ok(Self {
            meant,
            await_written: await_written(send.level)?,
            deadline: deadline::asked(send.timeout, &metadata)?,
            payload: send.payload,
        })
    }
}

fn await_written(level: i32) -> Result<bool, Status> {
    match DeliveryLevel::try_from(level) {
        Ok(DeliveryLevel::Unspecified | DeliveryLevel::Enqueued) => Ok(false),
        Ok(DeliveryLevel::Written) => Ok(true),
        Ok(DeliveryLevel::Acknowledged) => Err(rich(
            Code::Unimplemented,
            "LEVEL_NOT_SERVED",
            "level: gateways do not pass confirmations on yet".into(),
        )),
        Err(_) => Err(invalid("level", "is no DeliveryLevel")),
    }
}
