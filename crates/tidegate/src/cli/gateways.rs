//! `tidegate gateways` and `tidegate drain`.

use control::client::GatewayServiceClient;
use serde_json::json;
use wire::control::{DrainGatewayRequest, Gateway, ListGatewaysRequest};

use super::{
    Failure,
    args::GrpcArgs,
    output::{self, or_dash},
};

const HEADING: [&str; 5] = ["GATEWAY", "CONNECTIONS", "STATE", "VERSION", "SINCE"];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    grpc: GrpcArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct DrainArgs {
    /// The gateway
    gateway: String,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let mut client = GatewayServiceClient::new(args.grpc.connect().await?);
    let listed = client.list_gateways(ListGatewaysRequest {}).await?;
    let gateways = listed.into_inner().gateways;
    if json {
        for gateway in &gateways {
            output::line(json!({
                "gateway": gateway.gateway,
                "connections": gateway.connections,
                "draining": gateway.draining,
                "version": gateway.version,
                "started_at": output::timestamp(gateway.started_at),
            }))?;
        }
        return Ok(());
    }
    let rows: Vec<_> = gateways.iter().map(row).collect();
    output::line(output::table(HEADING, &rows))?;
    Ok(())
}

pub(super) async fn drain(args: DrainArgs, json: bool) -> Result<(), Failure> {
    let mut client = GatewayServiceClient::new(args.grpc.connect().await?);
    let gateway = args.gateway;
    let begun = client
        .drain_gateway(DrainGatewayRequest { gateway })
        .await?;
    let connections = begun.into_inner().connections;
    if json {
        output::line(json!({ "connections": connections }))?;
    } else {
        output::line(format_args!("draining; {connections} connections to move"))?;
    }
    Ok(())
}

fn row(gateway: &Gateway) -> [String; 5] {
    [
        gateway.gateway.clone(),
        gateway.connections.to_string(),
        if gateway.draining { "draining" } else { "up" }.to_owned(),
        or_dash(&gateway.version).into_owned(),
        output::timestamp(gateway.started_at),
    ]
}
