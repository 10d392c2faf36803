//! Logins: assertions, what tokens are got by them, and how these are read again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::LazyLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::{OrganizationId, Refusal, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto::sign};
use metagate_identity::{
    AccessTokens, Account, Caller, Directory, Identity, Records, UserState,
    oauth::{
        AccessToken, HomeOrganization, InvalidAssertion, Rotation, SigningKeyRecord, grant,
        service_account_key, subject_of,
    },
    record::{INSTANCE, INSTANCE_ID, InstanceRecord, KeyRecord, SIGNING_KEY, USER},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const ISSUER: &str = "http://localhost:8080";
const PROJECT: &str = "77";
const NOW: Timestamp = Timestamp::from_micros(1_795_449_968_400_000);
/// In seconds, rounded down.
const NOW_SECONDS: i64 = 1_795_449_968;

/// A key of user `u` with id `k`: in PEM, the public and the private half. Another one, of nobody.
static KEYS: LazyLock<[(String, String); 2]> = LazyLock::new(|| {
    ["k", "other"].map(|id| {
        let (public, file) = service_account_key("u", id, None).unwrap();
        let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
        (public, file["key"].as_str().unwrap().to_owned())
    })
});

fn put<T: serde::Serialize>(records: &mut Records, kind: &str, id: &str, body: &T) {
    records.apply(kind, id, Some(&serde_json::to_vec(body).unwrap())).unwrap();
}

fn account() -> Account {
    let mut account = Account::new("Name", &OrganizationId::new("o").unwrap(), Timestamp::from_micros(0));
    let key = |id: &str, expires| KeyRecord { id: id.to_owned(), public_key: KEYS[0].0.clone(), expires };
    account.keys = vec![key("k", None), key("expired", Some(NOW.as_micros()))];
    account
}

/// An instance with the user `u`, another one `v`, and a signing key.
fn records(account: &Account) -> Records {
    static SIGNING: LazyLock<(String, SigningKeyRecord)> =
        LazyLock::new(|| SigningKeyRecord::generate(Timestamp::from_micros(0)).unwrap());
    let mut records = Records::default();
    put(&mut records, USER, "u", account);
    let mut other = account.clone();
    other.name = "other".to_owned();
    other.keys[0].id = "k2".to_owned();
    put(&mut records, USER, "v", &other);
    put(&mut records, SIGNING_KEY, &SIGNING.0, &SIGNING.1);
    put(&mut records, INSTANCE, INSTANCE_ID, &InstanceRecord { project: PROJECT.to_owned() });
    records
}

fn identity(records: &Records) -> Identity {
    let directory = Directory::parse("[instance]\nid = \"1\"\n", "directory.toml").unwrap();
    Identity::new(&directory, records, &Identity::default())
}

fn home() -> HomeOrganization {
    let id = OrganizationId::new("o").unwrap();
    HomeOrganization { id, name: "An Org".to_owned(), primary_domain: "an-org.localhost".to_owned() }
}

fn signed(header: &Value, claims: &Value, key: &str, algorithm: Algorithm) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = EncodingKey::from_rsa_pem(key.as_bytes()).unwrap();
    let signature = sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn good_claims() -> Value {
    json!({"iss": "u", "sub": "u", "aud": ISSUER, "iat": NOW_SECONDS, "exp": NOW_SECONDS + 3600})
}

/// The good claims with others in their place; `null` takes one away.
fn claims(changes: Value) -> Value {
    let mut claims = good_claims();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

#[test]
fn assertions_by_their_claims() {
    let identity = identity(&records(&account()));
    let header = json!({"alg": "RS256", "kid": "k"});
    for (changes, is_good) in [
        (json!({}), true),
        (json!({"aud": [ISSUER]}), true),
        (json!({"aud": ["x", ISSUER]}), true),
        (json!({"aud": ["x"]}), false),
        (json!({"aud": []}), false),
        (json!({"aud": null}), false),
        (json!({"aud": 1}), false),
        (json!({"aud": "http://localhost"}), false),
        (json!({"aud": "http://localhost:8080/"}), false),
        (json!({"aud": "https://localhost:8080"}), false),
        (json!({"aud": "HTTP://localhost:8080"}), false),
        (json!({"aud": "http://localhost:8080/oauth/v2/token"}), false),
        (json!({"exp": NOW_SECONDS - 3600}), false),
        (json!({"exp": NOW_SECONDS}), false),
        (json!({"exp": NOW_SECONDS + 2}), true),
        (json!({"exp": NOW_SECONDS + 315_360_000}), true),
        (json!({"exp": 1e300}), true),
        (json!({"exp": 0}), false),
        (json!({"exp": null}), false),
        (json!({"exp": (NOW_SECONDS + 3600).to_string()}), false),
        (json!({"exp": NOW_SECONDS as f64 + 3600.5}), true),
        (json!({"iat": NOW_SECONDS - 59 * 60}), true),
        (json!({"iat": NOW_SECONDS - 61 * 60}), false),
        (json!({"iat": NOW_SECONDS + 1}), true),
        (json!({"iat": NOW_SECONDS + 3}), false),
        (json!({"iat": null}), false),
        (json!({"iat": NOW_SECONDS.to_string()}), false),
        (json!({"iat": "2026-11-23T16:06:08Z"}), false),
        (json!({"iat": NOW_SECONDS as f64 - 0.5}), true),
        (json!({"nbf": NOW_SECONDS + 3600, "jti": "x", "email": "x"}), true),
        (json!({"iss": "v"}), false),
        (json!({"sub": "v"}), false),
        (json!({"iss": "v", "sub": "v"}), false),
        (json!({"iss": null}), false),
        (json!({"sub": null}), false),
        (json!({"iss": "Name", "sub": "Name"}), false),
    ] {
        let assertion = signed(&header, &claims(changes.clone()), &KEYS[0].1, Algorithm::RS256);
        let subject = subject_of(&assertion, ISSUER, &identity.accounts, NOW);
        assert_eq!(subject.is_ok(), is_good, "{changes}");
        assert!(subject.is_err() || subject == Ok("u"));
    }
}

/// `token` with another character at `at`.
fn broken(token: &str, at: usize) -> String {
    let other = if token[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

#[test]
fn assertions_by_their_header_and_signature() {
    let identity = identity(&records(&account()));
    let judge = |assertion: &str| subject_of(assertion, ISSUER, &identity.accounts, NOW);
    let with =
        |header: Value, key: usize, algorithm| signed(&header, &good_claims(), &KEYS[key].1, algorithm);
    let good = with(json!({"alg": "RS256", "kid": "k", "typ": "x"}), 0, Algorithm::RS256);
    for good in
        [good.clone(), format!("{good}\n"), with(json!({"alg": "PS256", "kid": "k"}), 0, Algorithm::PS256)]
    {
        assert_eq!(judge(&good), Ok("u"), "{good}");
    }
    let refused = [
        with(json!({"alg": "RS384", "kid": "k"}), 0, Algorithm::RS384),
        with(json!({"alg": "RS512", "kid": "k"}), 0, Algorithm::RS512),
        with(json!({"alg": "RS512", "kid": "k"}), 0, Algorithm::RS256),
        with(json!({"alg": "PS256", "kid": "k"}), 0, Algorithm::RS256),
        with(json!({"alg": "RS256", "kid": "k"}), 1, Algorithm::RS256),
        with(json!({"alg": "RS256", "kid": "k2"}), 0, Algorithm::RS256),
        with(json!({"alg": "RS256", "kid": "expired"}), 0, Algorithm::RS256),
        with(json!({"alg": "RS256", "kid": "unknown"}), 0, Algorithm::RS256),
        with(json!({"alg": "RS256", "kid": "k", "crit": ["b64"], "b64": true}), 0, Algorithm::RS256),
        broken(&good, good.len() - 30),
    ];
    for assertion in refused {
        assert_eq!(judge(&assertion), Err(InvalidAssertion::Refused), "{assertion}");
    }
    // The public key as if it were a secret, and no signature at all.
    let message = |alg: &str| {
        let header = BASE64.encode(json!({"alg": alg, "kid": "k"}).to_string());
        format!("{header}.{}", BASE64.encode(good_claims().to_string()))
    };
    let hmac = EncodingKey::from_secret(KEYS[0].0.as_bytes());
    let signature = sign(message("HS256").as_bytes(), &hmac, Algorithm::HS256).unwrap();
    for assertion in [format!("{}.{signature}", message("HS256")), format!("{}.", message("none"))] {
        assert_eq!(judge(&assertion), Err(InvalidAssertion::Refused), "{assertion}");
    }
    let no_kid = with(json!({"alg": "RS256"}), 0, Algorithm::RS256);
    for assertion in ["", "garbage", "a.b", "a.b.c", "..", "a.b.c.d", &format!("{good}=."), &no_kid] {
        assert_eq!(judge(assertion), Err(InvalidAssertion::Malformed), "{assertion}");
    }
}

/// A login of `u`, and the text of its token.
fn login(identity: &Identity, scopes: &str) -> (Caller, AccessToken, String) {
    let user = identity.user("u").unwrap();
    let granted = grant(scopes, &user, &home(), &identity.project);
    let token = AccessToken::issue(&user, granted, ISSUER, true, NOW).unwrap();
    let key = identity.keys.signing(NOW).unwrap();
    let text = match user.access_tokens() {
        AccessTokens::Bearer => token.seal(key),
        AccessTokens::Jwt => token.to_jwt(key, &user, &home()),
    };
    (user, token, text.unwrap())
}

const API: &str = "urn:zitadel:iam:org:project:id:zitadel:aud";

fn authenticate(
    identity: &Identity,
    token: &str,
    issuer: &str,
    after_seconds: i64,
) -> Result<String, Refusal> {
    let now = Timestamp::from_micros(NOW.as_micros() + after_seconds * 1_000_000);
    let header = format!("Bearer {token}");
    let caller = identity.authenticate(Some(header.as_bytes()), &|| issuer.to_owned(), now);
    caller.map(|caller| caller.user().to_string())
}

#[test]
fn access_tokens_are_read_by_every_gateway_of_the_store() {
    let invalid = Err(Refusal::TokenInvalid);
    for form in [AccessTokens::Bearer, AccessTokens::Jwt] {
        let account = Account { access_tokens: form, ..account() };
        let records = records(&account);
        let (here, there) = (identity(&records), identity(&records));
        let scopes = format!("openid profile urn:zitadel:iam:org:project:id:5:aud {API}");
        let (_, token, text) = login(&here, &scopes);
        assert_eq!(authenticate(&there, &text, ISSUER, 0), Ok("u".to_owned()), "{form:?}");
        assert_eq!(AccessToken::read(&text, &there.keys, ISSUER, PROJECT), Some(token), "{form:?}");
        assert_eq!(authenticate(&there, &text, ISSUER, 12 * 3600 - 1), Ok("u".to_owned()), "{form:?}");
        assert_eq!(authenticate(&there, &text, ISSUER, 12 * 3600), invalid, "{form:?}");
        // What is encrypted says nothing of its issuer to anybody.
        let elsewhere = authenticate(&there, &text, "http://localhost:1234", 0);
        assert_eq!(elsewhere.is_ok(), form == AccessTokens::Bearer);

        let (_, _, not_for_us) = login(&here, "openid urn:zitadel:iam:org:project:id:5:aud");
        assert_eq!(authenticate(&there, &not_for_us, ISSUER, 0), invalid, "{form:?}");
        for at in [text.len() - 30, text.len() / 2, 10] {
            let judged = authenticate(&there, &broken(&text, at), ISSUER, 0);
            assert_eq!(judged, invalid, "{form:?} at {at}");
        }

        let key = here.keys.signing(NOW).unwrap();
        let (user, token, text) = login(&here, &format!("openid {API}"));
        let id_token = token.to_id_token(key, &text, &user, &home()).unwrap();
        assert_eq!(authenticate(&there, &id_token, ISSUER, 0), invalid);
    }
}

#[test]
fn whoever_was_not_active_has_lost_its_tokens_for_good() {
    let at = |micros: i64| Timestamp::from_micros(NOW.as_micros() + micros);
    for form in [AccessTokens::Bearer, AccessTokens::Jwt] {
        let mut account = Account { access_tokens: form, ..account() };
        let (_, personal) = account.add_token(None, NOW).unwrap();
        let (_, _, text) = login(&identity(&records(&account)), API);
        let judge = |account: &Account| {
            let identity = identity(&records(account));
            [personal.expose_secret(), &text].map(|token| authenticate(&identity, token, ISSUER, 1).is_ok())
        };
        assert_eq!(judge(&account), [true, true]);
        for state in [UserState::Inactive, UserState::Locked, UserState::Active] {
            account.set_state(state, at(1));
            assert_eq!(judge(&account), [false, false], "{state:?}");
        }
        let key = identity(&records(&account));
        let user = key.user("u").unwrap();
        let granted = grant(API, &user, &home(), PROJECT);
        let again = AccessToken::issue(&user, granted, ISSUER, false, at(2)).unwrap();
        let again = again.seal(key.keys.signing(NOW).unwrap()).unwrap();
        assert_eq!(authenticate(&key, &again, ISSUER, 0), Ok("u".to_owned()));
    }
}

#[test]
fn a_signed_token_says_what_zitadels_says() {
    let account = Account { access_tokens: AccessTokens::Jwt, ..account() };
    let identity = identity(&records(&account));
    let payload = |token: &str| {
        let part = token.split('.').nth(1).unwrap();
        String::from_utf8(BASE64.decode(part).unwrap()).unwrap()
    };
    let (user, token, text) = login(&identity, &format!("openid {API}"));
    let header = String::from_utf8(BASE64.decode(text.split('.').next().unwrap()).unwrap()).unwrap();
    let kid = identity.keys.signing(NOW).unwrap().id();
    assert_eq!(header, format!(r#"{{"alg":"RS256","kid":"{kid}","typ":"JWT"}}"#));
    assert_eq!(
        payload(&text),
        format!(
            r#"{{"iss":"{ISSUER}","sub":"u","aud":["77"],"exp":{},"iat":{NOW_SECONDS},"nbf":{NOW_SECONDS},"client_id":"Name","jti":"{}"}}"#,
            NOW_SECONDS + 43_200,
            token.id
        )
    );
    let id_token = token.to_id_token(identity.keys.signing(NOW).unwrap(), &text, &user, &home()).unwrap();
    let claims: Value = serde_json::from_str(&payload(&id_token)).unwrap();
    assert_eq!(claims["aud"], json!(["77", "Name"]));
    assert_eq!(claims["amr"], json!(["pwd"]));
    assert_eq!(claims["azp"], "Name");

    let (_, _, text) = login(&identity, "urn:zitadel:iam:org:id:o urn:zitadel:iam:org:id:other");
    let names: Vec<_> =
        serde_json::from_str::<BTreeMap<String, Value>>(&payload(&text)).unwrap().into_iter().collect();
    let sorted = format!(
        "{{{}}}",
        names.iter().map(|(name, value)| format!("{name:?}:{value}")).collect::<Vec<_>>().join(",")
    );
    assert_eq!(payload(&text), sorted);
    assert_eq!(names.iter().filter(|(name, _)| name.starts_with("urn:")).count(), 4);
}

#[test]
fn keys_follow_each_other() {
    let day = 24 * 3_600_000_000;
    let at = |days: i64| Timestamp::from_micros(NOW.as_micros() + days * day);
    let mut keys = BTreeMap::new();
    let mut turn = |now: Timestamp| {
        let due = Rotation::due(&keys, now);
        for id in &due.outlived {
            keys.remove(id);
        }
        for start in due.missing {
            let (id, record) = SigningKeyRecord::generate(start).unwrap();
            keys.insert(id, record);
        }
        assert!(Rotation::due(&keys, now).is_empty());
        let mut records = Records::default();
        for (id, key) in &keys {
            put(&mut records, SIGNING_KEY, id, key);
        }
        let ring = records.key_ring(&identity(&Records::default()).keys);
        let jwks: Value = serde_json::from_str(&ring.to_jwks(now)).unwrap();
        let published =
            jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned());
        let published: Vec<_> = published.collect();
        assert_eq!(ring.signing(now).unwrap().id(), published[0]);
        published
    };
    let first = turn(at(0));
    assert_eq!(first.len(), 2);
    assert_eq!(turn(at(89)), first);
    let second = turn(at(90));
    // What the first key has signed is good for twelve hours more.
    assert_eq!((second.len(), &second[0], &second[2]), (3, &first[1], &first[0]));
    let third = turn(at(91));
    assert_eq!((third.len(), &third[0]), (2, &first[1]));
    // A store that slept for a year: the last key signs until the next one has been published for a while.
    let late = turn(at(91 + 365));
    assert_eq!((late.len(), &late[0]), (2, &third[1]));
}

#[test]
fn service_account_keys() {
    let (public, file) = service_account_key("user", "key", Some(NOW)).unwrap();
    assert!(public.starts_with("-----BEGIN RSA PUBLIC KEY-----\n"), "{public}");
    let members = ["type", "keyId", "key", "expirationDate", "userId"];
    let places: Vec<_> =
        members.iter().map(|name| file.expose_secret().find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
    assert_eq!(file["type"], "serviceaccount");
    assert_eq!(file["expirationDate"], "2026-11-23T16:06:08.4Z");
    let key = file["key"].as_str().unwrap();
    assert!(
        key.starts_with("-----BEGIN RSA PRIVATE KEY-----\n")
            && key.ends_with("-----END RSA PRIVATE KEY-----\n")
    );
    assert!(
        jsonwebtoken::encode(
            &Header::new(Algorithm::RS256),
            &json!({}),
            &EncodingKey::from_rsa_pem(key.as_bytes()).unwrap()
        )
        .is_ok()
    );
}
