//! Assertions: by them a user or client shows that it has a private key (RFC 7523).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::Timestamp;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::Value;

use crate::Accounts;

/// How old an assertion may be, in seconds.
const AGE_MAX: f64 = 3600.0;
/// How far clocks may differ, in seconds.
const SKEW: f64 = 1.0;

/// An assertion shows nothing. Nobody is told why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidAssertion {
    /// It is no signed token at all.
    Malformed,
    /// It is not good, or not here, or not now.
    Refused,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    // RFC 3339 and numbers in strings are refused (contract-identity, departures).
    exp: f64,
    iat: f64,
}

/// Whose assertion this is: the id of the user, or client, that has signed it with an unexpired key of its own for `issuer`
/// (contract-identity 1.6, JWT profile).
///
/// # Errors
/// If it is nobody's.
pub fn subject_of<'a>(
    assertion: &str,
    issuer: &str,
    accounts: &'a Accounts,
    now: Timestamp,
) -> Result<&'a str, InvalidAssertion> {
    use InvalidAssertion::{Malformed, Refused};
    let (message, signature) = assertion.trim_end().rsplit_once('.').ok_or(Malformed)?;
    let (header, claims) = message.split_once('.').ok_or(Malformed)?;
    let json = |part: &str| BASE64.decode(part).map_err(|_| Malformed);
    let header: Header = serde_json::from_slice(&json(header)?).map_err(|_| Malformed)?;
    let claims: Claims = serde_json::from_slice(&json(claims)?).map_err(|_| Malformed)?;
    let algorithm = match header.alg.as_str() {
        "RS256" => Algorithm::RS256,
        "PS256" => Algorithm::PS256,
        _ => return Err(Refused),
    };
    let key = accounts.key(&header.kid).filter(|_| header.crit.is_none()).ok_or(Refused)?;
    let owner: &str = &key.owner;
    let is_for_us = match &claims.aud {
        Value::String(audience) => audience == issuer,
        Value::Array(audiences) => audiences.iter().any(|audience| audience == issuer),
        _ => false,
    };
    #[expect(clippy::cast_precision_loss, reason = "until the year 2255 it is exact to the microsecond")]
    let seconds = now.as_micros() as f64 / 1e6;
    let is_now = claims.exp >= seconds + SKEW
        && claims.iat <= seconds + SKEW
        && claims.iat >= (seconds - AGE_MAX).round()
        && key.expires.is_none_or(|expires| expires > now);
    if claims.iss != owner || claims.sub != owner || !is_for_us || !is_now {
        return Err(Refused);
    }
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.key, algorithm) {
        Ok(true) => Ok(owner),
        _ => Err(Refused),
    }
}
