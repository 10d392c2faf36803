//! What a command says that it did.

use std::{
    fmt::{self, Display},
    io::{self, Write},
};

use serde::Serialize;
use storage::archive::Stats;

use super::CommandError;

/// Something that is said as lines of text, or as one JSON object.
pub(crate) trait Report: Serialize + Display {
    /// Says it on stdout.
    fn print(&self, json: bool) -> Result<(), CommandError> {
        self.write(json, &mut io::stdout().lock(), "stdout")
    }

    /// Says it on stderr.
    fn print_to_stderr(&self, json: bool) -> Result<(), CommandError> {
        self.write(json, &mut io::stderr().lock(), "stderr")
    }

    /// Says it somewhere.
    fn write(&self, json: bool, to: &mut dyn Write, name: &str) -> Result<(), CommandError> {
        let written = if json {
            serde_json::to_string(self).map_err(io::Error::from).and_then(|text| writeln!(to, "{text}"))
        } else {
            writeln!(to, "{self}")
        };
        written.and_then(|()| to.flush()).map_err(|error| CommandError::File { path: name.into(), error })
    }
}

impl<T: Serialize + Display> Report for T {}

/// Why nothing was done, for machines; people have it on stderr.
#[derive(Serialize)]
pub(crate) struct Failed {
    /// In one line.
    pub error: String,
}

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

/// What is wrong with a store.
#[derive(Serialize)]
pub(super) struct Checked {
    /// A line for each.
    pub problems: Vec<String>,
}

impl Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.problems.is_empty() { f.write_str("ok") } else { f.write_str(&self.problems.join("\n")) }
    }
}

/// A file that was copied.
#[derive(Serialize)]
pub(super) struct Copied {
    /// Its path.
    pub from: String,
    /// That of the copy.
    pub to: String,
    /// The copy's size.
    pub bytes: u64,
}

impl Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes from {} to {}", self.bytes, self.from, self.to)
    }
}

/// What went from one place to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Moved {
    /// How many organizations.
    pub organizations: u64,
    /// How many entries of metadata.
    pub entries: u64,
    /// How many of both were there already, since the same was begun before.
    pub skipped: u64,
}

impl Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} organizations, {} entries", self.organizations, self.entries)?;
        if self.skipped > 0 {
            write!(f, "; {} of these records were there already", self.skipped)?;
        }
        Ok(())
    }
}

/// What there is in a store.
#[derive(Serialize)]
pub(super) struct Counted {
    organizations: Organizations,
    entries: u64,
    bytes: u64,
    largest: Vec<Large>,
}

#[derive(Serialize)]
struct Organizations {
    active: u64,
    inactive: u64,
    removed: u64,
}

#[derive(Serialize)]
struct Large {
    organization: String,
    key: String,
    bytes: u64,
}

impl From<Stats> for Counted {
    fn from(Stats { active, inactive, removed, entries, bytes, largest }: Stats) -> Self {
        let largest = largest.into_iter().map(|value| Large {
            organization: value.organization,
            key: value.key,
            bytes: value.bytes,
        });
        let organizations = Organizations { active, inactive, removed };
        Self { organizations, entries, bytes, largest: largest.collect() }
    }
}

impl Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Organizations { active, inactive, removed } = self.organizations;
        writeln!(f, "organizations: {active} active, {inactive} inactive, {removed} removed")?;
        writeln!(f, "keys: {}", self.entries)?;
        write!(f, "bytes of values: {}", self.bytes)?;
        for Large { organization, key, bytes } in &self.largest {
            write!(f, "\n{bytes:>12} organization {organization:?}, key {key:?}")?;
        }
        Ok(())
    }
}
