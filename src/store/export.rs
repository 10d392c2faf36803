//! From a store to a file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
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
    let part = PathBuf::from(format!("{}.part", path.display()));
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let (written, moved) = write(archive, BufWriter::new(file.map_err(failed)?), path).await?;
    let file = written.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    // Not by renaming, which would replace what has come there meanwhile.
    fs::hard_link(&part, path).and_then(|()| fs::remove_file(&part)).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
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
    let stats = archive.stats(0).await?;
    let bar = Bar::of_records("exporting", Some(stats.records()));
    let mut writer = Writer::new(to, super::import::new_source()?).map_err(failed)?;
    let mut batches = archive.records();
    while let Some(records) = batches.try_next().await? {
        writer.batch(&records).map_err(failed)?;
        bar.add(records.len() as u64);
    }
    let (to, organizations, entries) = writer.end().map_err(failed)?;
    Ok((to, Moved { organizations, entries, skipped: 0 }))
}
