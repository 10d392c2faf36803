//! The keys of the users and clients, and what they sign.

use std::{
    collections::HashMap,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use identity::oauth::service_account_key;
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// By id: the public half in PEM, and the private one. `other` is nobody's.
static KEYS: LazyLock<HashMap<&str, (String, String)>> = LazyLock::new(|| {
    let ids =
        ["KEYID_SA_OPAQUE", "KEYID_SA_JWT", "KEYID_SA_EXPKEY", "KEYID_SA_NOROLE", "KEYID_API_J", "other"];
    let made = ids.map(|id| {
        let (public, file) = service_account_key("u", id, None).unwrap();
        let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
        (id, (public, file["key"].as_str().unwrap().to_owned()))
    });
    made.into()
});

/// A public key in PEM.
pub fn public(id: &str) -> &'static str {
    &KEYS[id].0
}

/// A token with this header and these claims; `how` it is signed: `own` (by the key that it names, else the first), `other`,
/// `hmac` (the public key as a secret), `garbage`, `none`.
pub fn signed(header: &Value, claims: &Value, how: &str) -> String {
    let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let named = header["kid"].as_str().filter(|id| KEYS.contains_key(id)).unwrap_or("KEYID_SA_OPAQUE");
    // Whoever takes the key of another to be his own signs with his own.
    let own = if claims["iss"] == "USER_SA_OPAQUE" { "KEYID_SA_OPAQUE" } else { named };
    let private = |id: &str| EncodingKey::from_rsa_pem(KEYS[id].1.as_bytes()).unwrap();
    let (key, algorithm) = match how {
        "own" => {
            let algorithm = header["alg"].as_str().unwrap().parse().unwrap();
            (private(own), algorithm)
        }
        "other" => (private("other"), Algorithm::RS256),
        "hmac" => (EncodingKey::from_secret(KEYS[own].0.as_bytes()), Algorithm::HS256),
        "garbage" => return format!("{message}.{}", BASE64.encode([7; 256])),
        _ => return format!("{message}."),
    };
    format!("{message}.{}", sign(message.as_bytes(), &key, algorithm).unwrap())
}

/// What the user of a service account's key file logs in with.
pub fn service_account_assertion(file: &Value, issuer: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let id = &file["userId"];
    let claims = json!({"iss": id, "sub": id, "aud": issuer, "iat": now, "exp": now + 3600});
    let header = json!({"alg": "RS256", "kid": file["keyId"]});
    let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    let key = EncodingKey::from_rsa_pem(file["key"].as_str().unwrap().as_bytes()).unwrap();
    format!("{message}.{}", sign(message.as_bytes(), &key, Algorithm::RS256).unwrap())
}
