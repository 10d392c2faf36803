//! A test of the suite of [`Archive`]: it must find each of many mistakes, and each rule must be one that a mistake breaks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

extern crate metagate_storage as storage;

use std::{
    collections::HashSet,
    panic::{self, AssertUnwindSafe},
    sync::Arc,
};

use async_trait::async_trait;
use domain::Timestamp;
use futures_util::{StreamExt, TryStreamExt, stream};
use storage::{
    Archive, MemoryStore, Store, StoreError,
    archive::{Import, ImportError, Record, Records, Stats},
    suite::ARCHIVE_RULES,
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
    // Records.
    RecordsLackTheRemoved: what_was_imported_is_served_and_exported;
    RecordsLackTheLast: what_was_imported_is_served_and_exported;
    RecordsAreBackwards: what_was_imported_is_served_and_exported;
    RecordsCutValues: what_was_imported_is_served_and_exported;
    RecordsForgetTheLastEvent: what_was_written_is_exported;
    RecordsAreReadLater: records_are_of_one_moment;
    BatchesAreTooLarge: records_are_of_one_moment;
    RecordsWorkOnlySometimes: records_may_be_left;

    // Imports.
    ImportsNumberAnew: what_was_imported_is_served_and_exported;
    ImportsHaveTheTimeOfTheCall: what_was_imported_is_served_and_exported;
    ImportsActivate: what_was_imported_is_served_and_exported;
    ImportsGiveUpTheSequence: writes_go_on_behind_an_import;
    ImportsLeaveAHalf: a_batch_is_imported_whole_or_not_at_all;
    ImportsAdvanceWithoutThem: a_batch_is_imported_whole_or_not_at_all;
    OrphansAreDropped: a_batch_is_imported_whole_or_not_at_all;
    WhatExistsIsReplaced: a_batch_is_imported_whole_or_not_at_all;
    WhatExistsIsLeft: an_import_replaces_what_it_is_told_to;
    WhatIsReplacedKeepsItsMetadata: an_import_replaces_what_it_is_told_to;
    AllIsReplaced: an_import_replaces_what_it_is_told_to;
    ImportsForgetWhereTheyAre: an_import_goes_on_where_it_was;
    ImportsAreNotHeldApart: an_import_goes_on_where_it_was;
    ImportsOvertake: an_import_goes_on_where_it_was;
    ImportsNeverFinish: an_import_goes_on_where_it_was;
    WhatIsWrittenMeanwhileStays: an_import_lives_with_what_is_written_meanwhile;
    EntriesOfTheRemovedAreRefused: an_import_lives_with_what_is_written_meanwhile;
    EntriesOfTheRemovedDoNotCount: an_import_lives_with_what_is_written_meanwhile;
    HalfImportsAreSilent: a_check_tells_of_half_an_import;

    // Stats and checks.
    StatsLackTheRemoved: stats_count_what_there_is;
    StatsCountNoBytes: stats_count_what_there_is;
    StatsNameTheSmallest: stats_count_what_there_is;
    StatsNameAll: stats_count_what_there_is;
    ChecksFindWhatIsSound: what_was_imported_is_served_and_exported;
}

/// A store in memory, with one thing wrong for its operator.
struct Mistaken {
    mutant: Mutant,
    store: Arc<MemoryStore>,
    reads: std::sync::atomic::AtomicUsize,
}

impl Mistaken {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == mutant
    }

    fn record(&self, mut record: Record) -> Record {
        match &mut record {
            Record::Entry { entry, .. } => {
                if self.is(Mutant::ImportsNumberAnew) {
                    entry.sequence = 2;
                }
                if self.is(Mutant::ImportsHaveTheTimeOfTheCall) {
                    entry.created_at = Timestamp::now();
                }
            }
            Record::Organization { organization, .. } => {
                if self.is(Mutant::ImportsActivate) {
                    organization.state = domain::OrganizationState::Active;
                }
                if self.is(Mutant::ImportsGiveUpTheSequence) {
                    organization.sequence = 1;
                }
            }
        }
        record
    }

    /// Forgets an organization's metadata as no store should: one by one.
    async fn empty(&self) {
        let records: Vec<Record> = self.store.records().try_concat().await.unwrap();
        for record in records {
            if let Record::Entry { organization, entry } = record {
                self.store
                    .apply(&organization, vec![domain::Change::RemoveIfPresent { key: entry.key }])
                    .await
                    .unwrap();
            }
        }
    }
}

#[async_trait]
impl Archive for Mistaken {
    fn records(&self) -> Records {
        let reads = self.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if self.is(Mutant::RecordsWorkOnlySometimes) && reads > 20 {
            return stream::iter([Err(StoreError::unavailable("too many"))]).boxed();
        }
        if self.is(Mutant::RecordsAreReadLater) {
            // The second batch is read when it is asked for.
            let (first, store) = (self.store.records().take(1), self.store.clone());
            return first.chain(stream::once(async {}).flat_map(move |()| store.records().skip(1))).boxed();
        }
        let mutant = self.mutant;
        let change = move |mut records: Vec<Record>| {
            match mutant {
                Mutant::RecordsLackTheRemoved => records.retain(|record| {
                    !matches!(record, Record::Organization { organization, .. } if organization.state == domain::OrganizationState::Removed)
                }),
                Mutant::RecordsLackTheLast => drop(records.pop()),
                Mutant::RecordsAreBackwards => records.reverse(),
                Mutant::RecordsCutValues | Mutant::RecordsForgetTheLastEvent => {
                    for record in &mut records {
                        match record {
                            Record::Entry { entry, .. } if mutant == Mutant::RecordsCutValues => entry.value.truncate(4_000),
                            Record::Organization { last_event_at, .. } if mutant == Mutant::RecordsForgetTheLastEvent => {
                                *last_event_at = Timestamp::from_micros(0);
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
            records
        };
        let records = self.store.records().map_ok(change);
        if self.is(Mutant::BatchesAreTooLarge) {
            return records
                .chunks(9)
                .map(|all| all.into_iter().collect::<Result<Vec<_>, _>>().map(|all| all.concat()))
                .boxed();
        }
        records.boxed()
    }

    async fn import(&self, import: &Import, before: u64, records: Vec<Record>) -> Result<(), ImportError> {
        let mut import = import.clone();
        let records: Vec<Record> = records.into_iter().map(|record| self.record(record)).collect();
        match self.mutant {
            Mutant::ImportsLeaveAHalf => {
                for (at, record) in (before..).zip(records) {
                    self.store.import(&import, at, vec![record]).await?;
                }
                return Ok(());
            }
            Mutant::ImportsAdvanceWithoutThem => {
                let outcome = self.store.import(&import, before, records).await;
                if outcome.is_err() {
                    let one = Record::Organization {
                        organization: self
                            .store
                            .create_organization(&domain::OrganizationId::new("here").unwrap(), "")
                            .await
                            .unwrap(),
                        last_event_at: Timestamp::from_micros(9_000_000),
                    };
                    import.replace = true;
                    self.store.import(&import, before, vec![one]).await?;
                }
                return outcome;
            }
            Mutant::OrphansAreDropped => {
                let mut there = HashSet::new();
                let mut kept = Vec::new();
                for record in records {
                    let is_kept = match &record {
                        Record::Organization { organization, .. } => there.insert(organization.id.clone()),
                        Record::Entry { organization, .. } => {
                            there.contains(organization)
                                || self.store.organization(organization).await.unwrap().is_some()
                        }
                    };
                    if is_kept {
                        kept.push(record);
                    }
                }
                return self.store.import(&import, before, kept).await;
            }
            Mutant::WhatExistsIsReplaced => import.replace = true,
            Mutant::WhatExistsIsLeft if import.replace => {
                let mut kept = Vec::new();
                for record in records {
                    let (Record::Organization { organization: domain::Organization { id, .. }, .. }
                    | Record::Entry { organization: id, .. }) = &record;
                    if self.store.organization(id).await.unwrap().is_none() {
                        kept.push(record);
                    }
                }
                kept.retain(|record| matches!(record, Record::Organization { .. }));
                return self.store.import(&import, before, kept).await;
            }
            Mutant::WhatIsReplacedKeepsItsMetadata if import.replace => {
                let old: Vec<Record> = self.store.records().try_concat().await?;
                let count = records.len() as u64;
                self.store.import(&import, before, records).await?;
                let old = old.into_iter().filter(|record| matches!(record, Record::Entry { .. })).collect();
                return self.store.import(&import, before + count, old).await;
            }
            Mutant::AllIsReplaced if import.replace => self.empty().await,
            Mutant::ImportsForgetWhereTheyAre => {
                self.store.finish_import(&import.source).await?;
                return self.store.import(&import, 0, records).await;
            }
            Mutant::ImportsAreNotHeldApart => import.source = "one for all".to_owned(),
            Mutant::WhatIsWrittenMeanwhileStays => {
                let mut kept = Vec::new();
                for record in records {
                    if let Record::Entry { organization, entry } = &record
                        && self.store.get(organization, &entry.key).await.unwrap().is_some()
                    {
                        continue;
                    }
                    kept.push(record);
                }
                return self.store.import(&import, before, kept).await;
            }
            Mutant::EntriesOfTheRemovedAreRefused | Mutant::EntriesOfTheRemovedDoNotCount => {
                for record in &records {
                    if let Record::Entry { organization, .. } = record
                        && let Some(found) = self.store.organization(organization).await.unwrap()
                        && found.state == domain::OrganizationState::Removed
                    {
                        return match self.mutant {
                            Mutant::EntriesOfTheRemovedDoNotCount => Ok(()),
                            _ => Err(ImportError::Orphan(organization.clone())),
                        };
                    }
                }
            }
            Mutant::ImportsOvertake => {
                let found = self.store.imported(&import.source).await?;
                if found > before {
                    return Ok(());
                }
            }
            _ => {}
        }
        self.store.import(&import, before, records).await
    }

    async fn imported(&self, source: &str) -> Result<u64, StoreError> {
        let source = if self.is(Mutant::ImportsAreNotHeldApart) { "one for all" } else { source };
        self.store.imported(source).await
    }

    async fn finish_import(&self, source: &str) -> Result<(), StoreError> {
        if self.is(Mutant::ImportsNeverFinish) { Ok(()) } else { self.store.finish_import(source).await }
    }

    async fn stats(&self, largest: u32) -> Result<Stats, StoreError> {
        let all = self.is(Mutant::StatsNameAll) || self.is(Mutant::StatsNameTheSmallest);
        let mut stats = self.store.stats(if all { u32::MAX } else { largest }).await?;
        match self.mutant {
            Mutant::StatsLackTheRemoved => stats.removed = 0,
            Mutant::StatsCountNoBytes => stats.bytes = 0,
            Mutant::StatsNameTheSmallest => {
                stats.largest.reverse();
                stats.largest.truncate(2);
            }
            _ => {}
        }
        Ok(stats)
    }

    async fn check(&self) -> Result<Vec<String>, StoreError> {
        match self.mutant {
            Mutant::ChecksFindWhatIsSound => Ok(vec!["a problem".to_owned()]),
            Mutant::HalfImportsAreSilent => Ok(Vec::new()),
            _ => self.store.check().await,
        }
    }
}

/// Whether the mutant gets through the rule.
fn passes(mutant: Mutant, rule: &str) -> bool {
    let (_, rule) = ARCHIVE_RULES.iter().find(|(name, _)| *name == rule).expect(rule);
    let store = Arc::new(MemoryStore::new());
    let mistaken = Mistaken { mutant, store: store.clone(), reads: 0.into() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(rule(&*store, &mistaken)))).is_ok()
}

#[test]
fn each_mutant_is_found_by_its_rule_and_nothing_else_is() {
    let wrong: Vec<_> =
        ARCHIVE_RULES.iter().filter(|(rule, _)| !passes(Mutant::None, rule)).map(|(rule, _)| rule).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // Panics within are looked for.
    panic::set_hook(Box::new(|_| {}));
    let survived: Vec<_> = MUTANTS.iter().filter(|(mutant, rule)| passes(*mutant, rule)).collect();
    drop(panic::take_hook());
    assert!(survived.is_empty(), "{survived:?}");
}

#[test]
fn each_rule_finds_a_mutant() {
    let idle: Vec<_> = ARCHIVE_RULES
        .iter()
        .filter(|(rule, _)| !MUTANTS.iter().any(|(_, found_by)| found_by == rule))
        .collect();
    assert!(idle.is_empty(), "{:?}", idle.iter().map(|(rule, _)| rule).collect::<Vec<_>>());
}
