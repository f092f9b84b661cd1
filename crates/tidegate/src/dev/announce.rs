//! What `tidegate dev` says when it is ready.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use anyhow::Result;

use super::DEMO_USER;
use crate::node::Node;

/// Where the command line looks when it is not told.
const DEFAULT_CLIENT_URL: &str = "ws://127.0.0.1:7400/v1/ws";
const DEFAULT_GRPC_URL: &str = "http://127.0.0.1:7410";

/// One line of JSON, for scripts.
pub(super) fn json(node: &Node, token: &str) -> Result<()> {
    let client_url = node.client_url().unwrap_or_default();
    let line = serde_json::json!({
        "client_url": client_url,
        "echo_url": client_url.replace("/v1/ws", "/v1/echo"),
        "grpc_url": node.grpc_url(),
        "admin_url": node.admin_url(),
        "token": token,
        "pid": std::process::id(),
    });
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}

/// For people: where it is, a token, and commands that work as they stand.
pub(super) fn text(node: &Node, token: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let (bold, dim, plain) = match out.is_terminal() {
        true => ("\x1b[1m", "\x1b[2m", "\x1b[0m"),
        false => ("", "", ""),
    };
    let url = node.client_url().unwrap_or_default();
    let (grpc, admin) = (node.grpc_url().unwrap_or_default(), node.admin_url());
    let authority = grpc.trim_start_matches("http://");
    let tidegate = command();
    let by_grpc = option("grpc", &grpc, DEFAULT_GRPC_URL);
    let by_client = option("url", url, DEFAULT_CLIENT_URL);
    writeln!(
        out,
        "\
{bold}Tidegate is running{plain} {dim}(development node: in-memory bus, nothing is kept){plain}

  clients   {url}
  gRPC      {grpc}
  metrics   {admin}/metrics

{bold}A token for user `{DEMO_USER}`{plain}, valid for 12 hours
  {token}

{bold}Try in another terminal{plain}
  {tidegate} subscribe demo.hello{by_client}{by_grpc}
  {tidegate} publish demo.hello 'Hello, tide!'{by_grpc}
  {tidegate} request echo 'Is anybody there?'{by_client}{by_grpc}
  {dim}grpcurl -plaintext -d '{{\"publication\":{{\"channel\":\"demo.hello\",\"payload\":\"aGk=\"}}}}' \\
    {authority} tidegate.control.v1.PublishService/Publish{plain}

Ctrl-C stops it."
    )?;
    Ok(())
}

/// How this program is called from the same folder.
fn command() -> String {
    let Ok(program) = env::current_exe() else {
        return "tidegate".to_owned();
    };
    let search = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&search).any(|folder| folder.join("tidegate") == program) {
        return "tidegate".to_owned();
    }
    let here = env::current_dir().unwrap_or_default();
    program
        .strip_prefix(here)
        .unwrap_or(&program)
        .display()
        .to_string()
}

/// ` --name value`, unless the value is the default.
fn option(name: &str, value: &str, default: &str) -> String {
    if value == default {
        String::new()
    } else {
        format!(" --{name} {value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_only_shown_where_the_default_is_wrong() {
        assert_eq!(option("grpc", DEFAULT_GRPC_URL, DEFAULT_GRPC_URL), "");
        assert_eq!(
            option("grpc", "http://127.0.0.1:1", DEFAULT_GRPC_URL),
            " --grpc http://127.0.0.1:1"
        );
    }
}
