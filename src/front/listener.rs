//! Where connections come from: TCP ports, and sockets in the file system.

use std::{
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::{fs::MetadataExt, net::SocketAddr as UnixAddr},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};
use tokio_rustls::server::TlsStream;

/// A socket that takes connections.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A socket in the file system, and what is to be removed in the end.
    Unix(UnixListener, Option<SocketFile>),
}

/// A socket that was made in the file system. Dropped, it is removed, if it is still the same.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

/// A connection that was taken.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
}

/// Where a [`Listener`] listens; what a client is told.
#[derive(Clone, Debug)]
pub enum Place {
    /// A port of an address.
    Tcp(SocketAddr),
    /// A path; a socket may have none.
    Unix(UnixAddr),
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its address; a peer on a socket in the file system counts as this machine. `None` where nobody knows.
    pub address: Option<IpAddr>,
    /// Whether the connection is secret.
    pub is_secure: bool,
}

/// A stream that can be told whether more follows what is written.
pub trait Cork {
    /// With `true`, what does not fill a segment is held back, for 200 ms at most (tcp(7), `TCP_CORK`); with `false` it is sent.
    /// Returns whether the stream holds back or sends: one without segments does not, nor does one that may not.
    fn cork(&self, more_follows: bool) -> bool;
}

impl Listener {
    /// The next connection, and where it is from.
    ///
    /// # Errors
    /// What the system said; the next one may be fine.
    pub async fn accept(&self) -> io::Result<(Socket, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Socket::Tcp(stream), peer.ip()))
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), Ipv4Addr::LOCALHOST.into()))
            }
        }
    }

    /// Nobody shall find it any more in the file system.
    pub fn hide(&mut self) {
        if let Self::Unix(_, file) = self {
            *file = None;
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system said.
    pub fn place(&self) -> io::Result<Place> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Place::Tcp),
            Self::Unix(listener, _) => listener.local_addr().map(|address| Place::Unix(address.into())),
        }
    }
}

impl SocketFile {
    /// The one at `path`.
    ///
    /// # Errors
    /// What the system said.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), id: id(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have put its own there.
        if id(&self.path).is_ok_and(|id| id == self.id)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a socket");
        }
    }
}

fn id(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(address) => match address.as_pathname() {
                Some(path) => write!(f, "unix:{}", path.display()),
                None => f.write_str("unix:"),
            },
        }
    }
}

impl Cork for Socket {
    fn cork(&self, more_follows: bool) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Tcp(stream) => socket2::SockRef::from(stream).set_tcp_cork(more_follows).is_ok(),
            _ => false,
        }
    }
}

impl<S: Cork> Cork for TlsStream<S> {
    fn cork(&self, more_follows: bool) -> bool {
        self.get_ref().0.cork(more_follows)
    }
}

#[cfg(test)]
impl Cork for tokio::io::DuplexStream {
    fn cork(&self, _: bool) -> bool {
        false
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, out),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, data),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, data),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }
}
