//! A TCP proxy that can cut its connections off without closing them, as a
//! network partition does.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// A proxy; ends with its connections when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    open: watch::Sender<bool>,
    severed: watch::Sender<()>,
    task: AbortHandle,
}

/// Whether connections pass, and a word that ends them.
type Controls = (watch::Receiver<bool>, watch::Receiver<()>);

// === impl Proxy ===

impl Proxy {
    /// Listens on a port of its own and passes on to `address`, `host:port`.
    pub async fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let own = listener.local_addr().expect("bound");
        let open = watch::Sender::new(true);
        let severed = watch::Sender::new(());
        let from = (open.subscribe(), severed.subscribe());
        let serving = serve(listener, address.to_owned(), from);
        #[expect(
            clippy::disallowed_methods,
            reason = "the only task of a proxy, which owns it and aborts it"
        )]
        let task = tokio::spawn(serving).abort_handle();
        Self {
            address: own,
            open,
            severed,
            task,
        }
    }

    /// Where it listens, as host and port.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Passes nothing on any more: connections stay open and silent.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Ends all connections, with what they hold. New ones come as
    /// [`Proxy::cut`] and [`Proxy::heal`] let them.
    pub fn sever(&self) {
        self.severed.send_replace(());
    }

    /// Passes everything on again, what was sent meanwhile included.
    pub fn heal(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, address: String, controls: Controls) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((near, _)) = accepted {
                connections.spawn(pass(near, address.clone(), controls.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn pass(near: TcpStream, address: String, (mut open, mut severed): Controls) {
    severed.mark_unchanged();
    if open.wait_for(|open| *open).await.is_err() {
        return;
    }
    // Whoever is not there is answered by the end of the connection.
    let Ok(far) = TcpStream::connect(&address).await else {
        return;
    };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(near_in, far_out, open.clone()) => {}
        () = pump(far_in, near_out, open) => {}
        _ = severed.changed() => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut open: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let is_open = open.wait_for(|open| *open).await.is_ok();
        if !is_open || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_cut_holds_back_and_a_heal_delivers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let proxy = Proxy::to(&address).await;
        let mut near = TcpStream::connect(proxy.address()).await.expect("connects");
        let (mut far, _) = listener.accept().await.expect("is reached");
        proxy.cut();
        near.write_all(b"x").await.expect("is taken");
        let mut byte = [0];
        let held = tokio::time::timeout(Duration::from_millis(100), far.read(&mut byte)).await;
        assert!(held.is_err());
        proxy.heal();
        assert_eq!(far.read(&mut byte).await.expect("comes"), 1);
    }
}
