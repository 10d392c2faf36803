//! What a token is, for applications that are shown one (RFC 7662; contract-identity 1.8).

use std::sync::Arc;

use domain::Timestamp;
use http::Response;
use identity::{
    Client, Identified, Token,
    oauth::{self, Claims, HomeOrganization, InvalidAssertion, seconds},
};
use secrecy::ExposeSecret;

use super::{
    client::{Credentials, credentials},
    endpoint::{Call, Outcome},
    reply::{self, Failure},
};
use crate::{authority::State, front::Body};

/// What a personal access token is good for.
pub(super) const PERSONAL_SCOPES: [&str; 4] =
    ["openid", "profile", "urn:zitadel:iam:user:metadata", "urn:zitadel:iam:user:resourceowner"];

const UNAUTHORIZED: Failure = Failure::OAuth("unauthorized_client", None);

pub(super) async fn answer(call: &Call) -> Outcome {
    let Some(client) = client(call).await? else { return Ok(inactive()) };
    let token = call.form.filled("token").ok_or(Failure::Request("token missing"))?;
    let Some(found) = call.identify(token).await? else { return Ok(inactive()) };
    let Some(home) = call.home(&found.caller).await? else { return Ok(inactive()) };
    if let Token::Access(token) = &found.token {
        let is_for = |audience: &String| audience == client.id() || audience == client.project();
        if !token.audience.iter().any(is_for) {
            return Ok(inactive());
        }
    }
    Ok(reply::json(&claims(call, &client, &found, &home)))
}

fn inactive() -> Response<Body> {
    let mut claims = Claims::default();
    claims.push("active", false);
    reply::json(&claims)
}

/// Who asks. `None` for an assertion that is none at all: then nothing is told, and nothing complained of.
async fn client(call: &Call) -> Result<Option<Arc<Client>>, Failure> {
    let named = |state: &State, id: &str| state.identity.accounts.client(id).cloned();
    match credentials(call)? {
        Credentials::Secret(id, secret) => {
            let has_secret = |client: &Arc<Client>| {
                secret.as_ref().is_some_and(|secret| client.has_secret(secret.expose_secret()))
            };
            let (state, client) = call.find(|state| named(state, &id).filter(has_secret)).await?;
            if client.is_none() && secret.is_none() && named(&state, &id).is_some() {
                return Err(Failure::oauth("invalid_client", "client must be authenticated"));
            }
            client.map(Some).ok_or(UNAUTHORIZED)
        }
        Credentials::Assertion(assertion) => {
            let subject = |state: &State| {
                let accounts = &state.identity.accounts;
                oauth::subject_of(assertion, &call.issuer, accounts, call.now).map(str::to_owned)
            };
            let (state, client) = call.find(|state| named(state, &subject(state).ok()?)).await?;
            match client {
                None if subject(&state) == Err(InvalidAssertion::Malformed) => Ok(None),
                client => client.map(Some).ok_or(UNAUTHORIZED),
            }
        }
    }
}

fn claims(call: &Call, client: &Client, found: &Identified, home: &HomeOrganization) -> Claims {
    let user = &found.caller;
    let mut claims = Claims::default();
    claims.push("active", true);
    let time = |claims: &mut Claims, name, time: Option<Timestamp>| {
        if let Some(time) = time {
            claims.push(name, seconds(time));
        }
    };
    let scopes = match &found.token {
        Token::Access(token) => token.scopes.clone(),
        Token::Personal { .. } => PERSONAL_SCOPES.map(str::to_owned).to_vec(),
    };
    if !scopes.is_empty() {
        claims.push("scope", scopes.join(" "));
    }
    match &found.token {
        Token::Access(token) => {
            let issued = seconds(token.issued());
            claims
                .push("client_id", token.client.as_str())
                .push("token_type", "Bearer")
                .push("exp", seconds(token.expires()))
                .push("iat", issued)
                .push("auth_time", issued)
                .push("nbf", issued);
            if token.with_secret {
                claims.push("amr", vec!["pwd"]);
            }
            claims
                .push("sub", user.user().as_str())
                .push("aud", token.audience.as_slice())
                .push("iss", token.issuer.as_str())
                .push("jti", token.id.as_str());
        }
        Token::Personal { id, created, expires } => {
            claims.push("token_type", "Bearer");
            time(&mut claims, "exp", *expires);
            time(&mut claims, "iat", *created);
            time(&mut claims, "nbf", *created);
            claims
                .push("sub", user.user().as_str())
                .push("aud", vec![client.id(), client.project()])
                .push("iss", call.issuer.as_str())
                .push("jti", id.as_str());
        }
    }
    claims.push("username", user.name()).push_profile(user, &scopes).push_urns(user, home, &scopes);
    claims
}
