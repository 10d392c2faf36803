//! The keys that sign tokens, for who verifies them (contract-identity 1.4).

use http::{HeaderValue, header};

use super::{
    endpoint::{Call, Outcome},
    reply,
};

/// How long clients may keep them: less than a key is published before it signs.
const CACHE_CONTROL: &str = "max-age=300, must-revalidate";

pub(super) async fn answer(call: &Call) -> Outcome {
    call.authority.await_key(call.now).await?;
    let jwks = call.authority.state().identity.keys.to_jwks(call.now);
    let mut response = reply::written(&jwks);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHE_CONTROL));
    headers.remove(header::PRAGMA);
    Ok(response)
}
