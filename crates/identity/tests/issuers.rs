//! Tokens of other issuers: which are good, and of whom they tell.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::LazyLock;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair,
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::{OrganizationId, Permission, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use metagate_identity::{
    Account, Caller, Denied, Directory, Identity, Records, UserState,
    issuer::{Foreign, IssuerKeys, TokenClaims, Verdict},
    oauth::service_account_key,
    record::USER,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const URL: &str = "https://login.example";
/// In seconds since the Unix epoch.
const NOW: i64 = 1_795_449_968;
/// The user `u` is known, `off` may not do anything.
const DIRECTORY: &str = r#"
[instance]
id = "1"
[[organization]]
id = "home"
name = "home"
state = "active"
[[user]]
id = "u"
name = "u"
organization = "home"
state = "active"
[[user]]
id = "off"
name = "off"
organization = "home"
state = "locked"
[[membership]]
user = "u"
organization = "home"
roles = ["ORG_OWNER"]
[[issuer]]
url = "https://login.example"
audience = ["metagate", "other"]
"#;
const BY_USER: &str = "user_claim = \"sub\"\n";
const BY_ROLES: &str = "roles_claim = \"roles\"\norganization = \"home\"\n\
                        roles = { admin = [\"IAM_OWNER\"], reader = [\"ORG_OWNER_VIEWER\"], both = [\"IAM_OWNER_VIEWER\", \"ORG_OWNER\"] }\n";

/// A key, and what the world knows of it.
struct Key {
    private: EncodingKey,
    public: Value,
}

/// Of each type one, in the order of [`FAMILIES`]; and another one of RSA.
static KEYS: LazyLock<[Key; 5]> = LazyLock::new(|| {
    let rsa = || {
        let (_, file) = service_account_key("u", "k", None).unwrap();
        let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
        EncodingKey::from_rsa_pem(file["key"].as_str().unwrap().as_bytes()).unwrap()
    };
    let random = SystemRandom::new();
    let ec = |algorithm| {
        EncodingKey::from_ec_der(EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap().as_ref())
    };
    let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
    let x = BASE64.encode(pair.public_key().as_ref());
    let ed = Key {
        private: EncodingKey::from_ed_der(ed.as_ref()),
        public: json!({"kty": "OKP", "crv": "Ed25519", "x": x}),
    };
    let key = |private: EncodingKey, algorithm: Algorithm| {
        let jwk = Jwk::from_encoding_key(&private, algorithm).unwrap();
        let mut public = serde_json::to_value(jwk).unwrap();
        public.as_object_mut().unwrap().retain(|name, _| !["alg", "kid", "use"].contains(&&**name));
        Key { private, public }
    };
    [
        key(rsa(), Algorithm::RS256),
        key(ec(&ECDSA_P256_SHA256_FIXED_SIGNING), Algorithm::ES256),
        key(ec(&ECDSA_P384_SHA384_FIXED_SIGNING), Algorithm::ES384),
        ed,
        key(rsa(), Algorithm::RS256),
    ]
});

/// What each of the keys may sign with.
const FAMILIES: [&[Algorithm]; 4] = {
    use Algorithm::*;
    [&[RS256, RS384, RS512, PS256, PS384, PS512], &[ES256], &[ES384], &[EdDSA]]
};

fn name(algorithm: Algorithm) -> Value {
    serde_json::to_value(algorithm).unwrap()
}

/// `object` with other members; `null` takes one away.
fn with(object: &Value, changes: &Value) -> Value {
    let mut object = object.clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "k", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({"iss": URL, "sub": "u", "aud": "metagate", "iat": NOW, "nbf": NOW, "exp": NOW + 3600})
}

fn message(header: &Value, claims: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
    format!("{}.{}", BASE64.encode(text(header)), BASE64.encode(text(claims)))
}

fn signed(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = message(header, claims);
    let signature = sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// Signed by the first key.
fn token(header: &Value, claims: &Value) -> String {
    signed(header, claims, &KEYS[0].private, Algorithm::RS256)
}

fn key(index: usize, changes: Value) -> Value {
    with(&KEYS[index].public, &changes)
}

fn set(keys: &[Value]) -> IssuerKeys {
    IssuerKeys::read(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

/// The first key as `k`, and one more.
fn keys() -> IssuerKeys {
    set(&[key(0, json!({"kid": "k"})), key(1, json!({"kid": "e"}))])
}

fn directory(issuer: &str) -> Directory {
    Directory::parse(&format!("{DIRECTORY}{issuer}"), "directory.toml").unwrap()
}

fn identity(directory: &Directory, records: &Records) -> Identity {
    Identity::new(directory, records, &Identity::default())
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

/// `good`, `refused`, `missing` (a key), or `opaque`.
fn verdict(text: &str, keys: Option<&IssuerKeys>) -> &'static str {
    static BOTH: LazyLock<Directory> = LazyLock::new(|| directory(BY_USER));
    match Foreign::read(text) {
        None => "refused",
        Some(Foreign::Opaque) => "opaque",
        Some(Foreign::Signed(token)) => match token.judge(&BOTH.issuers()[0].issuer, keys, now()) {
            Verdict::Good(_) => "good",
            Verdict::Refused => "refused",
            Verdict::KeyMissing => "missing",
        },
    }
}

#[test]
fn headers() {
    for (changes, want) in [
        (json!({}), "good"),
        (json!({"typ": null}), "good"),
        (json!({"typ": "JWT"}), "good"),
        (json!({"typ": "application/AT+JWT"}), "good"),
        // Signed for another purpose.
        (json!({"typ": "logout+jwt"}), "refused"),
        (json!({"typ": "dpop+jwt"}), "refused"),
        (json!({"typ": 1}), "refused"),
        (json!({"kid": "other"}), "missing"),
        (json!({"kid": ""}), "missing"),
        (json!({"kid": "K"}), "missing"),
        // The set has more than one key.
        (json!({"kid": null}), "refused"),
        (json!({"kid": 7}), "refused"),
        (json!({"kid": ["k"]}), "refused"),
        (json!({"kid": "e"}), "refused"),
        (json!({"crit": []}), "refused"),
        (json!({"crit": ["exp"]}), "refused"),
        (json!({"crit": ["b64"], "b64": false}), "refused"),
        (json!({"alg": null}), "refused"),
        (json!({"alg": "none"}), "refused"),
        (json!({"alg": "None"}), "refused"),
        (json!({"alg": ""}), "refused"),
        (json!({"alg": "rs256"}), "refused"),
        (json!({"alg": "RS384"}), "refused"),
        (json!({"alg": "PS256"}), "refused"),
        (json!({"alg": "HS256"}), "refused"),
        (json!({"alg": "ES256"}), "refused"),
        (json!({"alg": "ES512"}), "refused"),
        (json!({"alg": 256}), "refused"),
        // Nobody takes a key that the token brings along.
        (json!({"jwk": KEYS[0].public}), "good"),
        (json!({"kid": "x", "jwk": KEYS[0].public}), "missing"),
    ] {
        let header = with(&header(), &changes);
        assert_eq!(verdict(&token(&header, &claims()), Some(&keys())), want, "{changes}");
    }
    // `crit` may be anything; even nothing.
    let critical = json!(r#"{"alg":"RS256","kid":"k","crit":null}"#);
    assert_eq!(verdict(&token(&critical, &claims()), Some(&keys())), "refused");
}

#[test]
fn signatures() {
    let good = token(&header(), &claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let another = message_of(&json!({"sub": "v"}));
    for (text, want) in [
        (good.clone(), "good"),
        (format!("{another}.{signature}"), "refused"),
        (format!("{message}."), "refused"),
        (format!("{message}.{}", BASE64.encode([7; 256])), "refused"),
        (format!("{message}.{}", signature.replace('_', "/")), "refused"),
        (format!("{message}.ä"), "refused"),
        (format!("{message}.{signature}="), "refused"),
        (signed(&header(), &claims(), &KEYS[4].private, Algorithm::RS256), "refused"),
        (signed(&header(), &claims(), &KEYS[1].private, Algorithm::ES256), "refused"),
    ] {
        // The text must be another than the good one, or the row shows nothing.
        assert!(want == "good" || text != good, "{text}");
        assert_eq!(verdict(&text, Some(&keys())), want, "{text}");
    }
}

fn message_of(changes: &Value) -> String {
    message(&header(), &with(&claims(), changes))
}

#[test]
fn what_is_known_to_all_is_never_a_secret() {
    // Everything that somebody could have made a secret of: the key in PEM, its parts, the JWK, nothing.
    let (public, _) = service_account_key("u", "k", None).unwrap();
    let jwk = key(0, json!({"kid": "k"}));
    let text = |name: &str| jwk[name].as_str().unwrap().to_owned();
    let secrets = [
        public.into_bytes(),
        jwk.to_string().into_bytes(),
        text("n").into_bytes(),
        BASE64.decode(text("n")).unwrap(),
        text("e").into_bytes(),
        Vec::new(),
    ];
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let header = with(&header(), &json!({"alg": name(algorithm)}));
        for secret in &secrets {
            let text = signed(&header, &claims(), &EncodingKey::from_secret(secret), algorithm);
            assert_eq!(verdict(&text, Some(&keys())), "refused");
            // Nor if the issuer gives one away.
            let k = json!({"kty": "oct", "kid": "k", "k": BASE64.encode(secret), "alg": name(algorithm)});
            assert_eq!(verdict(&text, Some(&set(&[k]))), "refused");
            assert_eq!(verdict(&text, None), "refused");
        }
    }
}

#[test]
fn each_algorithm_needs_a_key_of_its_type() {
    let mut good = 0;
    for (signing, family) in FAMILIES.iter().enumerate() {
        for &algorithm in *family {
            let header = with(&header(), &json!({"alg": name(algorithm)}));
            let text = signed(&header, &claims(), &KEYS[signing].private, algorithm);
            for (verifying, fitting) in FAMILIES.iter().enumerate() {
                for alg in FAMILIES.concat().into_iter().map(Some).chain([None]) {
                    let fits = fitting.contains(&algorithm) && alg.is_none_or(|only| only == algorithm);
                    // A key with the algorithm of another type is none at all, nor is it there then.
                    let is_key = alg.is_none_or(|only| fitting.contains(&only));
                    let want = if fits {
                        "good"
                    } else if is_key {
                        "refused"
                    } else {
                        "missing"
                    };
                    let jwk = key(verifying, json!({"kid": "k", "alg": alg.map(name)}));
                    let context = format!("{algorithm:?} by a key of {verifying} for {alg:?}");
                    assert_eq!(verdict(&text, Some(&set(&[jwk]))), want, "{context}");
                    good += usize::from(fits);
                }
            }
        }
    }
    assert_eq!(good, 2 * 9);
}

#[test]
fn sets_of_keys() {
    let text = token(&header(), &claims());
    let nameless = token(&with(&header(), &json!({"kid": null})), &claims());
    let k = |changes: Value| with(&key(0, json!({"kid": "k"})), &changes);
    for (set_of, of_named, of_nameless) in [
        (vec![], "missing", "missing"),
        (vec![k(json!({}))], "good", "good"),
        (vec![k(json!({"use": "sig"}))], "good", "good"),
        (vec![k(json!({"use": "enc"}))], "missing", "missing"),
        (vec![k(json!({"use": 1}))], "missing", "missing"),
        (vec![k(json!({"key_ops": ["verify"]}))], "good", "good"),
        (vec![k(json!({"key_ops": ["sign", "encrypt"]}))], "missing", "missing"),
        (vec![k(json!({"alg": "RS256"}))], "good", "good"),
        (vec![k(json!({"alg": "RS384"}))], "refused", "missing"),
        (vec![k(json!({"alg": "RSA-OAEP"}))], "missing", "missing"),
        (vec![k(json!({"kty": "EC"}))], "missing", "missing"),
        (vec![k(json!({"n": null}))], "missing", "missing"),
        (vec![k(json!({"n": "_w", "e": "AQAB"}))], "missing", "missing"),
        (vec![k(json!({"n": "%"}))], "missing", "missing"),
        (vec![k(json!({"e": "AQ"}))], "refused", "missing"),
        (vec![k(json!({"kid": null}))], "missing", "good"),
        // It may have been followed by the right one, under no name.
        (vec![key(4, json!({}))], "missing", "missing"),
        (vec![key(4, json!({"kid": "k"}))], "refused", "missing"),
        // What is of no use does not count, nor get in the way.
        (vec![json!({"kty": "oct", "kid": "k", "k": "AA"}), k(json!({}))], "good", "good"),
        (vec![json!({"kty": "XYZ"}), json!(7), json!(null), json!({}), k(json!({}))], "good", "good"),
        (vec![k(json!({"use": "enc"})), k(json!({}))], "good", "good"),
        // Ids need not be unique.
        (vec![key(1, json!({"kid": "k"})), k(json!({}))], "good", "refused"),
        (vec![key(4, json!({"kid": "k"})), k(json!({}))], "good", "refused"),
        (vec![k(json!({"kid": "a"})), k(json!({"kid": "b"}))], "missing", "refused"),
    ] {
        let keys = set(&set_of);
        let got = (verdict(&text, Some(&keys)), verdict(&nameless, Some(&keys)));
        assert_eq!(got, (of_named, of_nameless), "{set_of:?}");
    }
    for garbage in ["", "x", "7", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[}", "<html>"] {
        assert!(IssuerKeys::read(garbage.as_bytes()).is_err(), "{garbage:?}");
    }
    let many = vec![json!({"kty": "RSA", "n": KEYS[0].public["n"], "e": "AQAB"}); 1_000];
    assert_eq!(set(&many).count(), 100);
}

#[test]
fn what_is_claimed() {
    for (changes, want) in [
        (json!({}), "good"),
        (json!({"iss": null}), "refused"),
        (json!({"iss": "https://login.example/"}), "refused"),
        (json!({"iss": "HTTPS://login.example"}), "refused"),
        (json!({"iss": [URL]}), "refused"),
        (json!({"aud": ["x", "other"]}), "good"),
        (json!({"aud": "other"}), "good"),
        (json!({"aud": "x"}), "refused"),
        (json!({"aud": ["x"]}), "refused"),
        (json!({"aud": []}), "refused"),
        (json!({"aud": ""}), "refused"),
        (json!({"aud": "metagate2"}), "refused"),
        (json!({"aud": null}), "refused"),
        (json!({"aud": 1}), "refused"),
        (json!({"aud": ["metagate", 1]}), "refused"),
        (json!({"aud": {"metagate": true}}), "refused"),
        // 30 seconds of skew, on both sides of the edge.
        (json!({"exp": NOW - 29}), "good"),
        (json!({"exp": NOW - 30}), "refused"),
        (json!({"exp": NOW as f64 - 29.5}), "good"),
        (json!({"exp": 1e300}), "good"),
        (json!({"exp": 0}), "refused"),
        (json!({"exp": -1e300}), "refused"),
        (json!({"exp": null}), "refused"),
        (json!({"exp": (NOW + 3600).to_string()}), "refused"),
        (json!({"exp": "2099-01-01T00:00:00Z"}), "refused"),
        (json!({"exp": true}), "refused"),
        (json!({"exp": [NOW + 3600]}), "refused"),
        (json!({"nbf": NOW + 30}), "good"),
        (json!({"nbf": NOW + 31}), "refused"),
        (json!({"nbf": null}), "good"),
        (json!({"nbf": "0"}), "refused"),
        (json!({"iat": NOW + 30}), "good"),
        (json!({"iat": NOW + 31}), "refused"),
        (json!({"iat": null}), "good"),
        (json!({"iat": 0}), "good"),
        (json!({"iat": {}}), "refused"),
    ] {
        let claims = with(&claims(), &changes);
        let text = token(&header(), &claims);
        assert_eq!(verdict(&text, Some(&keys())), want, "{changes}");
        // What is not good anyway, no key is fetched for.
        assert_eq!(verdict(&text, None), if want == "good" { "missing" } else { want }, "{changes}");
    }
    for claims in ["", "x", "[]", "7", "{\"iss\":", "{\"exp\":1e999}"] {
        assert_eq!(verdict(&token(&header(), &json!(claims)), Some(&keys())), "refused", "{claims:?}");
    }
}

#[test]
fn the_skew_is_what_the_file_says() {
    for (skew, late, want) in [(0, 0, false), (0, -1, true), (300, 299, true), (300, 300, false)] {
        let directory = directory(&format!("{BY_USER}clock_skew_seconds = {skew}\n"));
        let text = token(&header(), &with(&claims(), &json!({"exp": NOW - late})));
        let Some(Foreign::Signed(token)) = Foreign::read(&text) else { panic!() };
        let verdict = token.judge(&directory.issuers()[0].issuer, Some(&keys()), now());
        assert_eq!(matches!(verdict, Verdict::Good(_)), want, "{skew} {late}");
    }
}

#[test]
fn forms() {
    let of_bytes = |bytes: usize| {
        let empty = token(&header(), &with(&claims(), &json!({"x": ""})));
        // The smallest text that makes it at least so long: base64 has four characters for three bytes.
        let padding = (bytes - empty.len()) / 4 * 3;
        let text = token(&header(), &with(&claims(), &json!({"x": "x".repeat(padding)})));
        assert!(text.len().abs_diff(bytes) <= 3, "{}", text.len());
        text
    };
    let at_most = of_bytes(16_384 - 3);
    let header = BASE64.encode(header().to_string());
    for (text, want) in [
        (&*at_most, "good"),
        (&of_bytes(16_384 + 4), "refused"),
        (&"x".repeat(16_384), "opaque"),
        (&"x".repeat(16_385), "refused"),
        (&"a.b.c.".repeat(3_000), "refused"),
        ("opaque", "opaque"),
        ("", "opaque"),
        (".", "opaque"),
        ("..", "opaque"),
        ("a.b.c", "opaque"),
        ("a.b.c.d.e", "opaque"),
        ("v2.local.c", "opaque"),
        // It begins as a signed one does, so it is one.
        (&format!("{header}..x"), "refused"),
        (&format!("{header}.x"), "opaque"),
        (&format!("{header}.x.y.z"), "opaque"),
        (&format!("{}.e30.x", BASE64.encode("[]")), "opaque"),
        (&format!("{}.e30.x", BASE64.encode("{}")), "refused"),
    ] {
        assert_eq!(verdict(text, Some(&keys())), want, "{} bytes: {:.80}", text.len(), text);
    }
}

/// Who it is, home and all, by what is told in `claims`.
fn caller(issuer: &str, claims: &Value) -> Option<Caller> {
    let directory = directory(issuer);
    let claims = TokenClaims::read(claims.to_string().as_bytes()).unwrap();
    let identity = identity(&directory, &Records::default());
    directory.issuers()[0].issuer.caller(&claims, &identity.accounts)
}

#[test]
fn users_that_are_known() {
    for (issuer, changes, want) in [
        (BY_USER, json!({}), true),
        (BY_USER, json!({"sub": "U"}), false),
        (BY_USER, json!({"sub": "v"}), false),
        (BY_USER, json!({"sub": "off"}), false),
        (BY_USER, json!({"sub": null}), false),
        (BY_USER, json!({"sub": ""}), false),
        (BY_USER, json!({"sub": 7}), false),
        (BY_USER, json!({"sub": ["u"]}), false),
        (
            "user_claim = \"https://x.example/user\"\n",
            json!({"sub": "v", "https://x.example/user": "u"}),
            true,
        ),
        ("user_claim = \"email\"\n", json!({}), false),
    ] {
        let got = caller(issuer, &with(&claims(), &changes));
        assert_eq!(got.is_some(), want, "{issuer}{changes}");
        if let Some(caller) = got {
            let home = OrganizationId::new("home").unwrap();
            assert_eq!((caller.user().as_str(), caller.organization()), ("u", &home));
            assert_eq!(caller.check(&home, Permission::OrgWrite), Ok(()));
        }
    }
}

#[test]
fn what_was_issued_before_a_user_was_deactivated_is_refused() {
    let since = NOW * 1_000_000 + 400_000;
    let mut account = Account::new("v", &OrganizationId::new("home").unwrap(), Timestamp::from_micros(since));
    let directory = directory(BY_USER);
    let is_good = |account: &Account, iat: Value| {
        let mut records = Records::default();
        records.apply(USER, "v", Some(&serde_json::to_vec(account).unwrap())).unwrap();
        let claims = with(&claims(), &json!({"sub": "v", "iat": iat}));
        let claims = TokenClaims::read(claims.to_string().as_bytes()).unwrap();
        let identity = identity(&directory, &records);
        directory.issuers()[0].issuer.caller(&claims, &identity.accounts).is_some()
    };
    assert_eq!(account.valid_from, since);
    for (iat, want) in [
        // It has whole seconds.
        (json!(NOW), true),
        (json!(NOW + 1), true),
        (json!(NOW - 1), false),
        (json!(null), false),
        (json!("x"), false),
    ] {
        assert_eq!(is_good(&account, iat.clone()), want, "{iat}");
    }
    account.state = UserState::Inactive;
    assert!(!is_good(&account, json!(NOW + 1)));
}

#[test]
fn strangers_by_their_roles() {
    let (read, write) = (Permission::OrgRead, Permission::OrgWrite);
    let (ok, none, lacking) = (Ok(()), Err(Denied::NoMembership), Err(Denied::NoPermission));
    // At home, and elsewhere: may they read, may they write.
    for (roles, want) in [
        (json!(["admin"]), Some([ok, ok, ok, ok])),
        (json!(["reader"]), Some([ok, lacking, none, none])),
        (json!(["both"]), Some([ok, ok, ok, lacking])),
        (json!(["reader", "x", "admin"]), Some([ok, ok, ok, ok])),
        (json!({"reader": {"org": "domain"}, "x": 1}), Some([ok, lacking, none, none])),
        (json!([]), Some([none; 4])),
        (json!({}), Some([none; 4])),
        (json!(null), Some([none; 4])),
        // Ours are not theirs.
        (json!(["IAM_OWNER", "Admin", ""]), Some([none; 4])),
        (json!("admin"), None),
        (json!(["admin", 1]), None),
        (json!(true), None),
    ] {
        let got = caller(BY_ROLES, &with(&claims(), &json!({"sub": "stranger", "roles": roles})));
        let got = got.map(|caller| {
            assert_eq!((caller.user().as_str(), caller.organization().as_str()), ("stranger", "home"));
            let check = |id, permission| caller.check(&OrganizationId::new(id).unwrap(), permission);
            [check("home", read), check("home", write), check("elsewhere", read), check("elsewhere", write)]
        });
        assert_eq!(got, want, "{roles}");
    }
}

#[test]
fn homes_and_names_of_strangers() {
    let by_claim = BY_ROLES.replace("organization = \"home\"", "organization_claim = \"org\"");
    for (issuer, changes, want) in [
        (&*by_claim, json!({"org": "far"}), Some(("u", "far"))),
        (&by_claim, json!({}), None),
        (&by_claim, json!({"org": ""}), None),
        (&by_claim, json!({"org": "a\u{0}b"}), None),
        (&by_claim, json!({"org": 7}), None),
        // Without `user_claim` a user of the same id is another one.
        (BY_ROLES, json!({"sub": "off"}), Some(("off", "home"))),
        (BY_ROLES, json!({"sub": "x".repeat(255)}), Some((&*"x".repeat(255), "home"))),
        (BY_ROLES, json!({"sub": "x".repeat(256)}), None),
        (BY_ROLES, json!({"sub": "a\nb"}), None),
        (BY_ROLES, json!({"sub": null}), None),
        // With both, known users are who they are, and nobody gets around being locked.
        (&format!("{BY_USER}{by_claim}"), json!({"org": "far"}), Some(("u", "home"))),
        (&format!("{BY_USER}{by_claim}"), json!({"org": "far", "sub": "v"}), Some(("v", "far"))),
        (&format!("{BY_USER}{by_claim}"), json!({"org": "far", "sub": "off"}), None),
    ] {
        let got = caller(issuer, &with(&claims(), &changes));
        let got = got.as_ref().map(|caller| (caller.user().as_str(), caller.organization().as_str()));
        assert_eq!(got, want, "{issuer}{changes}");
    }
}

#[test]
fn what_an_issuer_says_of_a_token() {
    let directory = directory(BY_USER);
    let answer = with(&claims(), &json!({"active": true}));
    for (changes, want) in [
        (json!({}), true),
        (json!({"exp": null, "iat": null, "nbf": null, "iss": null}), true),
        (json!({"active": false}), false),
        (json!({"active": null}), false),
        (json!({"active": "true"}), false),
        (json!({"active": 1}), false),
        (json!({"iss": "https://other.example"}), false),
        (json!({"iss": 1}), false),
        (json!({"aud": null}), false),
        (json!({"aud": "x"}), false),
        (json!({"exp": NOW - 30}), false),
        (json!({"exp": "never"}), false),
        (json!({"nbf": NOW + 31}), false),
        (json!({"iat": NOW + 31}), false),
    ] {
        let answer = TokenClaims::read(with(&answer, &changes).to_string().as_bytes()).unwrap();
        assert_eq!(directory.issuers()[0].issuer.vouches(&answer, now()), want, "{changes}");
    }
}
