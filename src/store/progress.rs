//! A bar on stderr, if that is a terminal.

use std::io::{self, IsTerminal, Read};

use indicatif::{ProgressBar, ProgressStyle};
use storage::{Archive, StoreError};

/// How far a command has come. Gone when it is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// How many records there are, if somebody looks at the bar: to count them is to read them all.
    pub(super) async fn total(archive: &dyn Archive) -> Result<Option<u64>, StoreError> {
        let is_shown = io::stderr().is_terminal();
        Ok(if is_shown { Some(archive.stats(0).await?.records()) } else { None })
    }

    /// Counts records; of how many is known sometimes.
    pub(super) fn of_records(what: &'static str, all: Option<u64>) -> Self {
        Self::new(
            what,
            all,
            "{msg} {wide_bar} {human_pos}/{human_len} records, {per_sec}, {eta} left",
            "{msg} {human_pos} records, {per_sec}",
        )
    }

    /// Counts the bytes of a file.
    pub(super) fn of_bytes(what: &'static str, all: u64) -> Self {
        Self::new(what, Some(all), "{msg} {wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left", "")
    }

    /// Counts the pages of a SQLite file, whose number is told with the first.
    pub(super) fn of_pages(what: &'static str) -> Self {
        Self::new(what, Some(0), "{msg} {wide_bar} {human_pos}/{human_len} pages, {eta} left", "")
    }

    fn new(what: &'static str, all: Option<u64>, known: &str, unknown: &str) -> Self {
        let bar = all.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let style = ProgressStyle::with_template(if all.is_some() { known } else { unknown });
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what))
    }

    /// Counts what is read of a file.
    pub(super) fn reading<R: Read>(&self, file: R) -> impl Read + use<R> {
        self.0.wrap_read(file)
    }

    /// So much more is done.
    pub(super) fn add(&self, count: u64) {
        self.0.inc(count);
    }

    /// So much is done, of so much.
    pub(super) fn at(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
