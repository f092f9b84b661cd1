//! Links and servers, with the library's own client on the other side.

mod link;
mod peer;
mod server;
