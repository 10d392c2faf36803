//! The users and clients of the cases. Each thing is called what the cases call it.

use super::keys;

/// The directory's file.
pub fn text() -> String {
    let mut text = String::from(
        "[instance]\nid = \"1\"\ndomains = [\"localhost\"]\nproject = \"PROJECT_ZITADEL\"\n\
         [[organization]]\nid = \"ORG_OIDC\"\nname = \"org-oidc-name\"\nstate = \"active\"\n\
         [[organization]]\nid = \"ORG4_INACTIVE\"\nname = \"org4-name\"\nstate = \"inactive\"\n\
         [[organization]]\nid = \"ORG3\"\nname = \"ORG3\"\nstate = \"removed\"\n",
    );
    let mut user = |name: &str, organization: &str, state: &str, more: &str| {
        text.push_str(&format!(
            "[[user]]\nid = \"USER_{name}\"\nname = \"NAME_{name}\"\ndisplay_name = \"{name}\"\n\
             organization = \"{organization}\"\nstate = \"{state}\"\n{more}\n"
        ));
    };
    let key = |id: &str, expires: &str| {
        format!(
            "[[user.key]]\nid = \"KEYID_{id}\"\npublic_key = \"\"\"\n{}\"\"\"\n{expires}",
            keys::public(&format!("KEYID_{id}"))
        )
    };
    let pat =
        |name: &str| format!("[[user.token]]\nvalue = \"PAT_{name}\"\nexpires = 2099-01-01T00:00:00Z\n");
    let secret = |name: &str| format!("[[user.secret]]\nvalue = \"SECRET_{name}\"\n");
    let all = |name: &str| [pat(name), secret(name), key(name, "")].concat();
    user("SA_OPAQUE", "ORG_OIDC", "active", &all("SA_OPAQUE"));
    user("SA_JWT", "ORG_OIDC", "active", &format!("access_token_type = \"jwt\"\n{}", all("SA_JWT")));
    user("SA_NOROLE", "ORG_OIDC", "active", &key("SA_NOROLE", ""));
    user("SA_NOSECRET", "ORG_OIDC", "active", &pat("SA_NOSECRET"));
    user("SA_EXPKEY", "ORG_OIDC", "active", &key("SA_EXPKEY", "expires = 2020-01-01T00:00:00Z\n"));
    user("REC", "ORG_OIDC", "active", &pat("REC").replace("expires", "#"));
    user(
        "EXPIRED",
        "ORG_OIDC",
        "active",
        "[[user.token]]\nvalue = \"PAT_EXPIRED\"\nexpires = 2020-01-01T00:00:00Z\n",
    );
    user("DEACTIVATED", "ORG_OIDC", "inactive", &pat("DEACTIVATED"));
    user("LOCKED", "ORG_OIDC", "locked", &pat("LOCKED"));
    user("ORG4_OWNER", "ORG4_INACTIVE", "active", &pat("ORG4_OWNER"));
    user("ORG3_OWNER", "ORG3", "active", &pat("ORG3_OWNER"));
    for name in ["SA_OPAQUE", "SA_JWT"] {
        let member = "organization = \"ORG_OIDC\"\nroles = [\"ORG_OWNER\"]\n";
        text.push_str(&format!("[[membership]]\nuser = \"USER_{name}\"\n{member}"));
    }
    for name in ["A", "B"] {
        text.push_str(&format!(
            "[[client]]\nid = \"API_{name}_CLIENT_ID\"\nproject = \"PROJECT_{name}\"\n\
             [[client.secret]]\nvalue = \"API_{name}_SECRET\"\n"
        ));
    }
    text.push_str(&format!(
        "[[client]]\nid = \"API_J_CLIENT_ID\"\nproject = \"PROJECT_A\"\n[[client.key]]\nid = \"KEYID_API_J\"\n\
         public_key = \"\"\"\n{}\"\"\"\n",
        keys::public("KEYID_API_J")
    ));
    text
}
