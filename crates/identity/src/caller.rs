//! Who calls.

use std::{fmt, sync::Arc};

use domain::{Language, OrganizationId, Permission, Role, Timestamp};
use serde::{Deserialize, Serialize};

use crate::bearer::TokenHash;

/// A user's id: any non-empty text, compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    pub(crate) fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a caller may not (contract 5.4: the two are answered differently).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No membership covers the organization.
    NoMembership,
    /// Memberships cover it, but none of their roles permits it.
    NoPermission,
}

/// What is known of a user; the same for all of its calls.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) display_name: Option<String>,
    pub(crate) organization: OrganizationId,
    /// Neither inactive nor locked, nor of an organization that the file calls removed.
    pub(crate) is_active: bool,
    pub(crate) preferred_language: Option<Language>,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) access_tokens: AccessTokens,
    /// Any of them is the user's secret.
    pub(crate) secrets: Vec<TokenHash>,
    pub(crate) changed: Timestamp,
    /// What was issued before is refused: the user was not there yet, or has been deactivated since.
    pub(crate) valid_from: Timestamp,
}

/// The form of the access tokens that a user gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessTokens {
    /// Encrypted: only gateways of this store can read them.
    #[default]
    Bearer,
    /// Signed, for everybody to read.
    Jwt,
}

#[derive(Debug)]
pub(crate) struct Membership {
    /// `None`: the instance, and so every organization.
    pub(crate) organization: Option<OrganizationId>,
    pub(crate) roles: Vec<Role>,
}

/// An authenticated user. Cheap to clone; outlives a change of the directory, and then still says what it said before.
#[derive(Clone, Debug)]
pub struct Caller(pub(crate) Arc<User>);

impl Caller {
    /// The user's id.
    pub fn user(&self) -> &UserId {
        &self.0.id
    }

    /// The user's name, by which it logs in.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the user is called, where people read it.
    pub fn display_name(&self) -> &str {
        self.0.display_name.as_deref().unwrap_or(&self.0.name)
    }

    /// The form of the access tokens that the user gets.
    pub fn access_tokens(&self) -> AccessTokens {
        self.0.access_tokens
    }

    /// When the user was last changed, as far as that is known.
    pub fn changed(&self) -> Timestamp {
        self.0.changed
    }

    /// The user's home organization: the one of a call that names none (contract 5.3). The store may call it removed
    /// where the directory does not; then the caller must be refused like an unknown one.
    pub fn organization(&self) -> &OrganizationId {
        &self.0.organization
    }

    /// The language in which the user wants to read errors, if it is set.
    pub fn preferred_language(&self) -> Option<Language> {
        self.0.preferred_language
    }

    /// Whether the user may do what needs `permission` in `organization` (contract 5.4): all memberships that cover it
    /// count together. Those of the instance cover every organization, even one that does not exist.
    ///
    /// # Errors
    /// [`Denied::NoMembership`] if none covers it, [`Denied::NoPermission`] if those that do lack the permission.
    pub fn check(&self, organization: &OrganizationId, permission: Permission) -> Result<(), Denied> {
        let covers =
            |membership: &&Membership| membership.organization.as_ref().is_none_or(|id| id == organization);
        let mut covering = self.0.memberships.iter().filter(covers).peekable();
        if covering.peek().is_none() {
            return Err(Denied::NoMembership);
        }
        if covering.any(|membership| membership.roles.iter().any(|role| role.permits(permission))) {
            Ok(())
        } else {
            Err(Denied::NoPermission)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(id: &str) -> OrganizationId {
        OrganizationId::new(id).unwrap()
    }

    fn caller(memberships: &[(Option<&str>, &[Role])]) -> Caller {
        let memberships = memberships
            .iter()
            .map(|(id, roles)| Membership { organization: id.map(organization), roles: roles.to_vec() })
            .collect();
        Caller(Arc::new(User {
            id: UserId::new("u"),
            name: "u".to_owned(),
            display_name: None,
            organization: organization("home"),
            is_active: true,
            preferred_language: None,
            memberships,
            access_tokens: AccessTokens::Bearer,
            secrets: Vec::new(),
            changed: Timestamp::from_micros(0),
            valid_from: Timestamp::from_micros(0),
        }))
    }

    #[test]
    fn every_role_in_every_place() {
        for &role in Role::ALL {
            for permission in [Permission::OrgRead, Permission::OrgWrite] {
                let want = if role.permits(permission) { Ok(()) } else { Err(Denied::NoPermission) };
                let in_org = caller(&[(Some("a"), &[role])]);
                assert_eq!(in_org.check(&organization("a"), permission), want, "{role:?} {permission:?}");
                assert_eq!(in_org.check(&organization("b"), permission), Err(Denied::NoMembership));
                let in_instance = caller(&[(None, &[role])]);
                assert_eq!(
                    in_instance.check(&organization("b"), permission),
                    want,
                    "{role:?} {permission:?}"
                );
            }
        }
    }

    #[test]
    fn memberships_count_together() {
        let read_only = (Some("a"), &[Role::OrgOwnerViewer][..]);
        let both = caller(&[read_only, (Some("a"), &[Role::OrgProjectCreator, Role::OrgOwner])]);
        assert_eq!(both.check(&organization("a"), Permission::OrgWrite), Ok(()));
        assert_eq!(
            caller(&[read_only]).check(&organization("a"), Permission::OrgWrite),
            Err(Denied::NoPermission)
        );
        assert_eq!(caller(&[]).check(&organization("home"), Permission::OrgRead), Err(Denied::NoMembership));
        assert_eq!(
            caller(&[(Some("a"), &[])]).check(&organization("a"), Permission::OrgRead),
            Err(Denied::NoPermission)
        );
    }
}
