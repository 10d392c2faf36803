//! `metagate store import --from-zitadel`, from a server that answers as ZITADEL does.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use serde_json::{Value, json};

use crate::server::metagate;

/// How many organizations there are, and entries in the last of them: more than are asked for at once.
const ORGANIZATIONS: u64 = 130;
const ENTRIES: u64 = 250;

/// An organization's sequence, whose last events are not of metadata.
const SEQUENCE: u64 = ENTRIES + 10;

/// The most that it gives at once, whatever is asked for.
const PAGE: usize = 60;

/// A sequence with which the last organization gets an entry while it is read.
const CHANGES: u64 = SEQUENCE + 1;

fn event(sequence: u64) -> Value {
    json!({
        "sequence": sequence.to_string(),
        "creationDate": "2026-01-02T03:04:05.000001Z",
        "changeDate": "2026-02-03T04:05:06.123456Z",
        "resourceOwner": "owner",
    })
}

/// A part of a list, as protobuf's JSON has it: what is empty is not there.
fn page(all: Vec<Value>, asked: &Value) -> Json<Value> {
    let offset = asked["query"]["offset"].as_str().unwrap().parse().unwrap();
    let limit = usize::try_from(asked["query"]["limit"].as_u64().unwrap()).unwrap().min(PAGE);
    let total = all.len();
    let result: Vec<Value> = all.into_iter().skip(offset).take(limit).collect();
    let mut page = json!({"details": {"totalResult": total.to_string()}});
    if !result.is_empty() {
        page["result"] = result.into();
    }
    Json(page)
}

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

/// What is told who may not.
fn admit(headers: &HeaderMap) -> Result<u64, (StatusCode, Json<Value>)> {
    if headers["authorization"] != "Bearer secret" {
        let refusal = json!({"code": 16, "message": "Errors.Token.Invalid (AUTH-7fs1e)", "details": []});
        return Err((StatusCode::UNAUTHORIZED, Json(refusal)));
    }
    Ok(headers.get("x-zitadel-orgid").map_or(0, |id| id.to_str().unwrap().parse().unwrap()))
}

async fn organizations(headers: HeaderMap, Json(asked): Json<Value>) -> Answer {
    admit(&headers)?;
    let organization = |number: u64| {
        let state = if number == 1_001 { "ORGANIZATION_STATE_INACTIVE" } else { "ORGANIZATION_STATE_ACTIVE" };
        json!({"id": number.to_string(), "details": event(4), "state": state, "name": format!("Name {number}")})
    };
    Ok(page((1_000..1_000 + ORGANIZATIONS).map(organization).collect(), &asked))
}

async fn mine(State(sequence): State<u64>, headers: HeaderMap) -> Answer {
    let number = admit(&headers)?;
    let details = event(sequence);
    Ok(Json(json!({"org": {"id": number.to_string(), "details": details, "state": "ORG_STATE_ACTIVE"}})))
}

async fn metadata(State(sequence): State<u64>, headers: HeaderMap, Json(asked): Json<Value>) -> Answer {
    let number = admit(&headers)?;
    let is_last = number == 999 + ORGANIZATIONS;
    let mut entries = if is_last { ENTRIES } else { number % 2 };
    if is_last && sequence == CHANGES && asked["query"]["offset"] != "0" {
        // The first of the list, so that all others move down.
        entries += 1;
    }
    let entry = |n: u64| json!({"details": event(n + 5), "key": format!("key/{n:03}"), "value": "aGVsbG8="});
    // In no order.
    Ok(page((0..entries).rev().map(entry).collect(), &asked))
}

/// Imports from a server whose organizations have `sequence`. Returns exit code, stdout and stderr.
async fn import(folder: &Path, sequence: u64, token: &str) -> (Option<i32>, String, String) {
    let token = token.to_owned();
    let tell = move |command: &mut Command| {
        command.env("METAGATE_ZITADEL_TOKEN", token).stdin(Stdio::null());
    };
    import_with(folder, sequence, tell).await
}

/// The same, by a command that is told the token in some way.
async fn import_with(
    folder: &Path,
    sequence: u64,
    tell: impl FnOnce(&mut Command),
) -> (Option<i32>, String, String) {
    let zitadel = Router::new()
        .route("/v2/organizations/_search", post(organizations))
        .route("/management/v1/orgs/me", get(mine))
        .route("/management/v1/metadata/_search", post(metadata))
        .with_state(sequence);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move { axum::serve(listener, zitadel).await });
    let mut command = metagate();
    command.current_dir(folder).args(["store", "--storage", "sqlite:store.db", "--json"]);
    command.args(["import", "--from-zitadel", &url]);
    tell(&mut command);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    serving.abort();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), stdout, stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_organizations_come_with_their_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = import(folder.path(), SEQUENCE, "secret").await;
    assert_eq!((code, &*stderr), (Some(0), ""));
    let entries = ORGANIZATIONS / 2 - 1 + ENTRIES;
    let want = json!({"organizations": ORGANIZATIONS, "entries": entries, "skipped": 0});
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap(), want);

    let store = |command: &str| {
        let mut metagate = metagate();
        let output =
            metagate.current_dir(folder.path()).args(["store", "--storage", "sqlite:store.db", command]);
        String::from_utf8(output.output().unwrap().stdout).unwrap()
    };
    assert_eq!(store("check"), "ok\n");
    let mut found = BTreeMap::new();
    for line in store("export").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for kind in ["organization", "entry"] {
            if let Some(record) = line.get(kind) {
                let of = record.get("organization").unwrap_or(&record["id"]).as_str().unwrap().to_owned();
                found.entry(of).or_insert_with(Vec::new).push(record.clone());
            }
        }
    }
    assert_eq!(found.len() as u64, ORGANIZATIONS);
    let created = "2026-01-02T03:04:05.000001Z";
    let changed = "2026-02-03T04:05:06.123456Z";
    let organization = json!({
        "id": "1001", "name": "Name 1001", "state": "inactive", "createdAt": created, "sequence": SEQUENCE,
        "lastEventAt": changed, "lastMetadataEvent": {"sequence": SEQUENCE, "at": changed},
    });
    let entry = json!({
        "organization": "1001", "key": "key/000", "value": "aGVsbG8=", "sequence": 5, "createdAt": created,
        "changedAt": changed,
    });
    assert_eq!(found["1001"], [organization, entry]);
    assert_eq!(found["1129"].len() as u64, ENTRIES + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_told() {
    for (sequence, token, want) in [
        (SEQUENCE, "wrong", "401 Unauthorized: Errors.Token.Invalid (AUTH-7fs1e)"),
        (4, "secret", "organization \"1001\" was changed while it was read; start again, with --replace"),
        (
            CHANGES,
            "secret",
            "organization \"1129\" was changed while it was read; start again, with --replace",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (code, stdout, stderr) = import(folder.path(), sequence, token).await;
        assert_eq!(code, Some(1), "{stdout}");
        assert!(stderr.contains(want) && stderr.lines().count() == 1, "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_is_told_in_a_file_on_stdin_or_by_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, " secret\n").unwrap();
    let stdin = File::open(&path).unwrap();
    let (code, _, stderr) = import_with(folder.path(), SEQUENCE, |command| {
        // A file that is named counts before the environment.
        command.args(["--token-file", "token"]).env("METAGATE_ZITADEL_TOKEN", "wrong");
    })
    .await;
    assert_eq!((code, &*stderr), (Some(0), ""));
    let (code, _, stderr) = import_with(folder.path(), SEQUENCE, |command| {
        command.args(["--replace", "--token-file", "-"]).stdin(stdin);
    })
    .await;
    assert_eq!((code, &*stderr), (Some(0), ""));
}
