//! Tokens of others: from an authorization server that turns its keys over, is slow, or away.

pub mod fake;
mod tls;

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    dialect::{Dialect, Encoding, Failure, LIST, Outcome, REST, SET, dialects},
    reloading::{MEMORY, PATIENCE, Reloading, world},
};
use fake::{Issuer, SigningKey, now};

/// An organization `o` with an owner `u`, whose own token it is.
fn directory(issuers: &[String]) -> String {
    format!("{}{}", world(&[("o", "active")], &[("u", "o")]), issuers.concat())
}

/// An issuer of the file, whose users are ours.
fn of_users(url: &str) -> String {
    format!("[[issuer]]\nurl = \"{url}\"\naudience = [\"metagate\"]\nuser_claim = \"sub\"\n")
}

fn serve(issuers: &[String]) -> Reloading {
    Reloading::start(&format!("{MEMORY}\nlog-level = \"warn\""), &directory(issuers))
}

async fn list(server: &Reloading, dialect: Dialect, token: &str) -> Outcome {
    dialect.call_as(server.server.address, token, LIST, json!({})).await
}

/// What it comes to: 0 if all is well.
async fn code(server: &Reloading, token: &str) -> i64 {
    list(server, REST, token).await.map_or_else(|failure| failure.code, |_| 0)
}

const UNAUTHENTICATED: i64 = 16;
const UNAVAILABLE: i64 = 14;

fn invalid() -> Failure {
    Failure {
        code: UNAUTHENTICATED,
        message: "Errors.Token.Invalid (AUTH-7fs1e)".to_owned(),
        detail: Some(("AUTH-7fs1e".to_owned(), "Errors.Token.Invalid".to_owned())),
    }
}

fn unavailable() -> Failure {
    let message = "the issuer of the token cannot be asked".to_owned();
    Failure { code: UNAVAILABLE, message, detail: None }
}

/// One dialect of each encoding.
fn encodings() -> Vec<Dialect> {
    let mut dialects = dialects();
    dialects.retain(|dialect| dialect.speaks(LIST));
    assert!(dialects.iter().any(|dialect| dialect.encoding == Encoding::Grpc));
    dialects
}

#[tokio::test]
async fn a_token_counts_for_whoever_it_is_and_a_bad_one_for_nobody_in_every_encoding() {
    let (key, other) = (SigningKey::new("k"), SigningKey::new("k"));
    let issuer = Issuer::start().await;
    issuer.keys(&[&key]);
    let server = serve(&[of_users(&issuer.url())]);
    let good = key.sign(&issuer.claims());
    // Our own come first: nobody is asked.
    assert_eq!(code(&server, "u").await, 0);
    assert_eq!(issuer.count_all(), 0);
    for dialect in encodings() {
        list(&server, dialect, &good).await.unwrap();
    }
    let asked = [issuer.count("/.well-known/openid-configuration"), issuer.count("/keys")];
    assert_eq!((asked, issuer.count_all()), ([1, 1], 2));

    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims();
        claims[name] = value;
        key.sign(&claims)
    };
    let (message, signature) = good.rsplit_once('.').unwrap();
    let header = |header: Value| key.sign_as(&header, &issuer.claims());
    let hmac = {
        let token = header(json!({"alg": "HS256", "kid": "k"}));
        let (message, _) = token.rsplit_once('.').unwrap();
        let secret = EncodingKey::from_secret(fake::jwks(&[&key]).as_bytes());
        format!("{message}.{}", sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap())
    };
    for (what, token) in [
        ("of nobody that is known", with("sub", json!("nobody"))),
        ("for others", with("aud", json!("other"))),
        ("for nobody", with("aud", json!([]))),
        ("expired", with("exp", json!(now() - 31))),
        ("without an end", with("exp", Value::Null)),
        ("not yet valid", with("nbf", json!(now() + 60))),
        ("of the future", with("iat", json!(now() + 60))),
        ("of an issuer that is not known", with("iss", json!(format!("{}/", issuer.url())))),
        ("with a time of a wrong type", with("exp", json!("2099-01-01T00:00:00Z"))),
        ("too long", with("x", json!("x".repeat(16 * 1024)))),
        ("by another key", other.sign(&issuer.claims())),
        ("not signed", format!("{message}.")),
        (
            "with another's signature",
            format!("{}.{signature}", with("sub", json!("v")).rsplit_once('.').unwrap().0),
        ),
        ("with alg none", header(json!({"alg": "none", "kid": "k"}))),
        ("with another alg", header(json!({"alg": "PS256", "kid": "k"}))),
        ("with crit", header(json!({"alg": "RS256", "kid": "k", "crit": ["exp"]}))),
        ("with a public key as secret", hmac),
        ("that only its issuer can read", "opaque".to_owned()),
    ] {
        for dialect in encodings() {
            assert_eq!(list(&server, dialect, &token).await, Err(invalid()), "{what}: {dialect:?}");
        }
    }
    assert_eq!(issuer.count_all(), 2, "nothing had to be asked for");
}

#[tokio::test]
async fn keys_follow_each_other() {
    let [first, second, never] = ["first", "second", "never"].map(SigningKey::new);
    let issuer = Issuer::start().await;
    issuer.keys(&[&first]);
    let server = serve(&[of_users(&issuer.url())]);
    let [of_first, of_second, of_never] = [&first, &second, &never].map(|key| key.sign(&issuer.claims()));
    assert_eq!(code(&server, &of_first).await, 0);
    issuer.keys(&[&second]);
    // One that is missing is looked for at once, and one that has gone is gone with it.
    let outcomes = join_all(encodings().into_iter().map(|dialect| list(&server, dialect, &of_second))).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert_eq!(issuer.count("/keys"), 2);
    for dialect in encodings() {
        for token in [&of_first, &of_never] {
            assert_eq!(list(&server, dialect, token).await, Err(invalid()));
        }
        list(&server, dialect, &of_second).await.unwrap();
    }
    // But not for everybody who names one.
    assert_eq!(issuer.count("/keys"), 2);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_waited_for_and_its_keys_are_kept() {
    let key = SigningKey::new("k");
    let mut issuer = Issuer::start().await;
    issuer.keys(&[&key]);
    issuer.leave().await;
    let mut server = serve(&[of_users(&issuer.url())]);
    let good = key.sign(&issuer.claims());
    for dialect in encodings() {
        assert_eq!(list(&server, dialect, &good).await, Err(unavailable()), "{dialect:?}");
    }
    // What is not good anyway needs no key.
    let mut claims = issuer.claims();
    claims["aud"] = json!("other");
    assert_eq!(code(&server, &key.sign(&claims)).await, UNAUTHENTICATED);
    assert_eq!(code(&server, "u").await, 0);
    let (line, _) = server.line("no keys of an issuer").await;
    assert!(line.contains(&issuer.url()) && line.contains("refused"), "{line}");

    issuer.return_().await;
    let works = async { while code(&server, &good).await != 0 {} };
    timeout(PATIENCE, works).await.unwrap();
    issuer.leave().await;
    for dialect in encodings() {
        list(&server, dialect, &good).await.unwrap();
    }
    let unknown = SigningKey::new("unknown").sign(&issuer.claims());
    assert_eq!(code(&server, &unknown).await, UNAUTHENTICATED);
    assert_eq!(code(&server, &good).await, 0);
}

#[tokio::test]
async fn nobody_else_waits_for_a_slow_issuer() {
    let key = SigningKey::new("k");
    let issuer = Issuer::start().await;
    issuer.keys(&[&key]);
    issuer.hold(true);
    let mut server = serve(&[of_users(&issuer.url())]);
    let good = key.sign(&issuer.claims());
    let address = server.server.address;
    let calls: Vec<_> = encodings()
        .into_iter()
        .map(|dialect| {
            let good = good.clone();
            tokio::spawn(async move { dialect.call_as(address, &good, LIST, json!({})).await })
        })
        .collect();
    let asked = async {
        while issuer.count_all() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap();
    let begun = Instant::now();
    // Neither who has a token of ours, nor a reload, which waits for calls that are under way.
    assert_eq!(code(&server, "u").await, 0);
    server.settings(&format!("{MEMORY}\nlog-level = \"info\""));
    server.reload().await;
    assert_eq!(code(&server, "u").await, 0);
    let waited = begun.elapsed();
    assert!(calls.iter().all(|call| !call.is_finished()) || waited > Duration::from_secs(5), "{waited:?}");
    issuer.hold(false);
    for outcome in join_all(calls).await {
        outcome.unwrap().unwrap();
    }
    // All waited for the same.
    assert_eq!(issuer.count("/keys"), 1);
}

#[tokio::test]
async fn what_takes_too_long_is_not_waited_for() {
    let key = SigningKey::new("k");
    let issuer = Issuer::start().await;
    issuer.hold(true);
    let server = serve(&[of_users(&issuer.url())]);
    let outcome = timeout(PATIENCE, list(&server, REST, &key.sign(&issuer.claims()))).await.unwrap();
    assert_eq!(outcome, Err(unavailable()));
}

#[tokio::test]
async fn what_is_no_set_of_keys_is_not_taken() {
    let key = SigningKey::new("k");
    let issuer = Issuer::start().await;
    let good = fake::jwks(&[&key]);
    let url = |name: &str| format!("{}/{name}", issuer.url());
    let keys = |name: &str, text: &str| {
        issuer.page(&format!("/{name}/keys"), text);
        format!("{}jwks = \"{}/keys\"\n", of_users(&url(name)), url(name))
    };
    let mut issuers = vec![
        ("none", of_users(&url("none"))),
        ("html", keys("html", "<html></html>")),
        ("null", keys("null", "null")),
        ("half", keys("half", good.split_at(good.len() / 2).0)),
        ("huge", keys("huge", &format!("{good}{}", " ".repeat(1024 * 1024)))),
        ("failing", keys("failing", &good)),
    ];
    issuer.page_with("/failing/keys", StatusCode::INTERNAL_SERVER_ERROR, &*good);
    for (name, page) in [
        ("of-another", issuer.discovery(&issuer.url())),
        ("elsewhere", json!({"issuer": url("elsewhere"), "jwks_uri": "http://10.0.0.1/keys"}).to_string()),
    ] {
        issuer.page(&format!("/{name}/.well-known/openid-configuration"), page);
        issuers.push((name, of_users(&url(name))));
    }
    issuers.push(("good", keys("good", &format!("{good}{}", " ".repeat(1024 * 1024 - good.len())))));
    let files: Vec<_> = issuers.iter().map(|(_, file)| file.clone()).collect();
    let server = serve(&files);
    for (name, _) in issuers {
        let mut claims = issuer.claims();
        claims["iss"] = json!(url(name));
        let outcome = list(&server, REST, &key.sign(&claims)).await;
        if name == "good" {
            outcome.unwrap();
        } else {
            assert_eq!(outcome, Err(unavailable()), "{name}");
        }
    }
}

/// An issuer of the file that is asked about tokens, and tells what strangers may do.
fn of_strangers(issuer: &Issuer) -> String {
    format!(
        "[[issuer]]\nurl = \"{0}\"\naudience = [\"metagate\"]\nroles_claim = \"urn:roles\"\norganization = \"o\"\n\
         roles = {{ admin = [\"IAM_OWNER\"], reader = [\"ORG_OWNER_VIEWER\"] }}\n\
         introspection = {{ client_secret_file = \"secret\", client_id = \"me:too\", url = \"{0}/introspect\" }}\n",
        issuer.url()
    )
}

/// A server with a file `secret`.
fn serve_with_secret(issuers: &[String], secret: &str) -> Reloading {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), secret).unwrap();
    std::fs::write(folder.path().join("directory.toml"), directory(issuers)).unwrap();
    let settings = format!("{MEMORY}\ndirectory = \"directory.toml\"\nlog-level = \"warn\"\n");
    std::fs::write(folder.path().join("metagate.toml"), settings).unwrap();
    let mut command = crate::server::metagate();
    command.args(["serve", "--config", "metagate.toml"]);
    Reloading::run(folder, command)
}

#[tokio::test]
async fn what_only_its_issuer_can_read_it_is_asked_about() {
    let mut issuer = Issuer::start().await;
    let server = serve_with_secret(&[of_strangers(&issuer)], "s e%cret\n");
    let active = |changes: Value| {
        let mut answer = json!({"active": true, "sub": "stranger", "aud": "metagate", "exp": now() + 600});
        answer.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        answer
    };
    issuer.token("admin+/=&", active(json!({"urn:roles": {"admin": {"o": "o.example"}}})));
    issuer.token("reader", active(json!({"urn:roles": ["reader"]})));
    issuer.token("nothing", active(json!({})));
    for (token, answer) in [
        ("inactive", json!({"active": false})),
        ("for-others", active(json!({"aud": "other"}))),
        ("for-nobody", active(json!({"aud": null}))),
        ("expired", active(json!({"exp": now() - 60}))),
        ("of-another", active(json!({"iss": "https://other.example"}))),
        ("of-nobody", active(json!({"sub": null}))),
        ("with-bad-roles", active(json!({"urn:roles": "admin"}))),
    ] {
        issuer.token(token, answer);
        for dialect in encodings() {
            assert_eq!(list(&server, dialect, token).await, Err(invalid()), "{token} {dialect:?}");
        }
    }
    let write = json!({"key": "k", "value": "YQ=="});
    for dialect in encodings() {
        let address = server.server.address;
        for (token, [may_read, may_write]) in [
            ("admin+/=&", [None, None]),
            ("reader", [None, Some("No matching permissions found (AUTH-5mWD2)")]),
            ("nothing", [Some("membership not found (AUTHZ-cdgFk)"); 2]),
        ] {
            let read = list(&server, dialect, token).await;
            let written = dialect.call_as(address, token, SET, write.clone()).await;
            let told = [read, written].map(|outcome| outcome.err().map(|failure| failure.message));
            assert_eq!(
                told,
                [may_read, may_write].map(|text| text.map(str::to_owned)),
                "{token} {dialect:?}"
            );
        }
    }
    // Each once, and none of ours.
    let questions = issuer.questions();
    assert_eq!(questions.len(), 10, "{questions:?}");
    let basic = format!("Basic {}", STANDARD.encode("me%3Atoo:s%20e%25cret"));
    let admin = format!("{basic} token=admin%2B%2F%3D%26&token_type_hint=access_token");
    assert!(questions.contains(&admin), "{questions:?}");

    issuer.leave().await;
    for dialect in encodings() {
        list(&server, dialect, "reader").await.unwrap();
        assert_eq!(list(&server, dialect, "inactive").await, Err(invalid()));
        assert_eq!(list(&server, dialect, "new").await, Err(unavailable()), "{dialect:?}");
    }
    issuer.return_().await;
    assert_eq!(code(&server, "new").await, UNAUTHENTICATED);
}

#[tokio::test]
async fn a_token_is_asked_about_once_at_a_time_and_never_one_of_ours() {
    let issuer = Issuer::start().await;
    issuer.hold(true);
    issuer.token("reader", json!({"active": true, "sub": "s", "aud": "metagate", "urn:roles": ["reader"]}));
    let expired = "[[user]]\nid = \"v\"\nname = \"v\"\norganization = \"o\"\nstate = \"active\"\n\
                   token = [{ value = \"expired\", expires = 2020-01-01T00:00:00Z }]\n";
    let server = serve_with_secret(&[expired.to_owned(), of_strangers(&issuer)], "secret");
    assert_eq!(code(&server, "expired").await, UNAUTHENTICATED);
    let address = server.server.address;
    let calls: Vec<_> = encodings()
        .into_iter()
        .map(|dialect| tokio::spawn(async move { dialect.call_as(address, "reader", LIST, json!({})).await }))
        .collect();
    let asked = async {
        while issuer.count_all() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, asked).await.unwrap();
    assert_eq!(code(&server, "u").await, 0);
    issuer.hold(false);
    for outcome in join_all(calls).await {
        outcome.unwrap().unwrap();
    }
    let questions = issuer.questions();
    assert!(questions.len() == 1 && questions[0].contains("token=reader&"), "{questions:?}");
}

#[tokio::test]
async fn an_answer_that_is_none_is_no_answer() {
    let issuer = Issuer::start().await;
    let server = serve_with_secret(&[of_strangers(&issuer)], "secret");
    for (status, text) in [
        (StatusCode::UNAUTHORIZED, "{\"active\":true}"),
        (StatusCode::OK, ""),
        (StatusCode::OK, "<html>"),
        (StatusCode::OK, "{}"),
        (StatusCode::OK, "{\"active\":\"true\"}"),
        (StatusCode::OK, "[true]"),
    ] {
        issuer.page_with("/introspect", status, text);
        assert_eq!(list(&server, REST, "token").await, Err(unavailable()), "{status} {text}");
    }
    issuer.page("/introspect", "{\"active\":false}");
    assert_eq!(code(&server, "token").await, UNAUTHENTICATED);
}

#[tokio::test]
async fn a_reload_takes_over_what_has_changed_and_keeps_what_is_known() {
    let (key, other_key) = (SigningKey::new("k"), SigningKey::new("k"));
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    issuer.keys(&[&key]);
    other.keys(&[&other_key]);
    let first = of_users(&issuer.url());
    let mut server = Reloading::start(MEMORY, &directory(std::slice::from_ref(&first)));
    let (good, of_other) = (key.sign(&issuer.claims()), other_key.sign(&other.claims()));
    assert_eq!((code(&server, &good).await, code(&server, &of_other).await), (0, UNAUTHENTICATED));
    // One more; and the first has other claims to make, but the same keys.
    let changed = first.replace("[\"metagate\"]", "[\"other\", \"metagate\"]");
    server.directory(&directory(&[of_users(&other.url()), changed]));
    server.reload().await;
    assert_eq!((code(&server, &good).await, code(&server, &of_other).await), (0, 0));
    assert_eq!((issuer.count("/keys"), other.count("/keys")), (1, 1));
    server.directory(&directory(&[first.replace("metagate", "others"), of_users(&other.url())]));
    server.reload().await;
    assert_eq!((code(&server, &good).await, code(&server, &of_other).await), (UNAUTHENTICATED, 0));

    // Whoever has no secret to ask with is told where that was said, and all stays as it was.
    server.directory(&directory(&[of_strangers(&issuer)]));
    let (problem, _) = server.reload_in_vain().await;
    let place = "directory.toml:23:40: secret: ";
    assert!(problem.starts_with(place), "{problem}");
    assert_eq!(code(&server, &of_other).await, 0);
    std::fs::write(server.path("secret"), " \n").unwrap();
    let (problem, _) = server.reload_in_vain().await;
    assert_eq!(problem, format!("{place}there is no secret in it"));
    std::fs::write(server.path("secret"), "a secret").unwrap();
    server.reload().await;
    assert_eq!(code(&server, &of_other).await, UNAUTHENTICATED);
    // A secret that has changed is taken over as well.
    issuer.token("t", json!({"active": true, "sub": "s", "aud": "metagate", "urn:roles": ["reader"]}));
    assert_eq!(code(&server, "t").await, 0);
    std::fs::write(server.path("secret"), "another").unwrap();
    server.reload().await;
    assert_eq!(code(&server, "t").await, 0);
    let secrets = ["a%20secret", "another"].map(|secret| STANDARD.encode(format!("me%3Atoo:{secret}")));
    let asked = issuer.questions();
    assert!(
        asked.len() == 2 && asked.iter().zip(&secrets).all(|(asked, secret)| asked.contains(secret)),
        "{asked:?}"
    );
}
