//! Sets of keys.

use super::*;

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
