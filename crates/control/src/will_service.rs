//! WillService: what sessions have left to be done when they are gone.

use std::sync::Arc;

use bus::{Bus, BusError};
use tokio::time::timeout_at;
use tonic::{Request, Response, Status};
use wire::{
    UserId,
    control::{ListWillsRequest, ListWillsResponse},
};

use crate::{
    deadline,
    generated::will_service_server::WillService,
    metrics::Method,
    status::{Refusal, invalid},
};

/// Wills in one answer.
const MAX_WILLS: usize = 1000;

/// Serves WillService.
pub(crate) struct Keeping {
    bus: Arc<dyn Bus>,
    list: Arc<Method>,
}

// === impl Keeping ===

impl Keeping {
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Self {
        Self {
            bus,
            list: Method::new("WillService", "ListWills"),
        }
    }

    async fn read(&self, request: Request<ListWillsRequest>) -> Result<ListWillsResponse, Status> {
        let until = deadline::of(request.metadata());
        let ListWillsRequest { user, limit } = request.into_inner();
        let user = match user.as_str() {
            "" => None,
            name => Some(UserId::new(name).ok_or_else(|| invalid("user", "is no user id"))?),
        };
        let limit = match limit {
            0 => MAX_WILLS,
            limit => MAX_WILLS.min(limit as usize),
        };
        let listed = timeout_at(until, wills::list(&*self.bus, user.as_ref()));
        let listed = listed.await.unwrap_or(Err(BusError::DeadlineExceeded));
        let mut wills = listed.map_err(Refusal::from)?;
        let more = wills.len() > limit;
        wills.truncate(limit);
        Ok(ListWillsResponse { wills, more })
    }
}

#[tonic::async_trait]
impl WillService for Keeping {
    async fn list_wills(
        &self,
        request: Request<ListWillsRequest>,
    ) -> Result<Response<ListWillsResponse>, Status> {
        self.list.observe(self.read(request)).await
    }
}
