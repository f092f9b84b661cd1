//! Scripted clients and in-process clusters for tests.
