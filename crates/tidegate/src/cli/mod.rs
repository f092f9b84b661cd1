//! The command line: one file for each command, and what they share.
//!
//! Results go to stdout, everything else to stderr, so that output can be piped.

mod args;
mod cluster;
mod config;
mod conformance;
mod connections;
mod dev;
mod explain;
mod failure;
mod gateways;
mod history;
mod key;
mod mailbox;
mod output;
mod payload;
mod presence;
mod publish;
mod request;
mod revoke;
mod role;
mod send;
mod subscribe;
mod token;
mod wills;

use clap::{ColorChoice, Parser, Subcommand};
use tidegate::node::Role;

pub(crate) use self::failure::Failure;

/// Shown below `tidegate --help`; docs/cli.md has the same table.
const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  the operation failed: refused, not found, ...
   2  the command line makes no sense
  64  the configuration can't be used
  69  no connection to the server
  75  overloaded or out of time: trying again may help";

/// The gateway cluster for real-time clients.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print JSON, one object a line, for scripts
    #[arg(long, global = true)]
    json: bool,

    /// Colors in the output; NO_COLOR is honoured as well
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, on an in-memory bus, with a demo token
    Dev(dev::Args),
    /// Run a gateway: holds client connections. Needs NATS
    Gateway(role::Args),
    /// Run a control plane: serves backends by gRPC. Needs NATS
    Control(role::Args),
    /// Run a whole cluster on this machine, for development
    Cluster(cluster::Args),
    /// Get a token for a client
    Token(token::Args),
    /// Take back a token, or all of a user, or end a session for good
    Revoke(revoke::Args),
    /// See what a token is worth
    Introspect(revoke::IntrospectArgs),
    /// Publish to a channel
    Publish(publish::Args),
    /// Print what is published to channels
    Subscribe(subscribe::Args),
    /// Print what a channel's log has
    History(history::Args),
    /// See who is in a channel
    Presence(presence::Args),
    /// Call a route and print the reply
    Request(request::Args),
    /// Send to a user, a session, one connection or all with a label
    Send(send::Args),
    /// Send to everybody
    Broadcast(send::BroadcastArgs),
    /// See what waits in a user's mailbox
    Mailbox(mailbox::Args),
    /// See who is connected, watch, disconnect, subscribe and unsubscribe
    Connections(connections::Args),
    /// See why a connection is slow: what waits for it, its network, its lag
    Explain(explain::Args),
    /// See which gateways there are
    Gateways(gateways::Args),
    /// See what sessions have left to be done when they are gone
    Wills(wills::Args),
    /// Move a gateway's clients to others and end it
    Drain(gateways::DrainArgs),
    /// Make keys: of backends, and keys that sign tokens
    Key(key::Args),
    /// Check and show configurations
    Config(config::Args),
    /// See what a client SDK gets wrong: a scripted gateway, for authors of SDKs
    Conformance(conformance::Args),
}

// === impl Cli ===

impl Cli {
    /// Makes the choice hold for everything printed by this process.
    pub(crate) fn choose_color(&self) {
        let choice = match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }

    /// Runs the command to its end.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let json = self.json;
        match self.command {
            Command::Dev(args) => dev::run(args, json).await,
            Command::Gateway(args) => role::run(args, Role::Gateway, json).await,
            Command::Control(args) => role::run(args, Role::Control, json).await,
            Command::Cluster(args) => cluster::run(args, json).await,
            Command::Token(args) => token::run(args, json).await,
            Command::Revoke(args) => revoke::run(args, json).await,
            Command::Introspect(args) => revoke::introspect(args, json).await,
            Command::Publish(args) => publish::run(args, json).await,
            Command::Subscribe(args) => subscribe::run(args, json).await,
            Command::History(args) => history::run(args, json).await,
            Command::Presence(args) => presence::run(args, json).await,
            Command::Request(args) => request::run(args, json).await,
            Command::Send(args) => send::run(args, json).await,
            Command::Broadcast(args) => send::broadcast(args, json).await,
            Command::Mailbox(args) => mailbox::run(args, json).await,
            Command::Connections(args) => connections::run(args, json).await,
            Command::Explain(args) => explain::run(args, json).await,
            Command::Gateways(args) => gateways::run(args, json).await,
            Command::Wills(args) => wills::run(args, json).await,
            Command::Drain(args) => gateways::drain(args, json).await,
            Command::Key(args) => key::run(args, json),
            Command::Config(args) => config::run(&args, json),
            Command::Conformance(args) => conformance::run(args, json).await,
        }
    }
}

#[cfg(test)]
mod tests;
