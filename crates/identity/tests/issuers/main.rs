//! Tokens of other issuers: which are good, and of whom they tell.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod callers;
mod claims;
mod keys;
mod signatures;

use std::sync::LazyLock;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::{OrganizationId, Permission, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use metagate_identity::{
    Account, Caller, Denied, Directory, Identity, Records, UserState,
    issuer::{Foreign, IssuerKeys, TokenClaims, Verdict},
    oauth::service_account_key,
    record::USER,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const URL: &str = "https://login.example";
/// In seconds since the Unix epoch.
const NOW: i64 = 1_795_449_968;
/// The user `u` is known, `off` may not do anything.
const DIRECTORY: &str = r#"
[instance]
id = "1"
[[organization]]
id = "home"
name = "home"
state = "active"
[[user]]
id = "u"
name = "u"
organization = "home"
state = "active"
[[user]]
id = "off"
name = "off"
organization = "home"
state = "locked"
[[membership]]
user = "u"
organization = "home"
roles = ["ORG_OWNER"]
[[issuer]]
url = "https://login.example"
audience = ["metagate", "other"]
"#;
const BY_USER: &str = "user_claim = \"sub\"\n";
const BY_ROLES: &str = "roles_claim = \"roles\"\norganization = \"home\"\n\
                        roles = { admin = [\"IAM_OWNER\"], reader = [\"ORG_OWNER_VIEWER\"], both = [\"IAM_OWNER_VIEWER\", \"ORG_OWNER\"] }\n";

/// A key, and what the world knows of it.
struct Key {
    private: EncodingKey,
    public: Value,
}

/// Of each type one, in the order of [`FAMILIES`]; and another one of RSA.
static KEYS: LazyLock<[Key; 5]> = LazyLock::new(|| {
    let rsa = || {
        let (_, file) = service_account_key("u", "k", None).unwrap();
        let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
        EncodingKey::from_rsa_pem(file["key"].as_str().unwrap().as_bytes()).unwrap()
    };
    let random = SystemRandom::new();
    let ec = |algorithm| {
        EncodingKey::from_ec_der(EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap().as_ref())
    };
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
    let x = BASE64.encode(pair.public_key().as_ref());
    let ed = Key {
        private: EncodingKey::from_ed_der(ed.as_ref()),
        public: json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
    };
    let key = |private: EncodingKey, algorithm: Algorithm| {
        let jwk = Jwk::from_encoding_key(&private, algorithm).unwrap();
        let mut public = serde_json::to_value(jwk).unwrap();
        public.as_object_mut().unwrap().retain(|name, _| !["alg", "kid", "use"].contains(&&**name));
        Key { private, public }
    };
    [
        key(rsa(), Algorithm::RS256),
        key(ec(&ECDSA_P256_SHA256_FIXED_SIGNING), Algorithm::ES256),
        key(ec(&ECDSA_P384_SHA384_FIXED_SIGNING), Algorithm::ES384),
        ed,
        key(rsa(), Algorithm::RS256),
    ]
});

/// What each of the keys may sign with.
const FAMILIES: [&[Algorithm]; 4] = {
    use Algorithm::*;
    [&[RS256, RS384, RS512, PS256, PS384, PS512], &[ES256], &[ES384], &[EdDSA]]
};

fn name(algorithm: Algorithm) -> Value {
    serde_json::to_value(algorithm).unwrap()
}

/// `object` with other members; `null` takes one away.
fn with(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({"iss": URL, "sub": "u", "aud": "metagate", "iat": NOW, "nbf": NOW, "exp": NOW + 3600})
}

fn message(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    format!("{}.{}", BASE64.encode(text(header)), BASE64.encode(text(claims)))
}

fn signed(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = message(header, claims);
    let signature = sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// Signed by the first key.
fn token(header: &Value, claims: &Value) -> String {
    signed(header, claims, &KEYS[0].private, Algorithm::RS256)
}

fn key(index: usize, changes: Value) -> Value {
    with(&KEYS[index].public, &changes)
}

fn set(keys: &[Value]) -> IssuerKeys {
    IssuerKeys::read(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

/// The first key as `k`, and one more.
fn keys() -> IssuerKeys {
    set(&[key(0, json!({"kid": "k"})), key(1, json!({"kid": "e"}))])
}

fn directory(issuer: &str) -> Directory {
    Directory::parse(&format!("{DIRECTORY}{issuer}"), "directory.toml").unwrap()
}

fn identity(directory: &Directory, records: &Records) -> Identity {
    Identity::new(directory, records, &Identity::default())
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

/// `good`, `refused`, `missing` (a key), or `opaque`.
fn verdict(text: &str, keys: Option<&IssuerKeys>) -> &'static str {
    static BOTH: LazyLock<Directory> = LazyLock::new(|| directory(BY_USER));
    match Foreign::read(text) {
        None => "refused",
        Some(Foreign::Opaque) => "opaque",
        Some(Foreign::Signed(token)) => match token.judge(&BOTH.issuers()[0].issuer, keys, now()) {
            Verdict::Good(_) => "good",
            Verdict::Refused => "refused",
            Verdict::KeyMissing => "missing",
        },
    }
}

fn message_of(changes: &Value) -> String {
    message(&header(), &with(&claims(), changes))
}
