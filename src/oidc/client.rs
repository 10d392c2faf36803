//! How a request says whom it comes from.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};

use secrecy::SecretString;

use super::{endpoint::Call, form::unescape, reply::Failure};

/// How an assertion says what it is (RFC 7523, section 2.2).
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Nobody has said who calls.
pub(super) const NOBODY: Failure = Failure::Request("client_id or client_assertion must be provided");

/// What a client or user says of itself.
pub(super) enum Credentials<'a> {
    /// Its name, and its secret.
    Secret(String, Option<SecretString>),
    /// What it has signed.
    Assertion(&'a str),
}

/// What the request says. A header wins over the form (contract-identity 1.6, Client credentials).
///
/// # Errors
/// If it says nothing.
pub(super) fn credentials(call: &Call) -> Result<Credentials<'_>, Failure> {
    let basic = call.authorization().and_then(|value| value.to_str().ok()).and_then(basic);
    if let Some((name, secret)) = basic {
        return Ok(Credentials::Secret(name, Some(secret)));
    }
    if let Some(assertion) = call.form.filled("client_assertion") {
        let kind = call.form.get("client_assertion_type").unwrap_or_default();
        if kind != ASSERTION_TYPE {
            return Err(Failure::oauth("invalid_request", format!("invalid client_assertion_type {kind}")));
        }
        return Ok(Credentials::Assertion(assertion));
    }
    let name = call.form.filled("client_id").ok_or(NOBODY)?;
    Ok(Credentials::Secret(name.to_owned(), call.form.get("client_secret").map(SecretString::from)))
}

/// Name and secret of the `Basic` scheme, each percent-encoded (RFC 6749, section 2.3.1).
fn basic(header: &str) -> Option<(String, SecretString)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64.decode(encoded.trim()).ok()?;
    let at = decoded.iter().position(|byte| *byte == b':')?;
    let (name, secret) = decoded.split_at(at);
    Some((unescape(name)?, unescape(secret.get(1..)?)?.into()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn basic_headers() {
        for (header, want) in [
            ("YTpi", None),
            ("Basic YTpi", Some(("a", "b"))),
            ("basic YTpi", Some(("a", "b"))),
            // a%2Db:c:d
            ("Basic YSUyRGI6YzpkCg==", Some(("a-b", "c:d\n"))),
            ("Basic !!!", None),
            ("Basic bm9jb2xvbg==", None),
            ("Bearer YTpi", None),
        ] {
            let read = basic(header);
            let read = read.as_ref().map(|(name, secret)| (name.as_str(), secret.expose_secret()));
            assert_eq!(read, want, "{header}");
        }
    }
}
