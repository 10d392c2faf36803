//! What the services of all versions have in common: the domain calls behind their messages.

use std::sync::Arc;

use bytes::Bytes;
use domain::{
    Change, Comparison, Details, Entry, Error, Key, KeyFilter, Organization, OrganizationId,
    OrganizationState, Page, Permission, Query, Refusal, Timestamp,
};
use identity::Denied;
use storage::{Store, StoreError};

use super::admission::unavailable;
use crate::front::Call;

/// A page of v2 and v2beta has this many entries unless asked otherwise, and at most [`PAGE_MAX`] (contract 4).
const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1_000;

/// Metadata of organizations, on a store.
pub struct Metadata {
    store: Arc<dyn Store>,
}

impl Metadata {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Sets one value; an event even if it does not change.
    pub(super) async fn set(&self, id: &OrganizationId, key: String, value: Bytes) -> Result<Details, Error> {
        let Ok(key) = Key::new(key) else { return Err(self.if_writable(id, Refusal::SetInvalid).await) };
        self.apply(id, vec![Change::Set { key, value }], Refusal::RemoveAbsent).await
    }

    /// Sets several values; those that do not change are left alone, an empty one removes its key.
    pub(super) async fn bulk_set(
        &self,
        id: &OrganizationId,
        items: impl IntoIterator<Item = (String, Bytes)>,
    ) -> Result<Details, Error> {
        let mut changes = Vec::new();
        for (key, value) in items {
            match (Key::new(key), value.is_empty()) {
                (Ok(key), true) => changes.push(Change::RemoveIfPresent { key }),
                (Ok(key), false) => changes.push(Change::SetIfDifferent { key, value }),
                // It cannot be there, so there is nothing to remove.
                (Err(_), true) => {}
                (Err(_), false) => return Err(self.if_writable(id, Refusal::SetInvalid).await),
            }
        }
        if changes.is_empty() {
            return self.writable(id).await.map(|organization| organization.last_metadata_event);
        }
        self.apply(id, changes, Refusal::BulkRemoveAbsent).await
    }

    /// Removes one key.
    pub(super) async fn remove(&self, id: &OrganizationId, key: String) -> Result<Details, Error> {
        let Ok(key) = Key::new(key) else { return Err(self.if_writable(id, Refusal::RemoveInvalid).await) };
        self.apply(id, vec![Change::Remove { key }], Refusal::RemoveAbsent).await
    }

    /// Removes several keys, all or none.
    pub(super) async fn bulk_remove(&self, id: &OrganizationId, keys: Vec<String>) -> Result<Details, Error> {
        let mut changes = Vec::with_capacity(keys.len());
        for key in keys {
            let Ok(key) = Key::new(key) else {
                // The first key that cannot be removed decides, and an absent one may stand before this one.
                self.writable(id).await?;
                for change in changes {
                    if let Change::Remove { key } = change
                        && self.store.get(id, &key).await.map_err(unavailable)?.is_none()
                    {
                        return Err(Refusal::BulkRemoveAbsent.into());
                    }
                }
                return Err(Refusal::BulkRemoveInvalid.into());
            };
            changes.push(Change::Remove { key });
        }
        self.apply(id, changes, Refusal::BulkRemoveAbsent).await
    }

    /// Gets one value.
    pub(super) async fn get(&self, id: &OrganizationId, key: String) -> Result<Entry, Error> {
        let Ok(key) = Key::new(key) else { return Err(Refusal::GetAbsent.into()) };
        self.store.get(id, &key).await.map_err(unavailable)?.ok_or_else(|| Refusal::GetAbsent.into())
    }

    /// Lists values.
    pub(super) async fn list(&self, id: &OrganizationId, query: Query) -> Result<Page, Error> {
        self.store.list(id, query).await.map_err(unavailable)
    }

    /// Applies changes; `absent` is what to say of a key that is to be removed and is not there.
    async fn apply(
        &self,
        id: &OrganizationId,
        changes: Vec<Change>,
        absent: Refusal,
    ) -> Result<Details, Error> {
        self.store.apply(id, changes).await.map_err(|error| match error {
            StoreError::OrganizationNotFound => Refusal::OrganizationNotFound.into(),
            StoreError::KeyAbsent { .. } => absent.into(),
            _ => unavailable(error),
        })
    }

    async fn writable(&self, id: &OrganizationId) -> Result<Organization, Error> {
        let organization = self.store.organization(id).await.map_err(unavailable)?;
        let writable = organization.filter(|organization| organization.state != OrganizationState::Removed);
        writable.ok_or_else(|| Refusal::OrganizationNotFound.into())
    }

    /// `refusal`, but only where the organization can be written to: that is asked first.
    async fn if_writable(&self, id: &OrganizationId, refusal: Refusal) -> Error {
        self.writable(id).await.map_or_else(|error| error, |_| refusal.into())
    }
}

/// The organization that a v1 call is for.
pub(super) fn organization(call: &Call) -> Result<&OrganizationId, Error> {
    let missing = || Error::Internal { cause: "an RPC for anybody asks for an organization".to_owned() };
    call.organization.as_ref().ok_or_else(missing)
}

/// The organization that a v2 request names, if the caller may do there what needs `permission`.
///
/// # Errors
/// `AUTHZ-cdgFk`, `AUTH-AWfge`.
pub(super) fn permitted(call: &Call, id: &str, permission: Permission) -> Result<OrganizationId, Error> {
    // The proto's rules leave no empty id.
    let id = OrganizationId::new(id).map_err(|error| Error::Invalid(error.to_string()))?;
    let denied = match &call.caller {
        Some(caller) => caller.check(&id, permission).err(),
        None => Some(Denied::NoMembership),
    };
    match denied {
        None => Ok(id),
        Some(Denied::NoMembership) => Err(Refusal::MembershipNotFound.into()),
        Some(Denied::NoPermission) => Err(Refusal::PermissionMissingInside.into()),
    }
}

/// The limit of a v2 page.
///
/// # Errors
/// `QUERY-4M0fs` for more than 1,000.
pub(super) fn page_limit(asked: u32) -> Result<Option<u32>, Error> {
    match asked {
        0 => Ok(Some(PAGE_DEFAULT)),
        1..=PAGE_MAX => Ok(Some(asked)),
        _ => Err(Refusal::LimitExceeded.into()),
    }
}

/// A filter by the number of its method, which is the same in all versions and has been validated.
pub(super) fn key_filter(key: &str, method: i32) -> KeyFilter {
    let comparison = match method {
        1 => Comparison::EqualsIgnoreCase,
        2 => Comparison::StartsWith,
        3 => Comparison::StartsWithIgnoreCase,
        4 => Comparison::Contains,
        5 => Comparison::ContainsIgnoreCase,
        6 => Comparison::EndsWith,
        7 => Comparison::EndsWithIgnoreCase,
        _ => Comparison::Equals,
    };
    KeyFilter::new(key, comparison)
}

/// A time as messages have it.
pub(super) fn time(at: Timestamp) -> protojson::Timestamp {
    let (seconds, nanos) = at.to_seconds_and_nanos();
    protojson::Timestamp { seconds, nanos }
}
