//! Headers of the PROXY protocol. The input is a connection: what is read of it is the
//! header and not a byte behind it, and a header that names a client is of exactly the
//! bytes that it says.

use wire::{PROXY_START_BYTES, ProxyStart};

pub(crate) fn check(data: &[u8]) {
    let Some((start, behind)) = data.split_first_chunk::<PROXY_START_BYTES>() else {
        return;
    };
    let Ok(start) = ProxyStart::parse(start) else {
        return;
    };
    assert!(start.rest_bytes() <= 2048);
    // Of any other length it is none.
    assert!(start.client(&vec![0; start.rest_bytes() + 1]).is_err());
    let Some(rest) = behind.get(..start.rest_bytes()) else {
        return;
    };
    if let Ok(Some(client)) = start.client(rest) {
        assert!(rest.len() >= 12, "{client} of {rest:?}");
        assert_eq!(client.ip(), client.ip().to_canonical());
    }
}
