//! Tokens and assertions: whatever they look like, only what was signed right counts.

use std::sync::{Arc, LazyLock};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use domain::{OrganizationId, Timestamp};
use identity::{
    Account, Directory, Identity, Records,
    issuer::{Foreign, Issuer, IssuerKeys, Verdict},
    oauth::{self, AccessToken, HomeOrganization, SigningKeyRecord, service_account_key, subject_of},
    record::{KeyRecord, SIGNING_KEY, USER},
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// Whom assertions are for, and who has issued our tokens.
const OURS: &str = "http://localhost:8080";
/// By whom tokens of others are.
const THEIRS: &str = "https://login.example";
const NOW: Timestamp = Timestamp::from_micros(1_795_449_968_000_000);

/// A user `u` with a key `k`; another issuer with the same key, and one that is nobody's.
struct World {
    identity: Identity,
    issuer: Arc<Issuer>,
    keys: IssuerKeys,
    key: EncodingKey,
    other: EncodingKey,
    /// In PEM.
    public: String,
    /// Good ones of ours: encrypted, and signed.
    tokens: [String; 2],
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let make = || {
        let (public, file) = service_account_key("u", "k", None).unwrap();
        let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
        (public, EncodingKey::from_rsa_pem(file["key"].as_str().unwrap().as_bytes()).unwrap())
    };
    let ((public, key), (_, other)) = (make(), make());
    let text = format!(
        "[instance]\nid = \"1\"\nproject = \"77\"\n[[organization]]\nid = \"o\"\nname = \"o\"\nstate = \"active\"\n\
         [[issuer]]\nurl = \"{THEIRS}\"\naudience = [\"metagate\"]\nuser_claim = \"sub\"\n"
    );
    let directory = Directory::parse(&text, "directory.toml").unwrap();
    let home = OrganizationId::new("o").unwrap();
    let mut account = Account::new("u", &home, Timestamp::from_micros(0));
    account.keys.push(KeyRecord { id: "k".to_owned(), public_key: public.clone(), expires: None });
    let mut records = Records::default();
    let mut put = |kind: &str, id: &str, body: Vec<u8>| records.apply(kind, id, Some(&body)).unwrap();
    put(USER, "u", serde_json::to_vec(&account).unwrap());
    let (id, signing) = SigningKeyRecord::generate(Timestamp::from_micros(0)).unwrap();
    put(SIGNING_KEY, &id, serde_json::to_vec(&signing).unwrap());
    let identity = Identity::new(&directory, &records, &Identity::default());
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::RS256).unwrap()).unwrap();
    jwk["kid"] = json!("k");
    let keys = IssuerKeys::read(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap();

    let user = identity.accounts.user_named("u").unwrap();
    let home = HomeOrganization { id: home, name: "o".to_owned(), primary_domain: "o.localhost".to_owned() };
    let granted = oauth::grant("urn:zitadel:iam:org:project:id:zitadel:aud", &user, &home, "77");
    let token = AccessToken::issue(&user, granted, OURS, false, NOW).unwrap();
    let signing = identity.keys.signing(NOW).unwrap();
    let tokens = [token.seal(signing).unwrap(), token.to_jwt(signing, &user, &home).unwrap()];
    let issuer = directory.issuers()[0].issuer.clone();
    let world = World { identity, issuer, keys, key, other, public, tokens };

    // If nothing were accepted, all of this would show nothing.
    assert!(world.tokens.iter().all(|token| world.is_ours(token)));
    let header = r#"{"alg":"RS256","kid":"k"}"#;
    let theirs = json!({"iss": THEIRS, "sub": "u", "aud": "metagate", "exp": 1_795_449_969});
    assert!(world.is_theirs(&world.signed(header, &theirs.to_string(), "right").0));
    let assertion = json!({"iss": "u", "sub": "u", "aud": OURS, "iat": 1_795_449_960, "exp": 1_795_449_980});
    assert!(world.is_assertion(&world.signed(header, &assertion.to_string(), "right").0));
    world
});

impl World {
    fn is_ours(&self, token: &str) -> bool {
        self.identity.identify(token, &|| OURS.to_owned(), NOW).is_some()
    }

    fn is_theirs(&self, token: &str) -> bool {
        let Some(Foreign::Signed(token)) = Foreign::read(token) else { return false };
        match token.judge(&self.issuer, Some(&self.keys), NOW) {
            Verdict::Good(claims) => {
                // Who it is may be nobody.
                let _ = self.issuer.caller(&claims, &self.identity.accounts);
                true
            }
            Verdict::Refused | Verdict::KeyMissing => false,
        }
    }

    fn is_assertion(&self, text: &str) -> bool {
        subject_of(text, OURS, &self.identity.accounts, NOW).is_ok()
    }

    /// A token with this header and these claims; and whether the signature is that of the key. `how` is `right`, `other`,
    /// `hmac` (the public key as a secret), or the signature itself.
    fn signed(&self, header: &str, claims: &str, how: &str) -> (String, bool) {
        let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let by = |key, algorithm| sign(message.as_bytes(), key, algorithm).unwrap();
        let right = by(&self.key, Algorithm::RS256);
        let signature = match how {
            "right" => right.clone(),
            "other" => by(&self.other, Algorithm::RS256),
            "hmac" => by(&EncodingKey::from_secret(self.public.as_bytes()), Algorithm::HS256),
            signature => signature.to_owned(),
        };
        // There is one signature of a message by a key (RFC 8017, 8.2).
        let is_right = signature.trim_end() == right;
        (format!("{message}.{signature}"), is_right)
    }
}

/// What is accepted was signed right, with the algorithm that it names, for us and for now; nothing makes anything panic.
///
/// The first byte chooses: `f` a token of others, `a` an assertion, each as header, claims and signature in a line (see
/// `World::signed`); `0` and `1` a good token of ours, encrypted and signed, in which `POSITION:TEXT` puts a text in the place of
/// a character; `r` any text, as all of these, and `k` as a set of keys.
pub fn tokens(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let world = &*WORLD;
    match choice {
        b'k' => {
            let _ = IssuerKeys::read(rest).map(|keys| keys.count());
        }
        b'0' | b'1' => changed(world, usize::from(choice - b'0'), text),
        b'f' | b'a' => {
            let mut lines = text.splitn(3, '\n');
            let mut line = || lines.next().unwrap_or_default();
            let (header, claims) = (line(), line());
            let (token, is_right) = world.signed(header, claims, line());
            let is_accepted =
                if *choice == b'f' { world.is_theirs(&token) } else { world.is_assertion(&token) };
            if is_accepted {
                assert!(is_right, "{token}");
                let read = |json: &str| serde_json::from_str::<Value>(json).unwrap();
                let (header, claims) = (read(header), read(claims));
                assert!(
                    header["alg"] == "RS256" && header.get("crit").is_none_or(Value::is_null),
                    "{header}"
                );
                let (issuer, audience) = if *choice == b'f' { (THEIRS, "metagate") } else { ("u", OURS) };
                let is_for_us = claims["aud"] == audience
                    || claims["aud"].as_array().is_some_and(|all| all.iter().any(|one| one == audience));
                let ends = claims["exp"].as_f64().unwrap() * 1e6 + 30e6;
                assert!(claims["iss"] == issuer && is_for_us && ends > NOW.as_micros() as f64, "{claims}");
            }
        }
        _ => {
            assert!(!world.is_ours(text) && !world.is_theirs(text) && !world.is_assertion(text), "{text}");
            let _ = identity::bearer(Some(rest));
        }
    }
}

fn changed(world: &World, which: usize, change: &str) {
    let Some((position, by)) = change.split_once(':') else { return };
    let Ok(position) = position.parse::<usize>() else { return };
    let good = &world.tokens[which];
    let mut token = good.clone();
    let position = position % token.len();
    token.replace_range(position..=position, by);
    assert!(token == *good || !world.is_ours(&token), "{good} is good as {token} too");
}
