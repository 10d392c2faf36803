//! All rows of the store at one moment, read on a thread of its own.

use std::path::{Path, PathBuf};

use domain::OrganizationState;
use storage::archive::{self, Batch, Batches, Record, Records};

use crate::{Row, error::failure, page, readers, schema};

/// The records of the store in the file at `path`.
pub(super) fn stream(path: PathBuf) -> Records {
    archive::read_by(|batches| {
        tokio::task::spawn_blocking(move || {
            if let Err(error) = read(&path, &batches) {
                // Whoever does not wait for it does not need it.
                let _ = batches.blocking_send(Err(failure(error)));
            }
        })
    })
}

/// Reads until all is read, or nobody takes it any more.
fn read(path: &Path, batches: &Batches) -> rusqlite::Result<()> {
    let connection = readers::connect(path)?;
    let snapshot = connection.unchecked_transaction()?;
    let mut organizations = snapshot.prepare(concat!(schema::select_organization!(), " ORDER BY id"))?;
    let mut entries = snapshot.prepare(page::select_entry!("?1 ORDER BY key"))?;
    let mut batch = Batch::default();
    let mut rows = organizations.query([])?;
    while let Some(row) = rows.next()? {
        let Row { number, organization, last_event_at, .. } = schema::row(row)?;
        let id = organization.id.clone();
        let is_removed = organization.state == OrganizationState::Removed;
        if !give(batches, batch.push(Record::Organization { organization, last_event_at })) {
            return Ok(());
        }
        if is_removed {
            continue;
        }
        let mut rows = entries.query([number])?;
        while let Some(row) = rows.next()? {
            let record = Record::Entry { organization: id.clone(), entry: page::entry(row)? };
            if !give(batches, batch.push(record)) {
                return Ok(());
            }
        }
    }
    give(batches, batch.take());
    Ok(())
}

/// Whether somebody still takes batches.
fn give(batches: &Batches, batch: Option<Vec<Record>>) -> bool {
    batch.is_none_or(|batch| batches.blocking_send(Ok(batch)).is_ok())
}
