//! `metagate store`: what an operator does with stores, from outside.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Output, Stdio},
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use domain::{Change, Key, OrganizationId, OrganizationState};
use private_postgres::PrivatePostgres;
use serde_json::{Value, json};
use storage::Store;
use storage_sqlite::SqliteStore;

use crate::{
    dialect::{SET, dialects},
    server::{Server, metagate},
};

/// Runs a command of the store in the file `store` of `folder`. Returns its exit code, stdout and stderr.
fn run_on(folder: &Path, store: &str, arguments: &[&str], stdin: &[u8]) -> (Option<i32>, String, String) {
    let storage = if store.contains(':') { store.to_owned() } else { format!("sqlite:{store}") };
    let mut command = metagate();
    command.current_dir(folder).args(["store", "--storage", &storage]).args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who reads nothing has closed it.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// What a command that must succeed says.
#[track_caller]
fn done(folder: &Path, store: &str, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    let (code, stdout, stderr) = run_on(folder, store, &arguments, b"");
    assert_eq!((code, &*stderr), (Some(0), ""), "{arguments:?}: {stdout}");
    serde_json::from_str(&stdout).unwrap()
}

/// The one line of a command that must fail.
#[track_caller]
fn refused(folder: &Path, store: &str, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run_on(folder, store, arguments, b"");
    assert_eq!((code, &*stdout, stderr.lines().count()), (Some(1), "", 1), "{arguments:?}: {stderr}");
    stderr.trim_end().strip_prefix("metagate: ").unwrap().to_owned()
}

/// What is exported, without what each export has of its own.
fn exported(folder: &Path, store: &str) -> Vec<String> {
    let (code, stdout, stderr) = run_on(folder, store, &["export"], b"");
    assert_eq!(code, Some(0), "{stderr}");
    let own = ["{\"export\":", "{\"checkpoint\":", "{\"end\":"];
    let lines = stdout.lines().filter(|line| !own.iter().any(|own| line.starts_with(own)));
    lines.map(str::to_owned).collect()
}

/// A store of 1,204 records in the file `store` of `folder`: so many that they take two checkpoints.
async fn fill(folder: &Path, store: &str) {
    let store = SqliteStore::open(&folder.join(store)).unwrap();
    let set = |key: String, value: &[u8]| {
        let (key, value) = (Key::new(key).unwrap(), Bytes::copy_from_slice(value));
        Change::Set { key, value }
    };
    for (id, state) in [
        ("large", OrganizationState::Active),
        ("small", OrganizationState::Inactive),
        ("gone", OrganizationState::Removed),
    ] {
        let id = OrganizationId::new(id).unwrap();
        store.create_organization(&id, "Größe \"1\"\n").await.unwrap();
        let changes = match id.as_str() {
            "large" => (0..1_200).map(|n| set(format!("key-{n:05}"), b"value")).collect(),
            "small" => vec![set("größe\u{1f600}\n".to_owned(), &vec![0xff; 500_000])],
            _ => vec![set("lost".to_owned(), b"lost")],
        };
        store.apply(&id, changes).await.unwrap();
        store.set_organization_state(&id, state).await.unwrap();
    }
}

const RECORDS: usize = 1_204;

pub static POSTGRES: LazyLock<Option<PrivatePostgres>> = LazyLock::new(|| {
    PrivatePostgres::start(&["fsync=off"]).map_err(|reason| eprintln!("skipped: {reason}")).ok()
});

#[tokio::test]
async fn the_stores_of_a_copy_may_be_named_by_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), "first.db").await;
    let mut command = metagate();
    command.current_dir(folder.path()).args(["store", "copy", "env:FROM", "env:TO"]);
    command.env("FROM", "sqlite:first.db").env("TO", "sqlite:second.db");
    assert!(command.status().unwrap().success());
    assert_eq!(exported(folder.path(), "second.db"), exported(folder.path(), "first.db"));
}

#[tokio::test]
async fn a_store_is_the_same_behind_every_way_to_move_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder, "first.db").await;
    let first = exported(folder, "first.db");
    assert_eq!(first.len(), RECORDS);

    let moved = json!({"organizations": 3, "entries": 1_201, "skipped": 0});
    assert_eq!(done(folder, "first.db", &["export", "export.ndjson"]), moved);
    assert_eq!(done(folder, "imported.db", &["import", "export.ndjson"]), moved);
    assert_eq!(done(folder, "imported.db", &["copy", "sqlite:imported.db", "sqlite:copied.db"]), moved);
    done(folder, "copied.db", &["backup", "backup.db"]);
    done(folder, "restored.db", &["restore", "backup.db"]);
    let mut stores = ["imported.db", "copied.db", "restored.db"].map(str::to_owned).to_vec();
    if let Some(server) = &*POSTGRES {
        let [one, two] = [(); 2].map(|()| server.url(&server.database(None)));
        assert_eq!(done(folder, "first.db", &["copy", "sqlite:first.db", &one]), moved);
        assert_eq!(done(folder, "first.db", &["copy", &one, &two]), moved);
        assert_eq!(done(folder, "first.db", &["copy", &two, "sqlite:back.db"]), moved);
        done(folder, &one, &["export", "of-postgres.ndjson"]);
        let third = server.url(&server.database(None));
        done(folder, &third, &["import", "of-postgres.ndjson"]);
        stores.extend(["back.db".to_owned(), one, two, third]);
    }
    let stats = done(folder, "first.db", &["stats", "--largest", "1"]);
    let large = json!([{"organization": "small", "key": "größe\u{1f600}\n", "bytes": 500_000}]);
    let organizations = json!({"active": 1, "inactive": 1, "removed": 1});
    let want = json!({"organizations": organizations, "entries": 1_201, "bytes": 506_000, "largest": large});
    assert_eq!(stats, want);
    for store in stores {
        assert_eq!(exported(folder, &store), first, "{store}");
        assert_eq!(done(folder, &store, &["check"]), json!({"problems": []}), "{store}");
        assert_eq!(done(folder, &store, &["stats", "--largest", "1"]), stats, "{store}");
    }
}

#[tokio::test]
async fn what_is_there_is_replaced_only_when_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder, "first.db").await;
    done(folder, "first.db", &["export", "export.ndjson"]);
    done(folder, "first.db", &["backup", "backup.db"]);
    fill(folder, "second.db").await;
    let before = exported(folder, "second.db");
    let there = "organization \"gone\" is in the store already; --replace replaces it, with all its metadata";
    for (arguments, want) in [
        (&["import", "export.ndjson"][..], there),
        (&["copy", "sqlite:first.db", "sqlite:second.db"], there),
        (&["restore", "backup.db"], "storage second.db: it is there already, and not empty"),
        (&["backup", "backup.db"], "storage backup.db: it is there already, and not empty"),
        (&["export", "export.ndjson"], "export.ndjson: it is there already"),
    ] {
        assert_eq!(refused(folder, "second.db", arguments), want, "{arguments:?}");
        assert_eq!(exported(folder, "second.db"), before, "{arguments:?}");
        let json = [arguments, &["--json"]].concat();
        let (code, stdout, _) = run_on(folder, "second.db", &json, b"");
        assert_eq!(
            (code, serde_json::from_str::<Value>(&stdout).unwrap()),
            (Some(1), json!({"error": want}))
        );
    }
    for arguments in [
        &["import", "export.ndjson", "--replace"][..],
        &["copy", "sqlite:first.db", "sqlite:second.db", "--replace"],
        &["restore", "backup.db", "--replace"],
    ] {
        done(folder, "second.db", arguments);
        assert_eq!(exported(folder, "second.db"), exported(folder, "first.db"), "{arguments:?}");
        assert_eq!(done(folder, "second.db", &["check"]), json!({"problems": []}), "{arguments:?}");
        let extra = SqliteStore::open(&folder.join("second.db")).unwrap();
        let id = OrganizationId::new("small").unwrap();
        let change = Change::Set { key: Key::new("k".to_owned()).unwrap(), value: Bytes::from_static(b"v") };
        extra.apply(&id, vec![change]).await.unwrap();
    }
}

#[tokio::test]
async fn half_or_damaged_exports_are_refused_before_anything_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder, "first.db").await;
    done(folder, "first.db", &["export", "export.ndjson"]);
    let sound = fs::read_to_string(folder.join("export.ndjson")).unwrap();
    let lines: Vec<&str> = sound.lines().collect();
    let without = |gone: usize| {
        let kept = lines.iter().enumerate().filter(|(at, _)| *at != gone);
        kept.map(|(_, line)| format!("{line}\n")).collect::<String>()
    };
    let last = lines.len() - 1;
    for (name, text, want) in [
        ("empty", String::new(), "1: it ends here, and is not complete"),
        ("not an export", "{\"a\":1}\n".to_owned(), "1: unknown variant `a`"),
        ("no JSON", "hello\n".to_owned(), "1: expected value"),
        ("no head", without(0), "1: it does not begin as an export does"),
        (
            "newer",
            sound.replacen("\"version\":1", "\"version\":2", 1),
            "1: it has version 2, and this program",
        ),
        ("half a line", sound[..sound.len() / 2].to_owned(), "it ends here, and is not complete"),
        ("no end", without(last), &format!("{}: it ends here, and is not complete", last + 1)),
        ("no newline", sound.trim_end().to_owned(), &format!("{}: it ends here", last + 1)),
        ("more", sound.clone() + "\n", &format!("{}: it goes on behind its end", last + 1)),
        ("one less", without(500), "what is before this line is not what was written"),
        ("no checkpoint", without(1_001), ": a checkpoint is missing"),
        ("another value", sound.replacen("dmFsdWU=", "dmFsdWQ=", 1), "what is before"),
        ("another head", sound.replacen("\"id\":\"", "\"id\":\"x", 1), "what is before"),
        ("no base64", sound.replacen("dmFsdWU=", "dmFsdWU", 1), ": value: "),
        ("too large", sound.replacen("dmFsdWU=", &"QUJD".repeat(166_667), 1), "value: it has 500001 bytes"),
        ("no value", sound.replacen("dmFsdWU=", "", 1), "value: it has 0 bytes"),
        ("a long line", sound.replacen("dmFsdWU=", &"QUJD".repeat(300_000), 1), "the line is too long"),
        ("no time", sound.replacen("\"createdAt\":\"2", "\"createdAt\":\"x", 1), "2: "),
        ("another count", sound.replace("\"entries\":1201", "\"entries\":1200"), "what is before"),
    ] {
        fs::write(folder.join("bad.ndjson"), &text).unwrap();
        let said = refused(folder, "second.db", &["import", "bad.ndjson"]);
        assert!(said.starts_with("bad.ndjson:") && said.contains(want), "{name}: {said}");
        assert!(!folder.join("second.db").exists(), "{name}");
    }
}

#[tokio::test]
async fn an_import_that_was_broken_off_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder, "first.db").await;
    done(folder, "first.db", &["export", "export.ndjson"]);
    let sound = fs::read(folder.join("export.ndjson")).unwrap();
    let mut stores = vec!["second.db".to_owned()];
    stores.extend(POSTGRES.as_ref().map(|server| server.url(&server.database(None))));
    for store in &stores {
        // The pipe breaks behind the first checkpoint.
        let half = &sound[..sound.len() - 700_000];
        let (code, _, stderr) = run_on(folder, store, &["import", "-"], half);
        assert_eq!(code, Some(1));
        assert!(
            stderr.contains("it ends here, and is not complete; 1000 records before that are stored"),
            "{stderr}"
        );
        let (code, stdout, _) = run_on(folder, store, &["check"], b"");
        assert_eq!(code, Some(1));
        assert!(stdout.contains(": 1000 records are there, and it was not finished"), "{stdout}");
        assert_eq!(done(folder, store, &["stats"])["entries"], 998, "{store}");
        let moved = done(folder, store, &["import", "export.ndjson"]);
        assert_eq!(moved, json!({"organizations": 3, "entries": 1_201, "skipped": 1_000}), "{store}");
        assert_eq!(exported(folder, store), exported(folder, "first.db"), "{store}");
        // It is done: once more is another import.
        let again = refused(folder, store, &["import", "export.ndjson"]);
        assert!(again.contains("is in the store already"), "{again}");
    }
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder, "first.db").await;
    done(folder, "first.db", &["export", "export.ndjson"]);
    let sound = fs::read(folder.join("export.ndjson")).unwrap();
    let mut command = metagate();
    command.current_dir(folder).args(["store", "--storage", "sqlite:second.db", "import", "-"]);
    let mut import =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It waits for more behind the first checkpoint, and so has not ended when that is seen to be stored.
    import.stdin.as_mut().unwrap().write_all(&sound[..sound.len() - 700_000]).unwrap();
    let entries = || {
        let (_, stdout, _) = run_on(folder, "second.db", &["stats", "--json"], b"");
        serde_json::from_str::<Value>(&stdout).unwrap()["entries"].as_u64()
    };
    while entries().is_none_or(|entries| entries == 0) {
        assert!(import.try_wait().unwrap().is_none());
    }
    import.kill().unwrap();
    import.wait().unwrap();
    assert_eq!(entries(), Some(998));
    let moved = done(folder, "second.db", &["import", "export.ndjson"]);
    assert_eq!(moved, json!({"organizations": 3, "entries": 1_201, "skipped": 1_000}));
    assert_eq!(exported(folder, "second.db"), exported(folder, "first.db"));
    assert_eq!(done(folder, "second.db", &["check"]), json!({"problems": []}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_operated_while_it_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder, "other.db").await;
    done(folder, "other.db", &["export", "export.ndjson"]);
    let storage = format!("sqlite:{}", folder.join("store.db").display());
    let server = Server::start_with(&["--storage", &storage]);
    let address = server.address;
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writers = (0..4).map(|writer| {
        let stop = stop.clone();
        tokio::spawn(async move {
            let mut written = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let message = json!({"key": format!("{writer}-{written}"), "value": "aGVsbG8="});
                let dialect = dialects()[writer];
                dialect.call_as(address, "home-owner", SET, message).await.unwrap();
                written += 1;
            }
            written
        })
    });
    let writers: Vec<_> = writers.collect();
    let operated = tokio::task::spawn_blocking({
        let folder = folder.to_owned();
        move || {
            for round in 0..3 {
                done(&folder, "store.db", &["import", "export.ndjson", "--replace"]);
                done(&folder, "store.db", &["backup", &format!("backup-{round}.db")]);
                assert_eq!(done(&folder, "store.db", &["check"]), json!({"problems": []}));
                assert!(exported(&folder, "store.db").len() > RECORDS);
            }
            let locked = refused(&folder, "store.db", &["restore", "backup-0.db", "--replace"]);
            assert_eq!(locked, "storage store.db: locked by another process");
        }
    });
    let operated = operated.await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut written = 0;
    for writer in writers {
        written += writer.await.unwrap();
    }
    operated.unwrap();
    // What was imported is served, what was written was not lost, and each backup is one moment.
    let lines = exported(folder, "store.db");
    let of_home =
        lines.iter().filter(|line| line.starts_with("{\"entry\":{\"organization\":\"home\"")).count();
    assert_eq!(of_home, written);
    assert_eq!(lines.iter().filter(|line| line.contains("\"organization\":\"large\"")).count(), 1_200);
    let mut before = 0;
    for round in 0..3 {
        let backup = format!("backup-{round}.db");
        assert_eq!(done(folder, &backup, &["check"]), json!({"problems": []}));
        let entries = done(folder, &backup, &["stats"])["entries"].as_u64().unwrap();
        assert!(entries >= before, "{entries} after {before}");
        before = entries;
    }
}

#[tokio::test]
async fn a_damaged_page_is_found_and_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder, "store.db").await;
    done(folder, "store.db", &["backup", "sound.db"]);
    let mut file = fs::read(folder.join("store.db")).unwrap();
    let pages = file.len() / 4_096;
    assert!(pages > 100);
    for page in [2, pages / 2, pages - 1] {
        file[page * 4_096 + 2_000] ^= 1;
        fs::write(folder.join("store.db"), &file).unwrap();
        let (code, stdout, stderr) = run_on(folder, "store.db", &["check", "--json"], b"");
        assert_eq!(code, Some(1), "{stderr}");
        let said: Value = serde_json::from_str(&stdout).unwrap();
        assert!(said["problems"][0].as_str().unwrap().contains("page"), "{said}");
        assert!(stderr.contains(&format!("page={}\n", page + 1)), "{stderr}");
        assert!(stderr.contains("metagate: problems found: "), "{stderr}");
        for arguments in [&["backup", "copy.db"][..], &["export", "copy.ndjson"]] {
            let (code, _, stderr) = run_on(folder, "store.db", arguments, b"");
            assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
            assert!(!folder.join(arguments[1]).exists(), "{arguments:?}");
        }
        fs::write(folder.join("bad.db"), &file).unwrap();
        let (code, _, stderr) = run_on(folder, "new.db", &["restore", "bad.db"], b"");
        assert_eq!(code, Some(1), "{stderr}");
        assert!(!folder.join("new.db").exists());
        file[page * 4_096 + 2_000] ^= 1;
    }
    fs::write(folder.join("store.db"), &file).unwrap();
    assert_eq!(done(folder, "store.db", &["check"]), json!({"problems": []}));
}

#[test]
fn mistakes_end_in_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("text"), "not a database; ".repeat(500)).unwrap();
    let absent = "storage absent.db: there is none";
    for (store, arguments, want) in [
        ("absent.db", &["check"][..], absent),
        ("absent.db", &["stats"], absent),
        ("absent.db", &["export"], absent),
        ("absent.db", &["backup", "b.db"], absent),
        ("absent.db", &["copy", "sqlite:absent.db", "sqlite:x.db"], absent),
        ("absent.db", &["restore", "b.db"], "storage b.db: there is none"),
        ("absent.db", &["import", "b.ndjson"], "b.ndjson: No such file or directory"),
        ("text", &["check"], "storage text: not a database, or damaged"),
        ("absent.db", &["restore", "text"], "storage text: not a database, or damaged"),
        ("memory:", &["check"], "memory: is a store that ends with the process"),
        ("redis:x", &["check"], "--storage: \"redis:x\" is not allowed"),
        ("postgres://u@127.0.0.1:1/db?sslmode=disable", &["check"], "storage postgres: error connecting"),
        ("postgres://u@127.0.0.1:1/db", &["backup", "b"], "PostgreSQL has its own tools: pg_dump"),
        ("postgres://u@127.0.0.1:1/db", &["restore", "b"], "PostgreSQL has its own tools: pg_restore"),
        ("new.db", &["copy", "redis:", "sqlite:x"], "the store: \"redis:\" is not allowed"),
        ("new.db", &["copy", "env:ABSENT", "sqlite:x"], "there is no variable \"ABSENT\" in the environment"),
        (
            "new.db",
            &["import", "--from-zitadel", "http://x", "--token-file", "absent"],
            "absent: No such file",
        ),
        (
            "new.db",
            &["import", "--from-zitadel", "http://x", "--token-file", "/dev/null"],
            "there is no secret in it",
        ),
        (
            "new.db",
            &["import", "--from-zitadel", "http://u@x", "--token", "t"],
            "\"http://u@x\" is not allowed",
        ),
        ("new.db", &["import", "--from-zitadel", "ftp://x", "--token", "t"], "\"ftp://x\" is not allowed"),
        ("new.db", &["import", "--from-zitadel", "http://127.0.0.1:1", "--token", "t"], "Connection refused"),
    ] {
        let said = refused(folder, store, arguments);
        assert!(said.contains(want), "{store} {arguments:?}: {said}");
    }
    assert!(!folder.join("absent.db").exists() && !folder.join("x.db").exists());
    if let Some(server) = &*POSTGRES {
        let database = server.database(None);
        let said = refused(folder, &server.url(&database), &["check"]);
        assert_eq!(said, "storage postgres: there is none in the database");
        assert_eq!(
            server.sql(&database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'metagate'"),
            "0"
        );
    }
    for (arguments, want) in [
        (&["import"][..], "required arguments were not provided"),
        (&["import", "--from-zitadel", "http://x"], "--token-file"),
        (&["import", "x", "--from-zitadel", "http://x", "--token", "t"], "cannot be used with"),
    ] {
        let (code, _, stderr) = run_on(folder, "new.db", arguments, b"");
        assert_eq!(code, Some(2), "{stderr}");
        assert!(stderr.contains(want), "{arguments:?}: {stderr}");
    }
}
