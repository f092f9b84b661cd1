//! GatewayService: which gateways there are, and their drain.

use std::{
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tonic::{Request, Response, Status};
use wire::{
    GatewayId,
    control::{
        DrainGatewayRequest, DrainGatewayResponse, Gateway, ListGatewaysRequest,
        ListGatewaysResponse,
    },
    gateway::{Drain, Draining, RegisteredGateway, command::Command, command_reply::Reply},
};

use crate::{
    callers::Caller,
    deadline,
    gateways::{Gateways, encode},
    generated::gateway_service_server::GatewayService,
    list::gateway_id,
    metrics::Method,
};

/// Serves GatewayService.
pub(crate) struct Operating {
    gateways: Gateways,
    list: Arc<Method>,
    drain: Arc<Method>,
}

// === impl Operating ===

impl Operating {
    pub(crate) fn new(gateways: Gateways) -> Self {
        let method = |name| Method::new("GatewayService", name);
        Self {
            gateways,
            list: method("ListGateways"),
            drain: method("DrainGateway"),
        }
    }

    async fn list_all(
        &self,
        request: Request<ListGatewaysRequest>,
    ) -> Result<ListGatewaysResponse, Status> {
        let until = deadline::of(request.metadata());
        let gateways = self.gateways.everywhere(until).await?.into_iter();
        Ok(ListGatewaysResponse {
            gateways: gateways.map(describe).collect(),
        })
    }

    async fn begin_drain(
        &self,
        request: Request<DrainGatewayRequest>,
    ) -> Result<DrainGatewayResponse, Status> {
        let until = deadline::of(request.metadata());
        let gateway = gateway_id(&request.get_ref().gateway)?;
        Caller::of(&request).acts_on("gateway", &gateway);
        let command = encode(Command::Drain(Drain {}));
        let asked = self.gateways.ask(&gateway, command, until, draining);
        let draining = asked.await.map_err(|error| error.status(&gateway))?;
        Ok(DrainGatewayResponse {
            connections: draining.connections,
        })
    }
}

#[tonic::async_trait]
impl GatewayService for Operating {
    async fn list_gateways(
        &self,
        request: Request<ListGatewaysRequest>,
    ) -> Result<Response<ListGatewaysResponse>, Status> {
        self.list.observe(self.list_all(request)).await
    }

    async fn drain_gateway(
        &self,
        request: Request<DrainGatewayRequest>,
    ) -> Result<Response<DrainGatewayResponse>, Status> {
        self.drain.observe(self.begin_drain(request)).await
    }
}

fn describe((id, gateway): (GatewayId, RegisteredGateway)) -> Gateway {
    let started_at = Duration::from_millis(gateway.started_at_ms.max(0).unsigned_abs());
    Gateway {
        gateway: id.to_string(),
        connections: gateway.connections,
        draining: gateway.draining,
        version: gateway.version,
        started_at: Some((UNIX_EPOCH + started_at).into()),
    }
}

fn draining(reply: Reply) -> Option<Draining> {
    match reply {
        Reply::Draining(draining) => Some(draining),
        _ => None,
    }
}
