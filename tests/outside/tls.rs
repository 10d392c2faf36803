//! TLS: the same calls, inside of it.

use std::{fs, io, net::SocketAddr, os::unix::fs::symlink, path::PathBuf, sync::Arc};

use http::{Request, Version};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
        version::{TLS12, TLS13},
    },
};

use crate::{
    client::{Client, raw},
    dialect::{Call, GET, LIST, dialects},
    reloading::Reloading,
    server::{Server, metagate},
};

/// One of the tests' PEM files.
pub fn file(name: &str) -> String {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name).display().to_string()
}

fn start() -> Server {
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    Server::start_with(&["--storage", "memory:", "--tls-certificate", &certificate, "--tls-key", &key])
}

#[tokio::test]
async fn every_encoding_is_spoken_inside_tls() {
    let server = start();
    assert!(server.greeting.starts_with("metagate listens on https://"), "{}", server.greeting);
    let headers = &[("authorization", "Bearer owner"), ("x-zitadel-orgid", "org-0")];
    for dialect in dialects() {
        let mut client = Client::connect_tls(server.address, dialect.version).await;
        let list = dialect.call(&mut client, &Call { rpc: LIST, headers, message: json!({}) }).await.unwrap();
        assert!(list.get("result").is_none(), "{dialect:?} {list}");
        if dialect.speaks(GET) {
            let get = Call { rpc: GET, headers, message: json!({"key": "absent"}) };
            let failure = dialect.call(&mut client, &get).await.unwrap_err();
            assert_eq!(failure.message, "Metadata not found (QUERY-Rph32)", "{dialect:?}");
        }
    }
}

#[tokio::test]
async fn a_peer_without_tls_gets_no_http_and_harms_nobody() {
    let server = start();
    let answer = raw(server.address, b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!answer.contains("HTTP"), "{answer:?}");
    let mut client = Client::connect_tls(server.address, Version::HTTP_2).await;
    let answer = client.send(http::Request::get("/healthz").body("").unwrap()).await;
    assert_eq!(answer.status, 200);
}

#[test]
fn certificate_and_key_come_together_and_fit() {
    let (certificate, key) = (file("certificate.pem"), file("key.pem"));
    for (arguments, want) in [
        (&["--tls-certificate", &certificate][..], "tls-certificate and tls-key go together"),
        (&["--tls-key", &key], "tls-certificate and tls-key go together"),
        (&["--tls-client-ca", &certificate], "tls-certificate and tls-key go together"),
        (&["--tls-certificate", "/nowhere.pem", "--tls-key", &key], "/nowhere.pem: No such file"),
        (&["--tls-certificate", &key, "--tls-key", &key], "there is no certificate in it"),
        (&["--tls-certificate", &certificate, "--tls-key", &certificate], "the private key cannot be read"),
        (
            &["--tls-certificate", &certificate, "--tls-key", &key, "--tls-client-ca", &key],
            "key.pem: the certificates of clients cannot be checked: there is no certificate in it",
        ),
    ] {
        let output = metagate().args(["serve", "--storage", "memory:"]).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(want), "{arguments:?}: {said}");
    }
}

fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file(name)).unwrap().map(Result::unwrap).collect()
}

/// A connection of a client that trusts the tests' servers, and shows a certificate if it has one.
pub async fn connect(
    address: SocketAddr,
    own: Option<(&str, &str)>,
    is_old: bool,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for root in [certificates("certificate.pem"), certificates("ca.pem")].concat() {
        roots.add(root).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[if is_old { &TLS12 } else { &TLS13 }])
        .unwrap()
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(file(key)).unwrap();
            config.with_client_auth_cert(certificates(certificate), key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::from(address.ip()), stream).await
}

#[tokio::test]
async fn where_clients_need_certificates_only_theirs_are_heard() {
    let [certificate, key, client_ca] = ["certificate.pem", "key.pem", "ca.pem"].map(file);
    let arguments = ["--tls-certificate", &certificate, "--tls-key", &key, "--tls-client-ca", &client_ca];
    let server = Server::start_with(&[&["--storage", "memory:"][..], &arguments].concat());
    for is_old in [true, false] {
        for (own, is_heard) in [
            (None, false),
            (Some(("certificate.pem", "key.pem")), false),
            // From the right root; what for is left open.
            (Some(("renewed.pem", "renewed-key.pem")), true),
            (Some(("client.pem", "client-key.pem")), true),
        ] {
            let heard = async {
                let stream = connect(server.address, own, is_old).await?;
                let mut client = Client::over(stream, server.address, Version::HTTP_11).await?;
                let answer = client.try_send(Request::get("/debug/healthz").body("").unwrap()).await;
                answer.map(|answer| answer.status).map_err(io::Error::other)
            };
            let heard = heard.await;
            assert_eq!(heard.is_ok(), is_heard, "{own:?} TLS 1.2: {is_old} {heard:?}");
        }
    }
}

/// Whom the server says to be.
async fn shown(address: SocketAddr) -> CertificateDer<'static> {
    let stream = connect(address, None, false).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test]
async fn files_that_change_are_taken_when_they_go_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // As Kubernetes mounts a secret: links through one link, which is replaced.
    let (old, new) = (("certificate.pem", "key.pem"), ("renewed.pem", "renewed-key.pem"));
    for (version, (certificate, key)) in [("1", old), ("2", new)] {
        fs::create_dir(path(version)).unwrap();
        fs::copy(file(certificate), path(version).join("certificate.pem")).unwrap();
        fs::copy(file(key), path(version).join("key.pem")).unwrap();
    }
    symlink("1", path("data")).unwrap();
    for name in ["certificate.pem", "key.pem"] {
        symlink(format!("data/{name}"), path(name)).unwrap();
    }
    let mut command = metagate();
    command.args(["serve", "--listen", "127.0.0.1:0", "--storage", "memory:"]);
    command.args(["--tls-certificate", "certificate.pem", "--tls-key", "key.pem"]);
    let [link, next, certificate, key] = ["data", "next", "1/certificate.pem", "1/key.pem"].map(path);
    let mut server = Reloading::run(folder, command);
    let address = server.server.address;
    let [old_shown, new_shown] = [old.0, new.0].map(|name| certificates(name).remove(0));
    assert_eq!(shown(address).await, old_shown);
    let mut kept = Client::connect_tls(address, Version::HTTP_2).await;

    symlink("2", &next).unwrap();
    fs::rename(&next, &link).unwrap();
    server.line("the certificates of TLS have changed").await;
    assert_eq!(shown(address).await, new_shown);

    // Back, and then in place, one after the other: meanwhile they do not go together.
    symlink("1", &next).unwrap();
    fs::rename(&next, &link).unwrap();
    server.line("the certificates of TLS have changed").await;
    assert_eq!(shown(address).await, old_shown);
    for (first, first_file, second, second_file) in
        [(&certificate, new.0, &key, new.1), (&key, old.1, &certificate, old.0)]
    {
        let before = shown(address).await;
        fs::copy(file(first_file), first).unwrap();
        let (line, _) = server.line("changed certificates of TLS").await;
        assert!(line.contains(" WARN ") && line.contains("certificate and key cannot be used"), "{line}");
        assert_eq!(shown(address).await, before);
        fs::copy(file(second_file), second).unwrap();
        let (_, between) = server.line("the certificates of TLS have changed").await;
        assert!(between.is_empty(), "warned once: {between:?}");
        assert_ne!(shown(address).await, before);
    }
    for (spoil, want) in
        [("", "the private key cannot be read"), ("-----BEGIN", "the private key cannot be read")]
    {
        fs::write(&key, spoil).unwrap();
        let (line, _) = server.line("changed certificates of TLS").await;
        assert!(line.contains(want), "{line}");
    }
    fs::remove_file(&key).unwrap();
    let (line, _) = server.line("changed certificates of TLS").await;
    assert!(line.contains("key.pem: No such file"), "{line}");
    assert_eq!(shown(address).await, old_shown);
    // A reload by hand says it too, and keeps what there was.
    server.reload_in_vain().await;
    fs::copy(file(old.1), &key).unwrap();
    server.line("the certificates of TLS have changed").await;
    assert_eq!(shown(address).await, old_shown);

    let answer = kept.send(Request::get("/debug/healthz").body("").unwrap()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn clients_are_checked_against_the_changed_file() {
    let folder = tempfile::tempdir().unwrap();
    let client_ca = folder.path().join("ca.pem");
    fs::copy(file("certificate.pem"), &client_ca).unwrap();
    let mut command = metagate();
    command.args(["serve", "--listen", "127.0.0.1:0", "--storage", "memory:", "--tls-client-ca", "ca.pem"]);
    command.args(["--tls-certificate", &file("certificate.pem"), "--tls-key", &file("key.pem")]);
    let mut server = Reloading::run(folder, command);
    let address = server.server.address;
    let is_heard = async || connect(address, Some(("client.pem", "client-key.pem")), true).await.is_ok();
    assert!(!is_heard().await);
    fs::copy(file("ca.pem"), &client_ca).unwrap();
    server.line("the certificates of TLS have changed").await;
    assert!(is_heard().await);
}
