//! Tokens: what users log in with, what they get, and how that is read again (contract-identity, section 1).

mod access_token;
mod assertion;
mod claims;
mod key_ring;
mod rotation;
mod scope;

pub use access_token::AccessToken;
pub use assertion::{InvalidAssertion, subject_of};
pub use claims::{Claims, HomeOrganization, primary_domain, seconds};
pub(crate) use key_ring::has_good_modulus;
pub use key_ring::{
    KeyRing, NoKey, PublicKeyError, SigningKey, SigningKeyRecord, public_key, service_account_key,
};
pub use rotation::{KeyPhase, Rotation};
pub use scope::{Granted, OPENID, grant};

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::{OrganizationId, Timestamp};

    use super::HomeOrganization;
    use crate::{AccessTokens, Caller, UserId, caller::User};

    pub(super) fn user() -> Caller {
        Caller(Arc::new(User {
            id: UserId::new("u"),
            name: "name".to_owned(),
            display_name: None,
            organization: OrganizationId::new("o").unwrap(),
            is_active: true,
            preferred_language: None,
            memberships: Vec::new(),
            access_tokens: AccessTokens::Bearer,
            secrets: Vec::new(),
            changed: Timestamp::from_micros(0),
            valid_from: Timestamp::from_micros(0),
        }))
    }

    pub(super) fn home() -> HomeOrganization {
        let id = OrganizationId::new("o").unwrap();
        HomeOrganization { id, name: "An Org".to_owned(), primary_domain: "an-org.localhost".to_owned() }
    }
}
