//! A test of the suite of [`Registry`]: it must find each of many mistakes, and each rule must be one that a mistake breaks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate metagate_storage as storage;

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use domain::{Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query};
use storage::{
    MemoryStore, Registry, Standing, Store, StoreError,
    registry::{Changes, RecordChange},
    suite::REGISTRY_RULES,
};

/// Declares the mutants, each with a rule that must find it.
macro_rules! mutants {
    ($($mutant:ident: $rule:ident;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Mutant {
            None,
            $($mutant,)+
        }

        const MUTANTS: &[(Mutant, &str)] = &[$((Mutant::$mutant, stringify!($rule))),+];
    };
}

mutants! {
    BodiesAreText: what_was_changed_is_read_back;
    RecordsAreBackwards: what_was_changed_is_read_back;
    TheRemovedStay: what_was_changed_is_read_back;
    TheLastChangeOfACallIsLost: what_was_changed_is_read_back;
    NobodyIsRefused: a_change_behind_another_leaves_no_trace;
    WhoeverExpectsMoreIsNotRefused: a_change_behind_another_leaves_no_trace;
    TheRefusedLeaveATrace: a_change_behind_another_leaves_no_trace;
    LookingAndChangingAreTwo: of_racing_changes_one_is_made;
    RemovalsAreNotTold: increments_add_up_to_the_whole;
    IncrementsLackTheFirst: increments_add_up_to_the_whole;
    StandingsAreLate: a_standing_tells_of_a_change_at_once;
    RevisionsAreLate: a_standing_tells_of_a_change_at_once;
    StandingsLackTheInactive: a_standing_tells_of_the_organization;
    StandingsLackTheRemoved: a_standing_tells_of_the_organization;
    AnythingFits: what_is_too_large_leaves_no_trace;
    TheLargestDoesNotFit: what_is_too_large_leaves_no_trace;
}

/// A store in memory, with one thing wrong.
struct Mistaken {
    mutant: Mutant,
    store: MemoryStore,
    /// Larger bodies than the store takes.
    large: Mutex<Vec<RecordChange>>,
}

impl Mistaken {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }
}

#[async_trait]
impl Store for Mistaken {
    async fn apply(&self, id: &OrganizationId, changes: Vec<Change>) -> Result<Details, StoreError> {
        self.store.apply(id, changes).await
    }

    async fn get(&self, id: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.store.get(id, key).await
    }

    async fn list(&self, id: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        self.store.list(id, query).await
    }

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        let mut standing = self.store.standing(id).await?;
        if self.is(Mutant::StandingsAreLate) {
            standing.revision = standing.revision.saturating_sub(1);
        }
        standing.organization = standing.organization.filter(|organization| {
            !(self.is(Mutant::StandingsLackTheInactive) && organization.state == OrganizationState::Inactive
                || self.is(Mutant::StandingsLackTheRemoved)
                    && organization.state == OrganizationState::Removed)
        });
        Ok(standing)
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        self.store.create_organization(id, name).await
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        self.store.set_organization_state(id, state).await
    }
}

#[async_trait]
impl Registry for Mistaken {
    async fn revision(&self) -> Result<u64, StoreError> {
        let revision = self.store.revision().await?;
        Ok(if self.is(Mutant::RevisionsAreLate) { revision.saturating_sub(1) } else { revision })
    }

    async fn changes(&self, since: u64) -> Result<Changes, StoreError> {
        let mut changes = self.store.changes(since).await?;
        changes.records.extend(self.large.lock().unwrap().clone());
        match self.mutant {
            Mutant::BodiesAreText => {
                for body in changes.records.iter_mut().filter_map(|record| record.body.as_mut()) {
                    *body = String::from_utf8_lossy(body).into_owned().into_bytes();
                }
            }
            Mutant::RecordsAreBackwards => changes.records.reverse(),
            Mutant::TheRemovedStay => {
                for record in &mut changes.records {
                    record.body.get_or_insert_default();
                }
            }
            Mutant::RemovalsAreNotTold => changes.records.retain(|record| record.body.is_some()),
            Mutant::IncrementsLackTheFirst if since > 0 && !changes.records.is_empty() => {
                changes.records.remove(0);
            }
            _ => {}
        }
        Ok(changes)
    }

    async fn change(&self, expected: u64, mut changes: Vec<RecordChange>) -> Result<u64, StoreError> {
        let revision = self.store.revision().await?;
        match self.mutant {
            Mutant::NobodyIsRefused => return self.store.change(revision, changes).await,
            Mutant::WhoeverExpectsMoreIsNotRefused if expected > revision => {
                return self.store.change(revision, changes).await;
            }
            Mutant::TheRefusedLeaveATrace if expected != revision => {
                changes.truncate(1);
                self.store.change(revision, changes).await?;
                return Err(StoreError::Conflict);
            }
            Mutant::LookingAndChangingAreTwo if expected == revision => {
                tokio::task::yield_now().await;
                let revision = self.store.revision().await?;
                self.store.change(revision, changes).await?;
                return Ok(expected + 1);
            }
            Mutant::TheLastChangeOfACallIsLost if changes.len() > 1 => {
                changes.pop();
            }
            Mutant::AnythingFits if storage::registry::check(&changes).is_err() => {
                self.large.lock().unwrap().append(&mut changes);
            }
            Mutant::TheLargestDoesNotFit
                if changes.iter().any(|change| {
                    change.body.as_ref().is_some_and(|body| body.len() >= storage::registry::BODY_BYTES_MAX)
                }) =>
            {
                return Err(StoreError::TooLarge);
            }
            _ => {}
        }
        self.store.change(expected, changes).await
    }
}

/// Whether the mutant gets through the rule.
fn passes(mutant: Mutant, rule: &str) -> bool {
    let (_, rule) = REGISTRY_RULES.iter().find(|(name, _)| *name == rule).expect(rule);
    let store = Arc::new(Mistaken { mutant, store: MemoryStore::new(), large: Mutex::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(rule(&*store, &*store)))).is_ok()
}

#[test]
fn each_mutant_is_found_by_its_rule_and_nothing_else_is() {
    let wrong: Vec<_> =
        REGISTRY_RULES.iter().filter(|(rule, _)| !passes(Mutant::None, rule)).map(|(rule, _)| rule).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // Panics within are looked for.
    panic::set_hook(Box::new(|_| {}));
    let survived: Vec<_> = MUTANTS.iter().filter(|(mutant, rule)| passes(*mutant, rule)).collect();
    drop(panic::take_hook());
    assert!(survived.is_empty(), "{survived:?}");
}

#[test]
fn each_rule_finds_a_mutant() {
    let idle: Vec<_> = REGISTRY_RULES
        .iter()
        .filter(|(rule, _)| !MUTANTS.iter().any(|(_, found_by)| found_by == rule))
        .map(|(rule, _)| rule)
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}
