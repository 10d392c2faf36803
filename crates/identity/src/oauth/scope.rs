//! What a login asks for, and what it is for.

use crate::{Caller, oauth::HomeOrganization};

/// Asks for an id_token too.
pub const OPENID: &str = "openid";
/// Lets `userinfo` tell names.
pub const PROFILE: &str = "profile";
pub(super) const ORGANIZATION_ID: &str = "urn:zitadel:iam:org:id:";
pub(super) const ORGANIZATION_DOMAIN: &str = "urn:zitadel:iam:org:domain:primary:";
pub(super) const RESOURCE_OWNER: &str = "urn:zitadel:iam:user:resourceowner";
const PROJECT: &str = "urn:zitadel:iam:org:project:id:";
const AUDIENCE: &str = ":aud";

/// Kept as they are.
const PLAIN: [&str; 6] = [OPENID, PROFILE, "email", "phone", "address", "offline_access"];
const KEPT: [&str; 3] =
    [RESOURCE_OWNER, "urn:zitadel:iam:user:metadata", "urn:zitadel:iam:org:projects:roles"];
const KEPT_PREFIXES: [&str; 3] =
    ["urn:zitadel:iam:org:project:role:", "urn:zitadel:iam:org:roles:id:", "urn:zitadel:iam:org:idp:id:"];

/// What a login was granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The scopes that were kept, as they were asked for.
    pub scopes: Vec<String>,
    /// Whom the token is for: never empty.
    pub audience: Vec<String>,
}

/// What `user` gets of the scopes in `asked` (contract-identity 1.6, Scope). `project` is the API's own.
pub fn grant(asked: &str, user: &Caller, home: &HomeOrganization, project: &str) -> Granted {
    let mut granted = Granted::default();
    for scope in asked.split(' ') {
        let is_kept = if let Some(id) = scope.strip_prefix(ORGANIZATION_ID) {
            id == user.organization().as_str()
        } else if let Some(domain) = scope.strip_prefix(ORGANIZATION_DOMAIN) {
            domain == home.primary_domain
        } else if let Some(audience) = audience(scope) {
            let audience = if audience == "zitadel" { project } else { audience };
            if !granted.audience.iter().any(|known| known == audience) {
                granted.audience.push(audience.to_owned());
            }
            true
        } else {
            PLAIN.contains(&scope)
                || KEPT.contains(&scope)
                || KEPT_PREFIXES.iter().any(|prefix| scope.starts_with(prefix))
        };
        if is_kept {
            granted.scopes.push(scope.to_owned());
        }
    }
    if granted.audience.is_empty() {
        granted.audience.push(user.name().to_owned());
    }
    granted
}

/// The project in `urn:zitadel:iam:org:project:id:<project>:aud`; without one, what stands in its place.
fn audience(scope: &str) -> Option<&str> {
    let rest = scope.strip_prefix(PROJECT)?;
    rest.strip_suffix(AUDIENCE).or((rest == "aud").then_some(rest))
}

/// The scope that adds `audience`.
pub(super) fn of_audience(audience: &str, project: &str) -> String {
    let audience = if audience == project { "zitadel" } else { audience };
    format!("{PROJECT}{audience}{AUDIENCE}")
}

/// The scopes without a parameter as bits, and whether a secret was shown: what the claims of a signed token do not tell.
pub(super) fn mark(scopes: &[String], with_secret: bool) -> u16 {
    let marked = PLAIN.iter().chain(&KEPT).map(|known| scopes.iter().any(|scope| scope == known));
    marked.chain([with_secret]).enumerate().fold(0, |mark, (bit, is_set)| mark | u16::from(is_set) << bit)
}

/// The inverse of [`mark`].
pub(super) fn of_mark(mark: u16) -> (Vec<String>, bool) {
    let known = || PLAIN.iter().chain(&KEPT);
    let is_set = |bit: usize| mark >> bit & 1 == 1;
    let scopes = known().enumerate().filter(|(bit, _)| is_set(*bit)).map(|(_, scope)| (*scope).to_owned());
    (scopes.collect(), is_set(known().count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::tests::{home, user};

    #[test]
    fn marks() {
        let scopes: Vec<_> =
            ["openid", "address", "urn:zitadel:iam:org:projects:roles"].map(str::to_owned).into();
        for with_secret in [false, true] {
            assert_eq!(of_mark(mark(&scopes, with_secret)), (scopes.clone(), with_secret));
        }
        assert_eq!(of_mark(mark(&["other".to_owned()], false)), (Vec::new(), false));
    }

    #[test]
    fn scopes() {
        let zitadel = "urn:zitadel:iam:org:project:id:zitadel:aud";
        for (asked, scopes, audience) in [
            ("", &[][..], &["name"][..]),
            ("openid", &["openid"], &["name"]),
            ("openid  foo openid OpenID", &["openid", "openid"], &["name"]),
            ("openid\tprofile openid,profile", &[], &["name"]),
            (zitadel, &[zitadel], &["77"]),
            (
                "urn:zitadel:iam:org:project:id:5:aud openid urn:zitadel:iam:org:project:id:zitadel:aud",
                &["urn:zitadel:iam:org:project:id:5:aud", "openid", zitadel],
                &["5", "77"],
            ),
            ("urn:zitadel:iam:org:project:id:aud", &["urn:zitadel:iam:org:project:id:aud"], &["aud"]),
            ("urn:zitadel:iam:org:id:o", &["urn:zitadel:iam:org:id:o"], &["name"]),
            ("urn:zitadel:iam:org:id:p urn:zitadel:iam:org:domain:primary:p.localhost", &[], &["name"]),
            (
                "urn:zitadel:iam:org:domain:primary:an-org.localhost",
                &["urn:zitadel:iam:org:domain:primary:an-org.localhost"],
                &["name"],
            ),
            (
                "urn:zitadel:iam:org:project:role:x urn:zitadel:iam:user:metadata offline_access",
                &["urn:zitadel:iam:org:project:role:x", "urn:zitadel:iam:user:metadata", "offline_access"],
                &["name"],
            ),
        ] {
            let granted = grant(asked, &user(), &home(), "77");
            assert_eq!(granted.scopes, scopes, "{asked:?}");
            assert_eq!(granted.audience, audience, "{asked:?}");
        }
    }
}
