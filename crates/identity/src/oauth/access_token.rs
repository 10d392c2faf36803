//! Access tokens: all that there is to know of one is in it, so that no gateway has to ask, or to remember.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Claims, Granted, HomeOrganization, KeyRing, SigningKey, claims::seconds, scope};
use crate::{Caller, random};

/// How long a token is good, in microseconds: twelve hours.
const LIFETIME: i64 = 12 * 3_600_000_000;

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Two ids: of the login, and of the token. The second tells when it was issued.
    #[serde(rename = "i")]
    pub id: String,
    /// The user's id.
    #[serde(rename = "u")]
    pub user: String,
    /// The user's name, when it logged in.
    #[serde(rename = "n")]
    pub client: String,
    /// What was granted.
    #[serde(rename = "s")]
    pub scopes: Vec<String>,
    /// Whom it is for.
    #[serde(rename = "a")]
    pub audience: Vec<String>,
    /// By whom it was issued.
    #[serde(rename = "o")]
    pub issuer: String,
    /// Whether the user showed a secret, and not a key.
    #[serde(rename = "p")]
    pub with_secret: bool,
}

impl AccessToken {
    /// A new token of `user`.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn issue(
        user: &Caller,
        granted: Granted,
        issuer: &str,
        with_secret: bool,
        now: Timestamp,
    ) -> Result<Self, getrandom::Error> {
        let mark = scope::mark(&granted.scopes, with_secret);
        Ok(Self {
            id: format!("V2_{}-at_{}", random::marked_id(mark)?, random::timed_id(now)?),
            user: user.user().to_string(),
            client: user.name().to_owned(),
            scopes: granted.scopes,
            audience: granted.audience,
            issuer: issuer.to_owned(),
            with_secret,
        })
    }

    /// When it was issued; long ago if it does not say.
    pub fn issued(&self) -> Timestamp {
        let time = self.id.rsplit_once("-at_").and_then(|(_, id)| random::time_of(id));
        time.unwrap_or(Timestamp::from_micros(0))
    }

    /// It is good until just before this.
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_micros(self.issued().as_micros().saturating_add(LIFETIME))
    }

    /// How long it is good, in whole seconds, as an answer has it.
    pub const fn expires_in() -> i64 {
        LIFETIME / 1_000_000 - 1
    }

    /// As a text that only gateways can read.
    pub fn seal(&self, key: &SigningKey) -> Option<String> {
        key.seal(self)
    }

    /// As a text that everybody can read and verify (contract-identity 1.6, Response).
    pub fn to_jwt(&self, key: &SigningKey, user: &Caller, home: &HomeOrganization) -> Option<String> {
        let issued = seconds(self.issued());
        let mut claims = Claims::default();
        claims
            .push("iss", self.issuer.as_str())
            .push("sub", self.user.as_str())
            .push("aud", self.audience.as_slice())
            .push("exp", issued + LIFETIME / 1_000_000)
            .push("iat", issued)
            .push("nbf", issued)
            .push("client_id", self.client.as_str())
            .push("jti", self.id.as_str())
            .push_urns(user, home, &self.scopes);
        key.sign(&claims)
    }

    /// Who has logged in, for the user itself; `access_token` is the text of this one.
    pub fn to_id_token(
        &self,
        key: &SigningKey,
        access_token: &str,
        user: &Caller,
        home: &HomeOrganization,
    ) -> Option<String> {
        let issued = seconds(self.issued());
        let mut audience = self.audience.clone();
        if !audience.contains(&self.client) {
            audience.push(self.client.clone());
        }
        let hash = Sha256::digest(access_token);
        let (left, _) = hash.split_at(hash.len() / 2);
        let mut claims = Claims::default();
        claims
            .push("iss", self.issuer.as_str())
            .push("sub", self.user.as_str())
            .push("aud", audience)
            .push("exp", issued + LIFETIME / 1_000_000)
            .push("iat", issued)
            .push("auth_time", issued);
        if self.with_secret {
            claims.push("amr", vec!["pwd"]);
        }
        claims
            .push("azp", self.client.as_str())
            .push("client_id", self.client.as_str())
            .push("at_hash", BASE64.encode(left))
            .push_urns(user, home, &self.scopes);
        key.sign(&claims)
    }

    /// What the text of a token says, if a gateway of this store has issued it; `project` is the API's own. A signed one is only
    /// good with its issuer: with whom the call speaks. That it has not expired is for the caller to see.
    pub fn read(text: &str, keys: &KeyRing, issuer: &str, project: &str) -> Option<Self> {
        // One more than the longest form, so that a text of dots is not long work.
        let parts: Vec<_> = text.splitn(6, '.').collect();
        match parts[..] {
            // There is no encrypted key (RFC 7516, 5.2): what stands there nothing would vouch for.
            [header, "", nonce, sealed, tag] => {
                let content = key_of(header, "dir", keys)?.open([header, nonce, sealed, tag])?;
                serde_json::from_slice(&content).ok()
            }
            [header, claims, signature] => {
                let key = key_of(header, "RS256", keys)?;
                let message = text.get(..header.len() + 1 + claims.len())?;
                if !key.has_signed(message.as_bytes(), &BASE64.decode(signature).ok()?) {
                    return None;
                }
                let token = Jwt::read(&BASE64.decode(claims).ok()?)?.into_token(project)?;
                (token.issuer == issuer).then_some(token)
            }
            _ => None,
        }
    }

    /// Whether the text of a token says that it was made with one of `keys`.
    pub(crate) fn names_key_of(text: &str, keys: &KeyRing) -> bool {
        let header = text.split_once('.').and_then(|(header, _)| read_header(header));
        header.is_some_and(|header| keys.key(&header.kid).is_some())
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    crit: Option<Value>,
}

fn read_header(header: &str) -> Option<Header> {
    serde_json::from_slice(&BASE64.decode(header).ok()?).ok()
}

/// The key that a header names, if it is used with that algorithm.
fn key_of<'a>(header: &str, algorithm: &str, keys: &'a KeyRing) -> Option<&'a SigningKey> {
    let header = read_header(header)?;
    keys.key(&header.kid).filter(|_| header.alg == algorithm && header.crit.is_none())
}

#[derive(Deserialize)]
struct Jwt {
    iss: String,
    sub: String,
    aud: Vec<String>,
    client_id: String,
    /// An id_token has none.
    jti: String,
    #[serde(rename = "urn:zitadel:iam:org:id")]
    organization: Option<String>,
    #[serde(rename = "urn:zitadel:iam:org:domain:primary")]
    domain: Option<String>,
}

impl Jwt {
    fn read(claims: &[u8]) -> Option<Self> {
        serde_json::from_slice(claims).ok()
    }

    /// What is not among the claims follows from the first id.
    fn into_token(self, project: &str) -> Option<AccessToken> {
        let id = self.jti.strip_prefix("V2_")?.split_once("-at_")?.0;
        let (mut scopes, with_secret) = scope::of_mark(random::mark_of(id)?);
        let audiences = self.aud.iter().filter(|audience| **audience != self.client_id);
        scopes.extend(audiences.map(|audience| scope::of_audience(audience, project)));
        scopes.extend(self.organization.map(|id| format!("{}{id}", scope::ORGANIZATION_ID)));
        scopes.extend(self.domain.map(|domain| format!("{}{domain}", scope::ORGANIZATION_DOMAIN)));
        Some(AccessToken {
            id: self.jti,
            user: self.sub,
            client: self.client_id,
            scopes,
            audience: self.aud,
            issuer: self.iss,
            with_secret,
        })
    }
}
