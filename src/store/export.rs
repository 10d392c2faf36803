//! From a store to a file.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use futures_util::TryStreamExt;
use storage::Archive;

use super::{CommandError, export_file::Writer, progress::Bar, report::Moved};

/// Exports to a new file, which is there when it is whole and durable, not before. Only its owner can read it.
pub(super) async fn to_file(archive: &dyn Archive, path: &Path) -> Result<Moved, CommandError> {
    let failed = |error| CommandError::File { path: path.to_owned(), error };
    if path.exists() {
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "it is there already")));
    }
    let folder = storage_sqlite::folder(path);
    // A name of its own: somebody else may be making the same. Gone again, should this fail.
    let part = tempfile::Builder::new().prefix(".part-").tempfile_in(folder).map_err(failed)?;
    let (written, moved) = write(archive, BufWriter::new(part), path).await?;
    let part = written.into_inner().map_err(|error| failed(error.into_error()))?;
    part.as_file().sync_all().map_err(failed)?;
    part.persist_noclobber(path).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(moved)
}

/// Exports to stdout.
pub(super) async fn to_stdout(archive: &dyn Archive) -> Result<Moved, CommandError> {
    let (_, moved) = write(archive, BufWriter::new(io::stdout()), Path::new("stdout")).await?;
    Ok(moved)
}

async fn write<W: Write>(archive: &dyn Archive, to: W, path: &Path) -> Result<(W, Moved), CommandError> {
    let failed = |error| CommandError::File { path: path.to_owned(), error };
    let bar = Bar::of_records("exporting", Bar::total(archive).await?);
    let mut writer = Writer::new(to, super::import::new_source()?).map_err(failed)?;
    let mut batches = archive.records();
    while let Some(records) = batches.try_next().await? {
        writer.batch(&records).map_err(failed)?;
        bar.add(records.len() as u64);
    }
    let (to, organizations, entries) = writer.end().map_err(failed)?;
    Ok((to, Moved { organizations, entries, skipped: 0 }))
}
