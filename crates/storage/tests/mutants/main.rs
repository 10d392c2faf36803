//! A test of the suite: a store with any one of many mistakes must not pass, and each rule must be one that a mistake breaks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate metagate_storage as storage;

mod filters;
mod store;
mod write;

use std::{
    cell::Cell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
    time::Duration,
};

use storage::suite::{RULES, model};
use store::Naive;
use tokio::{runtime::Runtime, time::timeout};

storage::storage_suite!(Box::new(Naive::new(None)));

/// The test of the suite that is no rule of its own.
const MODEL: &str = "random_operations_do_as_the_model_does";

/// Declares the mutants, each with the rules that must find it.
macro_rules! mutants {
    ($($mutant:ident: $($rule:ident)+;)+) => {
        /// One way to break the contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $(#[allow(missing_docs)] $mutant,)+
        }

        const MUTANTS: &[(Mutant, &[&str])] = &[$((Mutant::$mutant, &[$(stringify!($rule)),+])),+];
    };
}

mutants! {
    // Reads see what was acknowledged.
    GetsAreStale: a_set_is_read_back;
    ListsAreStale: a_set_is_read_back random_operations_do_as_the_model_does;
    OrganizationsAreStale: a_set_is_read_back;
    HealthIsMissed: a_set_is_read_back;

    // Keys and ids compare byte for byte.
    KeysIgnoreCase: keys_compare_byte_for_byte random_operations_do_as_the_model_does;
    KeysAreTrimmed: keys_compare_byte_for_byte;
    KeysAreNormalized: keys_compare_byte_for_byte;
    KeysIgnoreAccents: keys_compare_byte_for_byte;
    KeysAreCut: keys_compare_byte_for_byte;
    IdsIgnoreCase: organizations_keep_to_themselves;
    IdsAreTrimmed: organizations_keep_to_themselves;
    IdsAreNormalized: organizations_keep_to_themselves;
    IdsAreCut: organizations_keep_to_themselves random_operations_do_as_the_model_does;
    IdsAreNotKept: creating_again_changes_nothing;

    // A write is whole, or absent.
    WhoLeavesLeavesAHalf: a_write_whose_caller_leaves_is_whole_or_absent;
    HalfABatchIsSeen: nobody_sees_half_a_batch a_write_whose_caller_leaves_is_whole_or_absent;
    RefusalsLeaveAPart: a_refused_batch_leaves_no_trace random_operations_do_as_the_model_does;
    RefusalsTakeANumber: a_refused_batch_leaves_no_trace random_operations_do_as_the_model_does;
    LongBatchesAreCut: batches_of_any_length;

    // Changes are judged against the state before the call, and applied in order.
    ChangesSeeThoseBefore: changes_are_judged_against_the_state_before random_operations_do_as_the_model_does;
    ChangesAreAppliedBackwards: a_set_if_different_of_the_same_value_is_no_event random_operations_do_as_the_model_does;
    ASetOfTheSameIsNoEvent: a_set_is_an_event_even_if_nothing_changes;
    ASetIfDifferentIsAlwaysAnEvent: a_set_if_different_of_the_same_value_is_no_event;
    SizesAreCompared: a_set_if_different_of_the_same_value_is_no_event;
    ARemoveIfPresentIsAlwaysAnEvent: what_changes_nothing_answers_with_the_last_metadata_event;
    RemovesIfPresentNeedTheKey: what_changes_nothing_answers_with_the_last_metadata_event;
    RemovesNeedNoKey: a_refused_batch_leaves_no_trace of_racing_removes_one_succeeds;
    TheLastAbsentIsNamed: a_refused_batch_leaves_no_trace;
    TheAbsentIsCountedFromOne: a_refused_batch_leaves_no_trace;
    TheAbsentIsCountedAmongEvents: a_refused_batch_leaves_no_trace;

    // Numbers and times.
    NumbersHaveGaps: a_set_is_read_back random_operations_do_as_the_model_does;
    NumbersBeginAtZero: creating_again_changes_nothing;
    NumbersAreOfAllOrganizations: organizations_keep_to_themselves;
    OneNumberForACall: a_set_if_different_of_the_same_value_is_no_event racing_writers_take_each_number_once;
    EntriesHaveTheNumberOfTheCall: a_set_if_different_of_the_same_value_is_no_event;
    EachEventHasItsTime: events_of_a_call_have_one_time;
    TimeGoesBack: racing_writers_take_each_number_once random_operations_do_as_the_model_does;
    AnswersWithTheFirstEvent: changes_are_judged_against_the_state_before;
    AnswersAreTooLate: a_set_is_read_back;
    NothingIsAnEvent: what_changes_nothing_answers_with_the_last_metadata_event;
    NothingTouchesTheEntry: what_changes_nothing_answers_with_the_last_metadata_event;
    NothingHasTheTimeOfTheCall: what_changes_nothing_answers_with_the_last_metadata_event;
    NothingHasTheLastNumber: what_changes_nothing_answers_with_the_last_metadata_event;
    NothingIsZero: what_changes_nothing_answers_with_the_last_metadata_event;
    CreatedAtIsLost: created_at_lasts_until_the_key_is_removed;
    CreatedAtSurvivesARemoval: created_at_lasts_until_the_key_is_removed;
    ChangedAtStays: created_at_lasts_until_the_key_is_removed;

    // Writers wait for each other.
    WritersLoseUpdates: racing_writers_take_each_number_once;
    WritersMeetConflicts: racing_writers_take_each_number_once;
    RemovesAreJudgedTooEarly: of_racing_removes_one_succeeds;
    CreatorsRace: of_racing_creators_one_creates;
    StatesRace: racing_changes_of_state_are_one_event;

    // Values.
    LargeValuesAreCut: values_of_any_size;
    ValuesEndAtZero: values_of_any_size;
    ValuesAreText: values_of_any_size;
    ValuesKeepTheirTail: values_of_any_size;

    // Lists.
    OrderIsThatOfWrites: lists_are_in_byte_order_and_count_all;
    OrderIgnoresCase: lists_are_in_byte_order_and_count_all;
    OrderIsThatOfUtf16: lists_are_in_byte_order_and_count_all random_operations_do_as_the_model_does;
    OrderIsDescending: lists_are_in_byte_order_and_count_all random_operations_do_as_the_model_does;
    TotalsCountThePage: pages_of_any_offset_and_limit random_operations_do_as_the_model_does;
    TotalsAreOnThePage: pages_of_any_offset_and_limit;
    TotalsStopAtThePage: pages_of_any_offset_and_limit;
    TotalsIgnoreFilters: filters_take_text_literally;
    TotalsAreOfAnotherMoment: nobody_sees_half_a_batch;
    OffsetsAreIgnored: pages_of_any_offset_and_limit random_operations_do_as_the_model_does;
    OffsetsAreSigned: pages_of_any_offset_and_limit;
    OffsetsAreCut: pages_of_any_offset_and_limit;
    OffsetsArePages: pages_of_any_offset_and_limit;
    OffsetsPastTheEndAreErrors: pages_of_any_offset_and_limit;
    LimitsAreIgnored: pages_of_any_offset_and_limit;
    LimitsAreSigned: pages_of_any_offset_and_limit;
    LimitsCountFromTheStart: pages_of_any_offset_and_limit;
    ALimitOfZeroIsNone: pages_of_any_offset_and_limit;
    NoLimitIsAHundred: batches_of_any_length;

    // Filters.
    OneFilterIsEnough: filters_take_text_literally;
    OneFilterCounts: filters_take_text_literally;
    TheLongestPrefixIsEnough: filters_take_text_literally;
    EndsAreNotLookedAt: filters_take_text_literally;
    StartsAreNotLookedAt: filters_take_text_literally;
    FiltersIgnoreCase: filters_take_text_literally;
    FiltersFoldOnlyAscii: filters_take_text_literally;
    EmptyTextsAreNoFilters: filters_take_text_literally;
    EmptyTextsAreNowhere: filters_take_text_literally;
    PrefixesHaveWildcards: filters_take_text_literally;
    PrefixesHaveEscapes: filters_take_text_literally;
    PrefixesEndTooEarly: filters_take_text_literally;

    // Organizations that are absent or removed, and others.
    WritesCreate: an_absent_organization_has_nothing_and_takes_nothing random_operations_do_as_the_model_does;
    StatesCreate: an_absent_organization_has_nothing_and_takes_nothing;
    GetsNeedAnOrganization: an_absent_organization_has_nothing_and_takes_nothing;
    ListsNeedAnOrganization: an_absent_organization_has_nothing_and_takes_nothing;
    AbsentOrganizationsAreUnavailable: an_absent_organization_has_nothing_and_takes_nothing;
    AbsentOrganizationsLackKeys: a_removed_organization_has_nothing_and_takes_nothing;
    GetsLookElsewhere: organizations_keep_to_themselves;
    TheRemovedAreRead: a_removed_organization_has_nothing_and_takes_nothing;
    TheRemovedAreListed: a_removed_organization_has_nothing_and_takes_nothing;
    TheRemovedTakeWrites: a_removed_organization_has_nothing_and_takes_nothing;
    TheRemovedNeverWere: a_removed_organization_has_nothing_and_takes_nothing;
    TheRemovedStayQuietly: a_removed_organization_has_nothing_and_takes_nothing;
    RemovalIsNotFinal: a_removed_organization_has_nothing_and_takes_nothing random_operations_do_as_the_model_does;
    RemovingAgainFails: a_removed_organization_has_nothing_and_takes_nothing;
    CreatingAgainRevives: a_removed_organization_has_nothing_and_takes_nothing;

    // States, and creation.
    TheInactiveAreHidden: states_are_events_but_no_metadata_events;
    TheInactiveTakeNothing: states_are_events_but_no_metadata_events;
    StatesAreNoEvents: states_are_events_but_no_metadata_events;
    StatesAreMetadataEvents: states_are_events_but_no_metadata_events;
    StatesAreTheFirstMetadataEvent: what_changes_nothing_answers_with_the_last_metadata_event;
    StatesRemoveMetadata: states_are_events_but_no_metadata_events;
    StatesAreForgotten: states_are_events_but_no_metadata_events;
    StatesAnswerWithTheOld: states_are_events_but_no_metadata_events;
    StayingIsAnEvent: states_are_events_but_no_metadata_events;
    TheCreatedAreInactive: creating_again_changes_nothing;
    CreatingAgainReplaces: creating_again_changes_nothing;
    CreatingAgainRenames: creating_again_changes_nothing;
    CreatingAgainActivates: creating_again_changes_nothing;
    CreatingAgainIsAnEvent: creating_again_changes_nothing;
    CreatingAgainFails: creating_again_changes_nothing;
    CreatingAgainAnswersWithWhatWasAsked: creating_again_changes_nothing;
}

/// How long a rule may take with a mutant; it may wait for what never comes.
const RULE_TIME_MAX: Duration = Duration::from_secs(2);

#[test]
fn every_mutant_is_found() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let survived: Vec<_> = MUTANTS
        .iter()
        .flat_map(|(mutant, rules)| rules.iter().map(move |rule| (*mutant, *rule)))
        .filter(|(mutant, rule)| passes(&runtime, *mutant, rule))
        .collect();
    assert_eq!(survived, []);
}

#[test]
fn every_rule_finds_a_mutant() {
    let finds = |rule| MUTANTS.iter().any(|(_, rules)| rules.contains(&rule));
    let idle: Vec<_> =
        RULES.iter().map(|(rule, _)| *rule).chain([MODEL]).filter(|rule| !finds(rule)).collect();
    assert_eq!(idle, <[&str; 0]>::default());
}

/// Whether the mutant gets through the rule.
fn passes(runtime: &Runtime, mutant: Mutant, name: &str) -> bool {
    quietly(|| {
        if name == MODEL {
            let check = |operations: &[_]| {
                runtime.block_on(async { model::check(&Naive::new(Some(mutant)), operations).await })
            };
            return model::run(48, check).is_ok();
        }
        let (_, rule) = RULES.iter().find(|(rule, _)| *rule == name).expect(name);
        let store = Naive::new(Some(mutant));
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(async { timeout(RULE_TIME_MAX, rule(&store)).await })
        }));
        matches!(outcome, Ok(Ok(())))
    })
}

/// Panics within say nothing: they are looked for.
fn quietly<T>(run: impl FnOnce() -> T) -> T {
    thread_local! {
        static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    }
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                loud(info);
            }
        }));
    });
    IS_QUIET.set(true);
    let outcome = run();
    IS_QUIET.set(false);
    outcome
}
