//! Who there is, as the directory's file and the registry of the store have it, kept up to date.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use domain::{Error, Organization, OrganizationId, Timestamp};
use identity::{
    Directory, Identity, Records,
    oauth::{Rotation, SigningKeyRecord},
    record::{INSTANCE, INSTANCE_ID, InstanceRecord, SIGNING_KEY},
};
use storage::{SharedStore, StoreError, registry::RecordChange};

/// How often the registry is looked at where no call does.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it is seen whether a key has to follow another.
const ROTATE_EVERY: Duration = Duration::from_secs(3600);
/// How long an organization's state is kept for logins.
const STANDING_KEPT: Duration = Duration::from_millis(500);
/// How many are kept.
const STANDINGS_MAX: usize = 10_000;

/// Who there is, and what tokens are judged and made by.
///
/// Calls ask the store how their caller's organization stands, and learn by the same question whether the registry has
/// changed since: so what was changed counts for every call that begins after it, in every gateway, and nothing has to be
/// asked for twice. Where no call asks, it is looked at twice a second.
pub struct Authority {
    store: Arc<dyn SharedStore>,
    state: RwLock<Arc<State>>,
    /// Held by who changes the state; when the last look at the registry began.
    looked: tokio::sync::Mutex<Option<Instant>>,
    /// Held by who makes keys.
    providing: tokio::sync::Mutex<()>,
    standings: Mutex<HashMap<OrganizationId, (Instant, Option<Organization>)>>,
}

/// All of it, as of one moment.
pub struct State {
    /// The registry's.
    pub revision: u64,
    /// Who there is.
    pub identity: Identity,
    /// As the file has it.
    pub directory: Arc<Directory>,
    records: Records,
}

impl Authority {
    /// Who there is by `directory` and the registry of `store`.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn open(store: Arc<dyn SharedStore>, directory: Arc<Directory>) -> Result<Self, StoreError> {
        let (records, identity) = (Records::default(), Identity::default());
        let state = State { revision: 0, identity, directory: directory.clone(), records };
        let authority = Self {
            store,
            state: RwLock::new(Arc::new(state)),
            looked: tokio::sync::Mutex::new(None),
            providing: tokio::sync::Mutex::default(),
            standings: Mutex::default(),
        };
        authority.replace_directory(directory).await;
        authority.look(Instant::now()).await?;
        Ok(authority)
    }

    /// How things are, as far as is known.
    pub fn state(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, state: State) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }

    /// Goes over to another file.
    pub async fn replace_directory(&self, directory: Arc<Directory>) {
        let _changing = self.looked.lock().await;
        let old = self.state();
        let identity = Identity::new(&directory, &old.records, &old.identity);
        self.put(State { revision: old.revision, identity, directory, records: old.records.clone() });
    }

    /// Returns when the state is another than `state`, which the store has left behind.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn leave(&self, state: &State) -> Result<(), StoreError> {
        if self.state().revision == state.revision {
            self.look(Instant::now()).await?;
        }
        Ok(())
    }

    /// Whether there is another state than `judged`, by which somebody was not found, as of a moment after `since`.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn is_another(&self, judged: &Arc<State>, since: Instant) -> Result<bool, StoreError> {
        self.look(since).await?;
        // Others may have looked in between, and found what this look did not find new.
        Ok(!Arc::ptr_eq(&self.state(), judged))
    }

    /// Returns when the state is that of a moment after `since`. Who waits for the same shares one question.
    async fn look(&self, since: Instant) -> Result<(), StoreError> {
        let mut looked = self.looked.lock().await;
        let before = self.state().revision;
        if looked.is_none_or(|begun| begun < since) {
            let begun = Instant::now();
            let revision = self.store.revision().await?;
            if revision != before {
                // It goes back when the store is restored from a backup.
                self.read(if revision < before { 0 } else { before }).await?;
            }
            *looked = Some(begun);
        }
        Ok(())
    }

    /// Takes over what has changed since. Whoever calls it holds `looked`.
    async fn read(&self, since: u64) -> Result<(), StoreError> {
        let old = self.state();
        let changes = self.store.changes(since).await?;
        let mut records = if since == 0 { Records::default() } else { old.records.clone() };
        for RecordChange { kind, id, body } in &changes.records {
            if let Err(error) = records.apply(kind, id, body.as_deref()) {
                tracing::error!(kind, id, %error, "a record of the registry cannot be read, and is left out");
            }
        }
        let identity = Identity::new(&old.directory, &records, &old.identity);
        self.put(State { revision: changes.revision, identity, directory: old.directory.clone(), records });
        Ok(())
    }

    /// How the organization stands for a login; may be half a second old.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        let now = Instant::now();
        {
            let standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((known, organization)) = standings.get(id)
                && now.duration_since(*known) < STANDING_KEPT
            {
                return Ok(organization.clone());
            }
        }
        let standing = self.store.standing(id).await?;
        let mut standings = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        if standings.len() >= STANDINGS_MAX {
            standings.clear();
        }
        standings.insert(id.clone(), (now, standing.organization.clone()));
        Ok(standing.organization)
    }

    /// Returns when there is a key that signs at `now`: a store that is new has none for its first moments.
    ///
    /// # Errors
    /// If there is none, and none can be made.
    pub async fn await_key(&self, now: Timestamp) -> Result<(), Error> {
        if self.state().identity.keys.signing(now).is_none() {
            self.provide().await.map_err(|error| Error::Unavailable { cause: error.to_string() })?;
        }
        Ok(())
    }

    /// Sees to it that there are keys to sign with, and an id of the project. Gateways that start together agree: the store
    /// takes the change of one, and the others find it.
    ///
    /// # Errors
    /// If no key can be made, or the store does not take it.
    pub async fn provide(&self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let _providing = self.providing.lock().await;
        loop {
            let state = self.state();
            let now = Timestamp::now();
            let due = Rotation::due(state.records.signing_keys(), now);
            let lacks_project = state.records.instance().is_none();
            if due.is_empty() && !lacks_project {
                return Ok(());
            }
            let missing = due.missing;
            // Takes a tenth of a second a key.
            let made = tokio::task::spawn_blocking(move || {
                missing.into_iter().map(SigningKeyRecord::generate).collect::<Result<Vec<_>, _>>()
            });
            let mut changes = Vec::new();
            for (id, key) in made.await?? {
                changes.push(record(SIGNING_KEY, id, Some(serde_json::to_vec(&key)?)));
            }
            changes.extend(due.outlived.into_iter().map(|id| record(SIGNING_KEY, id, None)));
            if lacks_project {
                let instance = InstanceRecord::new()?;
                changes.push(record(INSTANCE, INSTANCE_ID.to_owned(), Some(serde_json::to_vec(&instance)?)));
            }
            match self.store.change(state.revision, changes).await {
                Ok(_) | Err(StoreError::Conflict) => self.look(Instant::now()).await?,
                Err(error) => return Err(error.into()),
            };
        }
    }

    /// Keeps up to date what no call asks for. Never returns. Keys are made a moment after the start, which has enough to do,
    /// unless somebody asks for them.
    pub async fn follow(&self) {
        let mut provided: Option<Instant> = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.look(Instant::now()).await {
                tracing::warn!(%error, "whether users have changed is not known");
            }
            if provided.is_none_or(|then| then.elapsed() > ROTATE_EVERY) {
                match self.provide().await {
                    Ok(()) => provided = Some(Instant::now()),
                    Err(error) => tracing::error!(error, "there is no new key to sign tokens with"),
                }
            }
        }
    }
}

fn record(kind: &str, id: String, body: Option<Vec<u8>>) -> RecordChange {
    RecordChange { kind: kind.to_owned(), id, body }
}

#[cfg(test)]
mod tests {
    use storage::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn what_another_look_has_found_is_found() {
        let store: Arc<dyn SharedStore> = Arc::new(MemoryStore::new());
        let directory = Directory::parse("[instance]\nid = \"1\"\n", "directory.toml").unwrap();
        let authority = Authority::open(store.clone(), directory.into()).await.unwrap();
        let (asked, judged) = (Instant::now(), authority.state());
        assert!(!authority.is_another(&judged, asked).await.unwrap());
        let new = record(
            INSTANCE,
            INSTANCE_ID.to_owned(),
            Some(serde_json::to_vec(&InstanceRecord::new().unwrap()).unwrap()),
        );
        store.change(judged.revision, vec![new]).await.unwrap();
        authority.look(Instant::now()).await.unwrap();
        assert!(authority.is_another(&judged, asked).await.unwrap());
        assert!(!authority.is_another(&authority.state(), Instant::now()).await.unwrap());
    }
}
