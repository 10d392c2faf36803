//! Places to listen at, opened.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    net::SocketAddr,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::Path,
};

use listenfd::ListenFd;
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::ServeError;
use crate::{
    config::Listen,
    front::{Listener, SocketFile},
};

/// How many connections the system keeps that were not accepted yet, as far as it allows.
const BACKLOG: i32 = 4096;

/// Who may connect to a socket in the file system: its owner, and its group.
const MODE: u32 = 0o660;

/// Listens at all places.
///
/// # Errors
/// The first place that cannot be had.
pub(super) fn listen(places: &[Listen]) -> Result<Vec<Listener>, ServeError> {
    let mut listeners = Vec::new();
    for place in places {
        let failed = |error| ServeError::Listen { place: place.clone(), error };
        match place {
            Listen::Address(address) => listeners.push(tcp(*address).map_err(failed)?),
            Listen::Unix(path) => listeners.push(unix(path).map_err(failed)?),
            Listen::Inherited => listeners.extend(inherited().map_err(failed)?),
        }
    }
    Ok(listeners)
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
            Ok(_) => return Err(Errno::EADDRINUSE.into()),
            // Left by a server that was killed.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile::at(path)?;
    // Before anybody can connect.
    fs::set_permissions(path, Permissions::from_mode(MODE))?;
    socket.listen(BACKLOG)?;
    UnixListener::from_std(socket.into()).map(|listener| Listener::Unix(listener, Some(file)))
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
            listeners.push(Listener::Unix(UnixListener::from_std(listener)?, None));
        }
    }
    Ok(listeners)
}
