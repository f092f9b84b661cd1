//! `tidegate gateway` and `tidegate control`: one role in one process, from its
//! configuration to the end of its drain.

use std::{
    io::{self, Write},
    path::Path,
};

use anyhow::{Result, bail};
use lifecycle::Signals;
use serde_json::json;

use crate::{
    config::load,
    node::{Node, Role},
};

/// Runs until SIGTERM or Ctrl-C, or until the control plane has the gateway
/// drained; a second signal ends at once.
///
/// # Errors
/// If the configuration can't be used, a part fails, or something does not end
/// in time.
pub async fn run(role: Role, config: Option<&Path>, json: bool) -> Result<()> {
    let mut signals = Signals::listen()?;
    let config = load(config)?;
    config.refuse_known_secrets()?;
    telemetry::init_tracing(config.log.format.into(), &config.log.filter)?;
    let node = tokio::select! {
        node = Node::start(&config, role) => node?,
        signal = signals.next() => bail!("{signal} before it served"),
    };
    announce(&node, role, json)?;
    tokio::select! {
        signal = signals.next() => tracing::info!(%signal, "draining"),
        () = node.drain_begun() => tracing::info!("draining: the control plane asked for it"),
        () = node.scope().cancelled() => tracing::error!("a part of the process failed"),
    }
    let end = async {
        node.drain().await;
        node.stop().await
    };
    tokio::select! {
        ended = end => ended,
        signal = signals.next() => bail!("{signal} again: ended without draining"),
    }
}

/// Says where it serves, for scripts as one line of JSON.
fn announce(node: &Node, role: Role, json: bool) -> Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let line = json!({
            "role": role.name(),
            "gateway": node.gateway().map(ToString::to_string),
            "client_url": node.client_url(),
            "grpc_url": node.grpc_url(),
            "admin_url": node.admin_url(),
            "pid": std::process::id(),
        });
        writeln!(out, "{line}")?;
    } else {
        let urls = [node.client_url().map(str::to_owned), node.grpc_url()];
        let served: Vec<_> = urls.into_iter().flatten().collect();
        writeln!(
            out,
            "tidegate {} serves {}",
            role.name(),
            served.join(" and ")
        )?;
    }
    out.flush()?;
    Ok(())
}
