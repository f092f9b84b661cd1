//! SendService: messages to users and connections, and what became of them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tonic::{Code, Request, Response, Status, metadata::MetadataMap};
use wire::{
    GatewayId,
    control::{
        BroadcastRequest, BroadcastResponse, DeliveryLevel, MailboxRequest, MailboxResponse,
        SendReceipt, SendRequest, SendResponse, send_request::Target,
    },
    gateway::{
        Deliver, Delivered, Level, LevelCount, Receipt, command::Command, command_reply::Reply,
    },
};

use crate::{
    callers::Caller,
    deadline,
    durable::Mailboxes,
    gateways::{Answer, GatewayError, Gateways},
    generated::send_service_server::SendService,
    meant::{Meant, no_target},
    metrics::{Method, Receipts},
    status::{invalid, rich},
};

/// Before it is asked again who is to be told of a message in a mailbox.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves SendService.
pub(crate) struct Sending {
    gateways: Gateways,
    mailboxes: Mailboxes,
    receipts: Receipts,
    send: Arc<Method>,
    broadcast: Arc<Method>,
    mailbox: Arc<Method>,
}

/// A message that is checked.
struct Checked {
    meant: Meant,
    payload: Bytes,
    /// Where it is in the user's mailbox; zero: in none.
    offset: u64,
    level: DeliveryLevel,
    until: Instant,
}

// === impl Sending ===

impl Sending {
    pub(crate) fn new(gateways: Gateways, mailboxes: Mailboxes) -> Self {
        let method = |name| Method::new("SendService", name);
        Self {
            gateways,
            mailboxes,
            receipts: Receipts::new(),
            send: method("Send"),
            broadcast: method("Broadcast"),
            mailbox: method("Mailbox"),
        }
    }

    async fn deliver(&self, request: Request<SendRequest>) -> Result<SendResponse, Status> {
        let (metadata, _, request) = request.into_parts();
        let meant = match request.target {
            Some(Target::User(user)) => Meant::user(&user)?,
            Some(Target::ConnectionId(id)) => Meant::connection(&id)?,
            Some(Target::SessionId(id)) => Meant::session(&id)?,
            Some(Target::Label(label)) => Meant::label(label)?,
            None => return Err(no_target()),
        };
        let (level, timeout) = (request.level, request.timeout);
        let send = Checked::new(meant, request.payload, level, timeout, &metadata)?;
        let response = match request.durable {
            true => self.store_and_deliver(send, &request.message_id).await?,
            false if !request.message_id.is_empty() => {
                return Err(invalid("message_id", "needs durable"));
            }
            false => merge(&send, self.ask(&send).await?)?,
        };
        for receipt in &response.receipts {
            self.receipts.count(receipt, 1);
        }
        Ok(response)
    }

    /// Once it is stored, what becomes of the delivery is no failure: whoever is
    /// not reached now gets it later.
    async fn store_and_deliver(
        &self,
        mut send: Checked,
        message_id: &str,
    ) -> Result<SendResponse, Status> {
        let Meant::User(user) = &send.meant else {
            return Err(invalid("durable", "is for a user"));
        };
        let payload = std::mem::take(&mut send.payload);
        let stored = self.mailboxes.store(user, payload, message_id, send.until);
        let stored = stored.await?;
        send.offset = stored.offset.0;
        let receipts = loop {
            match self.ask(&send).await {
                Ok(answers) => break gather(&send, answers).0,
                Err(error) => {
                    tracing::debug!(%error, "nobody was told of a message in a mailbox");
                }
            }
            // The registry may be back before the caller gives up.
            if Instant::now() + PAUSE >= send.until {
                break Vec::new();
            }
            sleep(PAUSE).await;
        };
        Ok(SendResponse {
            receipts,
            mailbox_offset: stored.offset.0,
            duplicate: stored.duplicate,
        })
    }

    async fn deliver_to_all(
        &self,
        request: Request<BroadcastRequest>,
    ) -> Result<BroadcastResponse, Status> {
        let caller = Caller::of(&request);
        let (metadata, _, request) = request.into_parts();
        let (level, timeout) = (request.level, request.timeout);
        let everybody = Meant::Everybody;
        everybody.note(&caller);
        let send = Checked::new(everybody, request.payload, level, timeout, &metadata)?;
        let answers = self.ask(&send).await?;
        never_sent(&answers)?;
        let mut response = BroadcastResponse::default();
        for Answer { gateway, outcome } in answers {
            let Ok(delivered) = outcome else {
                response.silent_gateways.push(gateway.to_string());
                continue;
            };
            for LevelCount { level, connections } in delivered.counts {
                let connection_id = String::new();
                let receipt = send.receipt(Receipt {
                    connection_id,
                    level,
                });
                self.receipts.count(&receipt, connections);
                match &*receipt.failure {
                    "" => response.reached += connections,
                    _ => response.failed += connections,
                }
            }
        }
        Ok(response)
    }

    async fn ask(&self, send: &Checked) -> Result<Vec<Answer<Delivered>>, Status> {
        let deliver = Deliver {
            target: Some(send.meant.target()),
            payload: send.payload.clone(),
            await_level: awaited(send.level).into(),
            mailbox_offset: send.offset,
        };
        let command = Command::Deliver(deliver);
        self.gateways
            .ask_all(&send.meant, command, send.until, delivered)
            .await
    }
}

#[tonic::async_trait]
impl SendService for Sending {
    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        self.send.observe(self.deliver(request)).await
    }

    async fn broadcast(
        &self,
        request: Request<BroadcastRequest>,
    ) -> Result<Response<BroadcastResponse>, Status> {
        self.broadcast.observe(self.deliver_to_all(request)).await
    }

    async fn mailbox(
        &self,
        request: Request<MailboxRequest>,
    ) -> Result<Response<MailboxResponse>, Status> {
        let until = deadline::of(request.metadata());
        let standing = self.mailboxes.standing(request.into_inner(), until);
        self.mailbox.observe(standing).await
    }
}

fn delivered(reply: Reply) -> Option<Delivered> {
    match reply {
        Reply::Delivered(delivered) => Some(delivered),
        _ => None,
    }
}

/// The receipts in what the gateways said, one for each gateway that is silent
/// among them, and those gateways.
fn gather(
    send: &Checked,
    answers: Vec<Answer<Delivered>>,
) -> (Vec<SendReceipt>, Vec<(GatewayId, GatewayError)>) {
    let mut receipts = Vec::new();
    let mut missing = Vec::new();
    for Answer { gateway, outcome } in answers {
        match outcome {
            Ok(delivered) => {
                let here = delivered.receipts.into_iter();
                receipts.extend(here.map(|receipt| send.receipt(receipt)));
            }
            Err(error) => missing.push((gateway, error)),
        }
    }
    receipts.extend(missing.iter().map(|_| timed_out(String::new())));
    (receipts, missing)
}

/// One answer of what the gateways said. A gateway that is silent does not
/// hide what others delivered, and is never taken for one where nobody is.
fn merge(send: &Checked, answers: Vec<Answer<Delivered>>) -> Result<SendResponse, Status> {
    let (mut receipts, missing) = gather(send, answers);
    if let (Meant::Connection(id), [(_, GatewayError::Timeout)]) = (&send.meant, &*missing) {
        receipts = vec![timed_out(id.to_string())];
    } else if receipts.len() == missing.len() {
        return Err(match &*missing {
            [] => not_connected("nobody is there"),
            [(gateway, error), ..] => error.status(gateway),
        });
    }
    Ok(SendResponse {
        receipts,
        ..SendResponse::default()
    })
}

/// The look-up was sure that nobody is there.
pub(crate) fn not_connected(message: &str) -> Status {
    rich(Code::NotFound, "NOT_CONNECTED", message.to_owned())
}

/// A broadcast that left no trace anywhere can be tried again: that is better
/// said by a status than by a list of all gateways.
fn never_sent(answers: &[Answer<Delivered>]) -> Result<(), Status> {
    let unreachable =
        |answer: &Answer<_>| matches!(answer.outcome, Err(GatewayError::Unreachable(_)));
    match answers.first() {
        Some(Answer {
            gateway,
            outcome: Err(error),
        }) if answers.iter().all(unreachable) => Err(error.status(gateway)),
        _ => Ok(()),
    }
}

/// Nothing is known of the connection, or of all at a gateway.
fn timed_out(connection_id: String) -> SendReceipt {
    SendReceipt {
        connection_id,
        level: DeliveryLevel::Unspecified.into(),
        failure: "timeout".to_owned(),
    }
}

fn awaited(level: DeliveryLevel) -> Level {
    match level {
        DeliveryLevel::Unspecified | DeliveryLevel::Enqueued => Level::Enqueued,
        DeliveryLevel::Written => Level::Written,
        DeliveryLevel::Acknowledged => Level::Acknowledged,
    }
}

// === impl Checked ===

impl Checked {
    fn new(
        meant: Meant,
        payload: Bytes,
        level: i32,
        timeout: Option<prost_types::Duration>,
        metadata: &MetadataMap,
    ) -> Result<Self, Status> {
        let level = match DeliveryLevel::try_from(level) {
            Ok(DeliveryLevel::Unspecified) => DeliveryLevel::Enqueued,
            Ok(level) => level,
            Err(_) => return Err(invalid("level", "is no DeliveryLevel")),
        };
        Ok(Self {
            meant,
            payload,
            offset: 0,
            level,
            until: deadline::asked(timeout, metadata)?,
        })
    }

    /// What a gateway's receipt is worth to the caller: a level below the one
    /// asked for was the last that was reached in time.
    fn receipt(&self, receipt: Receipt) -> SendReceipt {
        let (level, failure) = match receipt.level() {
            Level::Enqueued => (DeliveryLevel::Enqueued, ""),
            Level::Written => (DeliveryLevel::Written, ""),
            Level::Acknowledged => (DeliveryLevel::Acknowledged, ""),
            Level::Gone => (DeliveryLevel::Unspecified, "gone"),
            Level::Refused => (DeliveryLevel::Unspecified, "refused"),
            Level::Unspecified => (DeliveryLevel::Unspecified, "timeout"),
        };
        let late = failure.is_empty() && (level as i32) < (self.level as i32);
        SendReceipt {
            connection_id: receipt.connection_id,
            level: level.into(),
            failure: if late { "timeout" } else { failure }.to_owned(),
        }
    }
}
