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

use crate::api::Gatekeeper;
use endpoint::{Endpoint, answer};

/// The endpoints.
pub fn router(gatekeeper: &Arc<Gatekeeper>) -> Router {
    let mut router = Router::new();
    for (path, endpoint) in ENDPOINTS {
        let handler = any(async move |State(gatekeeper): State<Arc<Gatekeeper>>, request: Request| {
            answer(endpoint, &gatekeeper, request).await
        });
        router = router.route(path, handler);
    }
    for path in ["/oauth/v2/{*rest}", "/oidc/v1/{*rest}", "/.well-known/openid-configuration/"] {
        router = router.route(path, any(async || reply::page_not_found()));
    }
    router.with_state(gatekeeper.clone())
}

/// By path. Others than the methods given are refused.
const ENDPOINTS: &[(&str, &Endpoint)] = &[
    (
        "/.well-known/openid-configuration",
        &Endpoint { methods: READ, work: |call| Box::pin(discovery::answer(call)) },
    ),
    ("/oauth/v2/keys", &Endpoint { methods: READ, work: |call| Box::pin(keys::answer(call)) }),
    ("/oauth/v2/token", &Endpoint { methods: POST, work: |call| Box::pin(token::answer(call)) }),
    ("/oauth/v2/introspect", &Endpoint { methods: POST, work: |call| Box::pin(introspection::answer(call)) }),
    ("/oidc/v1/userinfo", &Endpoint { methods: BOTH, work: |call| Box::pin(userinfo::answer(call)) }),
    ("/oauth/v2/revoke", &Endpoint { methods: POST, work: |call| Box::pin(interactive::revoke(call)) }),
    ("/oauth/v2/authorize", &Endpoint { methods: BOTH, work: |call| Box::pin(interactive::authorize(call)) }),
    (
        "/oidc/v1/end_session",
        &Endpoint { methods: BOTH, work: |call| Box::pin(interactive::end_session(call)) },
    ),
    (
        "/oauth/v2/device_authorization",
        &Endpoint { methods: POST, work: |call| Box::pin(interactive::device_authorization(call)) },
    ),
];

const READ: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
const BOTH: &[Method] = &[Method::GET, Method::HEAD, Method::POST];
