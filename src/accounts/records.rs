//! The users of a store, read and changed.

use std::sync::Arc;

use domain::{OrganizationId, OrganizationState, Timestamp};
use identity::{Account, Records, record::USER};
use storage::{SharedStore, StoreError, registry::RecordChange};
use storage_postgres::PostgresStore;
use storage_sqlite::SqliteBeside;

use crate::{
    config::{Config, Storage},
    store::CommandError,
};

/// The users of a store.
pub(super) struct Accounts {
    pub(super) store: Arc<dyn SharedStore>,
    pub(super) config: Config,
}

impl Accounts {
    pub(super) async fn open(config: &Config) -> Result<Self, CommandError> {
        let store: Arc<dyn SharedStore> = match &config.storage {
            Storage::Memory => {
                let reason =
                    "a store in memory is its process's alone: its users stand in the directory's file";
                return Err(CommandError::Unsupported(reason));
            }
            Storage::Sqlite(path) => Arc::new(SqliteBeside::open(path)?),
            Storage::Postgres(address) => {
                Arc::new(PostgresStore::open_existing(address, &config.postgres).await?)
            }
        };
        Ok(Self { store, config: config.clone() })
    }

    /// All of them, and the number of the last change.
    pub(super) async fn read(&self) -> Result<(u64, Records), CommandError> {
        let changes = self.store.changes(0).await?;
        let mut records = Records::default();
        for RecordChange { kind, id, body } in &changes.records {
            let read = records.apply(kind, id, body.as_deref());
            read.map_err(|error| CommandError::Refused(format!("the {kind} {id:?} in the store: {error}")))?;
        }
        Ok((changes.revision, records))
    }

    /// Has `edit` say what the user of this id shall be; `None`: it shall not be. Tried again if somebody else was faster.
    pub(super) async fn change<T>(
        &self,
        edit: impl Fn(&Records, Timestamp) -> Result<(String, Option<Account>, T), CommandError>,
    ) -> Result<T, CommandError> {
        loop {
            let (revision, records) = self.read().await?;
            let now = Timestamp::now();
            let (id, account, done) = edit(&records, now)?;
            let body = match account {
                None => None,
                Some(account) => {
                    let account = Account { changed: now.as_micros(), ..account };
                    Some(
                        serde_json::to_vec(&account)
                            .map_err(|error| CommandError::Refused(error.to_string()))?,
                    )
                }
            };
            let change = RecordChange { kind: USER.to_owned(), id, body };
            match self.store.change(revision, vec![change]).await {
                Ok(_) => return Ok(done),
                Err(StoreError::Conflict) => {}
                Err(StoreError::TooLarge) => {
                    let reason = "the user has too much: remove tokens or keys that are not used any more";
                    return Err(CommandError::Unsupported(reason));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Changes a user that is there, named by id or name.
    pub(super) async fn edit<T>(
        &self,
        user: &str,
        edit: impl Fn(&str, &mut Account, Timestamp) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        self.change(|records, now| {
            let (id, account) = find(records, user)?;
            let mut account = account.clone();
            let done = edit(id, &mut account, now)?;
            Ok((id.to_owned(), Some(account), done))
        })
        .await
    }

    /// The id of an organization that is there.
    pub(super) async fn organization(&self, id: &str) -> Result<OrganizationId, CommandError> {
        let refused = |what: &str| CommandError::Refused(format!("organization {id:?} {what}"));
        let known = OrganizationId::new(id).map_err(|error| CommandError::Refused(error.to_string()))?;
        match self.store.organization(&known).await? {
            None => Err(refused("is not in the store")),
            Some(found) if found.state == OrganizationState::Removed => Err(refused("was removed")),
            Some(_) => Ok(known),
        }
    }
}

/// A user by its id, else by its name.
pub(super) fn find<'a>(records: &'a Records, user: &str) -> Result<(&'a str, &'a Account), CommandError> {
    let accounts = records.accounts();
    let named = |account: &Account| account.name.to_lowercase() == user.to_lowercase();
    let found = accounts.get_key_value(user).or_else(|| accounts.iter().find(|(_, account)| named(account)));
    let (id, account) = found.ok_or_else(|| {
        CommandError::Refused(format!(
            "there is no user {user:?} in the store; those of the directory's file are changed there"
        ))
    })?;
    Ok((id, account))
}
