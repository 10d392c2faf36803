//! What people would need who log in themselves, which is not offered (contract-identity 1.10, 1.11).

use super::{
    client::{Credentials, credentials},
    endpoint::{Call, Outcome},
    reply::Failure,
};

/// The answer to a request of a client, of which there are none.
fn no_client(call: &Call, reason: &'static str) -> Failure {
    match credentials(call) {
        Ok(Credentials::Secret(..) | Credentials::Assertion(_)) => Failure::oauth("invalid_client", reason),
        Err(failure) => failure,
    }
}

/// Tokens of machines end by themselves.
pub(super) async fn revoke(call: &Call) -> Outcome {
    Err(no_client(call, "no active client not found"))
}

pub(super) async fn device_authorization(call: &Call) -> Outcome {
    Err(no_client(call, "client not found"))
}

pub(super) async fn authorize(call: &Call) -> Outcome {
    Err(Failure::Request(match call.form.filled("client_id") {
        None => "auth request is missing client_id",
        Some(_) => "Errors.App.NotFound",
    }))
}

pub(super) async fn end_session(_: &Call) -> Outcome {
    Err(Failure::Request("there are no sessions: users log in by keys and secrets"))
}
