//! Whole stores, row by row: what an operator moves, counts and checks.

use std::mem;

use async_trait::async_trait;
use domain::{Entry, Organization, OrganizationId, Timestamp};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::StoreError;

/// A row of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An organization, whatever its state.
    Organization {
        /// As the store knows it.
        organization: Organization,
        /// The time of its last event of any kind.
        last_event_at: Timestamp,
    },
    /// An entry of an organization's metadata.
    Entry {
        /// Whose.
        organization: OrganizationId,
        /// What.
        entry: Entry,
    },
}

impl Record {
    /// About how much memory it takes, in bytes.
    fn bytes(&self) -> usize {
        mem::size_of::<Self>()
            + match self {
                Self::Organization { organization, .. } => organization.name.len(),
                Self::Entry { entry, .. } => entry.key.as_str().len() + entry.value.len(),
            }
    }
}

/// Records in batches, none of them empty and each of a bounded size. It ends behind an error.
pub type Records = BoxStream<'static, Result<Vec<Record>, StoreError>>;

/// Where a task puts the batches that it reads; who takes them may leave.
pub type Batches = mpsc::Sender<Result<Vec<Record>, StoreError>>;

/// What the task that is begun reads, a little ahead of who takes it.
pub fn read_by(begin: impl FnOnce(Batches) -> JoinHandle<()>) -> Records {
    const BATCHES_AHEAD: usize = 2;

    let (batches, taken) = mpsc::channel(BATCHES_AHEAD);
    let task = begin(batches);
    let stream = stream::unfold((taken, Some(task)), async |(mut taken, task)| match taken.recv().await {
        Some(batch) => Some((batch, (taken, task))),
        // A task that has panicked has not read everything.
        None => task?.await.err().map(|error| (Err(StoreError::unavailable(error)), (taken, None))),
    });
    stream.boxed()
}

/// Gathers records into batches of at most [`Batch::RECORDS_MAX`], and of about [`Batch::BYTES_MAX`].
#[derive(Debug, Default)]
pub struct Batch {
    records: Vec<Record>,
    bytes: usize,
}

impl Batch {
    /// How many records it holds at most.
    pub const RECORDS_MAX: usize = 1_000;

    /// The size at which it is full, in bytes. The last record may reach beyond it.
    pub const BYTES_MAX: usize = 4 * 1024 * 1024;

    /// Adds a record. Gives all when that has made it full.
    pub fn push(&mut self, record: Record) -> Option<Vec<Record>> {
        self.bytes += record.bytes();
        self.records.push(record);
        let is_full = self.records.len() >= Self::RECORDS_MAX || self.bytes >= Self::BYTES_MAX;
        if is_full { self.take() } else { None }
    }

    /// Gives what is there, if anything is.
    pub fn take(&mut self) -> Option<Vec<Record>> {
        self.bytes = 0;
        let records = mem::take(&mut self.records);
        (!records.is_empty()).then_some(records)
    }
}

/// An import: many batches, of which a store knows how many it has.
#[derive(Clone, Debug)]
pub struct Import {
    /// Names what is imported; the same again is the same import.
    pub source: String,
    /// Whether an organization that is in the store already is replaced, with all its metadata, or is an error.
    pub replace: bool,
}

/// Why a batch was not imported; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The organization is there, and is not to be replaced.
    #[error("organization {:?} is in the store already", .0.as_str())]
    Exists(OrganizationId),
    /// An entry's organization is neither in the batch before it nor in the store.
    #[error("organization {:?} has metadata, and is not there itself", .0.as_str())]
    Orphan(OrganizationId),
    /// Somebody else has imported of the same source.
    #[error(
        "{expected} records of this source should be in the store, and there are {found}: another import is at work"
    )]
    Overtaken {
        /// What the caller said.
        expected: u64,
        /// What the store says.
        found: u64,
    },
    /// The store has failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What there is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Organizations that are active.
    pub active: u64,
    /// Organizations that are inactive.
    pub inactive: u64,
    /// Organizations that are removed.
    pub removed: u64,
    /// Keys of all organizations.
    pub entries: u64,
    /// Bytes of all values.
    pub bytes: u64,
    /// The largest values, from the largest on.
    pub largest: Vec<LargeValue>,
}

impl Stats {
    /// How many records there are of what is counted.
    pub fn records(&self) -> u64 {
        self.active + self.inactive + self.removed + self.entries
    }
}

/// Where a large value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeValue {
    /// The organization's id.
    pub organization: String,
    /// The key.
    pub key: String,
    /// The value's size.
    pub bytes: u64,
}

/// A store as its operator sees it. May be used while the store is being served.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// All records as they are at one moment: organizations by id, each followed by its entries by key, in byte order.
    ///
    /// # Errors
    /// In the stream: [`StoreError::Unavailable`], [`StoreError::Damaged`].
    fn records(&self) -> Records;

    /// Stores the records as they are, numbers and times included: all of them, durably, or none. `before` is how many
    /// the store has of this import already.
    ///
    /// An organization comes without metadata; its entries follow it, here or in later batches. No record may be twice
    /// in a batch; an entry that is there already is replaced. Entries of an organization that is removed, be it since the
    /// batch before, are left out.
    ///
    /// # Errors
    /// See [`ImportError`].
    async fn import(&self, import: &Import, before: u64, records: Vec<Record>) -> Result<(), ImportError>;

    /// How many records the store has of an import that was begun and not finished; else 0.
    ///
    /// # Errors
    /// Those of the store.
    async fn imported(&self, source: &str) -> Result<u64, StoreError>;

    /// The import is complete: the same source, once more, is a new one.
    ///
    /// # Errors
    /// Those of the store.
    async fn finish_import(&self, source: &str) -> Result<(), StoreError>;

    /// Counts what is there; names the `largest` values.
    ///
    /// # Errors
    /// Those of the store.
    async fn stats(&self, largest: u32) -> Result<Stats, StoreError>;

    /// Looks for what no sound store has, and for imports that were not finished: a line for each, at most [`PROBLEMS_MAX`].
    ///
    /// # Errors
    /// If the store cannot be looked at.
    async fn check(&self) -> Result<Vec<String>, StoreError>;
}

/// How many problems a check names.
pub const PROBLEMS_MAX: usize = 100;

/// What stores with tables ask for in a check, in SQL: each gives an organization and a key, or one of them, that break
/// the rule that is named before it.
pub const RULES: [(&str, &str); 8] = [
    (
        "the count of its entries is wrong",
        "SELECT o.id, NULL FROM organization o \
         LEFT JOIN (SELECT organization, count(*) AS entries FROM metadata GROUP BY organization) m \
         ON m.organization = o.number WHERE o.entries <> coalesce(m.entries, 0)",
    ),
    (
        "the entry's organization is not there",
        "SELECT NULL, m.key FROM metadata m \
         WHERE NOT EXISTS (SELECT 1 FROM organization o WHERE o.number = m.organization)",
    ),
    (
        "it is removed, and has metadata",
        "SELECT o.id, m.key FROM metadata m JOIN organization o ON o.number = m.organization WHERE o.state = 3",
    ),
    (
        "its last metadata event is not one of its events",
        "SELECT o.id, NULL FROM organization o \
         WHERE o.last_metadata_sequence < 1 OR o.last_metadata_sequence > o.sequence",
    ),
    (
        "the entry's event is not one of its organization's metadata events",
        "SELECT o.id, m.key FROM metadata m JOIN organization o ON o.number = m.organization \
         WHERE m.sequence < 2 OR m.sequence > o.last_metadata_sequence",
    ),
    (
        "two entries have the same event",
        "SELECT o.id, min(m.key) FROM metadata m JOIN organization o ON o.number = m.organization \
         GROUP BY o.id, m.sequence HAVING count(*) > 1",
    ),
    (
        "its last metadata event is before its creation, or after its last event",
        "SELECT o.id, NULL FROM organization o \
         WHERE o.last_metadata_at < o.created_at OR o.last_metadata_at > o.last_event_at",
    ),
    (
        "the entry was changed before it was created, or after the last metadata event",
        "SELECT o.id, m.key FROM metadata m JOIN organization o ON o.number = m.organization \
         WHERE m.changed_at < m.created_at OR m.changed_at > o.last_metadata_at",
    ),
];

/// The line for an import that was not finished: an organization may be there in part.
pub fn unfinished(source: &str, records: u64) -> String {
    format!("import {source:?}: {records} records are there, and it was not finished")
}

/// The line for something that breaks a rule.
pub fn problem(rule: &str, organization: Option<&str>, key: Option<&str>) -> String {
    let place = match (organization, key) {
        (Some(organization), Some(key)) => format!("organization {organization:?}, key {key:?}"),
        (Some(organization), None) => format!("organization {organization:?}"),
        (None, Some(key)) => format!("key {key:?}"),
        (None, None) => "the store".to_owned(),
    };
    format!("{place}: {rule}")
}
