//! Metadata: keys, entries, and what may be asked and changed.

use std::{borrow::Borrow, fmt};

use bytes::Bytes;

use crate::{KeyFilter, Timestamp};

/// A key that can be stored: not empty, and without U+0000 (departure D9). Compared byte for byte, never trimmed,
/// folded or normalized. How long it may be is a rule of the API, declared in the proto.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

/// The text is empty or holds U+0000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key must not be empty or hold U+0000")]
pub struct InvalidKey;

impl Key {
    /// # Errors
    /// [`InvalidKey`] if `key` is empty or holds U+0000.
    pub fn new(key: String) -> Result<Self, InvalidKey> {
        if key.is_empty() || key.contains('\0') { Err(InvalidKey) } else { Ok(Self(key)) }
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key's text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// A key is compared as its text is.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One change of a write. Each is judged against the state *before* the write (contract 3): two changes of one key in
/// one write do not see each other, and are applied in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Stores the value; an event even if it is the stored one.
    Set {
        /// Where.
        key: Key,
        /// What; not empty.
        value: Bytes,
    },
    /// Stores the value; nothing happens if it is the stored one.
    SetIfDifferent {
        /// Where.
        key: Key,
        /// What; not empty.
        value: Bytes,
    },
    /// Removes the key; refuses the whole write if it is absent.
    Remove {
        /// Where.
        key: Key,
    },
    /// Removes the key; nothing happens if it is absent.
    RemoveIfPresent {
        /// Where.
        key: Key,
    },
}

/// An event's number and time: what a write answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// The number of the organization's event.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
}

/// One stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// Its value; not empty.
    pub value: Bytes,
    /// The number of the event that last set it.
    pub sequence: u64,
    /// When it was first set since it was last removed.
    pub created_at: Timestamp,
    /// When it was last set.
    pub changed_at: Timestamp,
}

/// Which entries of an organization are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// All must match.
    pub filters: Vec<KeyFilter>,
    /// How many matches to skip, in key order.
    pub offset: u64,
    /// How many to give at most; `None` is all.
    pub limit: Option<u32>,
}

impl Query {
    /// The longest text that every match begins with, byte for byte; `None` if there is no filter.
    pub fn longest_prefix(&self) -> Option<&str> {
        self.filters.iter().map(KeyFilter::prefix).max_by_key(|prefix| prefix.len())
    }
}

/// A part of the matches, ascending by key in byte order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries asked for.
    pub entries: Vec<Entry>,
    /// The count of all matches, whatever offset and limit (departure D6).
    pub total: u64,
}
