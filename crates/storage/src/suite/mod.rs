//! What every store must pass: the contract of [`Store`](crate::Store), line by line, and random operations against a
//! model.
//!
//! ```text
//! storage::storage_suite!(Box::new(MyStore::fresh()));
//! ```
//!
//! The expression makes a fresh, empty store, and dereferences to it. `storage_suite!(where there => make)` does so only if
//! `there` is true; else each test ends at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod archive;
pub mod model;
pub mod registry;
pub mod rules;

/// A rule. Panics if the store, fresh and empty, does not keep it.
pub type Rule = for<'a> fn(&'a dyn crate::Store) -> futures_util::future::LocalBoxFuture<'a, ()>;

/// Hands the names of the rules of [`Store`](crate::Store) to a macro, behind what that is given besides.
#[doc(hidden)]
#[macro_export]
macro_rules! storage_rules {
    ($with:path => $($given:tt)*) => {
        $with! { $($given)* =>
            a_set_is_read_back
            a_set_is_an_event_even_if_nothing_changes
            a_set_if_different_of_the_same_value_is_no_event
            changes_are_judged_against_the_state_before
            a_refused_batch_leaves_no_trace
            batches_of_any_length
            events_of_a_call_have_one_time
            created_at_lasts_until_the_key_is_removed
            what_changes_nothing_answers_with_the_last_metadata_event
            keys_compare_byte_for_byte
            lists_are_in_byte_order_and_count_all
            pages_of_any_offset_and_limit
            filters_take_text_literally
            values_of_any_size
            organizations_keep_to_themselves
            an_absent_organization_has_nothing_and_takes_nothing
            a_removed_organization_has_nothing_and_takes_nothing
            states_are_events_but_no_metadata_events
            creating_again_changes_nothing
            racing_writers_take_each_number_once
            of_racing_removes_one_succeeds
            of_racing_creators_one_creates
            racing_changes_of_state_are_one_event
            nobody_sees_half_a_batch
            a_write_whose_caller_leaves_is_whole_or_absent
        }
    };
}

macro_rules! table {
    (=> $($rule:ident)*) => {
        /// The rules of [`Store`](crate::Store), with their names.
        pub const RULES: &[(&str, Rule)] = &[$((stringify!($rule), |store| Box::pin(rules::$rule(store)))),*];
    };
}

storage_rules! { table => }

/// Emits the suite as tests of the store that the expression makes.
#[macro_export]
macro_rules! storage_suite {
    (where $there:expr => $make:expr) => {
        $crate::storage_rules! { $crate::storage_suite => $there, $make }

        #[test]
        fn random_operations_do_as_the_model_does() {
            if !$there {
                return;
            }
            let runtime = ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let outcome = $crate::suite::model::run(48, |operations| {
                runtime.block_on(async {
                    let store = $make;
                    $crate::suite::model::check(&*store, operations).await
                })
            });
            assert_eq!(outcome, Ok(()));
        }
    };
    ($there:expr, $make:expr => $($rule:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                if !$there {
                    return;
                }
                $crate::suite::rules::$rule(&*$make).await;
            }
        )*
    };
    ($make:expr) => {
        $crate::storage_suite!(where true => $make);
    };
}

/// A rule of [`Archive`](crate::Archive). Panics if the store, fresh and empty, does not keep it; it is given as who serves
/// it and as who operates it.
pub type ArchiveRule =
    for<'a> fn(&'a dyn crate::Store, &'a dyn crate::Archive) -> futures_util::future::LocalBoxFuture<'a, ()>;

/// Hands the names of the rules of [`Archive`](crate::Archive) to a macro, behind what that is given besides.
#[doc(hidden)]
#[macro_export]
macro_rules! archive_rules {
    ($with:path => $($given:tt)*) => {
        $with! { $($given)* =>
            what_was_imported_is_served_and_exported
            writes_go_on_behind_an_import
            what_was_written_is_exported
            a_batch_is_imported_whole_or_not_at_all
            an_import_replaces_what_it_is_told_to
            an_import_goes_on_where_it_was
            an_import_lives_with_what_is_written_meanwhile
            a_check_tells_of_half_an_import
            records_are_of_one_moment
            records_may_be_left
            stats_count_what_there_is
        }
    };
}

macro_rules! archive_table {
    (=> $($rule:ident)*) => {
        /// The rules of [`Archive`](crate::Archive), with their names.
        pub const ARCHIVE_RULES: &[(&str, ArchiveRule)] =
            &[$((stringify!($rule), |store, archive| Box::pin(archive::$rule(store, archive)))),*];
    };
}

archive_rules! { archive_table => }

/// Emits the suite of [`Archive`](crate::Archive) as tests. The expression makes a fresh, empty store, and gives it as who
/// serves it and as who operates it: `(Box<dyn Store>, Box<dyn Archive>)`, or what dereferences to them.
#[macro_export]
macro_rules! archive_suite {
    (where $there:expr => $make:expr) => {
        $crate::archive_rules! { $crate::archive_suite => $there, $make }
    };
    ($there:expr, $make:expr => $($rule:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                if !$there {
                    return;
                }
                let (store, archive) = $make;
                $crate::suite::archive::$rule(&*store, &*archive).await;
            }
        )*
    };
    ($make:expr) => {
        $crate::archive_suite!(where true => $make);
    };
}

/// A rule of [`Registry`](crate::Registry). Panics if the store, fresh and empty, does not keep it; it is given twice, as two
/// gateways or processes have it, or as one.
pub type RegistryRule = for<'a> fn(
    &'a dyn crate::SharedStore,
    &'a dyn crate::SharedStore,
) -> futures_util::future::LocalBoxFuture<'a, ()>;

/// Hands the names of the rules of [`Registry`](crate::Registry) to a macro, behind what that is given besides.
#[doc(hidden)]
#[macro_export]
macro_rules! registry_rules {
    ($with:path => $($given:tt)*) => {
        $with! { $($given)* =>
            what_was_changed_is_read_back
            a_change_behind_another_leaves_no_trace
            of_racing_changes_one_is_made
            increments_add_up_to_the_whole
            a_standing_tells_of_a_change_at_once
            a_standing_tells_of_the_organization
            what_is_too_large_leaves_no_trace
        }
    };
}

macro_rules! registry_table {
    (=> $($rule:ident)*) => {
        /// The rules of [`Registry`](crate::Registry), with their names.
        pub const REGISTRY_RULES: &[(&str, RegistryRule)] =
            &[$((stringify!($rule), |here, there| Box::pin(registry::$rule(here, there)))),*];
    };
}

registry_rules! { registry_table => }

/// Emits the suite of [`Registry`](crate::Registry) as tests. The expression makes a fresh, empty store, and gives it twice.
#[macro_export]
macro_rules! registry_suite {
    (where $there:expr => $make:expr) => {
        $crate::registry_rules! { $crate::registry_suite => $there, $make }
    };
    ($there:expr, $make:expr => $($rule:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                if !$there {
                    return;
                }
                let (here, there) = $make;
                $crate::suite::registry::$rule(&*here, &*there).await;
            }
        )*
    };
    ($make:expr) => {
        $crate::registry_suite!(where true => $make);
    };
}
