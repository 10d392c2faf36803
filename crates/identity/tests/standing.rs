//! Who is let in, who may do what, and what is warned of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use domain::{OrganizationId, Permission, Refusal, Role, Timestamp};
use metagate_identity::{Caller, Denied, Directory, Identity, Records};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn identity(directory: &Directory) -> Identity {
    Identity::new(directory, &Records::default(), &Identity::default())
}

fn parse(text: &str) -> Directory {
    Directory::parse(text, "d.toml").unwrap()
}

fn user(id: &str, organization: &str, state: &str) -> String {
    format!(
        "[[user]]\nid = \"{id}\"\nname = \"{id}\"\norganization = \"{organization}\"\nstate = \"{state}\"\n\
         [[user.token]]\nvalue = \"pat-{id}\"\n"
    )
}

fn organization(id: &str, state: &str) -> String {
    format!("[[organization]]\nid = \"{id}\"\nname = \"{id}\"\nstate = \"{state}\"\n")
}

fn with(parts: &[String]) -> Directory {
    parse(&format!("[instance]\nid = \"1\"\n{}", parts.concat()))
}

fn authenticate(directory: &Directory, header: &str) -> Result<Caller, Refusal> {
    identity(directory).authenticate(Some(header.as_bytes()), &String::new, NOW)
}

#[test]
fn whose_tokens_are_good() {
    for (organization_state, user_state, is_good) in [
        ("active", "active", true),
        // Deactivated organizations work as ever, also for their own users.
        ("inactive", "active", true),
        ("removed", "active", false),
        ("active", "inactive", false),
        ("active", "locked", false),
        ("removed", "locked", false),
    ] {
        let directory = with(&[organization("o", organization_state), user("u", "o", user_state)]);
        let want = if is_good { Ok("o".to_owned()) } else { Err(Refusal::TokenInvalid) };
        let got = authenticate(&directory, "Bearer pat-u").map(|caller| caller.organization().to_string());
        assert_eq!(got, want, "{organization_state} organization, {user_state} user");
    }
    // One that only the store knows is the gateway's to judge.
    let elsewhere = with(&[user("u", "elsewhere", "active")]);
    assert!(authenticate(&elsewhere, "Bearer pat-u").is_ok());
    assert_eq!(elsewhere.references().len(), 1);
}

#[test]
fn what_a_header_is_answered_with() {
    let directory = with(&[user("u", "o", "active")]);
    let (missing, malformed) = (Err(Refusal::AuthorizationMissing), Err(Refusal::AuthorizationMalformed));
    for (header, want) in [
        (&b"Bearer pat-u"[..], Ok("u")),
        (b"Bearer  pat-u", Ok("u")),
        (b"xBearer pat-u", Ok("u")),
        (b"", missing),
        (b"   ", missing),
        (b"bearer pat-u", malformed),
        (b"pat-u", malformed),
        (b"Bearer", malformed),
        (b"Bearer ", malformed),
        (b"Bearer\tpat-u", malformed),
        (b"Bearer pat-\xff", malformed),
        (b"Bearer pat-u Bearer pat-u", malformed),
        (b"Bearer pat-u trailing", Err(Refusal::TokenInvalid)),
        (b"Bearer PAT-U", Err(Refusal::TokenInvalid)),
    ] {
        let got = identity(&directory).authenticate(Some(header), &String::new, NOW);
        let got = got.as_ref().map(|caller| caller.user().as_str()).map_err(|refusal| *refusal);
        assert_eq!(got, want, "{:?}", header.escape_ascii().to_string());
    }
    assert_eq!(
        identity(&directory).authenticate(None, &String::new, NOW).map(|_| ()),
        Err(Refusal::AuthorizationMissing)
    );
}

/// Which permissions a role gives, as contract 5.4 lists them; all others give none.
const WRITE: [&str; 4] = ["IAM_OWNER", "IAM_ORG_MANAGER", "ORG_OWNER", "ORG_SETTINGS_MANAGER"];
const READ_ONLY: [&str; 7] = [
    "IAM_OWNER_VIEWER",
    "IAM_USER_MANAGER",
    "IAM_LOGIN_CLIENT",
    "ORG_USER_MANAGER",
    "ORG_OWNER_VIEWER",
    "ORG_USER_PERMISSION_EDITOR",
    "ORG_PROJECT_PERMISSION_EDITOR",
];

#[test]
fn every_role_and_permission_in_own_and_other_organizations() {
    for role in Role::ALL {
        let of_instance = role.name().starts_with("IAM_");
        let place = if of_instance { "instance = true" } else { "organization = \"own\"" };
        let directory = with(&[
            organization("own", "active"),
            organization("other", "active"),
            user("u", "own", "active"),
            format!("[[membership]]\nuser = \"u\"\n{place}\nroles = [\"{}\"]\n", role.name()),
        ]);
        let caller = authenticate(&directory, "Bearer pat-u").unwrap();
        for permission in [Permission::OrgRead, Permission::OrgWrite] {
            let permits = WRITE.contains(&role.name())
                || permission == Permission::OrgRead && READ_ONLY.contains(&role.name());
            let inside = if permits { Ok(()) } else { Err(Denied::NoPermission) };
            let outside = if of_instance { inside } else { Err(Denied::NoMembership) };
            for (id, want) in [("own", inside), ("other", outside), ("nowhere", outside)] {
                let id = OrganizationId::new(id).unwrap();
                assert_eq!(caller.check(&id, permission), want, "{role:?} {permission:?} in {id}");
            }
        }
    }
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let directory = with(&[
        organization("gone", "removed"),
        "[[user]]\nid = \"quiet\"\nname = \"\"\norganization = \"elsewhere\"\nstate = \"active\"\n"
            .to_owned(),
        user("u", "gone", "active"),
        "[[membership]]\nuser = \"u\"\norganization = \"gone\"\nroles = [\"ORG_OWNER\"]\n".to_owned(),
        "[[membership]]\nuser = \"u\"\ninstance = true\nroles = []\n".to_owned(),
    ]);
    let warnings: Vec<_> = directory.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "d.toml:8:6: user \"quiet\" has no token, secret or key",
            "d.toml:15:16: organization \"gone\" is removed: its users are refused",
            "d.toml:21:16: organization \"gone\" is removed",
            "d.toml:23:1: a membership without roles permits nothing",
        ]
    );
    assert!(with(&[organization("o", "inactive"), user("u", "o", "locked")]).warnings().is_empty());
}

#[test]
fn references_are_in_the_order_of_the_file() {
    let membership = |organization: &str| {
        format!("[[membership]]\nuser = \"u\"\norganization = \"{organization}\"\nroles = [\"ORG_OWNER\"]\n")
    };
    let directory =
        with(&[user("u", "a", "active"), membership("b"), membership("c"), organization("c", "active")]);
    let references: Vec<_> =
        directory.references().iter().map(|reference| reference.problem.to_string()).collect();
    let text = |id: &str| format!("organization {id:?} is in neither directory nor store");
    assert_eq!(references, [format!("d.toml:6:16: {}", text("a")), format!("d.toml:12:16: {}", text("b"))]);
}

#[test]
fn nothing_shows_a_token_or_its_hash() {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let directory = with(&[
        user("u", "o", "active"),
        format!("[[user.token]]\nsha256 = \"{hash}\"\n"),
        user("v", "o", "active"),
    ]);
    let caller = authenticate(&directory, "Bearer abc").unwrap();
    let shown = format!("{directory:?} {directory:#?} {caller:?}");
    // The first eight bytes of the hash, as a number, are what tokens are found by.
    let prefix = u64::from_str_radix(&hash[..16], 16).unwrap().to_string();
    for secret in ["pat-", hash, &hash[..8], &prefix] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("users: 2"), "{shown}");
}

#[test]
fn a_directory_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Directory>();
    shared::<Caller>();
}
