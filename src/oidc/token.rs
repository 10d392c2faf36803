//! Logins (contract-identity 1.6).

use domain::Error;
use identity::{
    AccessTokens, Caller,
    oauth::{self, AccessToken, HomeOrganization, OPENID},
};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{
    client::{Credentials, credentials},
    endpoint::{Call, Outcome},
    reply::{self, Failure, SECRET_INVALID},
};
use crate::authority::State;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What only people use, who do not log in here.
const INTERACTIVE: [&str; 4] = [
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:device_code",
];

const SCOPE_MISSING: Failure = Failure::Request(
    "The scope of your request is missing. Please ensure some scopes are requested. If you have any questions, you may \
     contact the administrator of the application.",
);

pub(super) async fn answer(call: &Call) -> Outcome {
    let (login, with_secret) = match call.form.filled("grant_type") {
        None => return Err(Failure::Request("grant_type missing")),
        Some(JWT_BEARER) => (by_key(call).await?, false),
        Some("client_credentials") => (by_secret(call).await?, true),
        Some(grant) if INTERACTIVE.contains(&grant) => {
            credentials(call)?;
            return Err(client_unknown());
        }
        Some(grant) => {
            return Err(Failure::oauth("unsupported_grant_type", format!("{grant} not supported")));
        }
    };
    let (user, home) = login;
    let scopes = call.form.last("scope").ok_or(SCOPE_MISSING)?;
    if !user.is_active() {
        return Err(Failure::Request("Errors.User.NotActive"));
    }
    call.head.record.caller(user.user());
    call.authority.await_key(call.now).await?;
    issue(call, &call.authority.state(), &user, &home, scopes, with_secret)
}

fn client_unknown() -> Failure {
    Failure::oauth("invalid_client", "client not found")
}

/// The user whose key has signed the assertion.
async fn by_key(call: &Call) -> Result<(Caller, HomeOrganization), Failure> {
    let assertion = call.form.filled("assertion").ok_or(Failure::Request("assertion missing"))?;
    let invalid = || Failure::oauth("invalid_grant", "invalid assertion");
    let user_of = |state: &State| {
        let identity = &state.identity;
        let subject = oauth::subject_of(assertion, &call.issuer, &identity.accounts, call.now).ok()?;
        identity.user(subject)
    };
    let user = call.find(user_of).await?.1.ok_or_else(invalid)?;
    let home = call.home(&user).await?.ok_or_else(invalid)?;
    Ok((user, home))
}

/// The user that has told its secret.
async fn by_secret(call: &Call) -> Result<(Caller, HomeOrganization), Failure> {
    let Credentials::Secret(name, secret) = credentials(call)? else { return Err(client_unknown()) };
    let secret = secret.unwrap_or_default();
    let user_of = |state: &State| {
        let user = state.identity.accounts.user_named(&name)?;
        // The secret may be a new one.
        (user.has_secret(secret.expose_secret()) == Some(true)).then_some(user)
    };
    let (state, found) = call.find(user_of).await?;
    let user = match found.or_else(|| state.identity.accounts.user_named(&name)) {
        Some(user) => user,
        None => return Err(client_unknown()),
    };
    let home = call.home(&user).await?.ok_or_else(client_unknown)?;
    match user.has_secret(secret.expose_secret()) {
        Some(true) => Ok((user, home)),
        Some(false) => Err(Failure::Request(SECRET_INVALID)),
        None => Err(Failure::Request("Errors.User.Machine.Secret.NotExisting")),
    }
}

#[derive(Serialize)]
struct Issued<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

fn issue(
    call: &Call,
    state: &State,
    user: &Caller,
    home: &HomeOrganization,
    scopes: &str,
    with_secret: bool,
) -> Outcome {
    let no_key = || Failure::Error(Error::Internal { cause: "a token cannot be signed".to_owned() });
    let identity = &state.identity;
    let key = identity.keys.signing(call.now).ok_or_else(no_key)?;
    let granted = oauth::grant(scopes, user, home, &identity.project);
    let is_openid = granted.scopes.iter().any(|scope| scope == OPENID);
    let token = AccessToken::issue(user, granted, &call.issuer, with_secret, call.now)?;
    let text = match user.access_tokens() {
        AccessTokens::Bearer => token.seal(key),
        AccessTokens::Jwt => token.to_jwt(key, user, home),
    };
    let text = text.ok_or_else(no_key)?;
    let id_token =
        if is_openid { Some(token.to_id_token(key, &text, user, home).ok_or_else(no_key)?) } else { None };
    Ok(reply::json(&Issued {
        access_token: &text,
        token_type: "Bearer",
        expires_in: AccessToken::expires_in(),
        id_token,
    }))
}
