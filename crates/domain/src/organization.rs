//! Organizations: the owners of metadata.

use std::{fmt, sync::Arc};

use crate::{Details, Timestamp};

/// An organization's id: any text that is not empty, and without U+0000, which not every store can hold. Compared byte
/// for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationId(Arc<str>);

/// The text is empty or holds U+0000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an organization id must not be empty or hold U+0000")]
pub struct InvalidOrganizationId;

impl OrganizationId {
    /// # Errors
    /// [`InvalidOrganizationId`] if `id` is empty or holds U+0000.
    pub fn new(id: &str) -> Result<Self, InvalidOrganizationId> {
        if id.is_empty() || id.contains('\0') { Err(InvalidOrganizationId) } else { Ok(Self(id.into())) }
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Where an organization is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrganizationState {
    /// In use.
    Active,
    /// Switched off for logins; its metadata is read and written as ever (contract 3).
    Inactive,
    /// Gone for good: its metadata is invisible, its users' tokens are void.
    Removed,
}

impl OrganizationState {
    /// The number that stands for it in stores; never changes.
    pub fn number(self) -> i16 {
        match self {
            Self::Active => 1,
            Self::Inactive => 2,
            Self::Removed => 3,
        }
    }

    /// The state of a number.
    pub fn from_number(number: i16) -> Option<Self> {
        [Self::Active, Self::Inactive, Self::Removed].into_iter().find(|state| state.number() == number)
    }
}

/// One organization as a store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name, for people.
    pub name: String,
    /// Its state.
    pub state: OrganizationState,
    /// When it was created.
    pub created_at: Timestamp,
    /// The number of its last event of any kind: 1 after its creation.
    pub sequence: u64,
    /// Its last metadata event; its creation until there is one. A bulk set that changes nothing answers with it.
    pub last_metadata_event: Details,
}
