//! Who listens to what on one shard: subscriptions, outboxes, delivery policies. Sans-I/O.
