//! What is signed, and with what.

use super::*;

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
