//! What every store has to do, as tests of the traits: one function for each
//! behaviour, run on each backend by [`conformance!`].

// The histories are short texts.
#![allow(clippy::format_collect, clippy::format_push_string)]

pub(crate) mod appending;
pub(crate) mod cursors;
pub(crate) mod deletes;
mod fixture;
pub(crate) mod keeping;
pub(crate) mod linking;
pub(crate) mod listening;
pub(crate) mod moves;
pub(crate) mod pointers;
pub(crate) mod quarantine;
pub(crate) mod reading;
pub(crate) mod retention;
pub(crate) mod sealing;
pub(crate) mod sources;
pub(crate) mod transfer;
pub(crate) mod usage;

pub(crate) use fixture::*;

use super::{RegistryKey, Store, Upkeep as _};

/// One store under test: a place that outlives its openings.
pub(crate) trait Backend: Sized {
    type Store: Store;
    /// How many random histories are tried where nobody says otherwise: each opens a store.
    const CASES: u32 = 24;

    /// A place with nothing in it.
    async fn fresh() -> Self;
    async fn open(&self) -> Self::Store;
    /// Closes it, and waits until it can be opened again.
    async fn close(&self, store: Self::Store) {
        store.close().await.unwrap();
    }
    /// Waits until all that was appended can be read.
    async fn settle(&self, store: &Self::Store) {
        store.linked().await.unwrap();
    }
    /// Changes told since the last call: of repositories, or (none) of coverage.
    fn changes(&self) -> Vec<(RegistryKey, Vec<String>)>;
}

/// Runs every behaviour on one backend.
macro_rules! conformance {
    ($backend:ty: $($file:ident::{$($behaviour:ident),+ $(,)?}),+ $(,)?) => {
        $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                crate::store::conformance::$file::$behaviour::<$backend>().await;
            }
        )+)+
    };
    ($backend:ty) => {
        crate::store::conformance::conformance!($backend:
            appending::{
                an_event_is_read_back_as_it_was_written,
                the_same_event_again_changes_nothing,
                an_id_that_comes_again_with_another_time_is_another_event,
                an_event_that_has_the_time_it_was_received_is_known_by_its_id,
                what_is_new_of_a_delivery_is_stored_beside_what_is_there,
                the_same_event_at_the_same_time_from_many_is_stored_once,
                an_id_counts_once_in_its_repository_and_registry,
                a_registry_of_the_same_name_and_another_uid_is_another,
                a_reopened_store_holds_all_that_was_appended,
                changes_are_told_once_they_can_be_read,
            },
            reading::{
                events_come_newest_first_and_equal_times_by_id,
                pages_follow_each_other_without_gap_or_repeat,
                each_clause_selects_its_own,
                clauses_are_merged_with_their_attribution,
                categories_and_half_open_windows_filter,
                a_tally_counts_what_the_events_are,
                a_filter_on_clients_lists_and_counts_theirs_alone,
                nothing_is_known_of_what_was_never_seen,
            },
            deletes::{
                a_delete_by_digest_waits_until_its_digest_is_known_as_a_manifest,
                the_deletes_of_one_request_are_one_delete_with_its_tags,
                the_delete_of_a_repository_is_found_by_its_clause,
            },
            linking::{
                a_get_takes_the_head_that_arrives_after_it,
                what_a_webhook_and_an_audit_log_tell_is_one,
                linking_as_events_come_equals_linking_from_scratch,
                a_burst_in_one_repository_is_linked_whole,
            },
            pointers::{
                a_tag_points_where_the_newest_event_says,
                a_late_event_moves_no_pointer_back,
                a_late_event_tells_beside_a_delete_that_comes_with_it,
                deletes_end_pointers,
                tags_tell_their_last_push_and_pull_and_delete,
                pointers_as_events_come_equal_those_of_all_facts,
            },
            sources::{
                a_source_counts_what_it_delivered,
                when_a_source_first_reported_a_category_is_remembered,
                sources_of_one_registry_are_kept_apart,
                a_new_instance_opens_a_gap_and_the_first_none,
                a_delivery_that_names_no_instance_does_not_shorten_the_gap,
                an_unreadable_body_opens_a_gap_at_its_time,
                a_body_put_aside_for_people_opens_no_gap,
                gaps_stay_bounded_and_cover_what_they_covered,
            },
            retention::{
                a_purge_removes_what_is_older_and_keeps_the_facts,
                an_event_received_late_is_kept_from_its_receipt,
                a_purge_leaves_other_registries_alone,
                a_purged_pull_keeps_its_tag_where_its_neighbours_stay,
            },
            sealing::{
                a_late_event_opens_what_was_sealed,
                what_is_not_over_stays_open,
                counts_and_pages_are_those_of_the_events_whatever_is_sealed,
                sealing_while_events_arrive_loses_none,
            },
            keeping::{
                a_quota_refuses_what_would_exceed_it_and_says_so,
                a_quota_gives_way_when_a_purge_makes_room_or_it_is_raised,
                events_that_are_there_already_take_no_part_of_a_quota,
                the_time_of_a_refusal_is_a_gap_once_events_are_taken_again,
                a_refusal_goes_on_after_a_restart,
                what_was_refused_without_the_store_is_a_gap_although_nothing_follows,
                what_is_to_be_kept_is_known_after_a_restart,
                a_released_registry_is_removed_whole_and_no_other,
                a_registry_that_is_not_released_is_not_removed,
            },
            listening::{
                a_time_in_which_nobody_listened_is_a_gap_of_who_had_delivered_before,
                what_is_sent_again_for_longer_than_nobody_listened_is_no_gap,
                where_nobody_is_known_to_have_listened_before_there_is_no_gap,
            },
            cursors::{
                how_far_a_log_was_read_is_remembered_and_never_goes_back,
            },
            quarantine::{
                a_body_that_can_be_read_becomes_its_events_and_its_gap_ends,
                a_gap_lasts_as_long_as_a_body_of_its_time_is_aside,
                a_body_that_makes_room_for_others_leaves_a_gap_for_good,
                what_a_quota_has_no_room_for_stays_aside_and_is_no_refusal,
            },
            usage::{
                what_a_cluster_was_last_seen_to_run_is_read_back,
                uses_are_replaced_by_repository_and_forgotten_by_cluster,
                what_ran_is_remembered_from_when_to_when,
            },
        );
    };
}
pub(crate) use conformance;
