//! Tokens, keys and permissions.
