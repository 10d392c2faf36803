//! Writes to the naive store.

use bytes::Bytes;
use domain::{Change, Details, Entry, OrganizationId, OrganizationState, Timestamp};
use storage::{Store, StoreError};
use tokio::task::yield_now;

use crate::{
    Mutant::*,
    store::{Naive, Owner},
};

impl Naive {
    /// [`Store::apply`]
    pub async fn write(&self, id: &OrganizationId, mut changes: Vec<Change>) -> Result<Details, StoreError> {
        if self.is(WritesCreate) {
            self.create_organization(id, "").await?;
        }
        let _turn = if self.is(WhoLeavesLeavesAHalf) { Some(self.turn.lock().await) } else { None };
        let owner = self.find(id).filter(|owner| match owner.organization.state {
            OrganizationState::Active => true,
            OrganizationState::Inactive => !self.is(TheInactiveTakeNothing),
            OrganizationState::Removed => self.is(TheRemovedTakeWrites),
        });
        let Some(mut owner) = owner else {
            return match self.mutant {
                Some(AbsentOrganizationsAreUnavailable) => Err(StoreError::unavailable("no organization")),
                Some(AbsentOrganizationsLackKeys) => Err(StoreError::KeyAbsent { index: 0 }),
                _ => Err(StoreError::OrganizationNotFound),
            };
        };
        let before = owner.clone();
        match self.mutant {
            Some(WritersLoseUpdates) => yield_now().await,
            Some(WritersMeetConflicts) => {
                yield_now().await;
                if self.find(id).unwrap().organization.sequence != before.organization.sequence {
                    return Err(StoreError::unavailable("conflict"));
                }
            }
            Some(RemovesAreJudgedTooEarly) => {
                // The others are judged by what there was; all are applied to what there is.
                yield_now().await;
                owner = self.find(id).unwrap();
            }
            Some(LongBatchesAreCut) => changes.truncate(500),
            Some(ChangesAreAppliedBackwards) => changes.reverse(),
            _ => {}
        }
        let at = self.now(&owner);
        let mut events = 0;
        let mut refused = None;
        for (index, change) in changes.into_iter().enumerate() {
            let (Change::Set { key, .. }
            | Change::SetIfDifferent { key, .. }
            | Change::Remove { key }
            | Change::RemoveIfPresent { key }) = &change;
            let judged = if self.is(ChangesSeeThoseBefore) { &owner } else { &before };
            match self.has_effect(&change, judged.entries.get(&self.key(key))) {
                Ok(false) => {
                    let touched = owner.entries.get_mut(&self.key(key));
                    if let Some(entry) = touched.filter(|_| self.is(NothingTouchesTheEntry)) {
                        entry.changed_at = at;
                    }
                }
                Ok(true) => {
                    let sequence = match self.mutant {
                        Some(OneNumberForACall) => before.organization.sequence + 1,
                        _ => self.next(&owner),
                    };
                    owner.organization.sequence = sequence;
                    let micros = if self.is(EachEventHasItsTime) { events } else { 0 };
                    self.change(
                        &mut owner,
                        change,
                        sequence,
                        Timestamp::from_micros(at.as_micros() + micros),
                    );
                    events += 1;
                    if events == 1 || !self.is(AnswersWithTheFirstEvent) {
                        owner.organization.last_metadata_event = Details { sequence, at };
                    }
                    owner.last_event_at = at;
                    if matches!(self.mutant, Some(HalfABatchIsSeen | WhoLeavesLeavesAHalf)) {
                        self.put(id, owner.clone());
                        yield_now().await;
                    }
                }
                Err(()) => {
                    let index = match self.mutant {
                        Some(TheAbsentIsCountedFromOne) => index + 1,
                        Some(TheAbsentIsCountedAmongEvents) => events as usize,
                        _ => index,
                    };
                    refused = Some(StoreError::KeyAbsent { index });
                    if !self.is(TheLastAbsentIsNamed) {
                        break;
                    }
                }
            }
        }
        if let Some(error) = refused {
            match self.mutant {
                Some(RefusalsLeaveAPart) => self.put(id, owner),
                Some(RefusalsTakeANumber) => {
                    let mut owner = before;
                    owner.organization.sequence += 1;
                    self.put(id, owner);
                }
                _ => {}
            }
            return Err(error);
        }
        if self.is(EntriesHaveTheNumberOfTheCall) {
            for entry in
                owner.entries.values_mut().filter(|entry| entry.sequence > before.organization.sequence)
            {
                entry.sequence = owner.organization.sequence;
            }
        }
        let details = match self.mutant {
            Some(NothingIsAnEvent) if events == 0 => {
                owner.organization.sequence += 1;
                owner.organization.last_metadata_event =
                    Details { sequence: owner.organization.sequence, at };
                owner.organization.last_metadata_event
            }
            Some(NothingHasTheTimeOfTheCall) if events == 0 => {
                Details { at: Timestamp::now(), ..owner.organization.last_metadata_event }
            }
            Some(NothingHasTheLastNumber) if events == 0 => {
                Details { sequence: owner.organization.sequence, ..owner.organization.last_metadata_event }
            }
            Some(NothingIsZero) if owner.organization.last_metadata_event.sequence == 1 => {
                Details { sequence: 0, at: owner.organization.created_at }
            }
            Some(AnswersAreTooLate) => before.organization.last_metadata_event,
            _ => owner.organization.last_metadata_event,
        };
        self.put(id, owner);
        Ok(details)
    }

    /// Whether a change has an effect on an entry of `stored`; an error is for a key that must be there.
    fn has_effect(&self, change: &Change, stored: Option<&Entry>) -> Result<bool, ()> {
        match change {
            Change::Set { value, .. } => {
                Ok(!self.is(ASetOfTheSameIsNoEvent) || stored.is_none_or(|entry| entry.value != value))
            }
            Change::SetIfDifferent { value, .. } => Ok(self.is(ASetIfDifferentIsAlwaysAnEvent)
                || stored.is_none_or(|entry| match self.mutant {
                    Some(SizesAreCompared) => entry.value.len() != value.len(),
                    _ => entry.value != value,
                })),
            Change::Remove { .. } if self.is(RemovesNeedNoKey) => Ok(stored.is_some()),
            Change::Remove { .. } => stored.map(|_| true).ok_or(()),
            Change::RemoveIfPresent { .. } if self.is(RemovesIfPresentNeedTheKey) => {
                stored.map(|_| true).ok_or(())
            }
            Change::RemoveIfPresent { .. } => {
                Ok(stored.is_some() || self.is(ARemoveIfPresentIsAlwaysAnEvent))
            }
        }
    }

    /// Does to `owner` what a change says, as event `sequence`.
    fn change(&self, owner: &mut Owner, change: Change, sequence: u64, at: Timestamp) {
        let (key, value) = match change {
            Change::Set { key, value } | Change::SetIfDifferent { key, value } => (key, value),
            Change::Remove { key } | Change::RemoveIfPresent { key } => {
                if let Some(entry) = owner.entries.remove(&self.key(&key)) {
                    owner.removed.insert(self.key(&key), entry.created_at);
                }
                return;
            }
        };
        let old = owner.entries.get(&self.key(&key));
        let removed = owner.removed.get(&self.key(&key));
        let created_at = match self.mutant {
            Some(CreatedAtIsLost) => at,
            Some(CreatedAtSurvivesARemoval) => {
                old.map(|old| old.created_at).or(removed.copied()).unwrap_or(at)
            }
            _ => old.map_or(at, |old| old.created_at),
        };
        let changed_at = if self.is(ChangedAtStays) { created_at } else { at };
        let value = match self.mutant {
            Some(LargeValuesAreCut) => value.slice(..value.len().min(65_535)),
            Some(ValuesEndAtZero) => Bytes::copy_from_slice(value.split(|&byte| byte == 0).next().unwrap()),
            Some(ValuesAreText) => Bytes::from(String::from_utf8_lossy(&value).into_owned()),
            Some(ValuesKeepTheirTail) => {
                let tail = old.map(|old| old.value.get(value.len()..).unwrap_or_default());
                Bytes::from([&value[..], tail.unwrap_or_default()].concat())
            }
            _ => value,
        };
        let entry = Entry { key: key.clone(), value, sequence, created_at, changed_at };
        owner.entries.insert(self.key(&key), entry);
    }
}
