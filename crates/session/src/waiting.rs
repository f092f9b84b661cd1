//! What only a busy session holds; boxed, so that an idle one is small.

use std::collections::VecDeque;

use wire::{Channel, client::ClientEvent};

/// Events kept back by a full window, and subscribes without an answer. Holds
/// no heap while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Option<Box<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    /// The rest of one message: nothing is read while there are any.
    events: VecDeque<ClientEvent>,
    /// Bounded by the window, as each is in flight.
    subscribes: Vec<PendingSubscribe>,
}

#[derive(Debug)]
struct PendingSubscribe {
    id: u32,
    channel: Channel,
    /// Id of the Unsubscribe that came meanwhile.
    unsubscribe: Option<u32>,
}

// === impl Waiting ===

impl Waiting {
    pub(crate) fn has_events(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|contents| !contents.events.is_empty())
    }

    pub(crate) fn keep_event(&mut self, event: ClientEvent) {
        self.0.get_or_insert_default().events.push_back(event);
    }

    pub(crate) fn next_event(&mut self) -> Option<ClientEvent> {
        let event = self.0.as_mut()?.events.pop_front();
        self.free_if_empty();
        event
    }

    pub(crate) fn begin_subscribe(&mut self, id: u32, channel: Channel) {
        let subscribe = PendingSubscribe {
            id,
            channel,
            unsubscribe: None,
        };
        self.0.get_or_insert_default().subscribes.push(subscribe);
    }

    pub(crate) fn is_subscribing(&self, channel: &Channel) -> bool {
        self.0
            .as_ref()
            .is_some_and(|contents| contents.subscribes.iter().any(|it| it.channel == *channel))
    }

    /// Puts an Unsubscribe behind the pending Subscribe of its channel. `None`:
    /// nothing is pending; `Some(false)`: another Unsubscribe is there already.
    pub(crate) fn unsubscribe_later(&mut self, id: u32, channel: &Channel) -> Option<bool> {
        let subscribes = &mut self.0.as_mut()?.subscribes;
        let pending = subscribes.iter_mut().find(|it| it.channel == *channel)?;
        let first = pending.unsubscribe.is_none();
        pending.unsubscribe.get_or_insert(id);
        Some(first)
    }

    /// Ends a pending subscribe; gives the Unsubscribe behind it, if there is one.
    pub(crate) fn end_subscribe(&mut self, id: u32) -> Option<(u32, Channel)> {
        let subscribes = &mut self.0.as_mut()?.subscribes;
        let index = subscribes.iter().position(|it| it.id == id)?;
        let ended = subscribes.swap_remove(index);
        self.free_if_empty();
        Some((ended.unsubscribe?, ended.channel))
    }

    fn free_if_empty(&mut self) {
        if self
            .0
            .as_ref()
            .is_some_and(|it| it.events.is_empty() && it.subscribes.is_empty())
        {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_is_given_back_when_nothing_waits() {
        let channel = Channel::parse("a", 255).expect("valid");
        let mut waiting = Waiting::default();
        waiting.keep_event(ClientEvent::default());
        waiting.begin_subscribe(1, channel);
        assert_eq!(waiting.next_event(), Some(ClientEvent::default()));
        assert!(waiting.0.is_some());
        assert_eq!(waiting.end_subscribe(1), None);
        assert!(waiting.0.is_none());
    }
}
