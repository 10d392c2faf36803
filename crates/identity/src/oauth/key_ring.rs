//! The keys that sign tokens: made, used one after the other, published, and thrown away.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    encoding::{AsDer, Pkcs8V1Der},
    hkdf::{HKDF_SHA256, Salt},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::Timestamp;
use jsonwebtoken::{
    DecodingKey,
    jwk::{AlgorithmParameters, Jwk},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use crate::random;

/// What keys are too weak below, in bits (contract-identity, departures).
const MODULUS_BITS_MIN: usize = 2048;

/// A key that signs, as a record has it. Whoever has it can make tokens of anybody.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SigningKeyRecord {
    /// PKCS #8, in unpadded base64url.
    #[serde(serialize_with = "in_clear")]
    private_key: SecretString,
    /// From when on it signs, until the next one does; in microseconds since the Unix epoch.
    pub(super) signs_from: i64,
}

/// For the store, which is where it is kept.
fn in_clear<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

impl SigningKeyRecord {
    /// A new key, and its id. Takes a tenth of a second.
    ///
    /// # Errors
    /// If no key or id can be made.
    pub fn generate(signs_from: Timestamp) -> Result<(String, Self), NoKey> {
        let (_, private_key) = generate()?;
        let private_key = BASE64.encode(private_key).into();
        let record = Self { private_key, signs_from: signs_from.as_micros() };
        Ok((random::id().map_err(|_| NoKey)?, record))
    }
}

impl SigningKeyRecord {
    /// The same key, with another time from when on it signs.
    pub(super) fn signing_from(self, signs_from: Timestamp) -> Self {
        Self { signs_from: signs_from.as_micros(), ..self }
    }
}

/// No key could be made.
#[derive(Debug, thiserror::Error)]
#[error("no RSA key can be made")]
pub struct NoKey;

fn generate() -> Result<(KeyPair, Vec<u8>), NoKey> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| NoKey)?;
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).map_err(|_| NoKey)?.as_ref().to_vec();
    Ok((pair, der))
}

/// A key, ready for use.
pub struct SigningKey {
    id: String,
    pair: KeyPair,
    public: ParsedPublicKey,
    /// Encrypts what only gateways read. Made from the private key, and so shared by whoever shares that.
    sealing: LessSafeKey,
    signs_from: i64,
    /// As it is published.
    jwk: PublicJwk,
}

#[derive(Clone, Serialize)]
struct PublicJwk {
    r#use: &'static str,
    kty: &'static str,
    kid: String,
    alg: &'static str,
    n: String,
    e: String,
}

impl SigningKey {
    fn new(id: &str, record: &SigningKeyRecord) -> Option<Self> {
        let private_key = BASE64.decode(record.private_key.expose_secret()).ok()?;
        let pair = KeyPair::from_pkcs8(&private_key).ok()?;
        let public = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()).ok()?;
        let secret = Salt::new(HKDF_SHA256, b"").extract(&private_key);
        let sealing = secret.expand(&[b"metagate access tokens"], &AES_256_GCM).ok()?;
        let sealing = LessSafeKey::new(UnboundKey::from(sealing));
        let number = |bytes: &[u8]| BASE64.encode(bytes);
        let jwk = PublicJwk {
            r#use: "sig",
            kty: "RSA",
            kid: id.to_owned(),
            alg: "RS256",
            n: number(pair.public_key().modulus().big_endian_without_leading_zero()),
            e: number(pair.public_key().exponent().big_endian_without_leading_zero()),
        };
        Some(Self { id: id.to_owned(), pair, public, sealing, signs_from: record.signs_from, jwk })
    }

    /// Its id, the `kid` of what it signs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A signed token with these claims (RFC 7515, compact); `None` if there is no memory or no chance to be had.
    pub(crate) fn sign(&self, claims: &impl Serialize) -> Option<String> {
        #[derive(Serialize)]
        struct Header<'a> {
            alg: &'a str,
            kid: &'a str,
            typ: &'a str,
        }
        let header = serde_json::to_vec(&Header { alg: "RS256", kid: &self.id, typ: "JWT" }).ok()?;
        let mut token = BASE64.encode(header);
        token.push('.');
        BASE64.encode_string(serde_json::to_vec(claims).ok()?, &mut token);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature).ok()?;
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        Some(token)
    }

    /// Whether it has signed `message`.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }

    /// A token that nobody but a gateway can read (RFC 7516, compact).
    pub(crate) fn seal(&self, content: &impl Serialize) -> Option<String> {
        let mut token = BASE64.encode(self.sealed_header());
        let mut sealed = serde_json::to_vec(content).ok()?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).ok()?;
        let unique = Nonce::assume_unique_for_key(nonce);
        let tag =
            self.sealing.seal_in_place_separate_tag(unique, Aad::from(token.as_bytes()), &mut sealed).ok()?;
        // No encrypted key: the key is used as it is.
        token.push_str("..");
        for (part, end) in [(&nonce[..], "."), (&sealed, "."), (tag.as_ref(), "")] {
            BASE64.encode_string(part, &mut token);
            token.push_str(end);
        }
        Some(token)
    }

    /// What a token of [`SigningKey::seal`] holds.
    pub(crate) fn open(&self, parts: [&str; 4]) -> Option<Vec<u8>> {
        let [header, nonce, sealed, tag] = parts;
        let nonce = Nonce::try_assume_unique_for_key(&BASE64.decode(nonce).ok()?).ok()?;
        let mut content = BASE64.decode(sealed).ok()?;
        content.extend(BASE64.decode(tag).ok()?);
        let opened =
            self.sealing.open_in_place(nonce, Aad::from(header.as_bytes()), &mut content).ok()?.len();
        content.truncate(opened);
        Some(content)
    }

    fn sealed_header(&self) -> String {
        format!(r#"{{"alg":"dir","enc":"A256GCM","kid":"{}"}}"#, self.id)
    }
}

/// All keys.
#[derive(Default)]
pub struct KeyRing(BTreeMap<String, Arc<SigningKey>>);

impl KeyRing {
    pub(crate) fn new(records: &BTreeMap<String, SigningKeyRecord>, before: &Self) -> Self {
        let ready = |(id, record): (&String, &SigningKeyRecord)| {
            let known = before.0.get(id).filter(|key| key.signs_from == record.signs_from);
            let key = known.cloned().or_else(|| SigningKey::new(id, record).map(Arc::new));
            key.map(|key| (id.clone(), key))
        };
        Self(records.iter().filter_map(ready).collect())
    }

    /// The key that signs now; `None` before the first one was made.
    pub fn signing(&self, now: Timestamp) -> Option<&SigningKey> {
        let begun = self.0.values().filter(|key| key.signs_from <= now.as_micros());
        begun.max_by_key(|key| key.signs_from).map(Arc::as_ref)
    }

    /// The key of this id.
    pub(crate) fn key(&self, id: &str) -> Option<&SigningKey> {
        self.0.get(id).map(Arc::as_ref)
    }

    /// The public keys as a JWK set (RFC 7517), in JSON: first the one that signs, then the next, then those before.
    pub fn to_jwks(&self, now: Timestamp) -> String {
        #[derive(Serialize)]
        struct Jwks<'a> {
            keys: Vec<&'a PublicJwk>,
        }
        let signing = self.signing(now).map_or(i64::MIN, |key| key.signs_from);
        let mut keys: Vec<_> = self.0.values().collect();
        keys.sort_by_key(|key| (key.signs_from < signing, key.signs_from));
        let keys = keys.into_iter().map(|key| &key.jwk).collect();
        serde_json::to_string(&Jwks { keys }).unwrap_or_default()
    }
}

/// Why a public key is none that can be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// It is not in PEM, or not RSA's.
    #[error("a public key is an RSA key in PEM, which begins with -----BEGIN PUBLIC KEY-----")]
    Malformed,
    /// It is too short.
    #[error("an RSA key has at least {MODULUS_BITS_MIN} bits, and this one {0}")]
    Weak(usize),
}

/// The RSA key in `pem`.
///
/// # Errors
/// If there is none, or if it is too weak.
pub fn public_key(pem: &str) -> Result<DecodingKey, PublicKeyError> {
    let malformed = |_| PublicKeyError::Malformed;
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(malformed)?;
    let jwk = Jwk::from_decoding_key(&key, None).map_err(malformed)?;
    let AlgorithmParameters::RSA(parameters) = jwk.algorithm else { return Err(PublicKeyError::Malformed) };
    let bits = modulus_bits(&parameters.n).ok_or(PublicKeyError::Malformed)?;
    if bits < MODULUS_BITS_MIN { Err(PublicKeyError::Weak(bits)) } else { Ok(key) }
}

/// Whether an RSA key with the modulus `n`, as a JWK has it, is not too weak.
pub(crate) fn has_good_modulus(n: &str) -> bool {
    modulus_bits(n).is_some_and(|bits| bits >= MODULUS_BITS_MIN)
}

fn modulus_bits(n: &str) -> Option<usize> {
    let modulus = BASE64.decode(n).ok()?;
    let first = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
    let digits = modulus.get(first..)?;
    Some(digits.first().map_or(0, |first| digits.len() * 8 - first.leading_zeros() as usize))
}

/// A new key of a user: its public half in PEM, and the file by which the user logs in, ZITADEL's "service account key".
///
/// # Errors
/// If no key can be made.
pub fn service_account_key(
    user: &str,
    key: &str,
    expires: Option<Timestamp>,
) -> Result<(String, SecretString), NoKey> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct File<'a> {
        r#type: &'a str,
        key_id: &'a str,
        key: String,
        expiration_date: String,
        user_id: &'a str,
    }
    /// Before the PKCS #1 key in a PKCS #8 document of a key of 2,048 bits: two lengths, version, algorithm, and two more.
    const PKCS8_HEAD_BYTES: usize = 26;
    /// The end of a key that has none.
    const NEVER: &str = "9999-12-31T23:59:59Z";
    let (pair, pkcs8) = generate()?;
    let pkcs1 = pkcs8.get(PKCS8_HEAD_BYTES..).ok_or(NoKey)?;
    KeyPair::from_der(pkcs1).map_err(|_| NoKey)?;
    let armor = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let private = pem::encode_config(&pem::Pem::new("RSA PRIVATE KEY", pkcs1), armor);
    let public = pem::encode_config(&pem::Pem::new("RSA PUBLIC KEY", pair.public_key().as_ref()), armor);
    let expires = expires.and_then(|time| jiff::Timestamp::from_microsecond(time.as_micros()).ok());
    let file = File {
        r#type: "serviceaccount",
        key_id: key,
        key: private,
        expiration_date: expires.map_or(NEVER.to_owned(), |expires| expires.to_string()),
        user_id: user,
    };
    let file = serde_json::to_string(&file).map_err(|_| NoKey)?;
    Ok((public, file.into()))
}
