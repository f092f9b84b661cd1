//! Whose connection it is: the peer's, or, where a trusted proxy speaks for somebody,
//! that somebody's.

use std::net::{IpAddr, SocketAddr};

use hyper::HeaderMap;
use ipnet::IpNet;
use tokio::{io::AsyncReadExt, net::TcpStream};
use wire::{PROXY_START_BYTES, ProxyError, ProxyStart};

use super::handshake::Outcome;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Proxies in front of the gateway, and how they say for whom they speak. By default
/// there are none.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// Networks of proxies. `X-Forwarded-For` of anybody else is not looked at.
    pub trusted: Vec<IpNet>,
    /// Every connection comes from there and begins with a header of the PROXY
    /// protocol, version 2; any other is dropped.
    pub header_required: bool,
}

// === impl Proxies ===

impl Proxies {
    /// Whose connection it is, by the header of the PROXY protocol if there is to be
    /// one. Not a byte behind the header is read.
    pub(super) async fn of_connection(
        &self,
        stream: &mut TcpStream,
        peer: SocketAddr,
    ) -> Result<SocketAddr, Outcome> {
        if !self.header_required {
            return Ok(peer);
        }
        if !self.trusts(peer.ip()) {
            return Err(Outcome::NotProxied);
        }
        match header(stream).await {
            Some(Ok(client)) => Ok(client.unwrap_or(peer)),
            Some(Err(error)) => {
                tracing::debug!(%peer, %error, "a connection of a proxy was dropped");
                Err(Outcome::NotProxied)
            }
            None => Err(Outcome::Failed),
        }
    }

    /// Whose request it is, by what proxies added to it. Ports are not told: that of
    /// an address which is not the peer's is 0.
    pub(crate) fn of_request(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.trusts(peer.ip()) {
            return peer;
        }
        let fields = headers.get_all(FORWARDED_FOR).iter();
        let fields = fields.map(|value| value.as_bytes());
        let client = wire::forwarded_client(peer.ip(), fields, |ip| self.trusts(ip));
        match client == peer.ip().to_canonical() {
            true => peer,
            false => SocketAddr::new(client, 0),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted
            .iter()
            .any(|network| network.contains(&address))
    }
}

/// `None`: the peer is gone.
async fn header(stream: &mut TcpStream) -> Option<Result<Option<SocketAddr>, ProxyError>> {
    let mut start = [0; PROXY_START_BYTES];
    stream.read_exact(&mut start).await.ok()?;
    let start = match ProxyStart::parse(&start) {
        Ok(start) => start,
        Err(error) => return Some(Err(error)),
    };
    let mut rest = vec![0; start.rest_bytes()];
    stream.read_exact(&mut rest).await.ok()?;
    Some(start.client(&rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_matched_whatever_form_addresses_have() {
        let networks = ["10.0.0.0/8", "2001:db8::/32"];
        let proxies = Proxies {
            trusted: networks.map(|it| it.parse().expect("a network")).into(),
            header_required: false,
        };
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, "198.51.100.1".parse().expect("valid"));
        for (peer, client) in [
            ("10.1.2.3:4", "198.51.100.1:0"),
            ("[::ffff:10.1.2.3]:4", "198.51.100.1:0"),
            ("[2001:db8::9]:4", "198.51.100.1:0"),
            ("11.0.0.1:4", "11.0.0.1:4"),
            ("[2001:db9::9]:4", "[2001:db9::9]:4"),
        ] {
            let peer = peer.parse().expect("an address");
            assert_eq!(proxies.of_request(peer, &headers).to_string(), client);
        }
        headers.insert(FORWARDED_FOR, "10.9.9.9".parse().expect("valid"));
        let peer = "10.9.9.9:4711".parse().expect("an address");
        assert_eq!(proxies.of_request(peer, &headers), peer);
    }
}
