//! What is meant for one member.

use std::rc::Rc;

use wire::client::{ServerEvent, server_event::Event};

use crate::{
    fact::Receipt,
    frame::Frame,
    hub::Hub,
    item::{Control, Item, Urgency},
    member::MemberId,
};

// === impl Hub ===

impl Hub {
    /// Queues an event for one member. A `receipt` comes back in
    /// [`Fact::Written`]. If it does not fit, even with publications dropped as
    /// far as their policies allow, the member overflows.
    pub fn send(&mut self, member: MemberId, event: &ServerEvent, receipt: Option<Receipt>) {
        let Some(subprotocol) = self.members.get(member).map(|member| member.subprotocol) else {
            return;
        };
        let frame = Rc::from(&*Frame::of_event(subprotocol, event));
        let (urgency, alias) = match &event.event {
            Some(Event::Subscribed(subscribed)) => (Urgency::First, subscribed.alias),
            Some(Event::Unsubscribed(unsubscribed)) => (Urgency::First, unsubscribed.alias),
            // Who asked with a ping, is told to go, or what its new token permits, has
            // read what was before it; pages are large, and nobody hurries for them.
            Some(
                Event::Pong(_) | Event::Closing(_) | Event::Refreshed(_) | Event::HistoryResult(_),
            ) => (Urgency::InTurn, 0),
            _ => (Urgency::First, 0),
        };
        let control = Box::new(Control { frame, receipt });
        self.queue(
            member,
            Item::Control {
                urgency,
                alias,
                control,
            },
        );
    }

    /// Queues a whole WebSocket frame (ping, pong, close) for one member, under
    /// the same rule as [`Self::send`], behind all that waits. It must not be empty.
    pub fn send_frame(&mut self, member: MemberId, frame: Rc<[u8]>) {
        self.send_state(member, 0, frame);
    }

    /// The same for a frame with the latest state of a channel, by its number: the
    /// channel's publications come behind it.
    pub fn send_state(&mut self, member: MemberId, alias: u32, frame: Rc<[u8]>) {
        debug_assert!(!frame.is_empty(), "a frame has a header at least");
        let receipt = None;
        let control = Box::new(Control { frame, receipt });
        self.queue(
            member,
            Item::Control {
                urgency: Urgency::InTurn,
                alias,
                control,
            },
        );
    }

    fn queue(&mut self, member: MemberId, control: Item) {
        self.members.queue(member, control);
        self.settle();
    }
}
