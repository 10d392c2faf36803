//! Which key signs when, and until when it is kept.

use std::collections::BTreeMap;

use domain::Timestamp;

use super::SigningKeyRecord;

const HOUR: i64 = 3_600_000_000;
/// How long a key signs.
const SIGNS: i64 = 90 * 24 * HOUR;
/// How long a key is published before it signs, at least: clients keep what they have read.
const PUBLISHED_BEFORE: i64 = HOUR;
/// How long a key is kept when another signs: longer than any token lives.
const KEPT_AFTER: i64 = 24 * HOUR;

/// What has to be done about the keys.
#[derive(Debug, PartialEq, Eq)]
pub struct Rotation {
    /// From when on each new key signs.
    pub missing: Vec<Timestamp>,
    /// The ids of keys that nobody needs any more.
    pub outlived: Vec<String>,
}

impl Rotation {
    /// What has to be done now: there is always a key that signs, and one that will be the next.
    pub fn due(records: &BTreeMap<String, SigningKeyRecord>, now: Timestamp) -> Self {
        let now = now.as_micros();
        let starts = || records.values().map(|record| record.signs_from);
        let current = starts().filter(|start| *start <= now).max();
        let mut missing = Vec::new();
        if current.is_none() {
            // Other gateways' clocks may be behind, and so is the call that waits for it.
            missing.push(Timestamp::from_micros(now - PUBLISHED_BEFORE));
        }
        if starts().all(|start| start <= now) {
            let next = (current.unwrap_or(now) + SIGNS).max(now + PUBLISHED_BEFORE);
            missing.push(Timestamp::from_micros(next));
        }
        let is_outlived = |record: &SigningKeyRecord| {
            starts().any(|start| start > record.signs_from && start <= now - KEPT_AFTER)
        };
        let outlived = records.iter().filter(|(_, record)| is_outlived(record)).map(|(id, _)| id.clone());
        Self { missing, outlived: outlived.collect() }
    }

    /// Whether nothing has to be done.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.outlived.is_empty()
    }

    /// What has to be done so that another key signs from now on, before its time: the next one, which verifiers know
    /// already, and its record as it shall be. With `withdraws` all keys are replaced, also the next, by keys that nobody has
    /// seen: then all tokens end that were made with them.
    pub fn early(
        records: &BTreeMap<String, SigningKeyRecord>,
        now: Timestamp,
        withdraws: bool,
    ) -> (Self, Option<(String, SigningKeyRecord)>) {
        if withdraws {
            let Self { missing, .. } = Self::due(&BTreeMap::new(), now);
            return (Self { missing, outlived: records.keys().cloned().collect() }, None);
        }
        let ahead = records.iter().filter(|(_, record)| record.signs_from > now.as_micros());
        let mut records = records.clone();
        let next = ahead
            .min_by_key(|(_, record)| record.signs_from)
            .map(|(id, record)| (id.clone(), record.clone().signing_from(now)));
        records.extend(next.clone());
        let mut due = Self::due(&records, now);
        if next.is_none() && !records.is_empty() {
            due.missing.push(now);
        }
        (due, next)
    }
}

/// What a key is for at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPhase {
    /// It will sign from this moment on, and is published already.
    Next(Timestamp),
    /// It signs.
    Signing,
    /// Others sign; what it has signed is good, until this moment at most.
    Kept(Timestamp),
}

impl KeyPhase {
    /// Of each key, by id.
    pub fn of_all(records: &BTreeMap<String, SigningKeyRecord>, now: Timestamp) -> Vec<(&str, Self)> {
        let now = now.as_micros();
        let phase = |record: &SigningKeyRecord| {
            let start = record.signs_from;
            let later = records.values().map(|record| record.signs_from).filter(|later| *later > start);
            match later.min().filter(|successor| *successor <= now) {
                _ if start > now => Self::Next(Timestamp::from_micros(start)),
                None => Self::Signing,
                Some(successor) => Self::Kept(Timestamp::from_micros(successor + KEPT_AFTER)),
            }
        };
        records.iter().map(|(id, record)| (id.as_str(), phase(record))).collect()
    }
}
