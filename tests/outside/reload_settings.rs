//! SIGHUP: which settings change, which do not, and what is said of them.

use std::fs;

use http::Version;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::Client,
    dialect::{Call, GET, REST, SET, dialects},
    reloading::{MEMORY, Reloading, world},
    tls::file,
};

#[tokio::test]
async fn limits_are_those_of_the_file_from_the_reload_on() {
    let mut server = Reloading::start(MEMORY, &world(&[("o", "active")], &[("t", "o")]));
    let message = json!({"key": "k", "value": "YWFh".repeat(100)});
    let mut connections = Vec::new();
    for dialect in dialects() {
        let mut client = dialect.connect(server.server.address).await;
        dialect.call_on(&mut client, "t", SET, message.clone()).await.unwrap();
        connections.push((dialect, client));
    }
    let limits = "message-bytes-max = \"zitadel.management.v1.ManagementService=200\"\nreply-bytes-max = 250";
    server.settings(&format!("{MEMORY}\n{limits}"));
    server.reload().await;
    for (dialect, client) in &mut connections {
        let failure = dialect.call_on(client, "t", SET, message.clone()).await.unwrap_err();
        assert!(failure.code == 8 && failure.message.ends_with(" vs. 200)"), "{dialect:?} {failure:?}");
        if dialect.speaks(GET) {
            let failure = dialect.call_on(client, "t", GET, json!({"key": "k"})).await.unwrap_err();
            assert!(failure.code == 8 && failure.message.ends_with(" vs. 250)"), "{dialect:?} {failure:?}");
        }
    }
    server.settings(MEMORY);
    server.reload().await;
    for (dialect, client) in &mut connections {
        dialect.call_on(client, "t", SET, message.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn forwarding_headers_count_from_the_reload_on() {
    let directory =
        world(&[("o", "active")], &[("t", "o")]).replace("\"1\"", "\"1\"\ndomains = [\"a.example\"]");
    let mut server = Reloading::start(MEMORY, &directory);
    let headers = [("authorization", "Bearer t"), ("x-forwarded-host", "a.example")];
    let get = Call { rpc: GET, headers: &headers, message: json!({"key": "k"}) };
    let mut client = REST.connect(server.server.address).await;
    let not_found = REST.call(&mut client, &get).await.unwrap_err();
    assert_eq!(not_found.message, "Metadata not found (QUERY-Rph32)");
    server.settings(&format!("{MEMORY}\ntrusted-proxies = \"10.0.0.0/8\""));
    server.reload().await;
    let failure = REST.call(&mut client, &get).await.unwrap_err();
    assert!(failure.message.contains("unable to set instance using origin"), "{failure:?}");
    // So do the hosts of the directory.
    server.directory(&directory.replace("[\"a.example\"]", "[]"));
    server.reload().await;
    assert_eq!(REST.call(&mut client, &get).await.unwrap_err(), not_found);
}

#[tokio::test]
async fn certificate_and_key_are_those_of_the_files_from_the_reload_on() {
    let mut server = Reloading::start(MEMORY, &world(&[("o", "active")], &[("t", "o")]));
    let with_key = |key: &str| {
        format!("{MEMORY}\ntls-certificate = {:?}\ntls-key = {:?}", file("certificate.pem"), file(key))
    };
    server.settings(&with_key("certificate.pem"));
    let (problems, _) = server.reload_in_vain().await;
    assert!(problems.contains("the private key cannot be read"), "{problems}");
    assert!(server.knows("t").await);
    server.settings(&with_key("key.pem"));
    server.reload().await;
    let mut client = Client::connect_tls(server.server.address, Version::HTTP_11).await;
    let failure = REST.call_on(&mut client, "t", GET, json!({"key": "k"})).await.unwrap_err();
    assert_eq!(failure.message, "Metadata not found (QUERY-Rph32)");
}

#[tokio::test]
async fn the_log_level_is_that_of_the_file_from_the_reload_on() {
    let at = |level: &str| format!("{MEMORY}\nlog-level = \"{level}\"");
    let mut server = Reloading::start(&at("info"), &world(&[("o", "active")], &[("t", "o")]));
    assert!(server.knows("t").await);
    server.line("metagate::access").await;
    // The last that it says at the old level.
    server.settings(&at("error"));
    server.reload().await;
    server.settings(&at("loud"));
    // The level counts from the end of a reload on, which has come when there is another.
    server.reload_in_vain().await;
    assert!(server.knows("t").await);
    let (problems, before) = server.reload_in_vain().await;
    assert!(problems.starts_with("metagate.toml:4:1: log-level: \"loud\" is not allowed"), "{problems}");
    assert!(before.is_empty(), "{before:?}");
    server.settings(&at("info"));
    let before = server.reload().await;
    assert!(before.is_empty(), "{before:?}");
    assert!(server.knows("t").await);
    server.line("metagate::access").await;
}

#[tokio::test]
async fn settings_that_are_wrong_change_nothing() {
    let mut server = Reloading::start(MEMORY, &world(&[("o", "active")], &[("t", "o")]));
    server.directory(&world(&[("o", "active")], &[("x", "o")]));
    for (settings, want) in [
        ("reply-bytes-max = 1\nlisten = \n", "metagate.toml:3:10: "),
        ("reply-bytes-max = 1\nnonsense = 1\n", "metagate.toml:3:1: there is no setting \"nonsense\""),
        (
            "reply-bytes-max = 1\ndrain-seconds = \"x\"\n",
            "metagate.toml:3:1: drain-seconds: \"x\" is not allowed",
        ),
        (
            "reply-bytes-max = 1\nmessage-bytes-max = \"x=1\"\n",
            "message-bytes-max: there is no service \"x\"",
        ),
    ] {
        server.settings(settings);
        let (problems, _) = server.reload_in_vain().await;
        assert!(problems.starts_with(want), "{problems}");
        assert!(server.knows("t").await && !server.knows("x").await);
        server.call("t", SET, json!({"key": "other", "value": "YQ=="})).await.unwrap();
    }
    server.settings(MEMORY);
    server.reload().await;
    assert!(server.knows("x").await);
    // Settings that are right do not count either, if the directory is wrong.
    server.settings(&format!("{MEMORY}\nreply-bytes-max = 1"));
    server.directory("[instance]\n");
    server.reload_in_vain().await;
    server.call("x", SET, json!({"key": "other", "value": "YQ=="})).await.unwrap();
}

#[tokio::test]
async fn what_takes_a_restart_is_warned_of_and_the_rest_counts() {
    let mut server = Reloading::start(MEMORY, &world(&[("o", "active")], &[("t", "o")]));
    server.settings(
        "listen = \"127.0.0.1:1\"\nstorage = \"sqlite:x.db\"\nlog-format = \"json\"\nreply-bytes-max = 1",
    );
    server.reload().await;
    for name in ["listen", "storage", "log-format"] {
        let (line, before) = server.line("has changed, which takes a restart").await;
        assert!(line.contains(" WARN ") && line.contains(name) && before.is_empty(), "{line} {before:?}");
    }
    let failure = server.call("t", SET, json!({"key": "other", "value": "YQ=="})).await.unwrap_err();
    assert!(failure.message.ends_with(" vs. 1)"), "{failure:?}");
    assert!(!server.path("x.db").exists());
    // Another directory file is read; none at all would be a development directory, and is not made up.
    fs::write(server.path("other.toml"), world(&[("o", "active")], &[("other", "o")])).unwrap();
    fs::write(server.path("metagate.toml"), format!("directory = \"other.toml\"\n{MEMORY}")).unwrap();
    server.reload().await;
    assert!(server.knows("other").await && !server.knows("t").await);
    fs::write(server.path("metagate.toml"), MEMORY).unwrap();
    server.reload().await;
    server.line("directory has changed, which takes a restart").await;
    assert!(server.knows("other").await);
}

#[tokio::test]
async fn the_time_of_the_end_is_that_of_the_file() {
    let mut server = Reloading::start(MEMORY, &world(&[], &[]));
    server.settings(&format!("{MEMORY}\ndrain-seconds = 0"));
    server.reload().await;
    let mut stuck = TcpStream::connect(server.server.address).await.unwrap();
    stuck.write_all(b"POST /management/v1/metadata/k HTTP/1.1\r\ncontent-length: 9\r\n").await.unwrap();
    stuck.write_all(b"host: a\r\nexpect: 100-continue\r\n\r\n").await.unwrap();
    stuck.read_exact(&mut [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()]).await.unwrap();
    server.server.signal("TERM");
    // Before the 30 seconds of the default are over.
    server.line("stopped with requests still in flight").await;
    assert_eq!(server.server.wait().code(), Some(0));
}
