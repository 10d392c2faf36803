//! What tokens and answers say of a user.

use domain::{OrganizationId, Timestamp};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::Value;

use super::scope;
use crate::Caller;

/// Members of a JSON object, in their order.
#[derive(Clone, Debug, Default)]
pub struct Claims(Vec<(&'static str, Value)>);

/// What a user's organization is called.
#[derive(Clone, Debug)]
pub struct HomeOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: String,
    /// Follows from its name ([`primary_domain`]).
    pub primary_domain: String,
}

/// The primary domain of an organization (contract-identity 2.3): what its name has in letters and digits, below the domain
/// that the server is known by.
pub fn primary_domain(name: &str, external_domain: &str) -> String {
    const LABEL_BYTES_MAX: usize = 63;
    let kept = |c: &char| c.is_alphabetic() || c.is_ascii_digit() || *c == '-';
    let name: String = name.trim().chars().map(|c| if c == ' ' { '-' } else { c }).filter(kept).collect();
    let name = name.get(..name.floor_char_boundary(LABEL_BYTES_MAX)).unwrap_or_default();
    let name = name.strip_prefix('-').unwrap_or(name);
    let name = name.strip_suffix('-').unwrap_or(name);
    format!("{}.{external_domain}", name.to_lowercase())
}

impl Claims {
    /// Adds a member.
    pub fn push(&mut self, name: &'static str, value: impl Into<Value>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    /// Adds what the `profile` scope tells.
    pub fn push_profile(&mut self, user: &Caller, scopes: &[String]) -> &mut Self {
        if scopes.iter().any(|scope| scope == scope::PROFILE) {
            self.push("name", user.display_name())
                .push("updated_at", seconds(user.changed()))
                .push("preferred_username", user.name());
        }
        self
    }

    /// Adds what the scopes of ZITADEL's own tell; then all members are sorted by name.
    pub fn push_urns(&mut self, user: &Caller, home: &HomeOrganization, scopes: &[String]) -> &mut Self {
        let before = self.0.len();
        let has = |prefix: &str| scopes.iter().any(|scope| scope.starts_with(prefix));
        let has_id = has(scope::ORGANIZATION_ID);
        if has_id {
            self.push("urn:zitadel:iam:org:id", user.organization().as_str());
        }
        if has(scope::ORGANIZATION_DOMAIN) {
            self.push("urn:zitadel:iam:org:domain:primary", home.primary_domain.as_str());
        }
        if has_id || scopes.iter().any(|scope| scope == scope::RESOURCE_OWNER) {
            self.push("urn:zitadel:iam:user:resourceowner:id", home.id.as_str())
                .push("urn:zitadel:iam:user:resourceowner:name", home.name.as_str())
                .push("urn:zitadel:iam:user:resourceowner:primary_domain", home.primary_domain.as_str());
        }
        if self.0.len() > before {
            self.0.sort_by_key(|(name, _)| *name);
        }
        self
    }
}

/// Whole seconds since the Unix epoch: a NumericDate (RFC 7519, section 2).
pub fn seconds(time: Timestamp) -> i64 {
    time.to_seconds_and_nanos().0
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primary_domains() {
        for (name, want) in [
            ("An Org", "an-org.localhost"),
            ("Ünï 🙂 x", "ünï--x.localhost"),
            ("!!!rest", "rest.localhost"),
            ("-a-", "a.localhost"),
            (&"ü".repeat(40), &format!("{}.localhost", "ü".repeat(31))),
        ] {
            assert_eq!(primary_domain(name, "localhost"), want, "{name}");
        }
    }
}
