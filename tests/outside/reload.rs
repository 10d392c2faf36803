//! SIGHUP: the directory is read again, checked whole, and replaced at once.

use std::{
    fs,
    ops::RangeInclusive,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    dialect::{LIST, SET, dialects},
    reloading::{MEMORY, PATIENCE, Reloading, world},
    server::metagate,
};

#[tokio::test]
async fn from_the_reload_on_a_new_token_works_and_a_removed_one_is_refused() {
    let server = Reloading::start(MEMORY, &world(&[("o", "active")], &[("old", "o")]));
    let message = json!({"key": "k", "value": "YQ=="});
    let mut connections = Vec::new();
    for dialect in dialects() {
        let mut client = dialect.connect(server.server.address).await;
        dialect.call_on(&mut client, "old", SET, message.clone()).await.unwrap();
        connections.push((dialect, client));
    }
    server.directory(&world(&[("o", "active")], &[("new", "o")]));
    server.server.signal("HUP");
    let new_works = async { while server.call("new", SET, message.clone()).await.is_err() {} };
    timeout(PATIENCE, new_works).await.unwrap();
    for (dialect, client) in &mut connections {
        for client in [client, &mut dialect.connect(server.server.address).await] {
            let failure = dialect.call_on(client, "old", SET, message.clone()).await.unwrap_err();
            let want = (16, "Errors.Token.Invalid (AUTH-7fs1e)");
            assert_eq!((failure.code, &*failure.message), want, "{dialect:?}");
            dialect.call_on(client, "new", SET, message.clone()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_broken_directory_keeps_the_old_one_and_says_where_it_is_broken() {
    let good = |token: &str| world(&[("o", "active"), ("gone", "removed")], &[(token, "o")]);
    let mut server = Reloading::start(MEMORY, &good("t"));
    for (index, (text, want)) in [
        (
            "[instance]\nid = \"1\"\n[[organization\n".to_owned(),
            "directory.toml:3:15: ",
        ),
        (
            "[instance]\nid = \"1\"\n[[user]]\nid = \"u\"\n".to_owned(),
            "directory.toml:3:1: missing field `name`; directory.toml:3:1: missing field ",
        ),
        (
            world(&[("o", "active"), ("o", "active")], &[]),
            "directory.toml:8:6: ",
        ),
        (
            world(&[("o", "active"), ("gone", "active")], &[("x", "o")]),
            "directory.toml:8:6: organization \"gone\" was removed, which is final",
        ),
        (
            world(&[("o", "active"), ("gone", "inactive")], &[("x", "nowhere")]),
            "directory.toml:8:6: organization \"gone\" was removed, which is final; directory.toml:14:16: \
             organization \"nowhere\" is in neither directory nor store; directory.toml:19:16: organization \"nowhere\" is",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        server.directory(&text);
        let (problems, before) = server.reload_in_vain().await;
        assert!(problems.starts_with(want), "{problems}");
        assert!(!before.iter().any(|line| line.contains("WARN")), "{before:?}");
        let [old, new] = [format!("t{index}"), format!("t{}", index + 1)];
        assert!(server.knows(if index == 0 { "t" } else { &old }).await, "{problems}");
        assert!(!server.knows("x").await, "{problems}");
        server.directory(&good(&new));
        server.reload().await;
        assert!(server.knows(&new).await && !server.knows(&old).await);
    }
    fs::remove_file(server.path("directory.toml")).unwrap();
    let (problems, _) = server.reload_in_vain().await;
    assert!(problems.starts_with("directory directory.toml: No such file"), "{problems}");
    assert!(server.knows("t5").await);
}

/// World `k`: the user's home is organization `k`, which is new; the home of world `k - 1` is removed.
fn moved(k: usize) -> String {
    let (home, left) = (format!("{k}"), format!("{}", k.saturating_sub(1)));
    let organizations = [("stays", "active"), (&*home, "active"), (&*left, "removed")];
    let there_are = if k == 0 { &organizations[..2] } else { &organizations };
    world(there_are, &[("mover", &home), ("bystander", "stays")])
}

async fn no_request_fails_while_its_user_moves(storage: &str) {
    const WORLDS: usize = 60;
    let settings = format!("listen = \"127.0.0.1:0\"\nstorage = \"{storage}\"");
    let mut server = Reloading::start(&settings, &moved(0));
    let address = server.server.address;
    // The worlds that there may be now: from the last that was confirmed to the last that was asked for.
    let (confirmed, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let done = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for dialect in dialects() {
        let (confirmed, asked, done) = (confirmed.clone(), asked.clone(), done.clone());
        clients.push(tokio::spawn(async move {
            let mut client = dialect.connect(address).await;
            let mut homes = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let earliest = confirmed.load(Ordering::SeqCst);
                let is_of = |home: &Value, worlds: RangeInclusive<usize>| {
                    let home = home.as_str().unwrap().parse().unwrap();
                    assert!(worlds.contains(&home), "{dialect:?} {home} {worlds:?}");
                    home
                };
                let set = json!({"key": "k", "value": "YQ=="});
                let answer = dialect.call_on(&mut client, "mover", SET, set.clone()).await;
                let answer = answer.unwrap_or_else(|failure| panic!("{dialect:?} {failure:?}"));
                let worlds = earliest..=asked.load(Ordering::SeqCst);
                homes.push(is_of(&answer["details"]["resourceOwner"], worlds));
                if dialect.speaks(LIST) {
                    let list = dialect.call_on(&mut client, "mover", LIST, json!({})).await;
                    let list = list.unwrap_or_else(|failure| panic!("{dialect:?} {failure:?}"));
                    for entry in list["result"].as_array().unwrap_or(&Vec::new()) {
                        let worlds = earliest..=asked.load(Ordering::SeqCst);
                        is_of(&entry["details"]["resourceOwner"], worlds);
                    }
                }
                let answer = dialect.call_on(&mut client, "bystander", SET, set).await.unwrap();
                assert_eq!(answer["details"]["resourceOwner"], "stays", "{dialect:?}");
            }
            assert!(homes.is_sorted(), "{dialect:?} {homes:?}");
            homes.dedup();
            homes.len()
        }));
    }
    for k in 1..=WORLDS {
        server.directory(&moved(k));
        asked.store(k, Ordering::SeqCst);
        server.reload().await;
        confirmed.store(k, Ordering::SeqCst);
    }
    done.store(true, Ordering::SeqCst);
    let mut most = 0;
    for client in clients {
        most = most.max(client.await.unwrap());
    }
    // Else there was no load to speak of.
    assert!(most > WORLDS / 10, "{most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_its_user_moves_in_memory() {
    no_request_fails_while_its_user_moves("memory:").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_its_user_moves_in_sqlite() {
    no_request_fails_while_its_user_moves("sqlite:metagate.db").await;
}

#[tokio::test]
async fn a_reload_after_a_kill_and_a_start_finds_the_store_as_it_was_left() {
    let sqlite = "listen = \"127.0.0.1:0\"\nstorage = \"sqlite:metagate.db\"";
    let mut server = Reloading::start(sqlite, &world(&[("a", "active")], &[("t", "a")]));
    server.directory(&world(&[("a", "inactive"), ("b", "active"), ("c", "removed")], &[("t", "b")]));
    server.reload().await;
    let Reloading { folder, server: first, .. } = server;
    drop(first);
    let mut command = metagate();
    command.args(["serve", "--config", "metagate.toml"]);
    // Only the store knows them now.
    fs::write(folder.path().join("directory.toml"), world(&[], &[("t", "b"), ("u", "a")])).unwrap();
    let mut server = Reloading::run(folder, command);
    for token in ["t", "u"] {
        assert!(server.knows(token).await, "{token}");
    }
    server.directory(&world(&[("c", "active")], &[]));
    let (problems, _) = server.reload_in_vain().await;
    assert_eq!(problems, "directory.toml:4:6: organization \"c\" was removed, which is final");
}

#[tokio::test]
async fn a_development_directory_is_read_again_where_it_has_a_file() {
    for storage in ["sqlite:data/metagate.db", "memory:"] {
        let mut command = metagate();
        command.args(["serve", "--listen", "127.0.0.1:0", "--storage", storage]);
        let mut server = Reloading::run(tempfile::tempdir().unwrap(), command);
        let token = server.server.greeting.lines().find_map(|line| line.strip_prefix("token: "));
        let token = token.unwrap().to_owned();
        assert!(server.knows(&token).await);
        let path = server.path("data/directory.toml");
        if let Ok(text) = fs::read_to_string(&path) {
            fs::write(&path, text.replace(&token, "another")).unwrap();
        }
        server.reload().await;
        assert_eq!(
            (server.knows(&token).await, server.knows("another").await),
            match storage {
                "memory:" => (true, false),
                _ => (false, true),
            }
        );
    }
}

#[tokio::test]
async fn a_reload_does_not_disturb_the_end() {
    let mut server = Reloading::start(MEMORY, &world(&[("o", "active")], &[("t", "o")]));
    // A request of which the body is still to come.
    let body = "{\"value\":\"YQ==\"}";
    let mut stream = TcpStream::connect(server.server.address).await.unwrap();
    let head = format!(
        "POST /management/v1/metadata/k HTTP/1.1\r\nhost: a\r\nauthorization: Bearer t\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()]).await.unwrap();
    server.server.signal("TERM");
    server.line("stopping").await;
    server.directory(&world(&[("o", "active"), ("p", "active")], &[("t", "p")]));
    server.reload().await;
    server.directory("nonsense");
    server.reload_in_vain().await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"resourceOwner\":\"p\""),
        "{answer}"
    );
    assert_eq!(server.server.wait().code(), Some(0));
}

/// Writes `text` to whoever reads from the pipe at `path`, once somebody does.
#[cfg(target_os = "linux")]
async fn feed(path: &std::path::Path, text: &str) {
    let open = async {
        loop {
            match tokio::net::unix::pipe::OpenOptions::new().open_sender(path) {
                Ok(pipe) => return pipe,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let mut pipe = timeout(PATIENCE, open).await.expect("somebody to read");
    pipe.write_all(text.as_bytes()).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hangup_during_the_start_is_heard_when_the_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    // Whoever reads it waits for somebody to write.
    let path = folder.path().join("directory");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let child = metagate()
        .args(["serve", "--listen", "127.0.0.1:0", "--storage", "memory:", "--directory"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let is_caught = || {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
        u64::from_str_radix(caught, 16).unwrap() & 1 == 1
    };
    let caught = async {
        while !is_caught() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, caught).await.unwrap();
    let kill = Command::new("kill").args(["-HUP", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    feed(&path, &world(&[("o", "active")], &[("old", "o")])).await;
    let mut server = Reloading::of(folder, child);
    feed(&path, &world(&[("o", "active")], &[("new", "o")])).await;
    let (line, _) = server.line("reloaded").await;
    assert!(line.ends_with(": reloaded"), "{line}");
    assert!(server.knows("new").await && !server.knows("old").await);
}
