//! Logins: the endpoints of OAuth 2.0 and OpenID Connect for users that are machines (contract-identity, section 1).
//!
//! Plain HTTP beside the RPCs; one file an endpoint. What a login or a token is, is decided in the `identity` crate.

mod client;
mod discovery;
mod endpoint;
mod form;
mod interactive;
mod introspection;
mod keys;
mod reply;
mod token;
mod userinfo;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    routing::any,
};
use http::Method;

use crate::{api::Gatekeeper, metrics::Metrics};
use endpoint::{Endpoint, answer};

/// What all endpoints work with.
#[derive(Clone)]
struct Desk {
    gatekeeper: Arc<Gatekeeper>,
    metrics: Arc<Metrics>,
}

/// The endpoints. Who fails there, and who is told to come later, is counted by `metrics`.
pub fn router(gatekeeper: &Arc<Gatekeeper>, metrics: &Arc<Metrics>) -> Router {
    let mut router = Router::new();
    for (path, endpoint) in ENDPOINTS {
        let handler = any(async move |State(desk): State<Desk>, request: Request| {
            answer(endpoint, &desk, request).await
        });
        router = router.route(path, handler);
    }
    for path in ["/oauth/v2/{*rest}", "/oidc/v1/{*rest}", "/.well-known/openid-configuration/"] {
        router = router.route(path, any(async || reply::page_not_found()));
    }
    router.with_state(Desk { gatekeeper: gatekeeper.clone(), metrics: metrics.clone() })
}

/// By path. Others than the methods given are refused.
const ENDPOINTS: &[(&str, &Endpoint)] = &[
    ("/.well-known/openid-configuration", &Endpoint::open(READ, |call| Box::pin(discovery::answer(call)))),
    ("/oauth/v2/keys", &Endpoint::open(READ, |call| Box::pin(keys::answer(call)))),
    ("/oauth/v2/token", &Endpoint::guarded(POST, |call| Box::pin(token::answer(call)))),
    ("/oauth/v2/introspect", &Endpoint::guarded(POST, |call| Box::pin(introspection::answer(call)))),
    ("/oidc/v1/userinfo", &Endpoint::guarded(BOTH, |call| Box::pin(userinfo::answer(call)))),
    ("/oauth/v2/revoke", &Endpoint::guarded(POST, |call| Box::pin(interactive::revoke(call)))),
    ("/oauth/v2/authorize", &Endpoint::open(BOTH, |call| Box::pin(interactive::authorize(call)))),
    ("/oidc/v1/end_session", &Endpoint::open(BOTH, |call| Box::pin(interactive::end_session(call)))),
    (
        "/oauth/v2/device_authorization",
        &Endpoint::guarded(POST, |call| Box::pin(interactive::device_authorization(call))),
    ),
];

const READ: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::GET, Method::HEAD, Method::POST];
