//! The operations of one client that await their answer.

use smallvec::SmallVec;

/// What an id stands for.
///
/// ```text
///   Request --Cancel--> Cancelled --late reply--> (free)
///      +-----------------reply------------------> (free)
///   any other ------------------answer---------> (free)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Awaits Accepted or Error.
    Publish,
    /// Awaits Response.
    Request,
    /// Has its Response; the reply that is still to come must not be taken for
    /// that of a later request with the same id.
    Cancelled,
    /// Awaits Subscribed or Error.
    Subscribe,
    /// Awaits Unsubscribed or Error.
    Unsubscribe,
    /// Awaits Accepted or Error.
    SetSubscription,
    /// Awaits HistoryResult or Error.
    History,
    /// Awaits Accepted or Error.
    Will,
    /// Awaits PresenceResult or Error.
    Presence,
    /// Awaits Accepted or Error.
    Signal,
    /// Awaits Refreshed or Error.
    Refresh,
}

/// Ids in use, bounded by the window. Searched from end to end: a window is
/// short, and the ids of a whole usual one fit into a few cache lines.
#[derive(Debug, Default)]
pub(crate) struct InFlight(SmallVec<[(u32, Operation); 2]>);

// === impl InFlight ===

impl InFlight {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        self.0.iter().any(|&(used, _)| used == id)
    }

    /// Whether an operation of this kind awaits its answer.
    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.0.iter().any(|&(_, used_for)| used_for == operation)
    }

    /// Takes an id into use, which must be free.
    pub(crate) fn begin(&mut self, id: u32, operation: Operation) {
        self.0.push((id, operation));
    }

    /// Frees the id if it stands for this operation.
    pub(crate) fn end(&mut self, id: u32, operation: Operation) -> bool {
        let Some(index) = self.0.iter().position(|&entry| entry == (id, operation)) else {
            return false;
        };
        self.0.swap_remove(index);
        if self.0.is_empty() {
            // Gives back what a busy moment took from the heap.
            self.0 = SmallVec::new();
        }
        true
    }

    /// Marks a request as cancelled, if there is one.
    pub(crate) fn cancel(&mut self, id: u32) -> bool {
        let request = self
            .0
            .iter_mut()
            .find(|entry| **entry == (id, Operation::Request));
        let found = request.is_some();
        if let Some((_, operation)) = request {
            *operation = Operation::Cancelled;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_another_kind_does_not_free_the_id() {
        let mut in_flight = InFlight::default();
        in_flight.begin(1, Operation::Publish);
        assert!(!in_flight.end(1, Operation::Request));
        assert!(in_flight.contains(1));
        assert!(in_flight.end(1, Operation::Publish));
        assert!(!in_flight.contains(1));
    }

    #[test]
    fn the_heap_is_given_back_when_nothing_is_in_flight() {
        let mut in_flight = InFlight::default();
        (1..=100).for_each(|id| in_flight.begin(id, Operation::Request));
        assert!(in_flight.0.spilled());
        assert!((1..=100).all(|id| in_flight.end(id, Operation::Request)));
        assert!(!in_flight.0.spilled());
    }

    #[test]
    fn only_requests_are_cancelled_and_only_once() {
        let mut in_flight = InFlight::default();
        in_flight.begin(1, Operation::Publish);
        in_flight.begin(2, Operation::Request);
        assert!(!in_flight.cancel(1));
        assert!(in_flight.cancel(2));
        assert!(!in_flight.cancel(2));
        assert!(in_flight.end(2, Operation::Cancelled));
    }
}
