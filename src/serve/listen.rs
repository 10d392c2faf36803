//! Places to listen at, opened.

use std::{
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener as StdUnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::ServeError;
use crate::{config::Listen, front::Listener};

/// How many connections the system keeps that were not accepted yet, as far as it allows.
const BACKLOG: i32 = 4096;

/// Sockets that take connections. What was made in the file system is removed when they are dropped.
pub(super) struct Listening {
    pub listeners: Vec<Listener>,
    pub files: Files,
}

/// Sockets in the file system, as long as they are ours.
#[derive(Default)]
pub(super) struct Files(Vec<PathBuf>);

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.0 {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a socket");
            }
        }
    }
}

/// Listens at all places.
///
/// # Errors
/// The first place that cannot be had.
pub(super) fn listen(places: &[Listen]) -> Result<Listening, ServeError> {
    let mut listening = Listening { listeners: Vec::new(), files: Files::default() };
    for place in places {
        let failed = |error| ServeError::Listen { place: place.clone(), error };
        match place {
            Listen::Address(address) => listening.listeners.push(tcp(*address).map_err(failed)?),
            Listen::Unix(path) => {
                listening.listeners.push(unix(path).map_err(failed)?);
                listening.files.0.push(path.clone());
            }
            Listen::Inherited => listening.listeners.extend(inherited().map_err(failed)?),
        }
    }
    Ok(listening)
}

fn tcp(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `0.0.0.0` is a place of its own.
        socket.set_only_v6(true)?;
    }
    // The last server's connections may still be closing.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into()).map(Listener::Tcp)
}

fn unix(path: &Path) -> io::Result<Listener> {
    if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        match UnixStream::connect(path) {
            Ok(_) => return Err(ErrorKind::AddrInUse.into()),
            // Left by a server that was killed.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    let listener = StdUnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener).map(Listener::Unix)
}

/// The sockets that were passed on (sd_listen_fds(3)).
fn inherited() -> io::Result<Vec<Listener>> {
    let mut passed = ListenFd::from_env();
    if passed.len() == 0 {
        let text = "no socket was passed on: LISTEN_FDS and LISTEN_PID must say so";
        return Err(io::Error::new(ErrorKind::NotFound, text));
    }
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
            listener.set_nonblocking(true)?;
            listeners.push(Listener::Tcp(TcpListener::from_std(listener)?));
        } else if let Some(listener) = passed.take_unix_listener(index)? {
            listener.set_nonblocking(true)?;
            listeners.push(Listener::Unix(UnixListener::from_std(listener)?));
        }
    }
    Ok(listeners)
}
