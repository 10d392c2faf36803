//! A naive store, and at each place where it keeps a rule a way not to.
//!
//! A write works on a copy and puts it back. Nothing of that awaits, so that on one thread it is whole; mutants do.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use domain::{
    Change, Details, Entry, Key, Organization, OrganizationId, OrganizationState, Page, Query, Timestamp,
};
use storage::{Standing, Store, StoreError};
use tokio::{sync, task::yield_now};

use crate::{
    Mutant::{self, *},
    filters,
};

/// The store; whole without a mutant.
#[derive(Default)]
pub struct Naive {
    pub mutant: Option<Mutant>,
    state: Mutex<State>,
    /// Keeps others out while somebody awaits.
    pub turn: sync::Mutex<()>,
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
pub struct Owner {
    pub organization: Organization,
    pub last_event_at: Timestamp,
    /// By key, as the store compares keys.
    pub entries: BTreeMap<String, Entry>,
    /// When keys that were removed had been created.
    pub removed: BTreeMap<String, Timestamp>,
}

impl Naive {
    pub fn new(mutant: Option<Mutant>) -> Self {
        Self { mutant, ..Self::default() }
    }

    pub fn is(&self, mutant: Mutant) -> bool {
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
    pub fn key(&self, key: &Key) -> String {
        match self.mutant {
            Some(KeysIgnoreCase) => key.as_str().to_lowercase(),
            Some(KeysAreTrimmed) => key.as_str().trim().to_owned(),
            Some(KeysAreNormalized) => key.as_str().replace("a\u{301}", "á"),
            Some(KeysAreCut) => key.as_str().chars().take(199).collect(),
            Some(KeysIgnoreAccents) => key.as_str().replace('á', "a"),
            _ => key.as_str().to_owned(),
        }
    }

    pub fn find(&self, id: &OrganizationId) -> Option<Owner> {
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

    pub fn put(&self, id: &OrganizationId, owner: Owner) {
        let mut state = self.state();
        state.before = state.owners.clone();
        state.owners.insert(self.id(id), owner);
    }

    pub fn now(&self, owner: &Owner) -> Timestamp {
        let now = Timestamp::now().max(owner.last_event_at);
        let goes_back = self.is(TimeGoesBack) && owner.organization.sequence / 2 % 2 == 1;
        if goes_back { Timestamp::from_micros(now.as_micros() - 1_000_000) } else { now }
    }

    /// The next number of an organization's events.
    pub fn next(&self, owner: &Owner) -> u64 {
        let mut state = self.state();
        state.events += 1;
        match self.mutant {
            Some(NumbersAreOfAllOrganizations) => state.events,
            Some(NumbersHaveGaps) => owner.organization.sequence + 2,
            _ => owner.organization.sequence + 1,
        }
    }
}

#[async_trait]
impl Store for Naive {
    async fn apply(&self, id: &OrganizationId, changes: Vec<Change>) -> Result<Details, StoreError> {
        self.write(id, changes).await
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

    async fn standing(&self, id: &OrganizationId) -> Result<Standing, StoreError> {
        let state = self.state();
        let owners = if self.is(OrganizationsAreStale) { &state.before } else { &state.owners };
        let found = owners.get(&self.id(id)).map(|owner| owner.organization.clone());
        let is_seen = |found: &Organization| {
            !(self.is(TheRemovedNeverWere) && found.state == OrganizationState::Removed)
        };
        Ok(Standing { organization: found.filter(is_seen), revision: 0 })
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
