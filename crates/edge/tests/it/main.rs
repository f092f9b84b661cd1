//! A whole gateway on the in-memory bus, and clients that behave or don't.

mod admission;
mod commands;
mod delivery;
mod draining;
mod fanout;
mod faulty_bus;
mod fencing;
mod gateway;
mod handshake;
mod history;
mod latest;
mod limits;
mod mailboxes;
mod moving;
mod outages;
mod protocol;
mod recovery;
mod registering;
mod regressions;
mod repeating;
mod requests;
mod routes;
mod tickets;
mod user_limit;
mod websocket;
mod wills;
