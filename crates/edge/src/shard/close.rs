//! How a connection is closed: Closing event, Close frame, TCP half-close, then
//! what the peer still sends is thrown away until it closes too or the deadline
//! passes (RFC 6455 section 7.1.1; without the half-close our Close frame could
//! be lost to a reset).

use std::{net::Shutdown, time::Duration};

use wire::{CloseCause, CloseVerdict, client::server_event::Event, websocket};

use super::{
    Shard,
    connection::{Closing, Phase},
    member,
    perform::Ending,
};

/// How soon a client may come back where the verdict lets it, in milliseconds:
/// long enough for a gateway or a worker to restart; clients add jitter.
const RETRY_AFTER_MS: u32 = 1000;

impl Shard {
    /// Begins to close; does nothing if it has begun.
    pub(super) fn close(&mut self, slot: usize, cause: CloseCause) {
        self.end(slot, cause.into());
    }

    /// Like [`Self::close`], with a code and a text of the caller's for the
    /// client.
    pub(super) fn close_with(&mut self, slot: usize, cause: CloseCause, code: u16, message: &str) {
        self.begin(
            slot,
            cause.into(),
            code,
            message,
            usual_retry_after_ms(cause),
        );
    }

    /// Like [`Self::close`]; the client may come back after so long.
    pub(super) fn close_until(&mut self, slot: usize, cause: CloseCause, retry_after: Duration) {
        let retry_after_ms = u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX);
        let (code, message) = (cause.code(), cause.message());
        self.begin(slot, cause.into(), code, message, retry_after_ms);
    }

    /// Like [`Self::close`], when the session may have told the client already.
    pub(super) fn end(&mut self, slot: usize, ending: Ending) {
        let cause = ending.cause;
        let retry_after_ms = usual_retry_after_ms(cause);
        self.begin(slot, ending, cause.code(), cause.message(), retry_after_ms);
    }

    fn begin(
        &mut self,
        slot: usize,
        ending: Ending,
        code: u16,
        message: &str,
        retry_after_ms: u32,
    ) {
        let Ending { cause, told } = ending;
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        let resumable = matches!(connection.phase, Phase::Established(_))
            && cause.verdict() != CloseVerdict::Stay
            && self.core.gateway.config.tickets.are_shared();
        let speaks_our_protocol = match connection.phase {
            Phase::Closing(_) => return,
            Phase::Echo => false,
            Phase::Greeting(_) | Phase::Verifying(_) | Phase::Established(_) => true,
        };
        let deadline = self
            .core
            .clock
            .now()
            .after(self.core.gateway.config.close_timeout);
        connection.phase = Phase::Closing(Closing {
            cause,
            deadline,
            shut: false,
        });
        // From now on everything is read, and thrown away.
        connection.flow.leaving = false;
        connection.flow.over_rate = false;
        if std::mem::take(&mut connection.flow.unread) {
            self.unread.push(slot);
        }
        // Nothing of it is needed any more, and it may be large.
        connection.reader = Default::default();
        self.core.actions.clear();
        self.core.absent_everywhere(slot, connection, cause);
        for channel in self.core.hub.silence(member(slot)) {
            self.core.abandon(&channel);
        }
        if speaks_our_protocol && !told && cause != CloseCause::ClosedByPeer {
            let mut event = session::closing(cause, retry_after_ms, resumable);
            if let Some(Event::Closing(closing)) = &mut event.event {
                closing.close_code = code.into();
                message.clone_into(&mut closing.message);
            }
            self.core.hub.send(member(slot), &event, None);
        }
        let mut frame = Vec::new();
        websocket::close_frame(code, message, &mut frame);
        self.core.hub.send_frame(member(slot), frame.into());
    }

    /// Everything is written: tells the peer so by shutting our side.
    pub(super) fn finish_close(&mut self, slot: usize) {
        let Some(connection) = self.connections.get_mut(slot) else {
            return;
        };
        let Phase::Closing(closing) = &mut connection.phase else {
            return;
        };
        if closing.shut {
            return;
        }
        closing.shut = true;
        let cause = closing.cause;
        connection.say_goodbye(&mut self.core.secured);
        // The peer closed first and has our answer: nothing more can come.
        let failed = connection.stream.shutdown(Shutdown::Write).is_err();
        if failed || cause == CloseCause::ClosedByPeer {
            self.remove(slot, cause);
        }
    }
}

/// How soon a client may come back after this, if at all, in milliseconds.
fn usual_retry_after_ms(cause: CloseCause) -> u32 {
    match cause.verdict() {
        CloseVerdict::Reconnect => RETRY_AFTER_MS,
        CloseVerdict::Stay | CloseVerdict::Resume => 0,
    }
}
