//! Listeners, upgrade, shards and the connection loop.
