//! `X-Forwarded-For`. The lines of the input are its fields; proxies are in 10.0.0.0/8.
//! Who is no proxy is always the client itself, and what stands left of the first
//! address that is none changes nothing.

use std::net::{IpAddr, Ipv4Addr};

use wire::forwarded_client;

const PROXY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9));

pub(crate) fn check(data: &[u8]) {
    let fields: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let client = |peer, fields: &[&[u8]]| forwarded_client(peer, fields.iter().copied(), is_proxy);
    assert_eq!(client(STRANGER, &fields), STRANGER);
    let found = client(PROXY, &fields);
    assert_eq!(found, found.to_canonical());
    if !is_proxy(found) {
        let forged = [&[&b"198.51.100.1, 10.0.0.7"[..]], &fields[..]].concat();
        assert_eq!(client(PROXY, &forged), found);
    }
    let behind = [&fields[..], &[b"203.0.113.9"]].concat();
    assert_eq!(client(PROXY, &behind), STRANGER);
}

fn is_proxy(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[0] == 10)
}
