//! From a file, or from somewhere else, to a store.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use futures_util::TryStreamExt;
use storage::{
    Archive,
    archive::{Import, Record, Records},
};

use super::{
    CommandError,
    export_file::{Mistake, Reader},
    progress::Bar,
    report::Moved,
};

/// A name that nothing else has.
pub(super) fn new_source() -> Result<String, CommandError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| CommandError::File { path: "random".into(), error: error.into() })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file of which all was as it was written when it was read.
pub(super) struct Verified {
    path: PathBuf,
    records: u64,
}

impl Verified {
    /// Reads a file to its end.
    pub(super) fn new(path: PathBuf) -> Result<Self, CommandError> {
        let file = open(&path)?;
        let bytes = file.metadata().map_err(|error| CommandError::File { path: path.clone(), error })?.len();
        let bar = Bar::of_bytes("verifying", bytes);
        let mut export = Export::begin(BufReader::new(bar.reading(file)), &path)?;
        while export.next()?.is_some() {}
        let (organizations, entries) = export.reader.counts();
        Ok(Self { records: organizations + entries, path })
    }
}

fn open(path: &Path) -> Result<File, CommandError> {
    File::open(path).map_err(|error| CommandError::File { path: path.to_owned(), error })
}

/// Imports a file.
pub(super) async fn from_file(
    archive: &dyn Archive,
    Verified { path, records }: Verified,
    replace: bool,
) -> Result<Moved, CommandError> {
    let export = Export::begin(BufReader::new(open(&path)?), &path)?;
    from_export(archive, export, Some(records), replace).await
}

/// Imports what comes on stdin: each part of it when it has turned out to be as it was written.
pub(super) async fn from_stdin(archive: &dyn Archive, replace: bool) -> Result<Moved, CommandError> {
    let export = Export::begin(io::stdin().lock(), Path::new("stdin"))?;
    from_export(archive, export, None, replace).await
}

/// An export that is read.
struct Export<'a, R> {
    reader: Reader<R>,
    path: &'a Path,
}

impl<'a, R: BufRead> Export<'a, R> {
    fn begin(from: R, path: &'a Path) -> Result<Self, CommandError> {
        match Reader::new(from) {
            Ok(reader) => Ok(Self { reader, path }),
            Err((line, mistake)) => Err(failed(path, line, mistake)),
        }
    }

    fn next(&mut self) -> Result<Option<Vec<Record>>, CommandError> {
        self.reader.batch().map_err(|mistake| failed(self.path, self.reader.line(), mistake))
    }
}

fn failed(path: &Path, line: u64, mistake: Mistake) -> CommandError {
    let path = path.to_owned();
    match mistake {
        Mistake::Io(error) => CommandError::File { path, error },
        Mistake::Content(reason) => CommandError::Export { path, line, reason },
    }
}

async fn from_export<R: BufRead>(
    archive: &dyn Archive,
    mut export: Export<'_, R>,
    records: Option<u64>,
    replace: bool,
) -> Result<Moved, CommandError> {
    let import = Import { source: export.reader.id().to_owned(), replace };
    let skipped = archive.imported(&import.source).await?;
    let bar = Bar::of_records("importing", records);
    let mut done = 0;
    let outcome = async {
        while let Some(records) = export.next()? {
            let count = records.len() as u64;
            // A store has whole batches of the same export.
            if done >= skipped {
                archive.import(&import, done, records).await?;
            } else if done + count > skipped {
                return Err(CommandError::NotOfThis { records: skipped });
            }
            done += count;
            bar.add(count);
        }
        if done < skipped { Err(CommandError::NotOfThis { records: skipped }) } else { Ok(()) }
    };
    let outcome = outcome.await;
    told(outcome, done)?;
    archive.finish_import(&import.source).await?;
    let (organizations, entries) = export.reader.counts();
    Ok(Moved { organizations, entries, skipped })
}

/// Imports records that are read now, and would be others later: broken off, it does not go on but begins anew. `source`
/// names where they are from.
pub(super) async fn from_records(
    archive: &dyn Archive,
    source: &str,
    mut batches: Records,
    all: Option<u64>,
    replace: bool,
) -> Result<Moved, CommandError> {
    let import = Import { source: source.to_owned(), replace };
    let bar = Bar::of_records("copying", all);
    let (mut moved, mut done) = (Moved::default(), 0);
    archive.finish_import(source).await?;
    let outcome = async {
        while let Some(records) = batches.try_next().await? {
            let count = records.len() as u64;
            let organizations =
                records.iter().filter(|record| matches!(record, Record::Organization { .. })).count() as u64;
            archive.import(&import, done, records).await?;
            moved.organizations += organizations;
            moved.entries += count - organizations;
            done += count;
            bar.add(count);
        }
        Ok(())
    };
    let outcome = outcome.await;
    told(outcome, done)?;
    archive.finish_import(source).await?;
    Ok(moved)
}

/// An error, with how much was stored before it.
fn told(outcome: Result<(), CommandError>, done: u64) -> Result<(), CommandError> {
    outcome.map_err(|error| match done {
        0 => error,
        records => CommandError::InPart { error: Box::new(error), records },
    })
}
