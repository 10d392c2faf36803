//! Where it listens: addresses, sockets in the file system, and those that were passed on.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::{
        fd::OwnedFd,
        unix::{
            fs::{FileTypeExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use http::{Request, Version};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::{
    client::{Client, raw},
    dialect::{Call, GET, REST},
    server::{Server, metagate, pass_on},
    tls::file,
};

/// A folder, and the path of a socket in it.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    (folder, path)
}

fn serve(listen: &str) -> Command {
    let mut command = metagate();
    command.args(["serve", "--storage", "memory:", "--log-level", "error", "--listen", listen]);
    command
}

/// The port of TCP that is told first, and a socket.
fn beside(path: &Path) -> Command {
    serve(&format!("127.0.0.1:0,unix:{}", path.display()))
}

/// What the greeting says, without the lines on everything else.
fn places(server: &Server) -> Vec<&str> {
    server.greeting.lines().filter_map(|line| line.strip_prefix("metagate listens on ")).collect()
}

/// The error of a command that does not start.
fn error(command: &mut Command) -> String {
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn connect_unix(path: &Path, version: Version) -> Client {
    let stream = UnixStream::connect(path).await.unwrap();
    Client::over(stream, ([127, 0, 0, 1], 0).into(), version).await.unwrap()
}

/// Whether there is an answer, in both versions of HTTP.
async fn is_alive(connect: impl AsyncFn(Version) -> Client) -> bool {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        let request = Request::get("/debug/healthz").body("").unwrap();
        if connect(version).await.send(request).await.text() != "ok" {
            return false;
        }
    }
    true
}

fn has_ipv6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        eprintln!("skipped: there is no IPv6");
    }
    has
}

#[tokio::test]
async fn all_places_are_listened_at_and_told() {
    let (_folder, path) = folder();
    let more = if has_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
    let server = Server::run(serve(&format!("127.0.0.1:0, {more},unix:{}", path.display())));
    let told = places(&server);
    let [first, second, unix] = told[..] else { panic!("{told:?}") };
    for place in [first, second] {
        let address: SocketAddr = place.strip_prefix("http://").unwrap().parse().unwrap();
        assert!(is_alive(async |version| Client::connect(address, version).await).await, "{place}");
    }
    assert_eq!(unix, format!("unix:{}", path.display()));
    assert!(is_alive(async |version| connect_unix(&path, version).await).await);
    assert!(server.greeting.contains(&format!("{first}/management/v1/metadata/greeting")));
}

#[tokio::test]
async fn without_a_port_the_lines_to_paste_are_for_the_socket() {
    let (_folder, path) = folder();
    let mut child = serve(&format!("unix:{}", path.display())).stdout(Stdio::piped()).spawn().unwrap();
    let mut greeting = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("curl --unix-socket") {
        let bytes = std::io::BufRead::read_line(&mut greeting, &mut line).unwrap();
        assert!(bytes > 0, "{line}");
    }
    assert!(line.contains(&format!("curl --unix-socket {} ", path.display())), "{line}");
    assert!(is_alive(async |version| connect_unix(&path, version).await).await);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn both_families_have_the_same_port_side_by_side() {
    if !has_ipv6() {
        return;
    }
    // One that is free now may be taken before it is listened at.
    let server = (0..100).find_map(|_| {
        let port = TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let mut command = serve(&format!("0.0.0.0:{port},[::]:{port}"));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut first = [0];
        match std::io::Read::read(child.stdout.as_mut().unwrap(), &mut first).unwrap() {
            0 => child.wait().map(|_| None).unwrap(),
            _ => Some((child, port)),
        }
    });
    let (mut child, port) = server.unwrap();
    for address in [SocketAddr::from(([127, 0, 0, 1], port)), (std::net::Ipv6Addr::LOCALHOST, port).into()] {
        assert!(is_alive(async |version| Client::connect(address, version).await).await, "{address}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_socket_is_for_owner_and_group_and_there_as_long_as_it_is_listened_at() {
    let (_folder, path) = folder();
    let mut server = Server::run(beside(&path));
    let there_is = fs::symlink_metadata(&path).unwrap();
    assert!(there_is.file_type().is_socket());
    assert_eq!(there_is.permissions().mode() & 0o777, 0o660);
    let said = error(&mut beside(&path));
    assert!(
        said.contains(&format!("cannot listen on unix:{}: Address already in use", path.display())),
        "{said}"
    );
    assert!(is_alive(async |version| connect_unix(&path, version).await).await);
    // What is left by a crash is in nobody's way.
    server.kill();
    assert!(path.exists());
    let mut server = Server::run(beside(&path));
    assert!(is_alive(async |version| connect_unix(&path, version).await).await);
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_of_the_next_server_is_not_removed() {
    let (_folder, path) = folder();
    let mut server = Server::run(beside(&path));
    fs::remove_file(&path).unwrap();
    let next = Server::run(beside(&path));
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(is_alive(async |version| connect_unix(&path, version).await).await);
    drop(next);
}

#[tokio::test]
async fn what_is_in_the_way_of_a_socket_stays() {
    let (folder, path) = folder();
    fs::write(&path, "mine").unwrap();
    let absent = folder.path().join("absent/socket");
    for (path, want) in [(&path, "Address already in use"), (&absent, "No such file or directory")] {
        let said = error(&mut beside(path));
        assert!(said.contains(&format!("cannot listen on unix:{}: {want}", path.display())), "{said}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn who_comes_through_a_socket_comes_from_this_machine() {
    let (folder, path) = folder();
    let directory = folder.path().join("directory.toml");
    fs::write(&directory, "[instance]\nid = \"1\"\ndomains = [\"a.example\"]\n").unwrap();
    for (trusted, want) in [("127.0.0.1", "auth header missing"), ("10.0.0.0/8", "unable to set instance")] {
        let mut command = beside(&path);
        command.args(["--trusted-proxies", trusted, "--directory"]).arg(&directory);
        let server = Server::run(command);
        let headers = &[("x-forwarded-host", "a.example")];
        let call = Call { rpc: GET, headers, message: json!({"key": "k"}) };
        let mut client = connect_unix(&path, REST.version).await;
        let failure = REST.call(&mut client, &call).await.unwrap_err();
        assert!(failure.message.starts_with(want), "{trusted}: {failure:?}");
        drop(server);
    }
}

#[tokio::test]
async fn tls_is_for_ports_and_not_for_sockets_in_the_file_system() {
    let (_folder, path) = folder();
    let mut command = beside(&path);
    command.args(["--tls-certificate", &file("certificate.pem"), "--tls-key", &file("key.pem")]);
    let server = Server::run(command);
    assert!(is_alive(async |version| Client::connect_tls(server.address, version).await).await);
    assert!(is_alive(async |version| connect_unix(&path, version).await).await);
    let answer = raw(server.address, b"GET /debug/healthz HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(!answer.contains("HTTP"), "{answer:?}");
}

#[tokio::test]
async fn sockets_that_are_passed_on_are_served_and_left() {
    let (_folder, path) = folder();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let unix = UnixListener::bind(&path).unwrap();
    let command =
        pass_on(&serve("systemd:"), tcp.try_clone().unwrap(), Some(unix.try_clone().unwrap().into()));
    let mut server = Server::run(command);
    let told = places(&server);
    let address = tcp.local_addr().unwrap();
    assert_eq!(told, [format!("http://{address}"), format!("unix:{}", path.display())]);
    assert!(is_alive(async |version| Client::connect(address, version).await).await);
    assert!(is_alive(async |version| connect_unix(&path, version).await).await);
    server.signal("TERM");
    assert!(server.wait().success());
    assert!(path.exists());
    // Nobody serves, and nobody is refused.
    tokio::net::TcpStream::connect(address).await.unwrap();
    UnixStream::connect(&path).await.unwrap();
}

#[test]
fn sockets_that_were_not_passed_on_are_missed() {
    let nothing = || OwnedFd::from(fs::File::open("/dev/null").unwrap());
    let datagrams = || OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut of_another = serve("systemd:");
    of_another.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    for (mut command, want) in [
        (serve("systemd:"), "cannot listen on systemd:: no socket was passed on"),
        (of_another, "cannot listen on systemd:: no socket was passed on"),
        (pass_on(&serve("systemd:"), nothing(), None), "cannot listen on systemd:: fd 3 is not a socket"),
        (pass_on(&serve("systemd:"), datagrams(), None), "cannot listen on systemd:: fd 3 is not a"),
    ] {
        let said = error(&mut command);
        assert!(said.contains(want), "{said}");
    }
}
