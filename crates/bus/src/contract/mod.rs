//! What every [`Bus`] does, as checks that an adapter's tests run one by one.
//!
//! An adapter's test file holds one line:
//!
//! ```ignore
//! bus::contract::tests!(make);
//! ```
//!
//! where `async fn make() -> Fixture` gives a fresh bus of its own to each
//! check. Checks fail by panicking. They wait for what must happen, at most
//! [`PATIENCE`], and never for time to pass.

mod delivering;
mod logging;
mod probes;
mod requesting;
mod standing_in;
mod subscribing;
mod tabling;

use std::{pin::Pin, sync::Arc, time::Duration};

pub use delivering::*;
pub use logging::*;
pub use requesting::*;
pub use standing_in::passes_on;
pub use subscribing::*;
pub use tabling::*;

#[doc(inline)]
pub use crate::contract_tests as tests;
use crate::port::Bus;

/// How long a check waits for what must happen before it fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A bus for one check.
#[expect(missing_debug_implementations, reason = "holds a future")]
pub struct Fixture {
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// What must be polled for the bus to work; ends only if it fails.
    pub background: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Runs one check on its bus.
pub async fn check<F: Future<Output = ()>>(fixture: Fixture, case: impl FnOnce(Arc<dyn Bus>) -> F) {
    tokio::select! {
        () = case(fixture.bus) => {}
        () = fixture.background => panic!("the bus ended before the check did"),
    }
}

/// One `#[tokio::test]` for each check, on buses made by the given function.
#[macro_export]
macro_rules! contract_tests {
    ($make:path) => {
        $crate::contract_tests!(@each $make:
            // delivering
            a_message_arrives_as_it_was_published
            a_message_without_a_time_is_stamped
            every_subscriber_gets_every_message
            one_publishers_messages_keep_their_order
            concurrent_publishers_are_seen_in_one_order
            a_sink_is_given_one_message_of_a_subject_at_a_time
            publishing_to_nobody_succeeds
            publishers_do_not_wait_for_a_slow_sink
            a_full_queue_refuses_or_tells_what_it_lost
            a_sink_may_publish_elsewhere
            // subscribing
            wildcards_get_what_they_match
            a_wildcard_gets_subjects_that_were_in_use_before
            nothing_is_missed_after_confirmation
            nothing_is_missed_after_confirmation_of_a_wildcard
            confirmation_comes_before_the_first_delivery
            wildcard_confirmation_comes_before_the_first_delivery
            an_ended_subscription_gets_nothing
            an_ended_wildcard_gets_nothing
            unknown_tokens_are_ignored
            // logging
            offsets_grow_and_name_their_predecessor
            a_subscription_tells_where_it_continues_from
            a_subscription_without_a_log_has_no_position
            history_and_subscription_join_without_a_gap
            a_log_keeps_no_more_than_its_limit
            a_repeated_declaration_changes_the_limits
            aged_messages_leave_the_log
            a_repeated_message_id_is_stored_once
            concurrent_repetitions_are_stored_once
            a_message_id_counts_for_one_subject
            history_is_read_in_pages
            a_page_ends_at_its_bytes
            history_is_read_since_a_time
            history_since_a_time_without_messages_is_empty
            a_subject_without_a_log_has_no_history
            an_unused_log_is_empty
            a_read_past_the_end_tells_the_position
            // tabling
            an_entry_is_read_as_it_was_written
            an_entry_is_overwritten
            an_empty_value_is_an_entry
            revisions_grow_within_a_table
            entries_are_found_by_patterns
            a_removed_entry_is_gone
            a_write_that_expects_wrongly_changes_nothing
            a_removal_that_expects_wrongly_changes_nothing
            a_removed_entry_counts_as_absent
            a_concurrent_compare_and_set_has_one_winner
            entries_past_their_age_vanish
            an_undeclared_table_is_refused
            tables_are_apart
            many_entries_are_read_back_whole
            declaring_a_table_again_keeps_its_entries
            // requesting
            a_request_gets_its_reply
            a_request_carries_its_context
            handlers_of_a_subject_share_the_work
            a_request_goes_to_one_handler
            a_cancelled_request_reaches_its_handler
            nobody_serving_is_told_at_once
            an_ended_service_gets_nothing
            a_deadline_ends_a_request
            a_late_reply_changes_nothing
            a_cancelled_request_is_told_so
            a_dropped_question_is_cancelled
            a_handler_that_drops_a_request_is_told_gone
            a_workers_failure_passes_through
            an_outcome_comes_exactly_once
            a_handler_may_answer_from_another_thread
            a_handler_may_use_the_bus
        );
    };
    (@each $make:path: $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::contract::check($make().await, $crate::contract::$case).await;
            }
        )+
    };
}
