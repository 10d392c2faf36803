//! `metagate user`

use std::fmt::{self, Display};

use clap::{Subcommand, ValueEnum};
use domain::Language;
use identity::{AccessTokens, Account, UserState, record::new_id};
use serde::Serialize;

use super::{
    Work,
    records::{Accounts, find},
};
use crate::store::CommandError;

/// What is done to users.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Add a user, with a name to log in by; give it roles with `metagate member add`
    Add {
        /// Its name; unique in any letters' case
        name: String,
        /// The id of its organization
        #[arg(long, value_name = "ID")]
        org: String,
        /// Its id; without it, one is made
        #[arg(long)]
        id: Option<String>,
        /// What it is called where people read it
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// The form of the access tokens that it gets
        #[arg(long, value_name = "TYPE", value_enum, default_value_t = Form::Bearer)]
        access_token_type: Form,
        /// The language in which it reads errors
        #[arg(long, value_name = "TAG")]
        preferred_language: Option<String>,
    },
    /// List the users of the store; those of the directory's file are not among them
    List,
    /// Remove a user, with its tokens, keys, secret and roles
    Remove {
        /// Its id or name
        user: String,
    },
    /// Keep a user from doing anything; its tokens are gone for good
    Deactivate {
        /// Its id or name
        user: String,
    },
    /// The same, for another reason
    Lock {
        /// Its id or name
        user: String,
    },
    /// Let a user that was deactivated or locked log in again
    Reactivate {
        /// Its id or name
        user: String,
    },
}

/// The form of access tokens.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    /// Only gateways can read them
    Bearer,
    /// Everybody can read and verify them
    Jwt,
}

/// A user, without what is secret.
#[derive(Serialize)]
pub(super) struct Shown {
    id: String,
    name: String,
    organization: String,
    state: UserState,
    tokens: usize,
    keys: usize,
    has_secret: bool,
    memberships: Vec<identity::record::MembershipRecord>,
}

impl Shown {
    fn of(id: &str, account: &Account) -> Self {
        Self {
            id: id.to_owned(),
            name: account.name.clone(),
            organization: account.organization.clone(),
            state: account.state,
            tokens: account.tokens.len(),
            keys: account.keys.len(),
            has_secret: account.secret.is_some(),
            memberships: account.memberships.clone(),
        }
    }
}

impl Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, organization, state, tokens, keys, has_secret, memberships } = self;
        let state = match state {
            UserState::Active => "active",
            UserState::Inactive => "inactive",
            UserState::Locked => "locked",
        };
        let secret = if *has_secret { ", a secret" } else { "" };
        write!(f, "{id}  {name}  of {organization}, {state}; tokens: {tokens}, keys: {keys}{secret}")?;
        for membership in memberships {
            let place = membership.organization.as_deref().unwrap_or("the instance");
            write!(f, "; in {place}: {}", membership.roles.join(", "))?;
        }
        Ok(())
    }
}

/// What was done.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Done {
    One(Shown),
    All { users: Vec<Shown> },
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(user) => user.fmt(f),
            Self::All { users } => {
                f.write_str(&users.iter().map(Shown::to_string).collect::<Vec<_>>().join("\n"))
            }
        }
    }
}

impl Work for Command {
    type Done = Done;

    async fn run(self, accounts: &Accounts) -> Result<Done, CommandError> {
        let state = |user: String, state| async move {
            let edit = |id: &str, account: &mut Account, now| {
                account.set_state(state, now);
                Ok(Shown::of(id, account))
            };
            accounts.edit(&user, edit).await
        };
        let user = match self {
            Self::List => {
                let (_, records) = accounts.read().await?;
                let users = records.accounts().iter().map(|(id, account)| Shown::of(id, account)).collect();
                return Ok(Done::All { users });
            }
            Self::Add { name, org, id, display_name, access_token_type, preferred_language } => {
                let organization = accounts.organization(&org).await?;
                let access_tokens = match access_token_type {
                    Form::Bearer => AccessTokens::Bearer,
                    Form::Jwt => AccessTokens::Jwt,
                };
                if let Some(tag) = &preferred_language
                    && Language::lookup(tag).is_none()
                {
                    return Err(CommandError::Refused(format!("language {tag:?} is not known")));
                }
                let id = match id {
                    Some(id) => id,
                    None => new_id().map_err(|error| CommandError::Refused(error.to_string()))?,
                };
                check("name", &name)?;
                check("id", &id)?;
                let add = |records: &identity::Records, now| {
                    let taken = [&id, &name].into_iter().find(|known| find(records, known).is_ok());
                    if let Some(taken) = taken {
                        return Err(CommandError::Refused(format!("{taken:?} is another user's id or name")));
                    }
                    let account = Account {
                        display_name: display_name.clone(),
                        access_tokens,
                        preferred_language: preferred_language.clone(),
                        ..Account::new(&name, &organization, now)
                    };
                    let shown = Shown::of(&id, &account);
                    Ok((id.clone(), Some(account), shown))
                };
                accounts.change(add).await?
            }
            Self::Remove { user } => {
                let remove = |records: &identity::Records, _| {
                    let (id, account) = find(records, &user)?;
                    Ok((id.to_owned(), None, Shown::of(id, account)))
                };
                accounts.change(remove).await?
            }
            Self::Deactivate { user } => state(user, UserState::Inactive).await?,
            Self::Lock { user } => state(user, UserState::Locked).await?,
            Self::Reactivate { user } => state(user, UserState::Active).await?,
        };
        Ok(Done::One(user))
    }
}

/// Names and ids have 1 to 200 characters (contract-identity 1.5).
fn check(what: &str, text: &str) -> Result<(), CommandError> {
    if (1..=200).contains(&text.chars().count()) {
        Ok(())
    } else {
        Err(CommandError::Refused(format!("a user's {what} has 1 to 200 characters")))
    }
}
