//! `metagate org`

use std::fmt::{self, Display};

use clap::Subcommand;
use domain::{Organization, OrganizationId, OrganizationState};
use futures_util::TryStreamExt;
use identity::record::new_id;
use serde::Serialize;
use storage::{StoreError, archive::Record};

use super::{Work, records::Accounts};
use crate::store::{CommandError, for_reading};

/// What is done to organizations.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add an organization
    Add {
        /// Its name
        name: String,
        /// Its id; without it, one is made
        #[arg(long)]
        id: Option<String>,
    },
    /// List all organizations
    List,
    /// Deactivate an organization; its metadata can still be read and written
    Deactivate {
        /// Its id
        id: String,
    },
    /// Make an organization active again
    Reactivate {
        /// Its id
        id: String,
    },
    /// Remove an organization with all its metadata, for ever; its users cannot do anything any more
    Remove {
        /// Its id
        id: String,
    },
}

/// An organization.
#[derive(Serialize)]
pub(super) struct Shown {
    id: String,
    name: String,
    state: &'static str,
}

impl From<Organization> for Shown {
    fn from(organization: Organization) -> Self {
        let state = match organization.state {
            OrganizationState::Active => "active",
            OrganizationState::Inactive => "inactive",
            OrganizationState::Removed => "removed",
        };
        Self { id: organization.id.to_string(), name: organization.name, state }
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}  {}", self.id, self.name, self.state)
    }
}

/// What was done.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Done {
    One(Shown),
    All { organizations: Vec<Shown> },
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(organization) => organization.fmt(f),
            Self::All { organizations } => {
                f.write_str(&organizations.iter().map(Shown::to_string).collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

impl Work for Command {
    type Done = Done;

    async fn run(self, accounts: &Accounts) -> Result<Done, CommandError> {
        let (id, state) = match self {
            Self::Add { name, id } => {
                return add(accounts, &name, id).await.map(|added| Done::One(added.into()));
            }
            Self::List => {
                let archive = for_reading(&accounts.config.storage, &accounts.config).await?;
                let mut organizations = Vec::new();
                let mut records = archive.records();
                while let Some(batch) = records.try_next().await? {
                    organizations.extend(batch.into_iter().filter_map(|record| match record {
                        Record::Organization { organization, .. } => Some(Shown::from(organization)),
                        Record::Entry { .. } => None,
                    }));
                }
                return Ok(Done::All { organizations });
            }
            Self::Deactivate { id } => (id, OrganizationState::Inactive),
            Self::Reactivate { id } => (id, OrganizationState::Active),
            Self::Remove { id } => (id, OrganizationState::Removed),
        };
        let known = OrganizationId::new(&id).map_err(|error| CommandError::Refused(error.to_string()))?;
        match accounts.store.set_organization_state(&known, state).await {
            Ok(changed) => Ok(Done::One(changed.into())),
            Err(StoreError::OrganizationNotFound) => {
                Err(CommandError::Refused(format!("organization {id:?} is not in the store, or was removed")))
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn add(accounts: &Accounts, name: &str, id: Option<String>) -> Result<Organization, CommandError> {
    let refused = |error: &dyn Display| CommandError::Refused(error.to_string());
    let id = match id {
        Some(id) => id,
        None => new_id().map_err(|error| refused(&error))?,
    };
    if !(1..=200).contains(&name.trim().chars().count()) {
        return Err(refused(&"an organization's name has 1 to 200 characters"));
    }
    let id = OrganizationId::new(&id).map_err(|error| refused(&error))?;
    if accounts.store.organization(&id).await?.is_some() {
        return Err(refused(&format!("organization {:?} is in the store already", id.as_str())));
    }
    Ok(accounts.store.create_organization(&id, name.trim()).await?)
}
