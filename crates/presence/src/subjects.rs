//! Where gateways speak about presence.

use bus::Subject;
use wire::{Channel, GatewayId};

/// `tg.pr.ch.<channel>`: what gateways with members there tell each other.
pub(crate) fn words(channel: &Channel) -> Subject {
    subject(&format!("tg.pr.ch.{channel}"))
}

/// `tg.pr.at.<channel>`: any of them answers who is there; nobody serves it where
/// nobody is.
pub(crate) fn questions(channel: &Channel) -> Subject {
    subject(&format!("tg.pr.at.{channel}"))
}

/// `tg.pr.gw.<gateway>`: that gateway tells all of its part of a channel.
pub(crate) fn part(gateway: &GatewayId) -> Subject {
    subject(&format!("tg.pr.gw.{gateway}"))
}

/// `tg.pr.beat`: that gateways live.
pub(crate) fn beats() -> Subject {
    subject("tg.pr.beat")
}

fn subject(text: &str) -> Subject {
    Subject::new(text).expect("channels and gateways are made of tokens")
}
