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
    /// Bounded by the window, as each is in flight, and (those of the control
    /// plane) by the limit of subscriptions.
    subscribes: Vec<PendingSubscribe>,
}

#[derive(Debug)]
struct PendingSubscribe {
    /// Zero: the control plane wants it.
    id: u32,
    channel: Channel,
    /// Id of the Unsubscribe that came meanwhile; zero: the control plane's.
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

    /// Whether this very subscribe is pending.
    pub(crate) fn awaits(&self, id: u32, channel: &Channel) -> bool {
        self.0
            .as_ref()
            .is_some_and(|contents| contents.subscribes.iter().any(|it| it.is(id, channel)))
    }

    /// Whether a pending Subscribe of the channel will stand. An Unsubscribe of
    /// the control plane behind it is taken back.
    pub(crate) fn keep_subscribing(&mut self, channel: &Channel) -> bool {
        let Some(contents) = &mut self.0 else {
            return false;
        };
        let mut pending = contents.subscribes.iter_mut();
        let stands = |it: &&mut PendingSubscribe| {
            it.channel == *channel && matches!(it.unsubscribe, None | Some(0))
        };
        let kept = pending.find(stands).map(|it| it.unsubscribe = None);
        kept.is_some()
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
        let mut pending = subscribes.iter_mut().filter(|it| it.channel == *channel);
        let mut last = pending.next()?;
        // The control plane may have subscribed anew behind an Unsubscribe.
        while last.unsubscribe.is_some() {
            let Some(next) = pending.next() else {
                return Some(false);
            };
            last = next;
        }
        last.unsubscribe = Some(id);
        Some(true)
    }

    /// Puts an Unsubscribe of the gateway's behind each pending Subscribe of the
    /// client's to one of these channels.
    pub(crate) fn unsubscribe_those(&mut self, mut which: impl FnMut(&Channel) -> bool) {
        let contents = self.0.iter_mut();
        for pending in contents.flat_map(|contents| &mut contents.subscribes) {
            if pending.id != 0 && pending.unsubscribe.is_none() && which(&pending.channel) {
                pending.unsubscribe = Some(0);
            }
        }
    }

    /// Ends a pending subscribe; gives the Unsubscribe behind it, if there is one.
    pub(crate) fn end_subscribe(&mut self, id: u32, channel: &Channel) -> Option<u32> {
        let subscribes = &mut self.0.as_mut()?.subscribes;
        let index = subscribes.iter().position(|it| it.is(id, channel))?;
        // In order: the control plane may have two of the same channel.
        let ended = subscribes.remove(index);
        self.free_if_empty();
        ended.unsubscribe
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

// === impl PendingSubscribe ===

impl PendingSubscribe {
    fn is(&self, id: u32, channel: &Channel) -> bool {
        self.id == id && self.channel == *channel
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
        waiting.begin_subscribe(1, channel.clone());
        assert_eq!(waiting.next_event(), Some(ClientEvent::default()));
        assert!(waiting.0.is_some());
        assert_eq!(waiting.end_subscribe(1, &channel), None);
        assert!(waiting.0.is_none());
    }
}
