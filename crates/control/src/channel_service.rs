//! ChannelService: the logs of channels, read from the bus, and who is there.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bus::{Bus, BusError, BusExt, HistoryPage, HistoryRead, Message, ReadFrom, Subject};
use presence::MAX_NAMED;
use tokio::time::{Instant, timeout_at};
use tonic::{Request, Response, Status};
use wire::{
    Offset,
    client::ErrorCode,
    control::{
        HistoryRequest, HistoryResponse, LoggedPublication, PresenceRequest, PresenceResponse,
    },
};

use crate::{
    channels::Channels,
    deadline,
    generated::channel_service_server::ChannelService,
    metrics::Method,
    status::{Refusal, invalid},
};

/// Publications in one page.
const MAX_PUBLICATIONS: usize = 1000;

/// Payload in one page; one publication more may be in it. Callers take 4 MiB
/// unless they say otherwise.
const MAX_BYTES: usize = 1 << 20;

/// Serves ChannelService.
pub(crate) struct Looking {
    bus: Arc<dyn Bus>,
    channels: Channels,
    history: Arc<Method>,
    presence: Arc<Method>,
}

// === impl Looking ===

impl Looking {
    pub(crate) fn new(bus: Arc<dyn Bus>, channels: Channels) -> Self {
        Self {
            bus,
            channels,
            history: Method::new("ChannelService", "History"),
            presence: Method::new("ChannelService", "Presence"),
        }
    }

    async fn read(&self, request: Request<HistoryRequest>) -> Result<HistoryResponse, Status> {
        let until = deadline::of(request.metadata());
        let request = request.into_inner();
        let channel = self.channels.check(&request.channel)?;
        let limit = match request.limit {
            0 => MAX_PUBLICATIONS,
            limit => MAX_PUBLICATIONS.min(limit as usize),
        };
        let read = HistoryRead {
            subject: Subject::of_channel(&channel),
            from: beginning(&request)?,
            limit,
            max_bytes: MAX_BYTES,
        };
        let read = timeout_at(until, self.bus.read(read));
        let page = read.await.unwrap_or(Err(BusError::DeadlineExceeded));
        let page = page.map_err(Refusal::from)?;
        let epoch = page.position.epoch.as_str();
        if !request.epoch.is_empty() && request.epoch != epoch {
            return Err(Refusal::new(ErrorCode::OtherEpoch, epoch).into());
        }
        Ok(response(page))
    }
}

impl Looking {
    async fn look(&self, request: Request<PresenceRequest>) -> Result<PresenceResponse, Status> {
        let until = deadline::of(request.metadata());
        let request = request.into_inner();
        let channel = self.channels.check(&request.channel)?;
        self.channels.check_presence(&channel)?;
        let limit = MAX_NAMED.min(request.limit as usize);
        let left = until.saturating_duration_since(Instant::now());
        let summary = presence::look(&*self.bus, &channel, limit, left).await;
        let summary = summary.map_err(Refusal::from)?;
        let members = summary.members.iter();
        Ok(PresenceResponse {
            sessions: summary.sessions,
            users: summary.users,
            members: members.map(|it| it.for_backends()).collect(),
            sampled: summary.sampled,
        })
    }
}

#[tonic::async_trait]
impl ChannelService for Looking {
    async fn history(
        &self,
        request: Request<HistoryRequest>,
    ) -> Result<Response<HistoryResponse>, Status> {
        self.history.observe(self.read(request)).await
    }

    async fn presence(
        &self,
        request: Request<PresenceRequest>,
    ) -> Result<Response<PresenceResponse>, Status> {
        self.presence.observe(self.look(request)).await
    }
}

fn beginning(request: &HistoryRequest) -> Result<ReadFrom, Status> {
    match (request.after_offset, request.since) {
        (after, None) => Ok(ReadFrom::After(Offset(after))),
        (0, Some(since)) => {
            // Before 1970 there was no log: all of it.
            let seconds = since.seconds.max(0).unsigned_abs();
            let nanos = since.nanos.clamp(0, 999_999_999).unsigned_abs();
            SystemTime::UNIX_EPOCH
                .checked_add(Duration::new(seconds, nanos))
                .map(ReadFrom::Since)
                .ok_or_else(|| invalid("since", "is no time"))
        }
        _ => Err(invalid("since", "not together with after_offset")),
    }
}

fn response(page: HistoryPage) -> HistoryResponse {
    HistoryResponse {
        publications: page.messages.into_iter().map(logged).collect(),
        epoch: page.position.epoch.as_str().to_owned(),
        newest_offset: page.position.offset.0,
        more: page.more,
    }
}

fn logged(message: Message) -> LoggedPublication {
    LoggedPublication {
        offset: message.offset.0,
        previous: message.previous.0,
        key: message.key.into(),
        payload: message.payload,
        published_at_us: message.published_at_us,
    }
}
