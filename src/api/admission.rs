//! Who may go on: instance, caller, organization, permission, in this order (contract 2.1).

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Error, OrganizationId, OrganizationState, Refusal, Timestamp};
use identity::{Caller, Denied, Directory};
use storage::{Store, StoreError};

use super::instance::Instance;
use crate::front::{Access, Admission, Call, Head};

/// Names the organization of a call.
const X_ZITADEL_ORGID: &str = "x-zitadel-orgid";

/// Decides by the directory and the store.
pub struct Gatekeeper {
    directory: Arc<Directory>,
    instance: Instance,
    store: Arc<dyn Store>,
}

impl Gatekeeper {
    /// A gatekeeper for the users of `directory`.
    pub fn new(directory: Arc<Directory>, instance: Instance, store: Arc<dyn Store>) -> Self {
        Self { directory, instance, store }
    }

    /// The caller, and the organization of the call.
    async fn authenticate(&self, head: &Head) -> Result<(Caller, OrganizationId), Error> {
        let authorization = head.headers.get("authorization").map(|value| value.as_bytes());
        let caller = self.directory.authenticate(authorization, Timestamp::now())?;
        let home = self.store.organization(caller.organization()).await.map_err(unavailable)?;
        if home.as_ref().is_some_and(|home| home.state == OrganizationState::Removed) {
            return Err(Refusal::TokenInvalid.into());
        }
        head.record.caller(caller.user());
        let named = head
            .headers
            .get(X_ZITADEL_ORGID)
            .map(|value| value.as_bytes().trim_ascii())
            .filter(|id| !id.is_empty());
        let (organization, exists) = match named {
            None => (caller.organization().clone(), home.is_some()),
            Some(id) => {
                let ascii = std::str::from_utf8(id).ok().filter(|id| id.is_ascii());
                let id =
                    ascii.and_then(|id| OrganizationId::new(id).ok()).ok_or(Refusal::OrganizationUnknown)?;
                let exists = id == *caller.organization() && home.is_some()
                    || self.store.organization(&id).await.map_err(unavailable)?.is_some();
                (id, exists)
            }
        };
        if !exists {
            return Err(Refusal::OrganizationUnknown.into());
        }
        head.record.organization(&organization);
        Ok((caller, organization))
    }
}

#[async_trait]
impl Admission for Gatekeeper {
    async fn admit(&self, access: Access, head: &Head) -> Result<Call, Error> {
        self.instance.check(head)?;
        let (language, deadline) = (head.language(), head.deadline);
        if access == Access::Anybody {
            return Ok(Call { caller: None, organization: None, language, deadline });
        }
        let (caller, organization) = self.authenticate(head).await?;
        if let Access::Permission(permission) = access {
            caller.check(&organization, permission).map_err(|denied| match denied {
                Denied::NoMembership => Refusal::MembershipNotFound,
                Denied::NoPermission => Refusal::PermissionMissing,
            })?;
        }
        let language = caller.preferred_language().unwrap_or(language);
        Ok(Call { caller: Some(caller), organization: Some(organization), language, deadline })
    }
}

/// The error of a store that did not answer.
pub(super) fn unavailable(error: StoreError) -> Error {
    let cause = error.to_string();
    match error {
        StoreError::Full(_) => Error::StoreFull { cause },
        StoreError::Damaged(_) => Error::StoreDamaged { cause },
        _ => Error::Unavailable { cause },
    }
}
