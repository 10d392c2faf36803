//! Of whom a token tells.

use super::*;

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
