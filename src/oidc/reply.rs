//! Answers (contract-identity 1.1): JSON as Go's encoder writes it, and errors of OAuth 2.0 (RFC 6749, section 5.2).

use domain::Error;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde::Serialize;

use crate::front::Body;

/// Why there is nothing better to answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// `invalid_request`, for this reason.
    Request(&'static str),
    /// Another error of OAuth 2.0, with or without a reason.
    OAuth(&'static str, Option<String>),
    /// The same, for a token that is not good.
    Unauthorized(&'static str, &'static str),
    /// Another method than these.
    Method(&'static [Method]),
    /// The body is too long, or broke off.
    TooLarge,
    /// Whoever asks has been wrong too often.
    TooMany,
    /// The server cannot.
    Error(Error),
}

impl Failure {
    /// With a reason.
    pub(super) fn oauth(error: &'static str, description: impl Into<String>) -> Self {
        Self::OAuth(error, Some(description.into()))
    }
}

impl Failure {
    /// What somebody is told who guesses; `None` for what nobody learns anything by.
    pub(super) fn guess(&self) -> Option<&'static str> {
        const GUESSES: [&str; 4] =
            ["invalid_grant", "invalid_client", "unauthorized_client", "access_denied"];
        match self {
            Self::OAuth(error, _) | Self::Unauthorized(error, _) if GUESSES.contains(error) => Some(error),
            Self::Request(SECRET_INVALID) => Some(SECRET_INVALID),
            _ => None,
        }
    }
}

/// Why somebody does not log in who has told a wrong secret.
pub(super) const SECRET_INVALID: &str = "Errors.User.Machine.Secret.Invalid";

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'a str>,
}

/// The answer to a failure that is the caller's.
pub(super) fn failure(failure: &Failure) -> Response<Body> {
    let (status, error, description) = match failure {
        Failure::Request(reason) => (StatusCode::BAD_REQUEST, "invalid_request", Some(*reason)),
        Failure::OAuth(error, reason) => (StatusCode::BAD_REQUEST, *error, reason.as_deref()),
        Failure::Unauthorized(error, reason) => (StatusCode::UNAUTHORIZED, *error, Some(*reason)),
        Failure::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request", Some("method not allowed")),
        Failure::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", Some("request too large")),
        Failure::TooMany => {
            let reason = "too many failed authentications: try again later";
            (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", Some(reason))
        }
        Failure::Error(Error::Unavailable { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", None)
        }
        Failure::Error(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None),
    };
    let mut response = json(&Refusal { error, error_description: description });
    *response.status_mut() = status;
    if let Failure::Method(methods) = failure {
        let allowed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        if let Ok(allowed) = HeaderValue::from_str(&allowed) {
            response.headers_mut().insert(header::ALLOW, allowed);
        }
    }
    response
}

/// `value` in JSON.
pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(text) => written(&text),
        Err(error) => failure(&Failure::Error(Error::Internal { cause: error.to_string() })),
    }
}

/// A text that is JSON already.
pub(super) fn written(json: &str) -> Response<Body> {
    let mut text = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        match c {
            // They stand in strings only.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => text.push(c),
        }
    }
    text.push('\n');
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("x-robots-tag", HeaderValue::from_static("none"));
    response
}

/// The answer to a path that there is not.
pub(super) fn page_not_found() -> Response<Body> {
    not_found("404 page not found")
}

/// An answer that is no JSON.
pub(super) fn not_found(message: &str) -> Response<Body> {
    let mut response = Response::new(format!("{message}\n").into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert("x-robots-tag", HeaderValue::from_static("none"));
    response
}
