//! Every role, in the organization of the call, in another one, and in the instance, with every RPC in every dialect.
//!
//! What each role permits is written down here once more (contract 5.4): a role that came to permit more by mistake would
//! be of no harm to a test that asked the server's own table.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    client::Client,
    dialect::{Dialect, dialects},
    server::Server,
};

/// With what it permits: to read, to write.
const ROLES: [(&str, bool, bool); 24] = [
    ("IAM_OWNER", true, true),
    ("IAM_OWNER_VIEWER", true, false),
    ("IAM_ORG_MANAGER", true, true),
    ("IAM_USER_MANAGER", true, false),
    ("IAM_ADMIN_IMPERSONATOR", false, false),
    ("IAM_END_USER_IMPERSONATOR", false, false),
    ("IAM_LOGIN_CLIENT", true, false),
    ("ORG_OWNER", true, true),
    ("ORG_OWNER_VIEWER", true, false),
    ("ORG_USER_MANAGER", true, false),
    ("ORG_SETTINGS_MANAGER", true, true),
    ("ORG_USER_PERMISSION_EDITOR", true, false),
    ("ORG_PROJECT_PERMISSION_EDITOR", true, false),
    ("ORG_PROJECT_CREATOR", false, false),
    ("ORG_USER_SELF_MANAGER", false, false),
    ("ORG_ADMIN_IMPERSONATOR", false, false),
    ("ORG_END_USER_IMPERSONATOR", false, false),
    ("PROJECT_OWNER", false, false),
    ("PROJECT_OWNER_VIEWER", false, false),
    ("PROJECT_OWNER_GLOBAL", false, false),
    ("PROJECT_OWNER_VIEWER_GLOBAL", false, false),
    ("PROJECT_GRANT_OWNER", false, false),
    ("PROJECT_GRANT_OWNER_VIEWER", false, false),
    ("SELF_MANAGEMENT_GLOBAL", false, false),
];

/// Each RPC, whether it writes, and what to ask in organization `here` so that it succeeds for whoever may.
fn calls() -> Vec<(String, bool, Value)> {
    let v1 = |name: &str, writes, message| {
        (format!("zitadel.management.v1.ManagementService/{name}"), writes, message)
    };
    let mut calls = vec![
        v1("SetOrgMetadata", true, json!({"key": "k", "value": "dg=="})),
        v1(
            "BulkSetOrgMetadata",
            true,
            json!({"metadata": [{"key": "gone", "value": "dg=="}, {"key": "gone2", "value": "dg=="}]}),
        ),
        v1("ListOrgMetadata", false, json!({})),
        v1("GetOrgMetadata", false, json!({"key": "k"})),
        v1("RemoveOrgMetadata", true, json!({"key": "gone"})),
        v1("BulkRemoveOrgMetadata", true, json!({"keys": ["gone2"]})),
    ];
    for package in ["v2", "v2beta"] {
        let mut call = |name: &str, writes, mut message: Value| {
            message["organizationId"] = json!("here");
            calls.push((format!("zitadel.org.{package}.OrganizationService/{name}"), writes, message));
        };
        call("SetOrganizationMetadata", true, json!({"metadata": [{"key": "v2", "value": "dg=="}]}));
        call("ListOrganizationMetadata", false, json!({}));
        call("DeleteOrganizationMetadata", true, json!({"keys": ["v2"]}));
    }
    calls
}

/// Each role is had by a user that has it in `here`, and by one that has it `there`.
fn serve() -> Server {
    let mut text = String::from("[instance]\nid = \"1\"\n");
    for id in ["home", "here", "there"] {
        text.push_str(&format!("[[organization]]\nid = \"{id}\"\nname = \"{id}\"\nstate = \"active\"\n"));
    }
    for (role, ..) in ROLES {
        for place in ["here", "there"] {
            let membership = match role.strip_prefix("IAM_") {
                Some(_) => "instance = true".to_owned(),
                None => format!("organization = \"{place}\""),
            };
            text.push_str(&format!(
                "[[user]]\nid = \"{role}-{place}\"\nname = \"{role}-{place}\"\norganization = \"home\"\nstate = \"active\"\n\
                 [[user.token]]\nvalue = \"{role}-{place}\"\n\
                 [[membership]]\nuser = \"{role}-{place}\"\n{membership}\nroles = [\"{role}\"]\n"
            ));
        }
    }
    Server::start_of(&text, &["--storage", "memory:"])
}

fn has_entries(answer: &Value) -> bool {
    ["result", "metadata"]
        .iter()
        .any(|name| answer[name].as_array().is_some_and(|entries| !entries.is_empty()))
}

/// What a call by a user with `role` in `place` came to, if it is not what it should be.
async fn wrong(
    dialect: Dialect,
    client: &mut Client,
    (role, reads, writes): (&str, bool, bool),
    place: &str,
    (rpc, is_write, message): &(String, bool, Value),
) -> Option<String> {
    let covers = place == "here" || role.starts_with("IAM_");
    let authorization = format!("Bearer {role}-{place}");
    let headers = [("authorization", authorization.as_str()), ("x-zitadel-orgid", "here")];
    let is_v1 = rpc.starts_with("zitadel.management");
    let may = covers && if *is_write { writes } else { reads };
    let want = match (may, covers) {
        (true, _) => "done",
        // Lists of v2 have what may be seen (contract 5.4).
        _ if !is_v1 && !is_write => "nothing",
        (false, false) => "5 AUTHZ-cdgFk",
        (false, true) if is_v1 => "7 AUTH-5mWD2",
        (false, true) => "7 AUTH-AWfge",
    };
    let is_list = rpc.contains("/List");
    let call = crate::dialect::Call { rpc, headers: &headers, message: message.clone() };
    let got = match dialect.call(client, &call).await {
        Ok(answer) if is_list && !has_entries(&answer) => "nothing".to_owned(),
        Ok(_) => "done".to_owned(),
        Err(failure) => {
            format!("{} {}", failure.code, failure.detail.map(|(id, _)| id).unwrap_or_default())
        }
    };
    (got != want).then(|| format!("{role} {place} {rpc} {dialect:?}: {got}, not {want}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_permits_what_it_permits_and_no_more() {
    // Each dialect has a server of its own, whose entries nobody else removes.
    let mut running = JoinSet::new();
    for dialect in dialects() {
        running.spawn(async move {
            let server = serve();
            let mut client = dialect.connect(server.address).await;
            let calls: Vec<_> = calls().into_iter().filter(|(rpc, ..)| dialect.speaks(rpc)).collect();
            let (mut count, mut all) = (0, Vec::new());
            for role in ROLES {
                for place in ["here", "there"] {
                    for call in &calls {
                        count += 1;
                        all.extend(wrong(dialect, &mut client, role, place, call).await);
                    }
                }
            }
            (count, all)
        });
    }
    let outcomes = running.join_all().await;
    let wrong: Vec<_> = outcomes.iter().flat_map(|(_, wrong)| wrong.clone()).collect();
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    let count: usize = outcomes.iter().map(|(count, _)| count).sum();
    // Sixteen dialects speak each of the twelve RPCs.
    assert!(count > ROLES.len() * 2 * 16 * 12, "{count}");
}
