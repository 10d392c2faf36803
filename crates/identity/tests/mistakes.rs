//! What is told of a directory with mistakes: all of it, where it stands, and never a token.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use metagate_identity::Directory;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_oneof, proptest};

const HEAD: &str = "[instance]\nid = \"1\"\n";
const USER: &str = "[[user]]\nid = \"u\"\nname = \"ü\"\norganization = \"o\"\nstate = \"active\"\n";
const TOKEN: &str = "pat-SECRET-0123456789";

fn told(text: &str) -> String {
    Directory::parse(text, "d.toml").unwrap_err().to_string()
}

#[test]
fn each_mistake_in_full() {
    for (text, want) in [
        ("", "d.toml:1:1: missing field `instance`"),
        ("\u{feff}", "d.toml:1:1: missing field `instance`"),
        ("[instance]\nid = \"1\"\nid = \"2\"\n", "d.toml:3:1: duplicate key"),
        (
            "[[instance]]\nid = \"1\"\n",
            "d.toml:1:1: invalid type: array, expected a table, which begins with [instance]",
        ),
        (
            "[instance]\nid = \"1\"\ndomains = \"a\"\n",
            "d.toml:3:11: invalid type: string, expected an array of strings",
        ),
        (
            "[instance]\nid = \"1\"\ndomains = [\"ä\", 7]\n",
            "d.toml:3:17: invalid type: integer `7`, expected a string",
        ),
        ("[instance]\nid = 2020-01-01\n", "d.toml:2:6: invalid type: time `2020-01-01`, expected a string"),
        ("[instance]\nid = 1.5\n", "d.toml:2:6: invalid type: floating point `1.5`, expected a string"),
        // Columns are characters.
        ("user = []; instance = 1", "d.toml:1:10: unexpected key or value, expected newline, `#`"),
        (
            "[instance]\n\"ä\\n\" = 1\n",
            "d.toml:2:1: unknown field `ä\\n`, expected one of `id`, `domains`, `project`",
        ),
        // What is missing beside an unknown field is most likely that field.
        (
            "[instance]\nidd = \"1\"\n",
            "d.toml:2:1: unknown field `idd`, expected one of `id`, `domains`, `project`",
        ),
    ] {
        assert_eq!(told(text), want, "{text:?}");
    }
    for (rest, want) in [
        (
            "[organization]\nid = \"o\"\n",
            "d.toml:3:1: invalid type: table, expected tables, each of which begins with [[organization]]",
        ),
        (
            "[[organization]]\nid = \"o\"\nname = \"\"\nstate = \"\"\n",
            "d.toml:6:9: unknown variant ``, expected one of `active`, `inactive`, `removed`",
        ),
        // One line each: all fields of a table, and all tables.
        (
            "[[user]]\nid = 1\n[[membership]]\n",
            "d.toml:3:1: missing field `name`\nd.toml:3:1: missing field `organization`\nd.toml:3:1: missing field `state`\n\
             d.toml:4:6: invalid type: integer `1`, expected a string\n\
             d.toml:5:1: missing field `user`\nd.toml:5:1: missing field `roles`",
        ),
        (
            "[[membership]]\nuser = \"u\"\ninstance = \"yes\"\nroles = [true]\n",
            "d.toml:5:12: invalid type: string, expected true or false\nd.toml:6:10: invalid type: boolean `true`, expected a string",
        ),
        // Contradictions are looked for only in a file of the right form; then all are told.
        (
            "[[membership]]\nuser = \"ghost\"\norganization = \"\"\nroles = []\n[[membership]]\nuser = \"ghost\"\nroles = []\n",
            "d.toml:4:8: user \"ghost\" is not defined\nd.toml:5:16: an organization id must not be empty or hold U+0000\n\
             d.toml:7:1: a membership has exactly one of `organization` and `instance = true`\n\
             d.toml:8:8: user \"ghost\" is not defined",
        ),
    ] {
        assert_eq!(told(&format!("{HEAD}{rest}")), want, "{rest:?}");
    }
}

#[test]
fn allowed_values_are_told() {
    let roles = |role: &str, place: &str| {
        told(&format!("{HEAD}{USER}[[membership]]\nuser = \"u\"\n{place}\nroles = [\"{role}\"]\n"))
    };
    let instance = "IAM_OWNER, IAM_OWNER_VIEWER, IAM_ORG_MANAGER, IAM_USER_MANAGER, IAM_ADMIN_IMPERSONATOR, \
                    IAM_END_USER_IMPERSONATOR, IAM_LOGIN_CLIENT";
    let organization = "ORG_OWNER, ORG_OWNER_VIEWER, ORG_USER_MANAGER, ORG_SETTINGS_MANAGER, \
                        ORG_USER_PERMISSION_EDITOR, ORG_PROJECT_PERMISSION_EDITOR, ORG_PROJECT_CREATOR, \
                        ORG_USER_SELF_MANAGER, ORG_ADMIN_IMPERSONATOR, ORG_END_USER_IMPERSONATOR, PROJECT_OWNER, \
                        PROJECT_OWNER_VIEWER, PROJECT_OWNER_GLOBAL, PROJECT_OWNER_VIEWER_GLOBAL, \
                        PROJECT_GRANT_OWNER, PROJECT_GRANT_OWNER_VIEWER, SELF_MANAGEMENT_GLOBAL";
    assert_eq!(
        roles("ORG_KING", "instance = true"),
        format!("d.toml:11:10: unknown role \"ORG_KING\"; known are {instance}, {organization}")
    );
    assert_eq!(
        roles("ORG_OWNER", "instance = true"),
        format!("d.toml:11:10: ORG_OWNER is no role of the instance; those are {instance}")
    );
    assert_eq!(
        roles("IAM_OWNER", "organization = \"o\""),
        format!(
            "d.toml:11:10: IAM_OWNER is a role of the instance, not of an organization; those are {organization}"
        )
    );
    assert_eq!(
        told(&format!("{HEAD}{USER}preferred_language = \"tlh\"\n")),
        "d.toml:8:22: unknown language \"tlh\"; known are ar, bg, cs, de, es, fr, hu, id, it, ja, ko, mk, nl, pl, pt, ro, \
         ru, sv, tr, uk, zh, en"
    );
}

#[test]
fn mistakes_in_other_issuers() {
    let url = "url = \"https://login.example\"\n";
    let by_user = "audience = [\"a\"]\nuser_claim = \"sub\"\n";
    let good = format!("[[issuer]]\n{url}{by_user}");
    let by_roles = format!("[[issuer]]\n{url}audience = [\"a\"]\nroles_claim = \"r\"\n");
    let safe = "only this machine itself is asked by http; all others by https";
    let malformed = "this is no URL, such as https://login.example.com";
    let at = |wrong: &str| good.replace("https://login.example", wrong);
    for (rest, want) in [
        (
            "[issuer]\n".to_owned(),
            "3:1: invalid type: table, expected tables, each of which begins with [[issuer]]".to_owned(),
        ),
        (
            "[[issuer]]\n".to_owned(),
            "3:1: missing field `url`\nd.toml:3:1: missing field `audience`".to_owned(),
        ),
        (
            format!("{good}x = 1\n"),
            "7:1: unknown field `x`, expected one of `url`, `audience`, `jwks`, `ca`, `clock_skew_seconds`, `user_claim`, \
             `roles_claim`, `roles`, `organization`, `organization_claim`, `introspection`"
                .to_owned(),
        ),
        (good.replace("[\"a\"]", "\"a\""), "5:12: invalid type: string, expected an array of strings".to_owned()),
        (
            good.replace("\"a\"", ""),
            "5:12: an issuer's audience is empty: any of its tokens would be accepted".to_owned(),
        ),
        (good.replace("\"a\"", "\"a\", \"\""), "5:18: an issuer's audience is empty".to_owned()),
        (at("login.example"), format!("4:7: {malformed}")),
        (at("ftp://login.example"), format!("4:7: {malformed}")),
        (at("https://"), format!("4:7: {malformed}")),
        (at("https://a@login.example"), format!("4:7: {malformed}")),
        (at("https://login.example/#a"), format!("4:7: {malformed}")),
        (at("https://login.example/?a"), "4:7: an issuer's url has no query".to_owned()),
        (at("http://login.example"), format!("4:7: {safe}")),
        (at("http://127.0.0.1.example"), format!("4:7: {safe}")),
        (format!("{good}jwks = \"http://login.example/keys\"\n"), format!("7:8: {safe}")),
        (
            format!("{good}{good}"),
            "8:7: issuer \"https://login.example\" is already defined".to_owned(),
        ),
        (
            format!("{good}clock_skew_seconds = 301\n"),
            "7:22: clocks may differ by 0 to 300 seconds".to_owned(),
        ),
        (format!("{good}clock_skew_seconds = -1\n"), "7:22: clocks may differ by 0 to 300 seconds".to_owned()),
        (
            format!("{good}clock_skew_seconds = \"1\"\n"),
            "7:22: invalid type: string, expected an integer".to_owned(),
        ),
        (
            good.replace("user_claim = \"sub\"\n", ""),
            "3:1: an issuer has `user_claim` or `roles_claim`, or both: without, nobody knows who calls".to_owned(),
        ),
        (good.replace("\"sub\"", "\"\""), "6:14: the name of a claim is empty".to_owned()),
        (
            format!("{good}organization = \"o\"\nroles = {{}}\n"),
            "7:16: this is for those whose roles the issuer tells, by `roles_claim`\n\
             d.toml:8:9: this is for those whose roles the issuer tells, by `roles_claim`"
                .to_owned(),
        ),
        (
            by_roles.clone(),
            "6:15: `roles_claim` needs `roles`: what its values are called here\n\
             d.toml:6:15: `roles_claim` needs exactly one of `organization` and `organization_claim`"
                .to_owned(),
        ),
        (
            format!("{by_roles}roles = {{}}\norganization = \"o\"\norganization_claim = \"o\"\n"),
            "6:15: `roles_claim` needs exactly one of `organization` and `organization_claim`".to_owned(),
        ),
        (
            format!("{by_roles}roles = {{}}\norganization = \"\"\n"),
            "8:16: an organization id must not be empty or hold U+0000".to_owned(),
        ),
        (
            format!("{by_roles}roles = []\norganization = \"o\"\n"),
            "7:9: invalid type: array, expected a table".to_owned(),
        ),
        (
            format!("{by_roles}roles = {{ a = \"IAM_OWNER\" }}\norganization = \"o\"\n"),
            "7:15: invalid type: string, expected an array of strings".to_owned(),
        ),
        (
            format!("{good}introspection = \"SECRET\"\n"),
            "7:17: invalid type: string, expected a table".to_owned(),
        ),
        (
            format!("{good}introspection = {{ url = \"http://a\", client_id = \"\", client_secret_file = \"\" }}\n"),
            format!(
                "7:25: {safe}\nd.toml:7:49: the client's id is empty\n\
                 d.toml:7:74: the path of the client's secret is empty"
            ),
        ),
        (
            format!("{good}[issuer.introspection]\nclient_secret = \"SECRET\"\nclient_id = 4711\n"),
            "8:1: unknown field `client_secret`, expected one of `url`, `client_id`, `client_secret_file`\n\
             d.toml:9:13: invalid type: integer, expected a string"
                .to_owned(),
        ),
    ] {
        let told = told(&format!("{HEAD}{rest}"));
        assert_eq!(told, format!("d.toml:{want}"), "{rest}");
        assert!(!told.contains("SECRET") && !told.contains("4711"), "{told}");
    }
    let unknown = told(&format!("{HEAD}{by_roles}roles = {{ a = [\"admin\"] }}\norganization = \"o\"\n"));
    assert!(unknown.starts_with("d.toml:7:16: unknown role \"admin\"; known are IAM_OWNER, "), "{unknown}");
    let local = ["http://localhost:1/a", "http://127.9.9.9", "http://[::1]:8080", "https://a:1/b"];
    for local in local {
        assert!(Directory::parse(&format!("{HEAD}{}", at(local)), "d.toml").is_ok(), "{local}");
    }
}

#[test]
fn a_time_needs_date_time_of_day_and_offset() {
    for (written, is_time) in [
        ("2099-01-01T00:00:00Z", true),
        ("2099-01-01 00:00:00.123456789+02:00", true),
        ("2099-01-01T00:00:00", false),
        ("2099-01-01", false),
        ("00:00:00", false),
        // Long ago is a time too.
        ("0000-01-01T00:00:00Z", true),
    ] {
        let text = format!("{HEAD}{USER}[[user.token]]\nvalue = \"t\"\nexpires = {written}\n");
        match Directory::parse(&text, "d.toml") {
            Ok(_) => assert!(is_time, "{written}"),
            Err(error) => assert_eq!(
                (is_time, error.to_string().as_str()),
                (
                    false,
                    "d.toml:10:11: a time has date, time of day and offset, such as 2099-01-01T00:00:00Z"
                ),
                "{written}"
            ),
        }
    }
}

#[test]
fn tokens_in_the_wrong_place_are_not_shown() {
    for (rest, want) in [
        (
            "token = \"SECRET\"\n",
            "8:9: invalid type: string, expected tables, each of which begins with [[user.token]]",
        ),
        (
            "token = [\"SECRET\"]\n",
            "8:10: invalid type: string, expected tables, each of which begins with [[user.token]]",
        ),
        // A token may look like a number.
        (
            "token = 4711\n",
            "8:9: invalid type: integer, expected tables, each of which begins with [[user.token]]",
        ),
        ("[[user.token]]\nvalue = 4711\n", "9:9: invalid type: integer, expected a string"),
        ("[[user.token]]\nvalue = 4711.5\n", "9:9: invalid type: floating point, expected a string"),
        (
            "[[user.token]]\nexpires = \"SECRET\"\n",
            "9:11: invalid type: string, expected a time such as 2099-01-01T00:00:00Z",
        ),
        ("[[user.token]]\nsha256 = \"SECRET\"\n", "9:10: a SHA-256 is 64 hexadecimal digits"),
        (
            "[[user.token]]\nvalue = \"SECRET\\u0007\"\n",
            "9:9: a token is one or more visible ASCII characters, without spaces",
        ),
        (
            "value = \"SECRET\"\n",
            "8:1: unknown field `value`, expected one of `id`, `name`, `display_name`, `organization`, `state`, `preferred_language`, `access_token_type`, `token`, `secret`, `key`",
        ),
        (
            "[[user.token]]\nvalue = \"SECRET\"\n[[user.token]]\nvalue = \"SECRET\"\n",
            "10:1: this token is already defined",
        ),
    ] {
        let error = Directory::parse(&format!("{HEAD}{USER}{rest}"), "d.toml").unwrap_err();
        assert_eq!(error.to_string(), format!("d.toml:{want}"), "{rest:?}");
        assert!(
            !format!("{error:?}").contains("SECRET") && !format!("{error:?}").contains("4711"),
            "{error:?}"
        );
    }
}

/// Pieces that hold together well enough to get past the TOML.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop_oneof![
            Just("[instance]\n"), Just("[[organization]]\n"), Just("[[user]]\n"), Just("[[user.token]]\n"),
            Just("[[membership]]\n"), Just("id = \"1\"\n"), Just("name = \"ñ\"\n"), Just("state = \"active\"\n"),
            Just("state = 3\n"), Just("organization = \"1\"\n"), Just("instance = true\n"), Just("user = \"1\"\n"),
            Just("roles = [\"ORG_OWNER\"]\n"), Just("roles = [[]]\n"), Just("token = {}\n"),
            Just("[[issuer]]\n"), Just("url = \"https://a\"\n"), Just("audience = [\"a\"]\n"), Just("user_claim = \"a\"\n"),
            Just("roles_claim = \"a\"\n"), Just("roles = { a = [\"IAM_OWNER\"] }\n"), Just("introspection = {}\n"),
            Just("expires = 2099-01-01T00:00:00Z\n"), Just("domains = [\"\"]\n"), Just("user = [{}]\n"),
        ].prop_map(str::to_owned),
        2 => prop_oneof![Just("value"), Just("sha256"), Just("expires"), Just("token"), Just("domains"), Just("other")]
            .prop_map(|field| format!("{field} = \"{TOKEN}\"\n")),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_heap_of_pieces_is_read_or_told_of(pieces in proptest::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        match Directory::parse(&text, "d.toml") {
            Ok(directory) => {
                let shown = format!("{directory:?}");
                prop_assert!(!shown.contains(TOKEN));
            }
            Err(error) => {
                prop_assert!(!error.problems().is_empty());
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(TOKEN), "{}", shown);
                for line in error.to_string().lines() {
                    prop_assert!(line.starts_with("d.toml:"), "{:?}", line);
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_or_told_of(text in any::<String>()) {
        prop_assert!(Directory::parse(&text, "d.toml").is_err());
    }
}
