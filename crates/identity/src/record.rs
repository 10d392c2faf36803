//! Who there is beside the directory's file: records that the gateways of a store share, and that change while they run.
//!
//! A record has a kind, an id and a body in JSON; to the store it is no more than that. Members that are unknown are those of
//! a later version, and ignored.

use std::{collections::BTreeMap, sync::Arc};

use domain::{Language, OrganizationId, Role, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Accounts, UserId,
    accounts::{Key, Token},
    bearer::TokenHash,
    caller::{AccessTokens, Membership, User},
    oauth::{KeyRing, SigningKeyRecord, public_key},
    random,
};

/// A user; its id is the record's.
pub const USER: &str = "user";
/// A key that signs tokens; its id is the record's.
pub const SIGNING_KEY: &str = "signing_key";
/// What gateways have in common; there is one, [`INSTANCE_ID`].
pub const INSTANCE: &str = "instance";
/// The id of the one record of its kind.
pub const INSTANCE_ID: &str = "instance";

/// A new id, of 18 digits.
///
/// # Errors
/// If the system has no random bytes.
pub fn new_id() -> Result<String, getrandom::Error> {
    random::id()
}

/// Whether a user may do anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserState {
    /// It may.
    #[default]
    Active,
    /// It was deactivated.
    Inactive,
    /// It was locked.
    Locked,
}

/// A user, as a record has it. Times are microseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// By which it logs in; unique in any letters' case.
    pub name: String,
    /// What it is called, where people read it, if that is not its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Its home.
    pub organization: String,
    /// Whether it may do anything.
    #[serde(default)]
    pub state: UserState,
    /// The form of its access tokens.
    #[serde(default)]
    pub access_tokens: AccessTokens,
    /// In which it reads errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_language: Option<String>,
    /// When it was last changed.
    pub changed: i64,
    /// What was issued before is refused.
    pub valid_from: i64,
    /// Its personal access tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<TokenRecord>,
    /// The keys that it signs assertions with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeyRecord>,
    /// The SHA-256 of its secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What it may do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub memberships: Vec<MembershipRecord>,
}

/// A personal access token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its id, which is no secret.
    pub id: String,
    /// The SHA-256 of the token.
    pub sha256: String,
    /// When it was made.
    pub created: i64,
    /// It is good until just before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id: the `kid` of what it signs.
    pub id: String,
    /// In PEM.
    pub public_key: String,
    /// It is good until just before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
}

/// Roles in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MembershipRecord {
    /// `None`: the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// By name.
    pub roles: Vec<String>,
}

impl Account {
    /// A new user without anything.
    pub fn new(name: &str, organization: &OrganizationId, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            display_name: None,
            organization: organization.to_string(),
            state: UserState::Active,
            access_tokens: AccessTokens::Bearer,
            preferred_language: None,
            changed: now.as_micros(),
            valid_from: now.as_micros(),
            tokens: Vec::new(),
            keys: Vec::new(),
            secret: None,
            memberships: Vec::new(),
        }
    }

    /// Goes over to `state`. Whoever was not active has lost its tokens for good.
    pub fn set_state(&mut self, state: UserState, now: Timestamp) {
        if state != UserState::Active {
            self.valid_from = now.as_micros();
            self.tokens.clear();
        }
        self.state = state;
    }

    /// Gives the user a new personal access token, which is returned in clear and kept nowhere.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn add_token(
        &mut self,
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(String, SecretString), getrandom::Error> {
        let (id, token) = (random::id()?, random::text(43)?);
        let sha256 = TokenHash::of(&token).to_hex();
        let expires = expires.map(Timestamp::as_micros);
        self.tokens.push(TokenRecord { id: id.clone(), sha256, created: now.as_micros(), expires });
        Ok((id, token.into()))
    }

    /// Gives the user a new secret in place of the one it had, which is returned in clear and kept nowhere.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn set_secret(&mut self) -> Result<SecretString, getrandom::Error> {
        let secret = random::text(64)?;
        self.secret = Some(TokenHash::of(&secret).to_hex());
        Ok(secret.into())
    }

    /// The user that this is, if it can be one.
    fn resolve(&self, id: &str) -> Option<User> {
        let memberships = self.memberships.iter().filter_map(MembershipRecord::resolve).collect();
        Some(User {
            id: UserId::new(id),
            name: self.name.clone(),
            display_name: self.display_name.clone(),
            organization: OrganizationId::new(&self.organization).ok()?,
            is_active: self.state == UserState::Active,
            preferred_language: self.preferred_language.as_deref().and_then(Language::lookup),
            memberships,
            access_tokens: self.access_tokens,
            secrets: self.secret.as_deref().and_then(TokenHash::from_hex).into_iter().collect(),
            changed: Timestamp::from_micros(self.changed),
            valid_from: Timestamp::from_micros(self.valid_from),
        })
    }
}

impl MembershipRecord {
    /// Without the roles that are not known: they permit nothing.
    fn resolve(&self) -> Option<Membership> {
        let organization = match &self.organization {
            None => None,
            Some(id) => Some(OrganizationId::new(id).ok()?),
        };
        let of_the_instance = organization.is_none();
        let roles = self.roles.iter().filter_map(|role| role.parse::<Role>().ok());
        let roles = roles.filter(|role| role.is_of_the_instance() == of_the_instance).collect();
        Some(Membership { organization, roles })
    }
}

/// What gateways have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecord {
    /// The id of the project that tokens for the API are for.
    pub project: String,
}

impl InstanceRecord {
    /// With a new project.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn new() -> Result<Self, getrandom::Error> {
        Ok(Self { project: random::id()? })
    }
}

/// All records as they are now.
#[derive(Clone, Debug, Default)]
pub struct Records {
    accounts: BTreeMap<String, Account>,
    signing_keys: BTreeMap<String, SigningKeyRecord>,
    instance: Option<InstanceRecord>,
}

impl Records {
    /// Takes over a record that has changed; without a body it was removed. Records of a kind that is not known are left
    /// alone.
    ///
    /// # Errors
    /// What is wrong with its body; then it counts as removed.
    pub fn apply(&mut self, kind: &str, id: &str, body: Option<&[u8]>) -> Result<(), serde_json::Error> {
        match kind {
            USER => put(&mut self.accounts, id, body),
            SIGNING_KEY => put(&mut self.signing_keys, id, body),
            INSTANCE if id == INSTANCE_ID => {
                self.instance = None;
                self.instance = body.map(serde_json::from_slice).transpose()?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The users, by id.
    pub fn accounts(&self) -> &BTreeMap<String, Account> {
        &self.accounts
    }

    /// The keys that sign, by id.
    pub fn signing_keys(&self) -> &BTreeMap<String, SigningKeyRecord> {
        &self.signing_keys
    }

    /// What gateways have in common; `None` before the first has started.
    pub fn instance(&self) -> Option<&InstanceRecord> {
        self.instance.as_ref()
    }

    /// The keys that sign, ready for use. Takes those that `before` has from there, as making one ready takes a while.
    pub fn key_ring(&self, before: &KeyRing) -> KeyRing {
        KeyRing::new(&self.signing_keys, before)
    }

    /// The users of the file, and those of the records that have another id.
    pub fn accounts_beside(&self, file: &Accounts) -> Accounts {
        let mut accounts = file.clone();
        for (id, account) in &self.accounts {
            if accounts.user(id).is_some() {
                continue;
            }
            let Some(user) = account.resolve(id).map(Arc::new) else { continue };
            accounts.add_user(&user);
            let time = |time: Option<i64>| time.map(Timestamp::from_micros);
            for token in &account.tokens {
                if let Some(hash) = TokenHash::from_hex(&token.sha256) {
                    accounts.add_token(Token {
                        hash,
                        id: token.id.clone(),
                        created: Some(Timestamp::from_micros(token.created)),
                        expires: time(token.expires),
                        user: user.clone(),
                    });
                }
            }
            for key in &account.keys {
                if let Ok(public_key) = public_key(&key.public_key) {
                    let owner = user.id.as_str().into();
                    accounts
                        .add_key(key.id.clone(), Key { owner, key: public_key, expires: time(key.expires) });
                }
            }
        }
        accounts
    }
}

fn put<T: DeserializeOwned>(
    records: &mut BTreeMap<String, T>,
    id: &str,
    body: Option<&[u8]>,
) -> Result<(), serde_json::Error> {
    records.remove(id);
    if let Some(body) = body {
        records.insert(id.to_owned(), serde_json::from_slice(body)?);
    }
    Ok(())
}
