//! Which channels there are: the grammar and the namespaces.

use std::collections::HashSet;

use wire::{Channel, client::ErrorCode};

use crate::{config::ControlConfig, status::Refusal};

/// Knows channels by their names.
#[derive(Clone)]
pub(crate) struct Channels {
    namespaces: HashSet<Box<str>>,
    /// Those with presence.
    presence: HashSet<Box<str>>,
    max_bytes: usize,
}

// === impl Channels ===

impl Channels {
    pub(crate) fn new(config: &ControlConfig) -> Self {
        let set = |names: &[String]| names.iter().map(|name| name.as_str().into()).collect();
        Self {
            namespaces: set(&config.namespaces),
            presence: set(&config.presence),
            max_bytes: config.max_channel_bytes,
        }
    }

    /// Takes the name if it is a channel's, in a namespace that exists.
    pub(crate) fn check(&self, name: &str) -> Result<Channel, Refusal> {
        let channel = Channel::parse(name, self.max_bytes)
            .map_err(|error| Refusal::new(ErrorCode::InvalidChannel, error))?;
        if self.namespaces.contains(channel.namespace()) {
            Ok(channel)
        } else {
            let namespace = channel.namespace();
            Err(Refusal::new(ErrorCode::UnknownNamespace, namespace))
        }
    }

    /// Whether it is known who is in the channel.
    pub(crate) fn check_presence(&self, channel: &Channel) -> Result<(), Refusal> {
        match channel.namespace() {
            namespace if self.presence.contains(namespace) => Ok(()),
            namespace => Err(Refusal::new(ErrorCode::NoPresence, namespace)),
        }
    }
}
