//! A naive store, and at each place where it keeps a rule a way not to.
//!
//! A write works on a copy and puts it back. Nothing of that awaits, so that on one thread it is whole; mutants do.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use domain::{
    Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query, Timestamp,
};
use storage::{Store, StoreError};
use tokio::{sync, task::yield_now};

use crate::{
    Mutant::{self, *},
    filters,
};

/// The store; whole without a mutant.
#[derive(Default)]
pub struct Naive {
    mutant: Option<Mutant>,
    state: Mutex<State>,
    /// Keeps others out while somebody awaits.
    turn: sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    owners: BTreeMap<String, Owner>,
    /// `owners` as they were before the last write.
    before: BTreeMap<String, Owner>,
    /// How many events there were in all organizations.
    events: u64,
}

#[derive(Clone)]
struct Owner {
    organization: Organization,
    last_event_at: Timestamp,
    /// By key, as the store compares keys.
    entries: BTreeMap<String, Entry>,
    /// When keys that were removed had been created.
    removed: BTreeMap<String, Timestamp>,
}

impl Naive {
    pub fn new(mutant: Option<Mutant>) -> Self {
        Self { mutant, ..Self::default() }
    }

    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What an id is compared by.
    fn id(&self, id: &OrganizationId) -> String {
        match self.mutant {
            Some(IdsIgnoreCase) => id.as_str().to_lowercase(),
            Some(IdsAreTrimmed) => id.as_str().trim().to_owned(),
            Some(IdsAreNormalized) => id.as_str().replace("a\u{301}", "á"),
            Some(IdsAreCut) => id.as_str().chars().take(1).collect(),
            _ => id.as_str().to_owned(),
        }
    }

    /// What a key is compared by.
    fn key(&self, key: &Key) -> String {
        match self.mutant {
            Some(KeysIgnoreCase) => key.as_str().to_lowercase(),
            Some(KeysAreTrimmed) => key.as_str().trim().to_owned(),
            Some(KeysAreNormalized) => key.as_str().replace("a\u{301}", "á"),
            Some(KeysAreCut) => key.as_str().chars().take(199).collect(),
            Some(KeysIgnoreAccents) => key.as_str().replace('á', "a"),
            _ => key.as_str().to_owned(),
        }
    }

    fn find(&self, id: &OrganizationId) -> Option<Owner> {
        self.state().owners.get(&self.id(id)).cloned()
    }

    /// What a reader finds.
    fn visible(&self, id: &OrganizationId, is_stale: bool, shows_removed: bool) -> Option<Owner> {
        let state = self.state();
        let owners = if is_stale { &state.before } else { &state.owners };
        let owner = owners.get(&self.id(id)).cloned()?;
        match owner.organization.state {
            OrganizationState::Removed if !shows_removed => None,
            OrganizationState::Inactive if self.is(TheInactiveAreHidden) => None,
            _ => Some(owner),
        }
    }

    fn put(&self, id: &OrganizationId, owner: Owner) {
        let mut state = self.state();
        state.before = state.owners.clone();
        state.owners.insert(self.id(id), owner);
    }

    fn now(&self, owner: &Owner) -> Timestamp {
        let now = Timestamp::now().max(owner.last_event_at);
        let goes_back = self.is(TimeGoesBack) && owner.organization.sequence / 2 % 2 == 1;
        if goes_back { Timestamp::from_micros(now.as_micros() - 1_000_000) } else { now }
    }

    /// The next number of an organization's events.
    fn next(&self, owner: &Owner) -> u64 {
        let mut state = self.state();
        state.events += 1;
        match self.mutant {
            Some(NumbersAreOfAllOrganizations) => state.events,
            Some(NumbersHaveGaps) => owner.organization.sequence + 2,
            _ => owner.organization.sequence + 1,
        }
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

#[async_trait]
impl Store for Naive {
    async fn apply(&self, id: &OrganizationId, mut changes: Vec<Change>) -> Result<Details, StoreError> {
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

    async fn get(&self, id: &OrganizationId, key: &Key) -> Result<Option<Entry>, StoreError> {
        let Some(owner) = self.visible(id, self.is(GetsAreStale), self.is(TheRemovedAreRead)) else {
            return if self.is(GetsNeedAnOrganization) {
                Err(StoreError::OrganizationNotFound)
            } else {
                Ok(None)
            };
        };
        let mut found = owner.entries.get(&self.key(key)).cloned();
        if found.is_none() && self.is(GetsLookElsewhere) {
            let state = self.state();
            found = state.owners.values().find_map(|owner| owner.entries.get(&self.key(key)).cloned());
        }
        Ok(found)
    }

    async fn list(&self, id: &OrganizationId, query: Query) -> Result<Page, StoreError> {
        let _turn = if self.is(WhoLeavesLeavesAHalf) { Some(self.turn.lock().await) } else { None };
        let visible = || self.visible(id, self.is(ListsAreStale), self.is(TheRemovedAreListed));
        let Some(owner) = visible() else {
            return if self.is(ListsNeedAnOrganization) {
                Err(StoreError::OrganizationNotFound)
            } else {
                Ok(Page::default())
            };
        };
        let mut entries: Vec<_> = owner.entries.into_values().collect();
        match self.mutant {
            Some(OrderIsThatOfWrites) => entries.sort_by_key(|entry| entry.sequence),
            Some(OrderIgnoresCase) => entries.sort_by_key(|entry| entry.key.as_str().to_lowercase()),
            Some(OrderIsThatOfUtf16) => {
                entries.sort_by_key(|entry| entry.key.as_str().encode_utf16().collect::<Vec<_>>());
            }
            Some(OrderIsDescending) => entries.reverse(),
            _ => {
                entries.sort_by(|a, b| a.key.cmp(&b.key));
            }
        }
        let stored = entries.len() as u64;
        let matches = |entry: &Entry| filters::match_all(self.mutant, &query.filters, entry.key.as_str());
        entries.retain(matches);
        let mut total = entries.len() as u64;
        let (offset, limit) = match self.mutant {
            Some(OffsetsAreIgnored) => (0, query.limit),
            Some(OffsetsAreSigned) => (u64::try_from(query.offset as i64).unwrap_or(0), query.limit),
            Some(OffsetsAreCut) => (u64::from(query.offset as u32), query.limit),
            Some(OffsetsArePages) => (query.offset * u64::from(query.limit.unwrap_or(1)), query.limit),
            Some(LimitsAreIgnored) => (query.offset, None),
            Some(ALimitOfZeroIsNone) => (query.offset, query.limit.filter(|&limit| limit > 0)),
            Some(LimitsAreSigned) => (query.offset, query.limit.map(|limit| (limit as i32).max(0) as u32)),
            Some(NoLimitIsAHundred) => (query.offset, query.limit.or(Some(100))),
            Some(LimitsCountFromTheStart) => {
                (query.offset, query.limit.map(|limit| limit.saturating_sub(query.offset as u32)))
            }
            _ => (query.offset, query.limit),
        };
        if self.is(OffsetsPastTheEndAreErrors) && offset > total {
            return Err(StoreError::unavailable("offset past the end"));
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let limit = limit.map_or(usize::MAX, |limit| limit as usize);
        let entries: Vec<_> = entries.into_iter().skip(offset).take(limit).collect();
        match self.mutant {
            Some(TotalsCountThePage) => total = entries.len() as u64,
            Some(TotalsAreOnThePage) if entries.is_empty() => total = 0,
            Some(TotalsIgnoreFilters) => total = stored,
            Some(TotalsStopAtThePage) => total = total.min((offset as u64).saturating_add(limit as u64)),
            Some(TotalsAreOfAnotherMoment) => {
                yield_now().await;
                let owner = visible();
                let keys = owner.iter().flat_map(|owner| owner.entries.values());
                total = keys.filter(|entry| matches(entry)).count() as u64;
            }
            _ => {}
        }
        Ok(Page { entries, total })
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        let state = self.state();
        let owners = if self.is(OrganizationsAreStale) { &state.before } else { &state.owners };
        let found = owners.get(&self.id(id)).map(|owner| owner.organization.clone());
        Ok(found.filter(|found| !(self.is(TheRemovedNeverWere) && found.state == OrganizationState::Removed)))
    }

    async fn create_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization, StoreError> {
        let existing = self.find(id);
        if self.is(CreatorsRace) {
            yield_now().await;
        }
        let existing = existing.filter(|owner| match self.mutant {
            Some(CreatingAgainReplaces) => false,
            Some(CreatingAgainRevives) => owner.organization.state != OrganizationState::Removed,
            _ => true,
        });
        let mut owner = match existing {
            Some(mut owner) => {
                match self.mutant {
                    Some(CreatingAgainRenames) => name.clone_into(&mut owner.organization.name),
                    Some(CreatingAgainActivates) => owner.organization.state = OrganizationState::Active,
                    Some(CreatingAgainIsAnEvent) => owner.organization.sequence += 1,
                    Some(CreatingAgainFails) => return Err(StoreError::unavailable("it exists")),
                    _ => {}
                }
                owner
            }
            None => {
                let created_at = Timestamp::now();
                let sequence = if self.is(NumbersBeginAtZero) { 0 } else { 1 };
                let organization = Organization {
                    id: id.clone(),
                    name: name.to_owned(),
                    state: match self.mutant {
                        Some(TheCreatedAreInactive) => OrganizationState::Inactive,
                        _ => OrganizationState::Active,
                    },
                    created_at,
                    sequence,
                    last_metadata_event: Details { sequence, at: created_at },
                };
                let (entries, removed) = (BTreeMap::new(), BTreeMap::new());
                Owner { organization, last_event_at: created_at, entries, removed }
            }
        };
        let mut answer = owner.organization.clone();
        match self.mutant {
            Some(CreatingAgainAnswersWithWhatWasAsked) => {
                answer.name = name.to_owned();
                answer.state = OrganizationState::Active;
            }
            Some(IdsAreNotKept) => owner.organization.id = OrganizationId::new("0").unwrap(),
            _ => {}
        }
        self.put(id, owner);
        Ok(answer)
    }

    async fn set_organization_state(
        &self,
        id: &OrganizationId,
        state: OrganizationState,
    ) -> Result<Organization, StoreError> {
        if self.is(StatesCreate) {
            self.create_organization(id, "").await?;
        }
        let mut owner = self.find(id).ok_or(StoreError::OrganizationNotFound)?;
        let was = owner.organization.clone();
        if self.is(StatesRace) {
            yield_now().await;
        }
        let is_final = was.state == OrganizationState::Removed && !self.is(RemovalIsNotFinal);
        if is_final && (state != OrganizationState::Removed || self.is(RemovingAgainFails)) {
            return match self.mutant {
                Some(TheRemovedStayQuietly) => Ok(was),
                _ => Err(StoreError::OrganizationNotFound),
            };
        }
        if was.state != state || self.is(StayingIsAnEvent) {
            let at = self.now(&owner);
            owner.organization.state = state;
            if !self.is(StatesAreNoEvents) {
                owner.organization.sequence = self.next(&owner);
                owner.last_event_at = at;
            }
            let never = was.last_metadata_event.sequence == 1;
            if self.is(StatesAreMetadataEvents) || self.is(StatesAreTheFirstMetadataEvent) && never {
                owner.organization.last_metadata_event =
                    Details { sequence: owner.organization.sequence, at };
            }
            if self.is(StatesRemoveMetadata) {
                owner.entries.clear();
            }
            if !self.is(StatesAreForgotten) {
                self.put(id, owner.clone());
            }
        }
        Ok(if self.is(StatesAnswerWithTheOld) { was } else { owner.organization })
    }

    fn is_healthy(&self) -> bool {
        !self.is(HealthIsMissed)
    }
}
