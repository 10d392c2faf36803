//! `metagate signing-key`: the keys of the store by which gateways make access tokens, and everybody verifies them.

use std::fmt::{self, Display};

use clap::Subcommand;
use domain::Timestamp;
use identity::{
    oauth::{KeyPhase, Rotation, SigningKeyRecord},
    record::SIGNING_KEY,
};
use serde::Serialize;
use storage::{StoreError, registry::RecordChange};

use super::{Work, records::Accounts, time_text};
use crate::store::CommandError;

/// What is done to keys that sign.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the keys: which one signs, which will be the next, and until when the others are kept
    List,
    /// Have another key sign from now on, before its time; what others have signed stays good to its end
    Rotate {
        /// Throw all keys away that there are, also the next: all access tokens end at once, and whoever has stolen the store
        /// can make no more
        #[arg(long)]
        withdraw: bool,
    },
}

/// A key, without what is secret.
#[derive(Serialize)]
struct Shown {
    id: String,
    phase: &'static str,
    /// When it begins to sign, or is thrown away.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl Shown {
    fn new(id: &str, phase: KeyPhase) -> Self {
        let (phase, until) = match phase {
            KeyPhase::Next(time) => ("next", Some(time)),
            KeyPhase::Signing => ("signing", None),
            KeyPhase::Kept(time) => ("kept", Some(time)),
        };
        Self { id: id.to_owned(), phase, until: until.map(|time| time_text(time.as_micros())) }
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", self.id, self.phase)?;
        match (self.phase, &self.until) {
            ("next", Some(time)) => write!(f, ", signs from {time} on"),
            (_, Some(time)) => write!(f, " until {time}"),
            (_, None) => Ok(()),
        }
    }
}

/// What there is now.
#[derive(Serialize)]
pub(super) struct Done {
    signing_keys: Vec<Shown>,
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.signing_keys.is_empty() {
            return f.write_str("there are none yet: the first gateway makes them");
        }
        f.write_str(&self.signing_keys.iter().map(Shown::to_string).collect::<Vec<_>>().join("\n"))
    }
}

impl Work for Command {
    type Done = Done;

    async fn run(self, accounts: &Accounts) -> Result<Done, CommandError> {
        if let Self::Rotate { withdraw } = self {
            rotate(accounts, withdraw).await?;
        }
        let (_, records) = accounts.read().await?;
        let phases = KeyPhase::of_all(records.signing_keys(), Timestamp::now());
        Ok(Done { signing_keys: phases.into_iter().map(|(id, phase)| Shown::new(id, phase)).collect() })
    }
}

/// Begins again if somebody else has changed something meanwhile: then there may be other keys.
async fn rotate(accounts: &Accounts, withdraws: bool) -> Result<(), CommandError> {
    let failed = |error: &dyn Display| CommandError::Refused(error.to_string());
    loop {
        let (revision, records) = accounts.read().await?;
        let (Rotation { missing, outlived }, next) =
            Rotation::early(records.signing_keys(), Timestamp::now(), withdraws);
        let mut keys = missing
            .into_iter()
            .map(SigningKeyRecord::generate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| failed(&error))?;
        keys.extend(next);
        let mut changes = Vec::new();
        for (id, key) in keys {
            let body = serde_json::to_vec(&key).map_err(|error| failed(&error))?;
            changes.push(RecordChange { kind: SIGNING_KEY.to_owned(), id, body: Some(body) });
        }
        changes.extend(outlived.into_iter().map(|id| RecordChange {
            kind: SIGNING_KEY.to_owned(),
            id,
            body: None,
        }));
        match accounts.store.change(revision, changes).await {
            Err(StoreError::Conflict) => {}
            outcome => return Ok(outcome.map(|_| ())?),
        }
    }
}
