//! What was read of organizations, until something is committed.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::OrganizationId;
use rusqlite::Connection;
use sqlite_vfs::Commit;

/// Of how many organizations something is kept.
const ORGANIZATIONS_MAX: usize = 1_024;

/// What was read of organizations since the last commit, of whatever process. SQLite takes and gives back a lock for each
/// read; to see that nothing was committed takes a look into memory.
pub(crate) struct Recent<T>(Mutex<State<T>>);

struct State<T> {
    /// The commit that all of it was read behind.
    commit: Option<Commit>,
    found: HashMap<OrganizationId, T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::new(State { commit: None, found: HashMap::new() }))
    }
}

impl<T: Clone> Recent<T> {
    /// What `read` finds of an organization.
    pub(crate) fn get(
        &self,
        connection: &Connection,
        id: &OrganizationId,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let before = sqlite_vfs::last_commit(connection);
        if before.is_some() {
            let state = self.lock();
            if state.commit == before
                && let Some(found) = state.found.get(id)
            {
                return Ok(found.clone());
            }
        }
        let found = read(connection)?;
        // Else it is not known which of the two it was read behind.
        if before.is_some() && sqlite_vfs::last_commit(connection) == before {
            let mut state = self.lock();
            if state.commit != before || state.found.len() == ORGANIZATIONS_MAX {
                state.found.clear();
                state.commit = before;
            }
            state.found.insert(id.clone(), found.clone());
        }
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, path::Path};

    use super::*;
    use crate::{readers, schema, tuning::Mistake};

    fn id(text: &str) -> OrganizationId {
        OrganizationId::new(text).unwrap()
    }

    /// A store, and a connection of a reader that has read once, as all have that are used again.
    fn open(folder: &Path) -> (Connection, Connection) {
        let path = folder.join("store.db");
        let writing = schema::open(&path, Mistake::None).unwrap();
        let reading = readers::connect(&path).unwrap();
        names(&reading).unwrap();
        (writing, reading)
    }

    fn names(connection: &Connection) -> rusqlite::Result<u64> {
        connection.query_row("SELECT count(*) FROM organization", [], |row| row.get(0))
    }

    fn commit(connection: &Connection, number: u64) {
        connection
            .execute("INSERT INTO organization VALUES (?1, ?1, '', 1, 0, 1, 0, 1, 0, 0)", [number])
            .unwrap();
    }

    #[test]
    fn an_organization_is_read_once_between_two_commits() {
        let folder = tempfile::tempdir().unwrap();
        let (writing, reading) = open(folder.path());
        let (recent, reads) = (Recent::default(), Cell::new(0));
        let get = |name: &str| {
            let read = |connection: &Connection| {
                reads.set(reads.get() + 1);
                names(connection)
            };
            (recent.get(&reading, &id(name), read).unwrap(), reads.get())
        };
        assert_eq!([get("a"), get("a"), get("b"), get("a")], [(0, 1), (0, 1), (0, 2), (0, 2)]);
        writing.execute_batch("BEGIN IMMEDIATE").unwrap();
        commit(&writing, 1);
        assert_eq!(get("a"), (0, 2));
        writing.execute_batch("COMMIT").unwrap();
        assert_eq!([get("a"), get("a"), get("b")], [(1, 3), (1, 3), (1, 4)]);
        // Nothing is committed by a checkpoint, nor when the log is begun anew.
        writing.execute_batch("PRAGMA wal_checkpoint").unwrap();
        assert_eq!(get("a"), (1, 4));
        commit(&writing, 2);
        assert_eq!([get("a"), get("a")], [(2, 5), (2, 5)]);
    }

    #[test]
    fn what_was_read_while_something_was_committed_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (writing, reading) = open(folder.path());
        let recent = Recent::default();
        let old = recent.get(&reading, &id("a"), |connection| {
            let found = names(connection)?;
            commit(&writing, 1);
            Ok(found)
        });
        assert_eq!(old.unwrap(), 0);
        assert_eq!(recent.get(&reading, &id("a"), names).unwrap(), 1);
    }

    #[test]
    fn no_more_are_kept_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let (_writing, reading) = open(folder.path());
        let recent = Recent::default();
        for n in 0..=2 * ORGANIZATIONS_MAX {
            recent.get(&reading, &id(&n.to_string()), names).unwrap();
            assert!((1..=ORGANIZATIONS_MAX).contains(&recent.lock().found.len()), "{n}");
        }
    }
}
