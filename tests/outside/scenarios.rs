//! The API, told once and called in every encoding: the same outcome in each.

use serde_json::{Value, json};

use crate::{
    dialect::{Call, Dialect, Outcome, dialects},
    server::Server,
};

const MANAGEMENT: &str = "zitadel.management.v1.ManagementService/";
const V2: &str = "zitadel.org.v2.OrganizationService/";
const V2_BETA: &str = "zitadel.org.v2beta.OrganizationService/";

/// A scenario's organization, wherever it stands in a message.
const ORG: &str = "$ORG";

/// What a step must come to.
enum Want {
    /// The response; `"T"` for every time.
    Ok(Value),
    /// Code and message. An id in brackets at its end must come with an `ErrorDetail` of that id and text.
    Error(i64, String),
}

/// Plays scenarios in one dialect.
struct Player<'a> {
    client: crate::client::Client,
    dialect: Dialect,
    organization: String,
    name: &'a str,
}

impl Player<'_> {
    async fn step(&mut self, token: &str, rpc: &str, message: Value, want: Want) {
        let organization = self.organization.clone();
        self.step_for(token, &organization, rpc, message, want).await;
    }

    /// A step with another organization in `x-zitadel-orgid`.
    async fn step_for(&mut self, token: &str, organization: &str, rpc: &str, message: Value, want: Want) {
        if !self.dialect.speaks(rpc) {
            // By its other name, so that the state is the same for what follows.
            self.dialect.encoding = crate::dialect::Encoding::Grpc;
            let content = Box::pin(self.step_for(token, organization, rpc, message, want));
            content.await;
            return;
        }
        let message = with_organization(&message, &self.organization);
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("x-zitadel-orgid", organization)];
        if !token.is_empty() {
            headers.push(("authorization", &authorization));
        }
        let call = Call { rpc, headers: &headers, message };
        let outcome = self.dialect.call(&mut self.client, &call).await;
        let context = format!("{} {:?} {rpc} {}", self.name, self.dialect, call.message);
        self.compare(outcome, want, &context);
    }

    fn compare(&self, outcome: Outcome, want: Want, context: &str) {
        match (outcome, want) {
            (Ok(mut got), Want::Ok(want)) => {
                mask_times(&mut got);
                assert_eq!(got, with_organization(&want, &self.organization), "{context}");
            }
            (Err(got), Want::Error(code, message)) => {
                assert_eq!((got.code, &got.message), (code, &message), "{context}");
                let detail = message.strip_suffix(')').and_then(|message| message.rsplit_once(" ("));
                let detail = detail
                    .filter(|(_, id)| id.contains('-'))
                    .map(|(text, id)| (id.to_owned(), text.to_owned()));
                assert_eq!(got.detail, detail, "{context}");
            }
            (got, _) => panic!("{context}: {got:?}"),
        }
    }
}

/// Plays `scenario` in every dialect, each in an organization of its own.
async fn play(name: &str, scenario: impl AsyncFn(&mut Player<'_>)) {
    let server = Server::start();
    for (index, dialect) in dialects().into_iter().enumerate() {
        let client = dialect.connect(server.address).await;
        let mut player = Player { client, dialect, organization: format!("org-{index}"), name };
        scenario(&mut player).await;
    }
}

fn with_organization(value: &Value, organization: &str) -> Value {
    serde_json::from_str(&value.to_string().replace(ORG, organization)).unwrap()
}

fn mask_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if ["Date", "Timestamp"].iter().any(|suffix| name.ends_with(suffix)) && member.is_string() {
                    *member = json!("T");
                } else {
                    mask_times(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask_times),
        _ => {}
    }
}

fn v1(method: &str) -> String {
    format!("{MANAGEMENT}{method}")
}

fn refused(code: i64, message: impl Into<String>) -> Want {
    Want::Error(code, message.into())
}

fn changed(sequence: u64) -> Want {
    Want::Ok(json!({"details": {"sequence": sequence.to_string(), "changeDate": "T", "resourceOwner": ORG}}))
}

fn item(key: &str, value: &str, sequence: u64) -> Value {
    json!({
        "details": {"sequence": sequence.to_string(), "creationDate": "T", "changeDate": "T", "resourceOwner": ORG},
        "key": key,
        "value": value,
    })
}

fn listed(items: &[Value], total: u64) -> Want {
    let mut details = json!({"viewTimestamp": "T"});
    if total > 0 {
        details["totalResult"] = json!(total.to_string());
    }
    let mut response = json!({"details": details});
    if !items.is_empty() {
        response["result"] = json!(items);
    }
    Want::Ok(response)
}

const RUNES_1_200: &str = "value length must be between 1 and 200 runes, inclusive";
const BYTES_1_500000: &str = "value length must be between 1 and 500000 bytes, inclusive";

#[tokio::test]
async fn v1_writes_and_reads() {
    play("v1", async |player| {
        let as_set = |sequence: u64| {
            Want::Ok(json!({"details": {"sequence": sequence.to_string(), "creationDate": "T", "resourceOwner": ORG}}))
        };
        player.step("", &v1("Healthz"), json!({}), Want::Ok(json!({}))).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({}), listed(&[], 0)).await;
        player.step("owner", &v1("GetOrgMetadata"), json!({"key": "a"}), refused(5, "Metadata not found (QUERY-Rph32)")).await;

        // A single set is an event even if nothing changes.
        player.step("owner", &v1("SetOrgMetadata"), json!({"key": "a", "value": "YQ=="}), as_set(2)).await;
        player.step("owner", &v1("SetOrgMetadata"), json!({"key": "a", "value": "YQ=="}), as_set(3)).await;
        player.step("viewer", &v1("GetOrgMetadata"), json!({"key": "a"}), Want::Ok(json!({"metadata": item("a", "YQ==", 3)}))).await;

        // A bulk set is compared with what was stored before it.
        let bulk = |items: &[(&str, &str)]| {
            let items: Vec<_> = items.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
            json!({"metadata": items})
        };
        player.step("owner", &v1("BulkSetOrgMetadata"), bulk(&[("a", "YQ=="), ("b", "Yg=="), ("c", "/w==")]), changed(5)).await;
        player.step("owner", &v1("BulkSetOrgMetadata"), bulk(&[("a", "YQ==")]), changed(5)).await;
        player.step("owner", &v1("BulkSetOrgMetadata"), bulk(&[("b", "Yw=="), ("b", "Yg==")]), changed(6)).await;
        let all = [item("a", "YQ==", 3), item("b", "Yw==", 6), item("c", "/w==", 5)];
        player.step("owner", &v1("ListOrgMetadata"), json!({}), listed(&all, 3)).await;

        player.step("owner", &v1("ListOrgMetadata"), json!({"query": {"offset": "1", "limit": 1, "asc": true}}), listed(&all[1..2], 3)).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({"query": {"offset": "18446744073709551615"}}), listed(&[], 3)).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({"query": {"limit": 4_294_967_295_u32}}), listed(&all, 3)).await;
        let filter = |key: &str, method: &str| json!({"keyQuery": {"key": key, "method": method}});
        player.step("owner", &v1("ListOrgMetadata"), json!({"queries": [filter("B", "TEXT_QUERY_METHOD_EQUALS_IGNORE_CASE")]}), listed(&all[1..2], 1)).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({"queries": [filter("", "TEXT_QUERY_METHOD_CONTAINS"), filter("c", "TEXT_QUERY_METHOD_EQUALS")]}), listed(&all[2..], 1)).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({"queries": [{"keyQuery": {}}]}), listed(&[], 0)).await;

        player.step("owner", &v1("RemoveOrgMetadata"), json!({"key": "a"}), changed(7)).await;
        player.step("owner", &v1("RemoveOrgMetadata"), json!({"key": "a"}), refused(5, "Metadata not found (META-mcnw3)")).await;
        player.step("owner", &v1("BulkRemoveOrgMetadata"), json!({"keys": ["b", "a"]}), refused(5, "One or more keys do not exist (META-2npds)")).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({}), listed(&all[1..], 2)).await;
        player.step("owner", &v1("BulkRemoveOrgMetadata"), json!({"keys": ["b", "b", "c"]}), changed(10)).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({}), listed(&[], 0)).await;
    })
    .await;
}

#[tokio::test]
async fn v2_and_v2beta_write_and_read() {
    for (service, filters, filter, prefix) in [
        (V2, "filters", "keyFilter", "TEXT_FILTER_METHOD"),
        (V2_BETA, "filter", "keyQuery", "TEXT_QUERY_METHOD"),
    ] {
        play(service, async |player| {
            let rpc = |method: &str| format!("{service}{method}");
            let (set, list, delete) =
                (rpc("SetOrganizationMetadata"), rpc("ListOrganizationMetadata"), rpc("DeleteOrganizationMetadata"));
            let item = |key: &str, value: &str| json!({"creationDate": "T", "changeDate": "T", "key": key, "value": value});
            let page = |items: &[Value], total: u64, limit: u64| {
                let mut pagination = json!({});
                if total > 0 {
                    pagination["totalResult"] = json!(total.to_string());
                }
                if limit > 0 {
                    pagination["appliedLimit"] = json!(limit.to_string());
                }
                let mut response = json!({"pagination": pagination});
                if !items.is_empty() {
                    response["metadata"] = json!(items);
                }
                Want::Ok(response)
            };
            let of = |mut message: Value| {
                message["organizationId"] = json!(ORG);
                message
            };
            player.step_for("owner", "", &list, of(json!({})), page(&[], 0, 0)).await;
            let two = json!({"metadata": [{"key": "a", "value": "YQ=="}, {"key": "ä/b", "value": "Yg=="}]});
            player.step_for("owner", "", &set, of(two.clone()), Want::Ok(json!({"setDate": "T"}))).await;
            player.step_for("owner", "", &set, of(two), Want::Ok(json!({"setDate": "T"}))).await;
            player.step_for("viewer", "", &list, of(json!({})), page(&[item("a", "YQ=="), item("ä/b", "Yg==")], 2, 0)).await;
            player.step_for("owner", "", &list, of(json!({"pagination": {"limit": 1, "offset": "1"}})), page(&[item("ä/b", "Yg==")], 2, 1)).await;
            player.step_for("owner", "", &list, of(json!({"pagination": {"limit": 1000, "offset": "7"}})), page(&[], 2, 1000)).await;
            player.step_for("owner", "", &list, of(json!({"pagination": {"limit": 1001}})), refused(3, "Limit exceeded (QUERY-4M0fs)")).await;
            player.step_for("owner", "", &list, of(json!({filters: [{filter: {"key": "/", "method": format!("{prefix}_CONTAINS")}}]})), page(&[item("ä/b", "Yg==")], 1, 0)).await;

            // An empty value removes in v2, and is refused in v2beta.
            let empty = of(json!({"metadata": [{"key": "a"}, {"key": "absent"}]}));
            if service == V2 {
                player.step_for("owner", "", &set, empty, Want::Ok(json!({"setDate": "T"}))).await;
                player.step_for("owner", "", &list, of(json!({})), page(&[item("ä/b", "Yg==")], 1, 0)).await;
            } else {
                let text = format!("invalid SetOrganizationMetadataRequest.Metadata[0]: embedded message failed validation | caused by: invalid Metadata.Value: {BYTES_1_500000}");
                player.step_for("owner", "", &set, empty, refused(3, text)).await;
                player.step_for("owner", "", &delete, of(json!({"keys": ["a"]})), Want::Ok(json!({"deletionDate": "T"}))).await;
            }
            player.step_for("owner", "", &delete, of(json!({"keys": ["ä/b", "a"]})), refused(5, "One or more keys do not exist (META-2npds)")).await;
            player.step_for("owner", "", &delete, of(json!({"keys": ["ä/b", "ä/b"]})), Want::Ok(json!({"deletionDate": "T"}))).await;
            player.step_for("owner", "", &list, of(json!({})), page(&[], 0, 0)).await;

            // Refusals, in the order in which they are looked for.
            player.step_for("owner", "", &set, of(json!({})), refused(9, "Metadata list is empty (META-9mm2d)")).await;
            player.step_for("nobody", "", &set, of(json!({})), refused(9, "Metadata list is empty (META-9mm2d)")).await;
            player.step_for("owner", "", &delete, of(json!({})), refused(9, "Metadata list is empty (META-9mw2d)")).await;
            player.step_for("nobody", "", &delete, of(json!({})), refused(9, "Metadata list is empty (META-9mw2d)")).await;
            let one = || json!({"metadata": [{"key": "a", "value": "YQ=="}]});
            player.step_for("viewer", "", &set, of(one()), refused(7, "No matching permissions found (AUTH-AWfge)")).await;
            player.step_for("viewer", "", &delete, of(json!({"keys": ["a"]})), refused(7, "No matching permissions found (AUTH-AWfge)")).await;
            player.step_for("nobody", "", &set, of(one()), refused(5, "membership not found (AUTHZ-cdgFk)")).await;
            player.step_for("home-owner", "", &delete, of(json!({"keys": ["a"]})), refused(5, "membership not found (AUTHZ-cdgFk)")).await;
            player.step_for("nobody", "", &list, of(json!({})), page(&[], 0, 0)).await;
            for gone in ["removed", "absent"] {
                let mut message = one();
                message["organizationId"] = json!(gone);
                player.step_for("owner", "", &set, message, refused(9, "Organisation not found (COMMAND-QXPGs)")).await;
                player.step_for("owner", "", &delete, json!({"organizationId": gone, "keys": ["a"]}), refused(9, "Organisation not found (COMMAND-QXPGs)")).await;
                player.step_for("owner", "", &list, json!({"organizationId": gone, "pagination": {"limit": 7}}), page(&[], 0, 7)).await;
            }
            player.step_for("owner", "absent", &list, of(json!({})), refused(7, "Organisation doesn't exist (AUTH-Bs7Ds)")).await;
            player.step_for("owner", "removed", &list, of(json!({})), page(&[], 0, 0)).await;
            player.step_for("", "", &list, of(json!({})), refused(16, "auth header missing")).await;
            player.step_for("owner", "", &set, of(json!({"metadata": [{"key": "\u{0}", "value": "YQ=="}]})), refused(3, "Metadata is invalid (META-2ml0f)")).await;
            player.step_for("owner", "", &delete, of(json!({"keys": ["\u{0}"]})), refused(3, "Metadata is invalid (COMMAND-m19ds)")).await;
            player.step_for("owner", "", &delete, of(json!({"keys": ["absent", "\u{0}"]})), refused(5, "One or more keys do not exist (META-2npds)")).await;
            let long = "x".repeat(201);
            player.step_for("owner", "", &set, json!({"organizationId": long, "metadata": []}), refused(3, format!("invalid SetOrganizationMetadataRequest.OrganizationId: {RUNES_1_200}"))).await;
            player.step_for("owner", "", &delete, of(json!({"keys": ["a", ""]})), refused(3, format!("invalid DeleteOrganizationMetadataRequest.Keys[1]: {RUNES_1_200}"))).await;
        })
        .await;
    }
}

#[tokio::test]
async fn who_may_do_what() {
    play("permissions", async |player| {
        let set = v1("SetOrgMetadata");
        let get = v1("GetOrgMetadata");
        let message = || json!({"key": "k", "value": "YQ=="});
        let key = || json!({"key": "k"});
        let absent = || refused(5, "Metadata not found (QUERY-Rph32)");

        player.step("", &set, message(), refused(16, "auth header missing")).await;
        for token in ["unknown", "owner-expired", "deactivated", "locked", "of-removed", "owner x"] {
            player.step(token, &set, message(), refused(16, "Errors.Token.Invalid (AUTH-7fs1e)")).await;
        }
        player.step("owner", &get, key(), absent()).await;
        player.step("viewer", &get, key(), absent()).await;
        player
            .step("viewer", &set, message(), refused(7, "No matching permissions found (AUTH-5mWD2)"))
            .await;
        for token in ["nobody", "home-owner"] {
            player.step(token, &set, message(), refused(5, "membership not found (AUTHZ-cdgFk)")).await;
            player.step(token, &get, key(), refused(5, "membership not found (AUTHZ-cdgFk)")).await;
        }
        player.step_for("home-owner", "", &get, json!({"key": "never set"}), absent()).await;
        player.step_for("of-inactive", "", &get, json!({"key": "never set"}), absent()).await;
        player.step_for("owner", "inactive", &get, json!({"key": "never set"}), absent()).await;
        for organization in ["absent", "ORG-1", "ö"] {
            player
                .step_for(
                    "nobody",
                    organization,
                    &get,
                    key(),
                    refused(7, "Organisation doesn't exist (AUTH-Bs7Ds)"),
                )
                .await;
        }

        // A removed organization exists, and has nothing.
        player.step_for("owner", "removed", &get, key(), absent()).await;
        player.step_for("owner", "removed", &v1("ListOrgMetadata"), json!({}), listed(&[], 0)).await;
        let gone = || refused(9, "Organisation not found (COMMAND-QXPGs)");
        player.step_for("owner", "removed", &set, message(), gone()).await;
        player
            .step_for("owner", "removed", &v1("BulkSetOrgMetadata"), json!({"metadata": [message()]}), gone())
            .await;
        player.step_for("owner", "removed", &v1("RemoveOrgMetadata"), key(), gone()).await;
        player
            .step_for("owner", "removed", &v1("BulkRemoveOrgMetadata"), json!({"keys": ["k"]}), gone())
            .await;
        player.step_for("owner", "removed", &set, json!({"key": "\u{0}", "value": "YQ=="}), gone()).await;

        // Permission comes before validation, authentication before permission.
        player
            .step(
                "viewer",
                &set,
                json!({"key": ""}),
                refused(7, "No matching permissions found (AUTH-5mWD2)"),
            )
            .await;
        player
            .step("unknown", &set, json!({"key": ""}), refused(16, "Errors.Token.Invalid (AUTH-7fs1e)"))
            .await;
    })
    .await;
}

#[tokio::test]
async fn authorization_headers() {
    let server = Server::start();
    for dialect in dialects() {
        let mut client = dialect.connect(server.address).await;
        for (header, want) in [
            ("", "auth header missing"),
            ("Bearer  owner", "Metadata list is empty (META-9mm2d)"),
            ("anything Bearer owner", "Metadata list is empty (META-9mm2d)"),
            ("bearer owner", "invalid auth header (AUTH-toLo1)"),
            ("Basic owner", "invalid auth header (AUTH-toLo1)"),
            ("owner", "invalid auth header (AUTH-toLo1)"),
            ("Bearer", "invalid auth header (AUTH-toLo1)"),
            ("Bearer ", "invalid auth header (AUTH-toLo1)"),
            ("Bearer\towner", "invalid auth header (AUTH-toLo1)"),
            ("Bearer öwner", "invalid auth header (AUTH-toLo1)"),
            ("Bearer owner Bearer owner", "invalid auth header (AUTH-toLo1)"),
        ] {
            let call = Call {
                rpc: &v1("BulkSetOrgMetadata"),
                headers: &[("authorization", header)],
                message: json!({}),
            };
            let failure = dialect.call(&mut client, &call).await.unwrap_err();
            assert_eq!(failure.message, want, "{dialect:?} {header:?}");
        }
        // Of two, the first counts; spaces around an organization's id do not.
        let headers =
            [("authorization", "Bearer owner"), ("authorization", "Bearer x"), ("x-zitadel-orgid", "  ")];
        for headers in [&headers[..], &[("authorization", "Bearer owner"), ("x-zitadel-orgid", " org-0 ")]] {
            let call = Call { rpc: &v1("BulkSetOrgMetadata"), headers, message: json!({}) };
            let failure = dialect.call(&mut client, &call).await.unwrap_err();
            assert_eq!(failure.message, "Metadata list is empty (META-9mm2d)", "{dialect:?} {headers:?}");
        }
    }
}

#[tokio::test]
async fn validation() {
    play("validation", async |player| {
        let embedded = "embedded message failed validation | caused by: ";
        let long = "x".repeat(201);
        for (method, message, want) in [
            ("SetOrgMetadata", json!({"value": "YQ=="}), format!("SetOrgMetadataRequest.Key: {RUNES_1_200}")),
            ("SetOrgMetadata", json!({"key": long}), format!("SetOrgMetadataRequest.Key: {RUNES_1_200}")),
            ("SetOrgMetadata", json!({"key": "k"}), format!("SetOrgMetadataRequest.Value: {BYTES_1_500000}")),
            ("GetOrgMetadata", json!({"key": long}), format!("GetOrgMetadataRequest.Key: {RUNES_1_200}")),
            ("RemoveOrgMetadata", json!({"key": long}), format!("RemoveOrgMetadataRequest.Key: {RUNES_1_200}")),
            (
                "BulkSetOrgMetadata",
                json!({"metadata": [{"key": "k", "value": "YQ=="}, {"value": "YQ=="}]}),
                format!("BulkSetOrgMetadataRequest.Metadata[1]: {embedded}invalid BulkSetOrgMetadataRequest_Metadata.Key: {RUNES_1_200}"),
            ),
            (
                "BulkSetOrgMetadata",
                json!({"metadata": [{"key": "k"}]}),
                format!("BulkSetOrgMetadataRequest.Metadata[0]: {embedded}invalid BulkSetOrgMetadataRequest_Metadata.Value: {BYTES_1_500000}"),
            ),
            ("BulkRemoveOrgMetadata", json!({"keys": ["k", ""]}), format!("BulkRemoveOrgMetadataRequest.Keys[1]: {RUNES_1_200}")),
            (
                "ListOrgMetadata",
                json!({"queries": [{}]}),
                format!("ListOrgMetadataRequest.Queries[0]: {embedded}invalid MetadataQuery.Query: value is required"),
            ),
            (
                "ListOrgMetadata",
                json!({"queries": [{"keyQuery": {"key": long}}]}),
                format!("ListOrgMetadataRequest.Queries[0]: {embedded}invalid MetadataQuery.KeyQuery: {embedded}invalid MetadataKeyQuery.Key: value length must be at most 200 runes"),
            ),
            (
                "ListOrgMetadata",
                json!({"queries": [{"keyQuery": {"method": 8}}]}),
                format!("ListOrgMetadataRequest.Queries[0]: {embedded}invalid MetadataQuery.KeyQuery: {embedded}invalid MetadataKeyQuery.Method: value must be one of the defined enum values"),
            ),
        ] {
            player.step("owner", &v1(method), message, refused(3, format!("invalid {want}"))).await;
        }
        player.step("owner", &v1("BulkSetOrgMetadata"), json!({}), refused(9, "Metadata list is empty (META-9mm2d)")).await;
        player.step("owner", &v1("BulkRemoveOrgMetadata"), json!({}), refused(9, "Metadata list is empty (META-9mw2d)")).await;

        // U+0000 passes the rules, and no store keeps it.
        let nul = "a\u{0}b";
        let set = json!({"key": nul, "value": "YQ=="});
        player.step("owner", &v1("SetOrgMetadata"), set.clone(), refused(3, "Metadata is invalid (META-2ml0f)")).await;
        player.step("owner", &v1("BulkSetOrgMetadata"), json!({"metadata": [set]}), refused(3, "Metadata is invalid (META-2ml0f)")).await;
        player.step("owner", &v1("RemoveOrgMetadata"), json!({"key": nul}), refused(3, "Metadata is invalid (META-2n0f1)")).await;
        player.step("owner", &v1("BulkRemoveOrgMetadata"), json!({"keys": [nul]}), refused(3, "Metadata is invalid (COMMAND-m19ds)")).await;
        player.step("owner", &v1("GetOrgMetadata"), json!({"key": nul}), refused(5, "Metadata not found (QUERY-Rph32)")).await;
        player.step("owner", &v1("ListOrgMetadata"), json!({"queries": [{"keyQuery": {"key": nul, "method": 4}}]}), listed(&[], 0)).await;
    })
    .await;
}
