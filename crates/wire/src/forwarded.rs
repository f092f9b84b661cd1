//! `X-Forwarded-For`: each proxy adds, at the right, the address that spoke to it.

use std::net::{IpAddr, SocketAddr};

/// Entries looked at; a chain of proxies is never so long.
const MAX_HOPS: usize = 16;

/// Whose request it is: `peer`'s own, unless that is a proxy that we trust; then that
/// of the rightmost entry of the `fields` (in the order in which they came) that is no
/// such proxy. Whatever is left of it was written by somebody whom nobody has to
/// believe. Where an entry is no address, the proxy that let it in counts as the client.
pub fn forwarded_client<'h>(
    peer: IpAddr,
    fields: impl DoubleEndedIterator<Item = &'h [u8]>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    let hops = fields
        .rev()
        .flat_map(|field| field.rsplit(|it| *it == b','));
    for hop in hops.take(MAX_HOPS) {
        if !is_trusted(client) {
            break;
        }
        match address(hop) {
            Some(next) => client = next,
            None => break,
        }
    }
    client
}

/// An address, with or without a port and brackets.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bracketed = || hop.strip_prefix('[')?.strip_suffix(']');
    let address = match hop.parse::<SocketAddr>() {
        Ok(address) => address.ip(),
        Err(_) => bracketed().unwrap_or(hop).parse().ok()?,
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, fields: &[&str]) -> String {
        let peer = peer.parse().expect("an address");
        let is_trusted = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => ip.octets()[0] == 10,
            IpAddr::V6(ip) => ip.segments()[0] == 0xfd00,
        };
        let fields = fields.iter().map(|field| field.as_bytes());
        forwarded_client(peer, fields, is_trusted).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_no_proxy_of_ours() {
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        let forged = &["1.1.1.1, 198.51.100.1"];
        assert_eq!(client("10.0.0.1", forged), "198.51.100.1");
        let chain = &["1.1.1.1, 198.51.100.1", "10.0.0.2,10.0.0.3"];
        assert_eq!(client("10.0.0.1", chain), "198.51.100.1");
    }

    #[test]
    fn addresses_come_in_every_usual_form() {
        for (field, address) in [
            ("198.51.100.1:4711", "198.51.100.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("\t198.51.100.1 ", "198.51.100.1"),
        ] {
            assert_eq!(client("::ffff:10.0.0.1", &[field]), address, "{field}");
        }
    }

    #[test]
    fn what_is_no_address_is_the_doing_of_who_let_it_in() {
        for field in [
            "",
            "unknown",
            "1.1.1.1, _hidden",
            "1.1.1",
            "[::1",
            "fe80::1%eth0",
        ] {
            assert_eq!(client("10.0.0.1", &[field]), "10.0.0.1", "{field}");
        }
        assert_eq!(client("10.0.0.1", &["junk, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn of_proxies_alone_the_farthest_is_the_client_within_bounds() {
        assert_eq!(client("10.0.0.1", &["10.0.0.3", "10.0.0.2"]), "10.0.0.3");
        let endless = vec!["10.0.0.9"; 1000].join(",");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", &endless]), "10.0.0.9");
    }
}
