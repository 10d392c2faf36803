//! What a write does, decided before anything is written: the same for every store.

use bytes::Bytes;
use domain::{Change, Key};

use crate::StoreError;

/// One event of a write: a key gets a value, or loses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whose value.
    pub key: Key,
    /// The new value; `None` removes the key.
    pub value: Option<Bytes>,
}

/// Judges each of `changes` against the state before the write, of which `stored` gives the value of a key. What is
/// left are the events, in order.
///
/// # Errors
/// [`StoreError::KeyAbsent`] for the first [`Change::Remove`] of an absent key, and whatever `stored` says.
pub fn judge(
    changes: Vec<Change>,
    stored: impl Fn(&Key) -> Result<Option<Bytes>, StoreError>,
) -> Result<Vec<Effect>, StoreError> {
    let mut effects = Vec::with_capacity(changes.len());
    for (index, change) in changes.into_iter().enumerate() {
        let effect = match change {
            Change::Set { key, value } => Effect { key, value: Some(value) },
            Change::SetIfDifferent { key, value } => {
                if stored(&key)?.is_some_and(|stored| stored == value) {
                    continue;
                }
                Effect { key, value: Some(value) }
            }
            Change::Remove { key } => {
                if stored(&key)?.is_none() {
                    return Err(StoreError::KeyAbsent { index });
                }
                Effect { key, value: None }
            }
            Change::RemoveIfPresent { key } => {
                if stored(&key)?.is_none() {
                    continue;
                }
                Effect { key, value: None }
            }
        };
        effects.push(effect);
    }
    Ok(effects)
}
