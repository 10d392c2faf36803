//! Whoever fails too often to say who it is.

use http::{Request, Version};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    dialect::{LIST, dialects},
    metrics::{metric, struck},
    server::Server,
};

const UNAUTHENTICATED: i64 = 16;
const RESOURCE_EXHAUSTED: i64 = 8;

/// A server that takes so many failures in a minute, of a user `u` and a client `c`.
fn serve(failures: &str) -> Server {
    let text = "[instance]\nid = \"1\"\n[[organization]]\nid = \"o\"\nname = \"o\"\nstate = \"active\"\n\
                [[user]]\nid = \"u\"\nname = \"u\"\norganization = \"o\"\nstate = \"active\"\n\
                [[user.token]]\nvalue = \"good\"\n[[user.secret]]\nvalue = \"sesame\"\n\
                [[membership]]\nuser = \"u\"\norganization = \"o\"\nroles = [\"ORG_OWNER\"]\n\
                [[client]]\nid = \"c\"\nproject = \"1\"\n[[client.secret]]\nvalue = \"sesame\"\n";
    Server::start_of(text, &["--storage", "memory:", "--failed-logins-per-minute", failures])
}

async fn code(server: &Server, token: &str, dialect: crate::dialect::Dialect) -> i64 {
    let outcome = dialect.call_as(server.address, token, LIST, json!({})).await;
    outcome.map_or_else(|failure| failure.code, |_| 0)
}

/// What is answered to a form, or to a GET.
pub async fn send(server: &Server, path: &str, form: Option<&str>) -> Answer {
    let mut client = Client::connect(server.address, Version::HTTP_2).await;
    let request = match form {
        None => Request::get(path).body(String::new()),
        Some(form) => Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned()),
    };
    client.send(request.unwrap()).await
}

async fn failures(server: &Server, reason: &str) -> f64 {
    metric(server.address, &format!("metagate_authentication_failures_total{{reason=\"{reason}\"}}")).await
}

/// Endpoints, each with what somebody sends who guesses, and what for this is counted as.
const GUESSES: [(&str, &str, &str); 8] = [
    (
        "/oauth/v2/token",
        "grant_type=client_credentials&client_id=u&client_secret=x&scope=",
        "Errors.User.Machine.Secret.Invalid",
    ),
    ("/oauth/v2/token", "grant_type=client_credentials&client_id=x&client_secret=x&scope=", "invalid_client"),
    (
        "/oauth/v2/token",
        "grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer&assertion=x&scope=",
        "invalid_grant",
    ),
    ("/oauth/v2/introspect", "client_id=c&client_secret=x&token=x", "unauthorized_client"),
    ("/oauth/v2/introspect", "client_id=x&client_secret=x&token=x", "unauthorized_client"),
    ("/oidc/v1/userinfo", "access_token=x", "access_denied"),
    ("/oauth/v2/revoke", "client_id=x&client_secret=x&token=x", "invalid_client"),
    ("/oauth/v2/device_authorization", "client_id=x&client_secret=x", "invalid_client"),
];

#[tokio::test]
async fn whoever_guesses_is_told_to_come_later_and_counted() {
    let server = serve("3");
    for dialect in &dialects()[..3] {
        assert_eq!(code(&server, "bad", *dialect).await, UNAUTHENTICATED);
    }
    for dialect in dialects() {
        assert_eq!(code(&server, "bad", dialect).await, RESOURCE_EXHAUSTED, "{dialect:?}");
        // Whoever knows one is not kept from using it by others behind the same address.
        assert_eq!(code(&server, "good", dialect).await, 0, "{dialect:?}");
    }
    assert_eq!(failures(&server, "AUTH-7fs1e").await, 3.0);
    let mut told = dialects().len() as f64;
    assert_eq!(struck(server.address, "failed-logins-per-minute").await, told);
    // Nor do right ones help where logins are.
    let right = "grant_type=client_credentials&client_id=u&client_secret=sesame&scope=openid";
    for (path, form, reason) in GUESSES.into_iter().chain([("/oauth/v2/token", right, "none")]) {
        let answer = send(&server, path, Some(form)).await;
        assert_eq!(answer.status, 429, "{path} {form}: {}", answer.text());
        let said: Value = serde_json::from_str(answer.text()).unwrap();
        assert_eq!(said["error"], "temporarily_unavailable");
        told += 1.0;
        assert_eq!(struck(server.address, "failed-logins-per-minute").await, told, "{path} {form}");
        assert_eq!(failures(&server, reason).await, 0.0, "{path} {form}");
    }
    // What is for anybody is so for whoever was told to come later.
    let issuer = format!("http://{}", server.address);
    let discovery: Value =
        serde_json::from_str(send(&server, "/.well-known/openid-configuration", None).await.text()).unwrap();
    assert_eq!(discovery["issuer"], json!(issuer));
    let keys: Value = serde_json::from_str(send(&server, "/oauth/v2/keys", None).await.text()).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    for path in ["/debug/healthz", "/debug/ready", "/debug/metrics", "/openapi/v2/swagger.json"] {
        assert_eq!(send(&server, path, None).await.status, 200, "{path}");
    }
    assert_eq!(send(&server, "/oidc/v1/end_session", None).await.status, 400);
    assert_eq!(struck(server.address, "failed-logins-per-minute").await, told);
}

#[tokio::test]
async fn guesses_count_wherever_they_are_made() {
    for (path, form, reason) in GUESSES {
        let server = serve("1");
        let status = send(&server, path, Some(form)).await.status;
        assert!(matches!(status.as_u16(), 400 | 401), "{path} {form}: {status}");
        assert_eq!(failures(&server, reason).await, 1.0, "{path} {form}");
        assert_eq!(code(&server, "bad", dialects()[0]).await, RESOURCE_EXHAUSTED, "{path} {form}");
        assert_eq!(struck(server.address, "failed-logins-per-minute").await, 1.0, "{path} {form}");
    }
    // What is wrong without being a guess is not one.
    let server = serve("1");
    for form in ["", "grant_type=x", "grant_type=client_credentials"] {
        assert_eq!(send(&server, "/oauth/v2/token", Some(form)).await.status, 400);
    }
    assert_eq!(code(&server, "bad", dialects()[0]).await, UNAUTHENTICATED);
}
