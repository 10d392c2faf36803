//! The command: first run, settings, mistakes, logs, and the end.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use http::Version;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::{
    client::Client,
    dialect::{Call, Dialect, Encoding, GET, REST, SET},
    server::{Server, directory, metagate},
};

/// `metagate serve` in `folder`, on a free port.
fn serve_in(folder: &Path) -> Command {
    let mut command = metagate();
    command.current_dir(folder).args(["serve", "--listen", "127.0.0.1:0", "--log-level", "error"]);
    command
}

/// What follows `name: ` in the greeting.
fn told<'a>(server: &'a Server, name: &str) -> &'a str {
    let line = server.greeting.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name} in {}", server.greeting))
}

#[tokio::test]
async fn the_first_run_makes_a_store_and_a_directory_and_the_second_uses_them() {
    let folder = tempfile::tempdir().unwrap();
    let (token, organization) = {
        let server = Server::run(serve_in(folder.path()));
        let token = told(&server, "token").to_owned();
        assert!(server.greeting.starts_with(&format!("metagate listens on http://{}\n", server.address)));
        assert!(server.greeting.contains("for development"), "{}", server.greeting);
        // The lines to paste are whole.
        let curl = format!("curl -H 'Authorization: Bearer {token}' ");
        assert_eq!(server.greeting.matches(&curl).count(), 2, "{}", server.greeting);
        assert!(server.greeting.contains(&format!("grpcurl -plaintext -H 'authorization: Bearer {token}' ")));
        REST.call_as(server.address, &token, SET, json!({"key": "greeting", "value": "aGVsbG8="}))
            .await
            .unwrap();
        (token, told(&server, "organization").to_owned())
    };
    let data = folder.path().join("metagate-data");
    for (name, mode) in [("directory.toml", 0o600), ("metagate.db", 0o600), ("", 0o700)] {
        let permissions = fs::metadata(data.join(name)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{name}");
    }
    // The first was killed; what it acknowledged is there.
    let server = Server::run(serve_in(folder.path()));
    assert_eq!((told(&server, "token"), told(&server, "organization")), (&*token, &*organization));
    let got = REST.call_as(server.address, &token, GET, json!({"key": "greeting"})).await.unwrap();
    assert_eq!(got["metadata"]["details"]["resourceOwner"], json!(organization));
    assert_eq!(got["metadata"]["value"], "aGVsbG8=");
}

#[tokio::test]
async fn a_store_in_memory_has_its_directory_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = serve_in(folder.path());
    command.args(["--storage", "memory:"]);
    let server = Server::run(command);
    let failure =
        REST.call_as(server.address, told(&server, "token"), GET, json!({"key": "k"})).await.unwrap_err();
    assert_eq!(failure.message, "Metadata not found (QUERY-Rph32)");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Runs a command that must end by itself.
fn fails(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn mistakes_end_in_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    fs::write(path("file"), "not a database, but long enough to be asked whether it is one; ".repeat(100))
        .unwrap();
    fs::write(path("bad.toml"), "[instance]\nid = \"1\"\n[[user]]\nid = \"u\"\n").unwrap();
    fs::write(
        path("role.toml"),
        "[instance]\nid = \"1\"\n[[membership]]\nuser = \"u\"\ninstance = true\nroles = [\"ORG_KING\"]\n",
    )
    .unwrap();
    fs::write(
        path("elsewhere.toml"),
        "[instance]\nid = \"1\"\n[[user]]\nid = \"u\"\nname = \"u\"\norganization = \"o\"\nstate = \"active\"\n",
    )
    .unwrap();
    for (arguments, want) in [
        (vec!["--listen".to_owned(), taken.to_string()], format!("cannot listen on {taken}: Address already in use")),
        (vec!["--storage".to_owned(), "redis:x".to_owned()], "--storage: \"redis:x\" is not allowed; allowed is `sqlite:PATH`, `postgres://…` or `memory:`".to_owned()),
        (vec!["--storage".to_owned(), "postgres://u:secret@h:x/db".to_owned()], "--storage: \"postgres://u@h:x/db\" is not allowed; allowed is a libpq URL".to_owned()),
        (vec!["--storage".to_owned(), "postgres://u:secret@127.0.0.1:1/db?sslmode=disable".to_owned()], "storage postgres: error connecting to server: Connection refused".to_owned()),
        (vec!["--storage".to_owned(), format!("sqlite:{}", path("file/x.db"))], format!("storage {}: ", path("file"))),
        (vec!["--storage".to_owned(), format!("sqlite:{}", path("file"))], format!("storage {}: not a database, or damaged", path("file"))),
        (vec!["--directory".to_owned(), path("absent.toml")], format!("directory {}: No such file", path("absent.toml"))),
        (vec!["--directory".to_owned(), path("bad.toml")], format!("{}:3:1: missing field `name`", path("bad.toml"))),
        (vec!["--directory".to_owned(), path("role.toml")], format!("{}:4:8: user \"u\" is not defined", path("role.toml"))),
        (vec!["--directory".to_owned(), path("elsewhere.toml")], format!("{}:6:16: organization \"o\" is in neither directory nor store", path("elsewhere.toml"))),
        (vec!["--message-bytes-max".to_owned(), "x.Y=5".to_owned()], "message-bytes-max: there is no service \"x.Y\"; there are zitadel.management.v1.ManagementService".to_owned()),
        (vec!["--config".to_owned(), path("absent.toml")], format!("{}: No such file", path("absent.toml"))),
    ] {
        let mut command = serve_in(folder.path());
        if arguments[0] != "--storage" {
            command.args(["--storage", "memory:"]);
        }
        if arguments[0] == "--listen" {
            command = metagate();
            command.args(["serve", "--storage", "memory:"]);
        }
        let (code, stderr) = fails(command.args(&arguments));
        assert_eq!(code, Some(1), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("secret"), "{stderr}");
        assert!(stderr.starts_with(&format!("metagate: {want}")), "{arguments:?}: {stderr}");
    }
    let (code, stderr) = fails(serve_in(folder.path()).arg("--nonsense"));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("--nonsense"), "{stderr}");
}

#[test]
fn a_store_that_another_has_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::run(serve_in(folder.path()));
    let (code, stderr) = fails(&mut serve_in(folder.path()));
    assert_eq!(
        (code, &*stderr),
        (Some(1), "metagate: storage metagate-data/metagate.db: locked by another process\n")
    );
}

#[test]
fn a_removed_organization_is_not_revived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    let text = directory();
    for (state, works) in [("active", true), ("removed", true), ("active", false), ("removed", true)] {
        fs::write(
            &path,
            text.replace(
                "id = \"home\"\nname = \"home\"\nstate = \"active\"",
                &format!("id = \"home\"\nname = \"home\"\nstate = \"{state}\""),
            ),
        )
        .unwrap();
        let mut command = serve_in(folder.path());
        command.arg("--directory").arg(&path);
        if works {
            drop(Server::run(command));
        } else {
            let (_, stderr) = fails(&mut command);
            assert!(
                stderr.contains("directory.toml:")
                    && stderr.ends_with("organization \"home\" was removed, which is final\n"),
                "{stderr}"
            );
        }
    }
}

#[tokio::test]
async fn a_home_that_only_the_store_knows_may_be_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    for (state, want) in
        [("active", "Metadata not found (QUERY-Rph32)"), ("removed", "Errors.Token.Invalid (AUTH-7fs1e)")]
    {
        let organization = format!("[[organization]]\nid = \"o\"\nname = \"\"\nstate = \"{state}\"\n");
        let user = "[[user]]\nid = \"u\"\nname = \"\"\norganization = \"o\"\nstate = \"active\"\ntoken = [{ value = \"t\" }]\n\
                    [[membership]]\nuser = \"u\"\ninstance = true\nroles = [\"IAM_OWNER\"]\n";
        // The store is told, then the file forgets.
        for text in
            [format!("[instance]\nid = \"1\"\n{organization}"), format!("[instance]\nid = \"1\"\n{user}")]
        {
            fs::write(&path, text).unwrap();
            let mut command = serve_in(folder.path());
            command.arg("--directory").arg(&path);
            let server = Server::run(command);
            let failure = REST.call_as(server.address, "t", GET, json!({"key": "k"})).await.unwrap_err();
            if fs::read_to_string(&path).unwrap().contains("[[user]]") {
                assert_eq!(failure.message, want, "{state}");
            }
        }
    }
}

#[tokio::test]
async fn settings_come_from_flag_environment_and_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("metagate.toml"),
        "listen = \"127.0.0.1:0\"\nstorage = \"memory:\"\nlog-level = \"warn\"\n",
    )
    .unwrap();
    let mut command = metagate();
    command.current_dir(folder.path()).args(["serve", "--config", "metagate.toml"]);
    let server = Server::run(command);
    assert_eq!(told(&server, "storage"), "memory:");
    let mut command = metagate();
    command
        .current_dir(folder.path())
        .arg("serve")
        .env("METAGATE_CONFIG", "metagate.toml")
        .env("METAGATE_STORAGE", "sqlite:x.db");
    let server = Server::run(command);
    assert_eq!(told(&server, "storage"), "sqlite:x.db");
    let mut command = serve_in(folder.path());
    command.env("METAGATE_LISTEN", "nonsense").args(["--storage", "memory:"]);
    drop(Server::run(command));
    let (code, stderr) =
        fails(metagate().current_dir(folder.path()).arg("serve").env("METAGATE_LISTEN", "nonsense"));
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("metagate: METAGATE_LISTEN: \"nonsense\" is not allowed"), "{stderr}");
}

#[test]
fn help_tells_what_there_is() {
    let Output { status, stdout, .. } = metagate().args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(stdout).unwrap();
    assert!(status.success());
    for name in ["listen", "storage", "directory", "log-format", "config", "drain-seconds", "trusted-proxies"]
    {
        let variable = format!("METAGATE_{}", name.replace('-', "_").to_uppercase());
        assert!(help.contains(&format!("--{name}")) && help.contains(&variable), "{name}: {help}");
    }
}

#[tokio::test]
async fn a_signal_ends_it_in_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start();
        // A request of which the body is still to come when the signal strikes.
        let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let body = b"{\"value\":\"YQ==\"}";
        let head = format!(
            "POST /management/v1/metadata/k HTTP/1.1\r\nhost: a\r\nauthorization: Bearer owner\r\nexpect: 100-continue\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        write.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        // By now it is being read.
        read.read_exact(&mut answer).await.unwrap();
        server.signal(signal);
        // It is over for newcomers.
        while tokio::net::TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        write.write_all(body).await.unwrap();
        let mut answer = String::new();
        read.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert_eq!(server.wait().code(), Some(0));
    }
}

// Of several threads: while one waits for the process, the client must answer the server's last frames.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_health_does_not_hold_up_the_end() {
    let mut server = Server::start();
    let mut client = Client::connect(server.address, Version::HTTP_2).await;
    let request =
        http::Request::post("/grpc.health.v1.Health/Watch").header("content-type", "application/grpc");
    let watch = client.begin(request.body(crate::dialect::envelope(0, &[])).unwrap()).await.unwrap();
    let mut states = watch.into_body();
    let serving = states.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(serving, crate::dialect::envelope(0, &[8, 1]));
    server.signal("TERM");
    // NOT_SERVING, and the end.
    let rest = states.collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(rest.to_bytes(), crate::dialect::envelope(0, &[8, 2]));
    drop(client);
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test]
async fn who_does_not_finish_in_time_is_cut_off() {
    let mut server = Server::start_with(&["--storage", "memory:", "--drain-seconds", "0"]);
    let _idle = Client::connect(server.address, Version::HTTP_2).await;
    use tokio::io::AsyncWriteExt;
    let mut stuck = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stuck
        .write_all(b"POST /management/v1/metadata/k HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n")
        .await
        .unwrap();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start();
    use tokio::io::AsyncWriteExt;
    let mut stuck = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stuck
        .write_all(b"POST /management/v1/metadata/k HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n")
        .await
        .unwrap();
    server.signal("TERM");
    // The first has been heard once nobody is let in any more.
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
}

#[tokio::test]
async fn one_line_a_request_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    fs::write(&path, directory()).unwrap();
    let mut command = metagate();
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--storage",
            "memory:",
            "--log-format",
            "json",
            "--directory",
        ])
        .arg(&path)
        .stderr(Stdio::piped());
    let mut server = Server::run(command);
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    let secret = "c2VjcmV0IHZhbHVl";
    let headers =
        [("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-7"), ("x-request-id", "the-id")];
    let set = Call { rpc: SET, headers: &headers, message: json!({"key": "k", "value": secret}) };
    REST.call(&mut client, &set).await.unwrap();
    let grpc = Dialect { encoding: Encoding::WebText, version: Version::HTTP_11 };
    let get = Call {
        rpc: GET,
        headers: &[("authorization", "Bearer unknown-token")],
        message: json!({"key": "k"}),
    };
    grpc.call(&mut client, &get).await.unwrap_err();
    drop(client);
    server.signal("TERM");
    assert!(server.wait().success());
    let stderr = server.stderr();
    assert!(
        stderr.contains("directory.toml:") && stderr.contains("organization \\\"removed\\\" is removed"),
        "{stderr}"
    );
    for secret in [secret, "secret value", "Bearer", "unknown-token"] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
    let lines: Vec<Value> = stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = lines.iter().filter(|line| line["target"] == "metagate::access").collect();
    assert_eq!(requests.len(), 2, "{stderr}");
    for (field, one, two) in [
        ("level", json!("INFO"), json!("INFO")),
        ("method", json!("POST"), json!("POST")),
        ("path", json!("/management/v1/metadata/k"), json!(format!("/{GET}"))),
        ("rpc", json!(format!("/{SET}")), json!(format!("/{GET}"))),
        ("encoding", json!("rest"), json!("grpc-web-text")),
        ("status", json!(200), json!(200)),
        ("grpc_code", json!(0), json!(16)),
        ("organization", json!("org-7"), json!("")),
        ("caller", json!("id-of-owner"), json!("")),
    ] {
        assert_eq!((&requests[0][field], &requests[1][field]), (&one, &two), "{field}");
    }
    assert_eq!(requests[0]["request_id"], "the-id");
    assert!(requests[1]["request_id"].as_str().unwrap().len() > 8 && requests[0]["duration_us"].is_u64());
}
