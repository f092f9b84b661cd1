//! The SDK against a scripted gateway, in memory and on paused time: time passes
//! only while nothing else can happen, so "nothing comes" can be asserted.

mod connecting;
mod direct;
mod history;
mod moving;
mod notices;
mod operations;
mod reconnecting;
mod repeating;
mod resuming;
mod scripted;
mod subscriptions;
mod wills;
