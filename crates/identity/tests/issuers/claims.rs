//! What a token says: for whom it is, and when.

use super::*;

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
