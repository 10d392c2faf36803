//! Directories: right ones, and everything that can be wrong with one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use domain::{Language, OrganizationId, OrganizationState, Permission, Refusal, Timestamp};
use metagate_identity::{Caller, Denied, Directory, Identity, Records};
use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

const GOOD: &str = r#"
[instance]
id = "1"
domains = ["a.example"]

[[organization]]
id = "10"
name = "Ten"
state = "active"

[[organization]]
id = "11"
name = "Eleven"
state = "removed"

[[user]]
id = "100"
name = "ci"
organization = "10"
state = "active"
preferred_language = "de-CH"

[[user.token]]
value = "clear-token"

[[user.token]]
sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

[[user.token]]
value = "expiring-token"
expires = 2030-01-01T01:00:00+01:00

[[user]]
id = "101"
name = "off"
organization = "10"
state = "inactive"
token = [{ value = "inactive-token" }]

[[user]]
id = "102"
name = "locked"
organization = "elsewhere"
state = "locked"
token = [{ value = "locked-token" }]

[[membership]]
user = "100"
organization = "10"
roles = ["ORG_OWNER_VIEWER", "PROJECT_OWNER"]

[[membership]]
user = "101"
instance = true
roles = ["IAM_OWNER"]
"#;

/// 2030-01-01T00:00:00Z
const EXPIRY: i64 = 1_893_456_000_000_000;

fn authenticate(directory: &Directory, header: Option<&[u8]>, now: Timestamp) -> Result<Caller, Refusal> {
    let identity = Identity::new(directory, &Records::default(), &Identity::default());
    identity.authenticate(header, &String::new, now)
}

fn parse(text: &str) -> Result<Directory, String> {
    Directory::parse(text, "directory.toml").map_err(|error| error.to_string())
}

#[test]
fn a_good_one() {
    let directory = parse(GOOD).unwrap();
    assert_eq!((directory.instance_id(), directory.domains()), ("1", &["a.example".to_owned()][..]));
    let organizations: Vec<_> = directory
        .organizations()
        .iter()
        .map(|organization| (organization.id.as_str(), organization.name.as_str(), organization.state))
        .collect();
    assert_eq!(
        organizations,
        [("10", "Ten", OrganizationState::Active), ("11", "Eleven", OrganizationState::Removed)]
    );
    let references: Vec<_> =
        directory.references().iter().map(|reference| reference.problem.to_string()).collect();
    assert_eq!(
        references,
        ["directory.toml:43:16: organization \"elsewhere\" is in neither directory nor store"]
    );
}

#[test]
fn tokens() {
    let directory = parse(GOOD).unwrap();
    let before = Timestamp::from_micros(EXPIRY - 1);
    let invalid = Err(Refusal::TokenInvalid);
    for (token, now, want) in [
        ("clear-token", before, Ok("100")),
        // SHA-256 of "abc".
        ("abc", before, Ok("100")),
        ("expiring-token", before, Ok("100")),
        ("expiring-token", Timestamp::from_micros(EXPIRY), invalid),
        ("clear-token", Timestamp::from_micros(i64::MAX), Ok("100")),
        ("inactive-token", before, invalid),
        ("locked-token", before, invalid),
        ("unknown", before, invalid),
        ("clear-toke", before, invalid),
        ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", before, invalid),
    ] {
        let caller = authenticate(&directory, Some(format!("Bearer {token}").as_bytes()), now);
        assert_eq!(
            caller.as_ref().map(|caller| caller.user().as_str()).map_err(|refusal| *refusal),
            want,
            "{token}"
        );
    }
    assert_eq!(authenticate(&directory, None, before).unwrap_err(), Refusal::AuthorizationMissing);
    assert_eq!(
        authenticate(&directory, Some(b"Basic x"), before).unwrap_err(),
        Refusal::AuthorizationMalformed
    );
}

#[test]
fn callers() {
    let directory = parse(GOOD).unwrap();
    let caller = authenticate(&directory, Some(b"Bearer clear-token"), Timestamp::now()).unwrap();
    assert_eq!((caller.organization().as_str(), caller.preferred_language()), ("10", Some(Language::De)));
    let organization = |id| OrganizationId::new(id).unwrap();
    assert_eq!(caller.check(&organization("10"), Permission::OrgRead), Ok(()));
    assert_eq!(caller.check(&organization("10"), Permission::OrgWrite), Err(Denied::NoPermission));
    assert_eq!(caller.check(&organization("11"), Permission::OrgRead), Err(Denied::NoMembership));
}

#[test]
fn nothing_shows_a_token() {
    let shown = format!("{:?}", parse(GOOD).unwrap());
    assert!(!shown.contains("-token") && !shown.contains("ba7816"), "{shown}");
    for text in [
        GOOD.replace("id = \"101\"", "id = \"100\""),
        GOOD.replace("inactive-token", "clear-token"),
        GOOD.replace("value = \"clear-token\"", "value = \"clear-token with spaces\""),
        GOOD.replace("value = \"clear-token\"", "value = \"clear-token"),
        GOOD.replace("value = \"clear-token\"", "value = clear-token"),
        GOOD.replace("value = \"clear-token\"", "value = [\"clear-token\"]"),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(!error.contains("clear-token"), "{error}");
    }
}

#[test]
fn what_can_be_wrong() {
    let mut wrong = Vec::new();
    for (from, to, want) in [
        ("id = \"1\"\n", "id = \"\"\n", "3:6: the instance's id is empty"),
        ("[\"a.example\"]", "[\"\"]", "4:12: an instance's domain is empty"),
        (
            "[instance]",
            "[instanz]",
            "2:2: unknown field `instanz`, expected one of `instance`, `organization`, `user`, `membership`",
        ),
        ("id = \"11\"", "id = \"10\"", "12:6: organization \"10\" is already defined"),
        ("id = \"11\"", "id = \"\"", "12:6: an organization id must not be empty or hold U+0000"),
        (
            "state = \"removed\"",
            "state = \"gone\"",
            "14:9: unknown variant `gone`, expected one of `active`, `inactive`, `removed`",
        ),
        ("name = \"Eleven\"\n", "", "11:1: missing field `name`"),
        ("name = \"Eleven\"", "name = 11", "13:8: invalid type: integer `11`, expected a string"),
        (
            "name = \"Eleven\"",
            "name = \"Eleven\"\ncolour = \"red\"",
            "14:1: unknown field `colour`, expected one of `id`, `name`, `state`",
        ),
        ("id = \"102\"", "id = \"101\"", "41:6: user \"101\" is already defined"),
        ("id = \"102\"", "id = \"\"", "41:6: a user's id is empty"),
        (
            "organization = \"elsewhere\"",
            "organization = \"\"",
            "43:16: an organization id must not be empty or hold U+0000",
        ),
        (
            "state = \"locked\"",
            "state = \"removed\"",
            "44:9: unknown variant `removed`, expected one of `active`, `inactive`, `locked`",
        ),
        ("\"de-CH\"", "\"xx\"", "21:22: unknown language \"xx\"; known are ar, bg, "),
        (
            "value = \"clear-token\"",
            "value = \"\"",
            "24:9: a token is one or more visible ASCII characters, without spaces",
        ),
        (
            "value = \"clear-token\"",
            "value = \"a b\"",
            "24:9: a token is one or more visible ASCII characters, without spaces",
        ),
        (
            "value = \"clear-token\"",
            "value = \"ä\"",
            "24:9: a token is one or more visible ASCII characters, without spaces",
        ),
        ("value = \"clear-token\"", "", "23:1: a token has exactly one of `value` and `sha256`"),
        (
            "sha256 = \"",
            "value = \"x\"\nsha256 = \"",
            "26:1: a token has exactly one of `value` and `sha256`",
        ),
        ("sha256 = \"ba", "sha256 = \"", "27:10: a SHA-256 is 64 hexadecimal digits"),
        ("sha256 = \"ba", "sha256 = \"gg", "27:10: a SHA-256 is 64 hexadecimal digits"),
        (
            "expires = 2030-01-01T01:00:00+01:00",
            "expires = 2030-01-01",
            "31:11: a time has date, time of day and offset",
        ),
        ("expires = 2030-01-01T01:00:00+01:00", "expires = \"2030\"", "31:11: invalid type: string"),
        ("value = \"inactive-token\"", "value = \"abc\"", "38:10: this token is already defined"),
        ("user = \"101\"", "user = \"999\"", "53:8: user \"999\" is not defined"),
        (
            "instance = true",
            "instance = false",
            "52:1: a membership has exactly one of `organization` and `instance = true`",
        ),
        ("instance = true", "", "52:1: a membership has exactly one of `organization` and `instance = true`"),
        (
            "instance = true",
            "instance = true\norganization = \"10\"",
            "52:1: a membership has exactly one of `organization` and `instance = true`",
        ),
        ("\"PROJECT_OWNER\"", "\"KING\"", "50:30: unknown role \"KING\"; known are IAM_OWNER, "),
        (
            "\"PROJECT_OWNER\"",
            "\"IAM_OWNER\"",
            "50:30: IAM_OWNER is a role of the instance, not of an organization",
        ),
        ("[\"IAM_OWNER\"]", "[\"ORG_OWNER\"]", "55:10: ORG_OWNER is no role of the instance"),
        ("id = \"1\"\n", "id = \n", "3:6: "),
    ] {
        assert_eq!(GOOD.matches(from).count(), 1, "{from:?} is not unique");
        let error = parse(&GOOD.replace(from, to)).unwrap_err();
        if !error.starts_with(&format!("directory.toml:{want}")) || error.contains('\n') {
            wrong.push(format!("{to:?}: {error}\n    want {want}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_are_told_in_order() {
    let text = GOOD
        .replace("\"PROJECT_OWNER\"", "\"KING\"")
        .replace("\"de-CH\"", "\"xx\"")
        .replace("id = \"11\"", "id = \"10\"");
    let error = parse(&text).unwrap_err();
    let places: Vec<_> =
        error.lines().map(|line| line.splitn(4, ':').take(3).collect::<Vec<_>>().join(":")).collect();
    assert_eq!(places, ["directory.toml:12:6", "directory.toml:21:22", "directory.toml:50:30"]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(at in 0..GOOD.len(), length in 0..40_usize, inserted in any::<String>()) {
        let end = (at + length).min(GOOD.len());
        if GOOD.is_char_boundary(at) && GOOD.is_char_boundary(end) {
            let text = format!("{}{inserted}{}", &GOOD[..at], &GOOD[end..]);
            if let Err(error) = parse(&text) {
                prop_assert!(error.starts_with("directory.toml:"));
            }
        }
    }
}
