//! The public keys of another issuer.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

use crate::oauth::has_good_modulus;

/// More than anybody has. What comes behind is not looked at.
const KEYS_MAX: usize = 100;

/// The keys of an issuer that can verify a signature.
pub struct IssuerKeys(Vec<Key>);

struct Key {
    id: Option<String>,
    /// What it may be used with; all of its own type.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// It is no JWK set (RFC 7517).
#[derive(Debug, thiserror::Error)]
#[error("it is not a JWK set: {0}")]
pub struct MalformedKeys(#[from] serde_json::Error);

/// What a signature is by the keys of a set.
pub(super) enum Signature {
    Right,
    Wrong,
    /// The set lacks the key; a later one may have it.
    KeyMissing,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl IssuerKeys {
    /// From a JWK set in JSON. Keys that are of no use here are left out, as RFC 7517 (section 5) has it: those of other
    /// types, secrets, weak ones, and those for something else than signatures.
    ///
    /// # Errors
    /// If it is no JWK set.
    pub fn read(json: &[u8]) -> Result<Self, MalformedKeys> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(json)?;
        let usable = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok()?.into_key());
        Ok(Self(usable.take(KEYS_MAX).collect()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn verify(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        message: &str,
        signature: &str,
    ) -> Signature {
        if id.is_none() && self.0.len() > 1 {
            return Signature::Wrong;
        }
        // Ids need not be unique across types (RFC 7517, 4.5).
        let mut named = self.0.iter().filter(|key| id.is_none() || key.id.as_deref() == id).peekable();
        let is_missing = named.peek().is_none();
        let is_right = named.any(|key| {
            key.algorithms.contains(&algorithm)
                && jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, algorithm)
                    .is_ok_and(|is_right| is_right)
        });
        match is_right {
            true => Signature::Right,
            // Without an id, one that does not fit may have been followed by another.
            false if is_missing || id.is_none() => Signature::KeyMissing,
            false => Signature::Wrong,
        }
    }
}

impl Jwk {
    fn into_key(self) -> Option<Key> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let is_for_signatures = self.r#use.is_none_or(|usage| usage == "sig")
            && self.key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
        if !is_for_signatures {
            return None;
        }
        let (algorithms, key) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => {
                let n = self.n.filter(|n| has_good_modulus(n))?;
                let algorithms = vec![RS256, RS384, RS512, PS256, PS384, PS512];
                (algorithms, DecodingKey::from_rsa_components(&n, &self.e?))
            }
            ("EC", Some("P-256")) => (vec![ES256], DecodingKey::from_ec_components(&self.x?, &self.y?)),
            ("EC", Some("P-384")) => (vec![ES384], DecodingKey::from_ec_components(&self.x?, &self.y?)),
            ("OKP", Some("Ed25519")) => (vec![EdDSA], DecodingKey::from_ed_components(&self.x?)),
            _ => return None,
        };
        let algorithms = match self.alg {
            None => algorithms,
            Some(name) => {
                let only = name.parse().ok().filter(|only| algorithms.contains(only))?;
                vec![only]
            }
        };
        Some(Key { id: self.kid, algorithms, key: key.ok()? })
    }
}
