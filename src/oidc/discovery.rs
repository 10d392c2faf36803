//! Where everything is (OpenID Connect Discovery 1.0; contract-identity 1.3).

use serde_json::{Value, json};

use super::{
    endpoint::{Call, Outcome},
    reply,
};
use identity::oauth::Claims;

/// Members whose values are below the issuer.
const PLACES: [(&str, &str); 9] = [
    ("issuer", ""),
    ("authorization_endpoint", "/oauth/v2/authorize"),
    ("token_endpoint", "/oauth/v2/token"),
    ("introspection_endpoint", "/oauth/v2/introspect"),
    ("userinfo_endpoint", "/oidc/v1/userinfo"),
    ("revocation_endpoint", "/oauth/v2/revoke"),
    ("end_session_endpoint", "/oidc/v1/end_session"),
    ("device_authorization_endpoint", "/oauth/v2/device_authorization"),
    ("jwks_uri", "/oauth/v2/keys"),
];

pub(super) async fn answer(call: &Call) -> Outcome {
    let mut document = Claims::default();
    for (name, path) in PLACES {
        document.push(name, format!("{}{path}", call.issuer));
    }
    for (name, value) in abilities() {
        document.push(name, value);
    }
    Ok(reply::json(&document))
}

/// As ZITADEL has them, so that no client finds less than it looks for; what people need who log in themselves is answered
/// with an error.
fn abilities() -> [(&'static str, Value); 20] {
    let clients = || json!(["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]);
    [
        ("scopes_supported", json!(["openid", "profile", "email", "phone", "address", "offline_access"])),
        ("response_types_supported", json!(["code", "id_token", "id_token token"])),
        ("response_modes_supported", json!(["query", "fragment", "form_post"])),
        (
            "grant_types_supported",
            json!([
                "authorization_code",
                "implicit",
                "refresh_token",
                "client_credentials",
                "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "urn:ietf:params:oauth:grant-type:device_code"
            ]),
        ),
        ("subject_types_supported", json!(["public"])),
        (
            "id_token_signing_alg_values_supported",
            json!(["EdDSA", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"]),
        ),
        ("request_object_signing_alg_values_supported", json!(["RS256"])),
        ("token_endpoint_auth_methods_supported", clients()),
        ("token_endpoint_auth_signing_alg_values_supported", json!(["RS256"])),
        ("revocation_endpoint_auth_methods_supported", clients()),
        ("revocation_endpoint_auth_signing_alg_values_supported", json!(["RS256"])),
        ("introspection_endpoint_auth_methods_supported", json!(["client_secret_basic", "private_key_jwt"])),
        ("introspection_endpoint_auth_signing_alg_values_supported", json!(["RS256"])),
        (
            "claims_supported",
            json!([
                "sub",
                "aud",
                "exp",
                "iat",
                "iss",
                "auth_time",
                "nonce",
                "acr",
                "amr",
                "c_hash",
                "at_hash",
                "act",
                "scopes",
                "client_id",
                "azp",
                "preferred_username",
                "name",
                "family_name",
                "given_name",
                "locale",
                "email",
                "email_verified",
                "phone_number",
                "phone_number_verified"
            ]),
        ),
        ("code_challenge_methods_supported", json!(["S256"])),
        (
            "ui_locales_supported",
            json!([
                "ar", "bg", "cs", "de", "en", "es", "fr", "hu", "id", "it", "ja", "ko", "mk", "nl", "pl",
                "pt", "ro", "ru", "sv", "tr", "uk", "zh"
            ]),
        ),
        ("request_parameter_supported", json!(true)),
        ("request_uri_parameter_supported", json!(false)),
        ("backchannel_logout_supported", json!(true)),
        ("backchannel_logout_session_supported", json!(true)),
    ]
}
