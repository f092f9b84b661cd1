//! `tidegate mailbox`.

use control::client::SendServiceClient;
use serde_json::json;
use wire::control::{MailboxRequest, MailboxResponse};

use super::{Failure, args::GrpcArgs, output};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose mailbox
    user: String,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn run(args: Args, json: bool) -> Result<(), Failure> {
    let Args { user, grpc } = args;
    let mut client = SendServiceClient::new(grpc.connect().await?);
    let MailboxResponse {
        acknowledged_up_to,
        newest,
        unacknowledged,
    } = client.mailbox(MailboxRequest { user }).await?.into_inner();
    if json {
        output::line(json!({
            "acknowledged_up_to": acknowledged_up_to, "newest": newest,
            "unacknowledged": unacknowledged,
        }))?;
    } else {
        output::line(format_args!(
            "unacknowledged      {unacknowledged}\nnewest              {newest}\n\
             acknowledged up to  {acknowledged_up_to}"
        ))?;
    }
    Ok(())
}
