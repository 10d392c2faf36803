//! What a token of another issuer says, whether it is meant for us and now, and of whom it tells.

use std::sync::Arc;

use domain::{OrganizationId, Role, Timestamp};
use serde_json::{Map, Value};

use super::{Home, Issuer, Stranger};
use crate::{
    AccessTokens, Accounts, Caller, UserId,
    caller::{Membership, User},
};

/// The longest id of somebody who is not known here, in bytes (OpenID Connect Core 2, `sub`).
const SUBJECT_BYTES_MAX: usize = 255;

/// What a token says, or what its issuer says of it.
#[derive(Clone, Debug)]
pub struct TokenClaims(Map<String, Value>);

/// A claim has a type that it must not have.
struct WrongType;

impl TokenClaims {
    /// From a JSON object; `None` if it is none.
    pub fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    /// Whether it is an answer that calls the token good (RFC 7662, 2.2). `None` if it is no such answer.
    pub fn is_active(&self) -> Option<bool> {
        self.0.get("active")?.as_bool()
    }

    /// When the token is over, in seconds since the Unix epoch, if that is said.
    pub fn expires(&self) -> Option<f64> {
        self.time("exp").ok().flatten()
    }

    pub(super) fn issuer(&self) -> Option<&str> {
        self.0.get("iss")?.as_str()
    }

    /// `null` is nothing.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn time(&self, name: &str) -> Result<Option<f64>, WrongType> {
        self.get(name).map(|value| value.as_f64().ok_or(WrongType)).transpose()
    }

    /// One or more texts.
    fn audience(&self) -> Option<Vec<&str>> {
        match self.get("aud")? {
            Value::String(audience) => Some(vec![audience]),
            Value::Array(audiences) => audiences.iter().map(Value::as_str).collect(),
            _ => None,
        }
    }

    /// A text that can be an id: it will stand in the log.
    fn id(&self, name: &str) -> Option<&str> {
        let id = self.get(name)?.as_str()?;
        let is_id = !id.is_empty() && id.len() <= SUBJECT_BYTES_MAX && !id.contains(char::is_control);
        is_id.then_some(id)
    }

    /// The names in an array, or those of an object's members; none at all if the claim is not there.
    fn names(&self, name: &str) -> Result<Vec<&str>, WrongType> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(names)) => {
                names.iter().map(Value::as_str).collect::<Option<_>>().ok_or(WrongType)
            }
            Some(Value::Object(members)) => Ok(members.keys().map(String::as_str).collect()),
            Some(_) => Err(WrongType),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "until the year 2255 it is exact to the microsecond")]
fn seconds(time: Timestamp) -> f64 {
    time.as_micros() as f64 / 1e6
}

impl Issuer {
    /// Whether the claims are meant for us, and for now. That the issuer has made them is not seen here.
    pub(super) fn accepts(&self, claims: &TokenClaims, now: Timestamp) -> bool {
        let (now, skew) = (seconds(now), f64::from(self.skew_seconds));
        let is_for_us = |audiences: Vec<&str>| {
            audiences.iter().any(|audience| self.audience.iter().any(|ours| ours == audience))
        };
        let is_over = |time: Option<f64>| time.is_some_and(|time| now >= time + skew);
        let is_to_come = |time: Option<f64>| time.is_some_and(|time| time > now + skew);
        claims.audience().is_some_and(is_for_us)
            && claims.time("exp").is_ok_and(|time| !is_over(time))
            && claims.time("nbf").is_ok_and(|time| !is_to_come(time))
            && claims.time("iat").is_ok_and(|time| !is_to_come(time))
    }

    /// Whether the issuer's answer about a token makes it a good one, for us and now.
    pub fn vouches(&self, answer: &TokenClaims, now: Timestamp) -> bool {
        let is_of_this_issuer = answer.get("iss").is_none_or(|issuer| *issuer == *self.url);
        answer.is_active() == Some(true) && is_of_this_issuer && self.accepts(answer, now)
    }

    /// Of whom claims tell that are known to be good: of a user that is known here, else of somebody with the roles that they
    /// name. `None` for nobody, or a user that may not do anything.
    pub fn caller(&self, claims: &TokenClaims, accounts: &Accounts) -> Option<Caller> {
        let id = claims.id(self.user_claim.as_deref().unwrap_or("sub"))?;
        match accounts.user(id).filter(|_| self.user_claim.is_some()) {
            Some(user) => {
                // Without a time nobody knows whether it was issued before. It has whole seconds.
                let issued = claims.time("iat").ok()?.unwrap_or(0.0);
                let is_good = user.is_active && issued >= seconds(user.valid_from).floor();
                is_good.then(|| Caller(user.clone()))
            }
            None => self.stranger.as_ref()?.caller(id, claims),
        }
    }
}

impl Stranger {
    fn caller(&self, id: &str, claims: &TokenClaims) -> Option<Caller> {
        let home = match &self.home {
            Home::Organization(home) => home.clone(),
            Home::Claim(name) => OrganizationId::new(claims.id(name)?).ok()?,
        };
        let names = claims.names(&self.roles_claim).ok()?;
        let roles = names.iter().filter_map(|name| self.roles.get(*name)).flatten().copied();
        let (of_instance, of_home): (Vec<Role>, Vec<Role>) =
            roles.partition(|role| role.is_of_the_instance());
        // A membership without roles would be another refusal than none.
        let places = [(None, of_instance), (Some(home.clone()), of_home)];
        let memberships = places
            .into_iter()
            .filter(|(_, roles)| !roles.is_empty())
            .map(|(organization, roles)| Membership { organization, roles })
            .collect();
        let long_ago = Timestamp::from_micros(0);
        Some(Caller(Arc::new(User {
            id: UserId::new(id),
            name: id.to_owned(),
            display_name: None,
            organization: home,
            is_active: true,
            preferred_language: None,
            memberships,
            access_tokens: AccessTokens::Bearer,
            secrets: Vec::new(),
            changed: long_ago,
            valid_from: long_ago,
        })))
    }
}
