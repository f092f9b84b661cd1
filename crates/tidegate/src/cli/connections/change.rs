//! `tidegate connections disconnect`, `subscribe` and `unsubscribe`.

use serde_json::json;
use wire::control::{
    DisconnectRequest, SubscribeRequest, UnsubscribeRequest, disconnect_request, subscribe_request,
    unsubscribe_request,
};

use super::connect;
use crate::cli::{
    Failure,
    args::{GrpcArgs, TargetArgs, WideTargetArgs},
    output,
};

#[derive(Debug, clap::Args)]
pub(super) struct DisconnectArgs {
    #[command(flatten)]
    target: WideTargetArgs,

    /// For people, at most 100 bytes; the client gets it
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,

    /// Tell the client that it may reconnect
    #[arg(long)]
    may_reconnect: bool,

    /// A close code of your own: 4050 to 4099, or 4150 to 4199 with --may-reconnect
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    code: u32,

    #[command(flatten)]
    grpc: GrpcArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct ChannelArgs {
    /// The channel
    channel: String,

    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    grpc: GrpcArgs,
}

pub(super) async fn disconnect(args: DisconnectArgs, json: bool) -> Result<(), Failure> {
    let request = DisconnectRequest {
        target: args.target.into(),
        reason: args.reason,
        may_reconnect: args.may_reconnect,
        close_code: args.code,
    };
    let mut client = connect(&args.grpc).await?;
    let count = client.disconnect(request).await?.into_inner().count;
    if json {
        output::line(json!({ "closed": count }))?;
    } else {
        output::line(format_args!("{count} closed"))?;
    }
    Ok(())
}

pub(super) async fn subscribe(args: ChannelArgs, json: bool) -> Result<(), Failure> {
    let request = SubscribeRequest {
        target: args.target.into(),
        channel: args.channel,
    };
    let mut client = connect(&args.grpc).await?;
    let done = client.subscribe(request).await?.into_inner();
    let (count, refused) = (done.count, done.refused);
    if json {
        output::line(json!({ "subscribed": count, "refused": refused }))?;
    } else {
        output::line(format_args!("{count} subscribed"))?;
    }
    match refused {
        0 => Ok(()),
        refused => Err(Failure::failed(format_args!(
            "{refused} have as many subscriptions as they may"
        ))),
    }
}

pub(super) async fn unsubscribe(args: ChannelArgs, json: bool) -> Result<(), Failure> {
    let request = UnsubscribeRequest {
        target: args.target.into(),
        channel: args.channel,
    };
    let mut client = connect(&args.grpc).await?;
    let count = client.unsubscribe(request).await?.into_inner().count;
    if json {
        output::line(json!({ "unsubscribed": count }))?;
    } else {
        output::line(format_args!("{count} unsubscribed"))?;
    }
    Ok(())
}

// === impl WideTargetArgs ===

impl From<WideTargetArgs> for Option<disconnect_request::Target> {
    fn from(target: WideTargetArgs) -> Self {
        use disconnect_request::Target;
        let user = target.user.map(Target::User);
        user.or(target.connection.map(Target::ConnectionId))
            .or(target.session.map(Target::SessionId))
            .or(target.label.map(Target::Label))
    }
}

// === impl TargetArgs ===

impl From<TargetArgs> for Option<subscribe_request::Target> {
    fn from(target: TargetArgs) -> Self {
        use subscribe_request::Target;
        let user = target.user.map(Target::User);
        user.or(target.connection.map(Target::ConnectionId))
            .or(target.session.map(Target::SessionId))
    }
}

impl From<TargetArgs> for Option<unsubscribe_request::Target> {
    fn from(target: TargetArgs) -> Self {
        use unsubscribe_request::Target;
        let user = target.user.map(Target::User);
        user.or(target.connection.map(Target::ConnectionId))
            .or(target.session.map(Target::SessionId))
    }
}
