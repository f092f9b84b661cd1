//! Who of this shard is in channels with presence, and who is told about it.
//!
//! The roster knows members; here is which connections they are of, and how far
//! each of those that are told has been told: nothing yet, or a snapshot and what
//! followed.

use std::rc::Rc;

use foldhash::{HashMap, HashMapExt};
use presence::{Audience, Member, Told};
use wire::{
    Channel, CloseCause, CloseVerdict, Subprotocol,
    client::{PresenceChange, ServerEvent, SubscribeOptions, server_event::Event},
};

use super::{
    Core,
    connection::{Connection, slot_number},
    member,
};

/// Subscriptions of a connection that are under way and will be told; the oldest
/// wishes of more are forgotten.
const MAX_WISHES: usize = 256;

/// The connections of a shard that are members somewhere.
#[derive(Default)]
pub(super) struct Attendance {
    by_slot: HashMap<u32, Vec<Attending>>,
    /// Who is told about a channel.
    watchers: HashMap<Channel, Vec<u32>>,
}

/// A connection's place in a channel.
struct Attending {
    channel: Channel,
    /// It is subscribed; otherwise it is about to be.
    is_in: bool,
    watch: Watch,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Watch {
    /// Nothing: it did not ask.
    No,
    /// A snapshot is next.
    Awaits,
    /// It had one; changes are next.
    Follows,
}

// === impl Attendance ===

impl Attendance {
    fn place(&mut self, slot: u32, channel: &Channel) -> Option<&mut Attending> {
        let places = self.by_slot.get_mut(&slot)?;
        places.iter_mut().find(|it| it.channel == *channel)
    }

    /// A subscription that is under way will be told.
    fn wish(&mut self, slot: u32, channel: &Channel) {
        if self.place(slot, channel).is_some() {
            return;
        }
        let places = self.by_slot.entry(slot).or_default();
        if places.iter().filter(|it| !it.is_in).count() >= MAX_WISHES
            && let Some(oldest) = places.iter().position(|it| !it.is_in)
        {
            places.remove(oldest);
        }
        places.push(Attending {
            channel: channel.clone(),
            is_in: false,
            watch: Watch::Awaits,
        });
    }

    fn forget_wish(&mut self, slot: u32, channel: &Channel) {
        if self.place(slot, channel).is_some_and(|it| !it.is_in) {
            self.leave(slot, channel);
        }
    }

    /// The connection is subscribed; whether it will be told.
    fn enter(&mut self, slot: u32, channel: &Channel) -> bool {
        let watches = match self.place(slot, channel) {
            Some(place) => {
                place.is_in = true;
                place.watch != Watch::No
            }
            None => {
                self.by_slot.entry(slot).or_default().push(Attending {
                    channel: channel.clone(),
                    is_in: true,
                    watch: Watch::No,
                });
                false
            }
        };
        if watches {
            self.watchers.entry(channel.clone()).or_default().push(slot);
        }
        watches
    }

    /// Begins or ends telling a subscribed connection; whether that changed.
    fn set_watch(&mut self, slot: u32, channel: &Channel, watches: bool) -> bool {
        let Some(place) = self.place(slot, channel).filter(|it| it.is_in) else {
            return false;
        };
        if (place.watch != Watch::No) == watches {
            return false;
        }
        place.watch = if watches { Watch::Awaits } else { Watch::No };
        match watches {
            true => self.watchers.entry(channel.clone()).or_default().push(slot),
            false => self.unwatch(slot, channel),
        }
        true
    }

    /// The connection is not subscribed any more; whether it was a member, and
    /// whether it was told.
    fn leave(&mut self, slot: u32, channel: &Channel) -> Option<bool> {
        let places = self.by_slot.get_mut(&slot)?;
        let index = places.iter().position(|it| it.channel == *channel)?;
        let place = places.swap_remove(index);
        if places.is_empty() {
            self.by_slot.remove(&slot);
        }
        let watched = place.is_in && place.watch != Watch::No;
        if watched {
            self.unwatch(slot, channel);
        }
        place.is_in.then_some(watched)
    }

    fn unwatch(&mut self, slot: u32, channel: &Channel) {
        if let Some(watchers) = self.watchers.get_mut(channel) {
            watchers.retain(|it| *it != slot);
            if watchers.is_empty() {
                self.watchers.remove(channel);
            }
        }
    }

    fn channels(&self, slot: u32) -> Vec<Channel> {
        let places = self.by_slot.get(&slot).into_iter().flatten();
        places.map(|it| it.channel.clone()).collect()
    }

    /// Channels that the connection is told about.
    pub(super) fn watched(&self, slot: u32) -> impl Iterator<Item = &Channel> {
        let places = self.by_slot.get(&slot).into_iter().flatten();
        let watched = places.filter(|it| it.watch != Watch::No);
        watched.map(|it| &it.channel)
    }
}

// === impl Core ===

impl Core {
    /// Notes that a client that is about to subscribe wants to be told.
    pub(super) fn wish(&mut self, slot: usize, channel: &Channel, options: &SubscribeOptions) {
        let slot = slot_number(slot);
        // Of an earlier one that failed.
        self.attendance.forget_wish(slot, channel);
        if options.presence && self.keeps_presence(channel) {
            self.attendance.wish(slot, channel);
        }
    }

    /// The client is subscribed to the channel.
    pub(super) fn attend(&mut self, slot: usize, connection: &Connection, channel: &Channel) {
        if !self.keeps_presence(channel) {
            return;
        }
        let (Some(roster), Some(member)) = (&self.gateway.roster, self.member_of(slot, connection))
        else {
            return;
        };
        roster.enter(channel, member);
        if self.attendance.enter(slot_number(slot), channel) {
            roster.watch(channel);
        }
    }

    /// The client is told from now on, or not.
    pub(super) fn set_watch(&mut self, slot: usize, channel: &Channel, watches: bool) {
        let changed = self
            .attendance
            .set_watch(slot_number(slot), channel, watches);
        if let Some(roster) = self.gateway.roster.as_ref().filter(|_| changed) {
            match watches {
                true => roster.watch(channel),
                false => roster.unwatch(channel),
            }
        }
    }

    /// The client is not subscribed any more. `lingers`: its session may come back.
    pub(super) fn absent(
        &mut self,
        slot: usize,
        connection: &Connection,
        channel: &Channel,
        lingers: bool,
    ) {
        let was_in = self.attendance.leave(slot_number(slot), channel);
        if let (Some(roster), Some(watched)) = (&self.gateway.roster, was_in) {
            if watched {
                roster.unwatch(channel);
            }
            roster.leave(channel, connection.profile.session, lingers);
        }
    }

    /// The connection ends, and with it all its subscriptions.
    pub(super) fn absent_everywhere(
        &mut self,
        slot: usize,
        connection: &Connection,
        cause: CloseCause,
    ) {
        let lingers = cause.verdict() != CloseVerdict::Stay || cause == CloseCause::SessionReplaced;
        for channel in self.attendance.channels(slot_number(slot)) {
            self.absent(slot, connection, &channel, lingers);
        }
    }

    /// Tells those who asked what the roster says.
    pub(super) fn tell_presence(&mut self, channel: &Channel, told: &Told) {
        let (Some(live), Some(slots)) = (
            self.channels.live(channel),
            self.attendance.watchers.get(channel).cloned(),
        ) else {
            return;
        };
        let alias = live.alias();
        let mut frames: HashMap<Subprotocol, Rc<[u8]>> = HashMap::new();
        let limits = self.gateway.config.outbox;
        let mut again = false;
        for slot in slots {
            let Some(place) = self.attendance.place(slot, channel) else {
                continue;
            };
            let meant = match told.audience {
                Audience::Everybody => true,
                Audience::Newcomers => place.watch == Watch::Awaits,
                Audience::Others => place.watch == Watch::Follows,
            };
            let member = member(slot as usize);
            let Some(subprotocol) = self.hub.subprotocol(member).filter(|_| meant) else {
                continue;
            };
            let frame = frames
                .entry(subprotocol)
                .or_insert_with(|| frame_of(told, alias, subprotocol));
            let outbox = self.hub.outbox(member);
            let fits = outbox.bytes() + frame.len() <= limits.bytes / 2
                && outbox.items() < limits.items / 2;
            if fits {
                place.watch = Watch::Follows;
                self.hub.send_state(member, alias, frame.clone());
            } else {
                // Who reads slowly gets everything anew when there is room.
                place.watch = Watch::Awaits;
                again = true;
            }
        }
        if let Some(roster) = self.gateway.roster.as_ref().filter(|_| again) {
            roster.watch_anew(channel);
        }
    }

    /// The client as others see it.
    pub(super) fn member_of(&self, slot: usize, connection: &Connection) -> Option<Member> {
        let identity = connection.profile.identity.as_ref()?;
        Some(Member {
            user: identity.user.clone(),
            session: connection.profile.session,
            connection: self.connection_id(slot, connection.generation),
        })
    }

    fn keeps_presence(&self, channel: &Channel) -> bool {
        let policy = self.gateway.config.policies.of(channel);
        policy.is_some_and(|policy| policy.presence)
    }
}

fn frame_of(told: &Told, alias: u32, subprotocol: Subprotocol) -> Rc<[u8]> {
    let change = PresenceChange {
        alias,
        ..told.change.clone()
    };
    let event = ServerEvent {
        event: Some(Event::PresenceChange(change)),
    };
    hub::frame(&event, subprotocol)
}
