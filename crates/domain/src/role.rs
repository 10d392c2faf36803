//! Roles and what they permit (contract 5.4).

use std::str::FromStr;

/// What a call may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Read an organization and its metadata.
    OrgRead,
    /// Change an organization's metadata.
    OrgWrite,
}

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "org.read" => Ok(Self::OrgRead),
            "org.write" => Ok(Self::OrgWrite),
            _ => Err(UnknownPermission(name.to_owned())),
        }
    }
}

/// No permission is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission {0:?}; known are org.read and org.write")]
pub struct UnknownPermission(String);

macro_rules! roles {
    ($($variant:ident $name:literal)*) => {
        /// A role that a membership can give: ZITADEL's own, by their names there.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Role {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Role {
            /// Every role.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in directories and in ZITADEL.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

roles! {
    IamOwner "IAM_OWNER"
    IamOwnerViewer "IAM_OWNER_VIEWER"
    IamOrgManager "IAM_ORG_MANAGER"
    IamUserManager "IAM_USER_MANAGER"
    IamAdminImpersonator "IAM_ADMIN_IMPERSONATOR"
    IamEndUserImpersonator "IAM_END_USER_IMPERSONATOR"
    IamLoginClient "IAM_LOGIN_CLIENT"
    OrgOwner "ORG_OWNER"
    OrgOwnerViewer "ORG_OWNER_VIEWER"
    OrgUserManager "ORG_USER_MANAGER"
    OrgSettingsManager "ORG_SETTINGS_MANAGER"
    OrgUserPermissionEditor "ORG_USER_PERMISSION_EDITOR"
    OrgProjectPermissionEditor "ORG_PROJECT_PERMISSION_EDITOR"
    OrgProjectCreator "ORG_PROJECT_CREATOR"
    OrgUserSelfManager "ORG_USER_SELF_MANAGER"
    OrgAdminImpersonator "ORG_ADMIN_IMPERSONATOR"
    OrgEndUserImpersonator "ORG_END_USER_IMPERSONATOR"
    ProjectOwner "PROJECT_OWNER"
    ProjectOwnerViewer "PROJECT_OWNER_VIEWER"
    ProjectOwnerGlobal "PROJECT_OWNER_GLOBAL"
    ProjectOwnerViewerGlobal "PROJECT_OWNER_VIEWER_GLOBAL"
    ProjectGrantOwner "PROJECT_GRANT_OWNER"
    ProjectGrantOwnerViewer "PROJECT_GRANT_OWNER_VIEWER"
    SelfManagementGlobal "SELF_MANAGEMENT_GLOBAL"
}

impl Role {
    /// Whether the role permits `permission`, where it holds: `IAM_…` for every organization, others for their own.
    pub fn permits(self, permission: Permission) -> bool {
        use Role::*;
        match permission {
            Permission::OrgWrite => matches!(self, IamOwner | IamOrgManager | OrgOwner | OrgSettingsManager),
            Permission::OrgRead => {
                self.permits(Permission::OrgWrite)
                    || matches!(
                        self,
                        IamOwnerViewer
                            | IamUserManager
                            | IamLoginClient
                            | OrgUserManager
                            | OrgOwnerViewer
                            | OrgUserPermissionEditor
                            | OrgProjectPermissionEditor
                    )
            }
        }
    }

    /// Whether the role is one of the whole instance (`IAM_…`).
    pub fn is_of_the_instance(self) -> bool {
        self.name().starts_with("IAM_")
    }
}

/// No role is called so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown role {0:?}")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|role| role.name() == name).ok_or_else(|| UnknownRole(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_that_permit() {
        let permitting = |permission| {
            let names: Vec<_> =
                Role::ALL.iter().filter(|role| role.permits(permission)).map(|role| role.name()).collect();
            names.join(" ")
        };
        assert_eq!(
            permitting(Permission::OrgWrite),
            "IAM_OWNER IAM_ORG_MANAGER ORG_OWNER ORG_SETTINGS_MANAGER"
        );
        assert_eq!(
            permitting(Permission::OrgRead),
            "IAM_OWNER IAM_OWNER_VIEWER IAM_ORG_MANAGER IAM_USER_MANAGER IAM_LOGIN_CLIENT ORG_OWNER \
             ORG_OWNER_VIEWER ORG_USER_MANAGER ORG_SETTINGS_MANAGER ORG_USER_PERMISSION_EDITOR \
             ORG_PROJECT_PERMISSION_EDITOR"
        );
    }

    #[test]
    fn names_round_trip_and_others_are_refused() {
        for &role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        for name in ["", "org_owner", "ORG_OWNER ", "ORG"] {
            assert_eq!(name.parse::<Role>(), Err(UnknownRole(name.to_owned())));
        }
    }
}
