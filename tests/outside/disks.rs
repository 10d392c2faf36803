//! Disks that are full, fail, change what they hold or are not to be written: what callers and the operator are told.
//!
//! Two of them need more than a file system: a mount (`unshare`, `nsenter`) and system calls that fail (`strace`). Where
//! a machine grants them not, the test says that it is skipped.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use http::{Request, StatusCode, Version};
use serde_json::json;

use crate::{
    client::Client,
    dialect::{Dialect, GET, Outcome, REMOVE, REST, SET, dialects},
    server::{Server, directory, metagate, metagate_at},
};

/// Has `command` serve the store in `folder`, with its log in a pipe.
fn serve(mut command: Command, folder: &Path) -> Server {
    command.args(["serve", "--listen", "127.0.0.1:0", "--log-level", "info", "--directory"]);
    command.arg(folder.join("directory.toml"));
    command.arg("--storage").arg(format!("sqlite:{}", folder.join("metagate.db").display()));
    command.stderr(Stdio::piped());
    Server::run(command)
}

/// A folder with a directory file.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("directory.toml"), directory()).unwrap();
    folder
}

async fn set(server: &Server, dialect: Dialect, key: &str, value: &str) -> Outcome {
    dialect.call_as(server.address, "owner", SET, json!({"key": key, "value": value})).await
}

async fn get(server: &Server, dialect: Dialect, key: &str) -> Outcome {
    dialect.call_as(server.address, "owner", GET, json!({"key": key})).await
}

/// Asserts that `outcome` is an error of this code and message.
fn assert_error(outcome: Outcome, code: i64, message: &str, dialect: Dialect) {
    let failure = outcome.unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), (code, message), "{dialect:?}");
}

/// Whether the server says that it can do its work.
async fn is_ready(server: &Server) -> bool {
    let mut client = Client::connect(server.address, Version::HTTP_11).await;
    let answer = client.send(Request::get("/debug/ready").body("").unwrap()).await;
    assert!([StatusCode::OK, StatusCode::PRECONDITION_FAILED].contains(&answer.status), "{answer:?}");
    answer.status == StatusCode::OK
}

/// The dialects that say both RPCs.
fn speakers() -> impl Iterator<Item = Dialect> {
    dialects().into_iter().filter(|dialect| dialect.speaks(SET) && dialect.speaks(GET))
}

/// A small disk, which is there as long as this is.
struct SmallDisk {
    keeper: Child,
    /// Where it is for those who see it.
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// A disk of some MiB; `None` where this machine does not grant it.
    fn mount(mebibytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("mount -t tmpfs -o size={mebibytes}m none \"$1\" && echo mounted && exec cat");
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--map-root-user", "sh", "-c", &script, "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let disk = Self { keeper, folder };
        (line == "mounted\n").then_some(disk)
    }

    /// A command that sees the disk.
    fn command(&self) -> Command {
        let program = metagate();
        let mut command = Command::new("nsenter");
        command.args(["--user", "--preserve-credentials", "--mount", "--target"]);
        command.arg(self.keeper.id().to_string()).arg(program.get_program());
        command
    }

    /// The disk's folder, for those who do not see it.
    fn outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.keeper.id()));
        root.join(self.folder.path().strip_prefix("/").unwrap())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(4) else {
        eprintln!("skipped: this machine grants no mount (unshare --mount --map-root-user)");
        return;
    };
    let outside = disk.outside();
    fs::write(outside.join("directory.toml"), directory()).unwrap();
    fs::write(outside.join("ballast"), vec![0; 1 << 20]).unwrap();
    let mut server = serve(disk.command(), disk.folder.path());
    let value = "A".repeat(100_000);
    let mut written = 0;
    let refused = loop {
        match set(&server, REST, &format!("key-{written}"), &value).await {
            Ok(_) => written += 1,
            refused => break refused,
        }
    };
    assert!(written > 5, "{written}");
    assert_error(refused, 8, "the store is full", REST);
    for dialect in speakers() {
        assert_error(set(&server, dialect, "more", &value).await, 8, "the store is full", dialect);
        assert_error(get(&server, dialect, "more").await, 5, "Metadata not found (QUERY-Rph32)", dialect);
    }
    // What changes nothing needs no room, and says nothing of it.
    let nothing = REST.call_as(server.address, "owner", REMOVE, json!({"key": "absent"})).await;
    assert_error(nothing, 5, "Metadata not found (META-mcnw3)", REST);
    assert!(is_ready(&server).await, "it reads, and will write");
    fs::remove_file(outside.join("ballast")).unwrap();
    for dialect in speakers() {
        set(&server, dialect, "more", "bW9yZQ==").await.unwrap();
    }
    // Full, and killed: nothing is lost.
    server.kill();
    let log = server.stderr();
    assert_eq!(log.matches("there is no room to write").count(), 1, "{log}");
    assert_eq!(log.matches("there is room to write again").count(), 1, "{log}");
    let server = serve(disk.command(), disk.folder.path());
    for key in (0..written).map(|number| format!("key-{number}")) {
        let entry = get(&server, REST, &key).await.unwrap();
        assert_eq!(entry["metadata"]["value"], value.as_str(), "{key}");
    }
}

#[tokio::test]
async fn after_a_sync_that_failed_it_stops_writing_and_says_so() {
    let folder = folder();
    let mut server = serve(metagate(), folder.path());
    set(&server, REST, "before", "YmVmb3Jl").await.unwrap();
    let saboteur = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e"])
        .args(["inject=fsync,fdatasync:error=EIO", "-p", &server.id().to_string()])
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut saboteur) = saboteur else {
        eprintln!("skipped: there is no strace");
        return;
    };
    let mut line = String::new();
    BufReader::new(saboteur.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
    if !line.contains("attached") {
        eprintln!("skipped: strace may not attach: {line}");
        return;
    }
    assert!(is_ready(&server).await);
    for dialect in speakers() {
        let refused = set(&server, dialect, "during", "ZHVyaW5n").await;
        assert_error(refused, 14, "the store is unavailable", dialect);
        assert_eq!(get(&server, dialect, "before").await.unwrap()["metadata"]["value"], "YmVmb3Jl");
        assert_error(get(&server, dialect, "during").await, 5, "Metadata not found (QUERY-Rph32)", dialect);
    }
    assert!(!is_ready(&server).await);
    server.kill();
    saboteur.wait().unwrap();
    let log = server.stderr();
    assert!(log.contains("cannot write, and will not try again: restart when the cause is mended"), "{log}");
    assert!(log.contains("disk I/O error"), "{log}");

    let server = serve(metagate(), folder.path());
    assert_eq!(get(&server, REST, "before").await.unwrap()["metadata"]["value"], "YmVmb3Jl");
    set(&server, REST, "after", "YWZ0ZXI=").await.unwrap();
    assert!(is_ready(&server).await);
}

#[tokio::test]
async fn a_damaged_page_is_told_and_the_rest_is_served() {
    let folder = folder();
    let path = folder.path().join("metagate.db");
    let mut server = serve(metagate(), folder.path());
    for number in 0..50 {
        let value = "A".repeat(1_200);
        set(&server, REST, &format!("key-{number:02}"), &value).await.unwrap();
    }
    server.signal("TERM");
    assert!(server.wait().success());
    let mut file = fs::read(&path).unwrap();
    let at = file.windows(6).position(|window| window == b"key-25").unwrap();
    file[at] ^= 1;
    fs::write(&path, &file).unwrap();

    let mut server = serve(metagate(), folder.path());
    for dialect in speakers() {
        for outcome in [get(&server, dialect, "key-25").await, set(&server, dialect, "key-25", "bmV3").await]
        {
            assert_error(outcome, 15, "the stored data is damaged", dialect);
        }
        get(&server, dialect, "key-00").await.unwrap();
        set(&server, dialect, "key-49", "bmV3").await.unwrap();
    }
    server.kill();
    let log = server.stderr();
    let page = at / 4_096 + 1;
    assert!(log.contains("a page is damaged: its checksum is not that of its content"), "{log}");
    assert!(log.contains(&format!("page={page}")) && log.contains(path.to_str().unwrap()), "{log}");
}

#[test]
fn a_store_that_may_not_be_written_is_refused_at_the_start() {
    let folder = folder();
    let path = folder.path().join("metagate.db");
    let mut server = serve(metagate(), folder.path());
    server.signal("TERM");
    assert!(server.wait().success());
    fs::remove_file(folder.path().join("metagate.db.lock")).unwrap();
    // Root may write everywhere.
    let program = folder.path().join("metagate");
    // Not by this process: a file that it writes may be open in a child of another test, and cannot be run then.
    assert!(Command::new("cp").arg(metagate().get_program()).arg(&program).status().unwrap().success());
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let fails = || {
        let mut command = metagate_at(&program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--directory"]);
        command.arg(folder.path().join("directory.toml"));
        command.arg("--storage").arg(format!("sqlite:{}", path.display()));
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for entry in fs::read_dir(folder.path()).unwrap() {
        mode(&entry.unwrap().path(), 0o666);
    }
    mode(&program, 0o755);
    mode(&path, 0o444);
    mode(folder.path(), 0o777);
    let stderr = fails();
    assert_eq!(stderr, format!("metagate: storage {}: Permission denied (os error 13)\n", path.display()));
    mode(&path, 0o666);
    mode(folder.path(), 0o555);
    let stderr = fails();
    assert!(stderr.starts_with(&format!("metagate: storage {}", path.display())), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    mode(folder.path(), 0o755);
}
