//! `metagate member`

use std::fmt::{self, Display};

use clap::{Args, Subcommand};
use domain::Role;
use identity::{Account, record::MembershipRecord};
use serde::Serialize;

use super::{Work, records::Accounts};
use crate::store::CommandError;

/// What is done to memberships.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give a user roles in an organization, or in the instance and so in every organization
    Add {
        /// The user's id or name
        user: String,
        /// The roles, such as ORG_OWNER; those of the instance begin with IAM_
        #[arg(required = true)]
        roles: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Take a user's roles away; without naming any, all that it has there
    Remove {
        /// The user's id or name
        user: String,
        /// The roles
        roles: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
}

/// Where roles count.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct Place {
    /// The id of the organization
    #[arg(long, value_name = "ID")]
    org: Option<String>,
    /// In every organization
    #[arg(long)]
    instance: bool,
}

/// The roles that the user has there now.
#[derive(Serialize)]
pub(super) struct Done {
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<String>,
    roles: Vec<String>,
}

impl Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.organization.as_deref().unwrap_or("the instance");
        let roles = if self.roles.is_empty() { "no roles".to_owned() } else { self.roles.join(", ") };
        write!(f, "{} has in {place}: {roles}", self.user)
    }
}

impl Work for Command {
    type Done = Done;

    async fn run(self, accounts: &Accounts) -> Result<Done, CommandError> {
        let (adds, user, roles, Place { org: organization, .. }) = match self {
            Self::Add { user, roles, place } => (true, user, roles, place),
            Self::Remove { user, roles, place } => (false, user, roles, place),
        };
        if adds {
            if let Some(id) = &organization {
                accounts.organization(id).await?;
            }
            for role in &roles {
                check(role, organization.is_none())?;
            }
        }
        let edit = |id: &str, account: &mut Account, _| {
            let at = account.memberships.iter().position(|known| known.organization == organization);
            let mut there = at.map(|at| account.memberships.remove(at).roles).unwrap_or_default();
            if adds {
                there.extend(roles.iter().filter(|role| !there.contains(role)).cloned().collect::<Vec<_>>());
            } else if let Some(absent) = roles.iter().find(|role| !there.contains(role)) {
                return Err(CommandError::Refused(format!("user {id:?} has no role {absent} there")));
            } else {
                there.retain(|role| !roles.is_empty() && !roles.contains(role));
            }
            if !there.is_empty() {
                let (organization, roles) = (organization.clone(), there.clone());
                account.memberships.push(MembershipRecord { organization, roles });
            }
            Ok(Done { user: id.to_owned(), organization: organization.clone(), roles: there })
        };
        accounts.edit(&user, edit).await
    }
}

/// A role of the instance counts for every organization, all others for their own (contract 5.4).
fn check(role: &str, in_instance: bool) -> Result<(), CommandError> {
    let fits = |role: &Role| role.is_of_the_instance() == in_instance;
    if role.parse::<Role>().is_ok_and(|role| fits(&role)) {
        return Ok(());
    }
    let known = Role::ALL.iter().filter(|role| fits(role)).map(|role| role.name());
    let known = known.collect::<Vec<_>>().join(", ");
    Err(CommandError::Refused(format!("{role:?} is no role there; those are {known}")))
}
