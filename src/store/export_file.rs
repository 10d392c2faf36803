//! The file of an export: lines of JSON, with checksums.
//!
//! ```text
//! {"export":{"version":1,"id":"…","at":"2026-01-02T03:04:05.000006Z"}}
//! {"organization":{"id":"…","name":"…","state":"active","createdAt":"…","sequence":7,"lastEventAt":"…",
//!  "lastMetadataEvent":{"sequence":7,"at":"…"}}}
//! {"entry":{"organization":"…","key":"…","value":"aGVsbG8=","sequence":7,"createdAt":"…","changedAt":"…"}}
//! {"checkpoint":{"records":2,"sha256":"…"}}
//! {"end":{"organizations":1,"entries":1,"sha256":"…"}}
//! ```
//!
//! Organizations come by id, each followed by its entries by key. A checkpoint counts the records before it, and has the
//! SHA-256 of all bytes before it; records between two checkpoints are stored together. A file without its end is half
//! a file.

use std::io::{self, BufRead, Read, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use domain::{Details, Entry, Key, Organization, OrganizationId, OrganizationState, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use storage::archive::{Batch, Record};

/// The version of the format that this program writes and reads.
const VERSION: u32 = 1;

/// The longest line, in bytes. A value takes a third more than it has.
const LINE_BYTES_MAX: u64 = 1024 * 1024;

/// The largest value that the API takes, in bytes (contract 1.1).
const VALUE_BYTES_MAX: usize = 500_000;

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    Export(Head),
    Organization(OrganizationLine),
    Entry(EntryLine),
    Checkpoint(Checkpoint),
    End(End),
}

#[derive(Deserialize, Serialize)]
struct Head {
    version: u32,
    id: String,
    at: Time,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct OrganizationLine {
    id: String,
    name: String,
    state: State,
    created_at: Time,
    sequence: u64,
    last_event_at: Time,
    last_metadata_event: Event,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    Active,
    Inactive,
    Removed,
}

#[derive(Deserialize, Serialize)]
struct Event {
    sequence: u64,
    at: Time,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryLine {
    organization: String,
    key: String,
    value: String,
    sequence: u64,
    created_at: Time,
    changed_at: Time,
}

#[derive(Deserialize, Serialize)]
struct Checkpoint {
    records: u64,
    sha256: String,
}

#[derive(Deserialize, Serialize)]
struct End {
    organizations: u64,
    entries: u64,
    sha256: String,
}

/// A time as RFC 3339 has it.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
struct Time(Timestamp);

impl From<Time> for String {
    fn from(Time(time): Time) -> Self {
        // Times of events are within the calendar of RFC 3339.
        jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or_default().to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        let time: jiff::Timestamp = text.parse()?;
        Ok(Self(Timestamp::from_micros(time.as_microsecond())))
    }
}

impl From<&Record> for Line {
    fn from(record: &Record) -> Self {
        match record {
            Record::Organization { organization, last_event_at } => Self::Organization(OrganizationLine {
                id: organization.id.as_str().to_owned(),
                name: organization.name.clone(),
                state: match organization.state {
                    OrganizationState::Active => State::Active,
                    OrganizationState::Inactive => State::Inactive,
                    OrganizationState::Removed => State::Removed,
                },
                created_at: Time(organization.created_at),
                sequence: organization.sequence,
                last_event_at: Time(*last_event_at),
                last_metadata_event: Event {
                    sequence: organization.last_metadata_event.sequence,
                    at: Time(organization.last_metadata_event.at),
                },
            }),
            Record::Entry { organization, entry } => Self::Entry(EntryLine {
                organization: organization.as_str().to_owned(),
                key: entry.key.as_str().to_owned(),
                value: STANDARD.encode(&entry.value),
                sequence: entry.sequence,
                created_at: Time(entry.created_at),
                changed_at: Time(entry.changed_at),
            }),
        }
    }
}

impl TryFrom<OrganizationLine> for Record {
    type Error = String;

    fn try_from(line: OrganizationLine) -> Result<Self, String> {
        let organization = Organization {
            id: OrganizationId::new(&line.id).map_err(|error| error.to_string())?,
            name: line.name,
            state: match line.state {
                State::Active => OrganizationState::Active,
                State::Inactive => OrganizationState::Inactive,
                State::Removed => OrganizationState::Removed,
            },
            created_at: line.created_at.0,
            sequence: line.sequence,
            last_metadata_event: Details {
                sequence: line.last_metadata_event.sequence,
                at: line.last_metadata_event.at.0,
            },
        };
        Ok(Self::Organization { organization, last_event_at: line.last_event_at.0 })
    }
}

impl TryFrom<EntryLine> for Record {
    type Error = String;

    fn try_from(line: EntryLine) -> Result<Self, String> {
        let value = STANDARD.decode(line.value).map_err(|error| format!("value: {error}"))?;
        if !(1..=VALUE_BYTES_MAX).contains(&value.len()) {
            return Err(format!("value: it has {} bytes, and may have 1 to {VALUE_BYTES_MAX}", value.len()));
        }
        let entry = Entry {
            key: Key::new(line.key).map_err(|error| error.to_string())?,
            value: Bytes::from(value),
            sequence: line.sequence,
            created_at: line.created_at.0,
            changed_at: line.changed_at.0,
        };
        let organization = OrganizationId::new(&line.organization).map_err(|error| error.to_string())?;
        Ok(Self::Entry { organization, entry })
    }
}

/// What has gone through: how many of what, and the checksum of all bytes.
#[derive(Default)]
struct Tally {
    organizations: u64,
    entries: u64,
    bytes: Sha256,
}

impl Tally {
    fn count(&mut self, record: &Record) {
        match record {
            Record::Organization { .. } => self.organizations += 1,
            Record::Entry { .. } => self.entries += 1,
        }
    }

    fn records(&self) -> u64 {
        self.organizations + self.entries
    }

    fn sha256(&self) -> String {
        self.bytes.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Writes an export.
pub(super) struct Writer<W> {
    to: W,
    tally: Tally,
}

impl<W: Write> Writer<W> {
    /// Begins it. `id` names it, and no other.
    pub(super) fn new(to: W, id: String) -> io::Result<Self> {
        let mut writer = Self { to, tally: Tally::default() };
        writer.line(&Line::Export(Head { version: VERSION, id, at: Time(Timestamp::now()) }))?;
        Ok(writer)
    }

    /// Writes records, and a checkpoint behind them.
    pub(super) fn batch(&mut self, records: &[Record]) -> io::Result<()> {
        for record in records {
            self.tally.count(record);
            self.line(&Line::from(record))?;
        }
        let checkpoint = Checkpoint { records: self.tally.records(), sha256: self.tally.sha256() };
        self.line(&Line::Checkpoint(checkpoint))
    }

    /// Ends it. Returns where it was written to, and how many organizations and entries.
    pub(super) fn end(mut self) -> io::Result<(W, u64, u64)> {
        let Tally { organizations, entries, .. } = self.tally;
        self.line(&Line::End(End { organizations, entries, sha256: self.tally.sha256() }))?;
        self.to.flush()?;
        Ok((self.to, organizations, entries))
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.tally.bytes.update(&text);
        self.to.write_all(&text)
    }
}

/// Reads an export, and trusts nothing that no checkpoint has confirmed.
pub(super) struct Reader<R> {
    from: R,
    tally: Tally,
    id: String,
    /// How many lines were read.
    line: u64,
    text: Vec<u8>,
}

/// What is wrong with an export, at the line that was read last.
#[derive(Debug)]
pub(super) enum Mistake {
    /// It cannot be read.
    Io(io::Error),
    /// It is not an export, or not as it was written.
    Content(String),
}

impl<R: BufRead> Reader<R> {
    /// Reads its first line.
    pub(super) fn new(from: R) -> Result<Self, (u64, Mistake)> {
        let mut reader = Self { from, tally: Tally::default(), id: String::new(), line: 0, text: Vec::new() };
        match reader.read() {
            Ok(Line::Export(Head { version: VERSION, id, .. })) => {
                reader.id = id;
                reader.tally.bytes.update(&reader.text);
                Ok(reader)
            }
            Ok(Line::Export(Head { version, .. })) => Err((
                1,
                Mistake::Content(format!(
                    "it has version {version}, and this program knows {VERSION}; use a newer one"
                )),
            )),
            Ok(_) => Err((1, Mistake::Content("it does not begin as an export does".to_owned()))),
            Err(mistake) => Err((1, mistake)),
        }
    }

    /// What names the export.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// How many lines were read.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads up to the next checkpoint. `None` at the end, if that confirms everything.
    pub(super) fn batch(&mut self) -> Result<Option<Vec<Record>>, Mistake> {
        let (mut batch, mut full, mut is_empty) = (Batch::default(), None, true);
        loop {
            let line = self.read()?;
            let record = match line {
                Line::Organization(line) => Record::try_from(line),
                Line::Entry(line) => Record::try_from(line),
                Line::Checkpoint(Checkpoint { records: count, sha256 }) if !is_empty => {
                    self.confirm(count == self.tally.records() && sha256 == self.tally.sha256())?;
                    self.tally.bytes.update(&self.text);
                    return Ok(full.or_else(|| batch.take()));
                }
                Line::End(End { organizations, entries, sha256 }) if is_empty => {
                    let Tally { organizations: found, entries: found_entries, .. } = self.tally;
                    let counts = (organizations, entries) == (found, found_entries);
                    self.confirm(counts && sha256 == self.tally.sha256())?;
                    return if self.from.fill_buf().map_err(Mistake::Io)?.is_empty() {
                        Ok(None)
                    } else {
                        Err(Mistake::Content("it goes on behind its end".to_owned()))
                    };
                }
                _ => return Err(Mistake::Content("this line is out of place".to_owned())),
            };
            if full.is_some() {
                return Err(Mistake::Content("a checkpoint is missing".to_owned()));
            }
            let record = record.map_err(Mistake::Content)?;
            self.tally.count(&record);
            self.tally.bytes.update(&self.text);
            full = batch.push(record);
            is_empty = false;
        }
    }

    /// How many organizations and entries were read.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.tally.organizations, self.tally.entries)
    }

    fn confirm(&self, is_right: bool) -> Result<(), Mistake> {
        if is_right {
            Ok(())
        } else {
            Err(Mistake::Content("what is before this line is not what was written".to_owned()))
        }
    }

    /// Reads a line into `text`.
    fn read(&mut self) -> Result<Line, Mistake> {
        self.line += 1;
        self.text.clear();
        let read = (&mut self.from).take(LINE_BYTES_MAX).read_until(b'\n', &mut self.text);
        read.map_err(Mistake::Io)?;
        if self.text.last() != Some(&b'\n') {
            let reason = if self.text.len() as u64 == LINE_BYTES_MAX {
                "the line is too long"
            } else {
                "it ends here, and is not complete"
            };
            return Err(Mistake::Content(reason.to_owned()));
        }
        serde_json::from_slice(&self.text).map_err(|error| Mistake::Content(error.to_string()))
    }
}
