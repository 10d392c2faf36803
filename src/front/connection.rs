//! A connection as hyper reads from it and writes to it: with what was read ahead, in turns, and in pieces worth a call of the
//! system.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::{
    listener::Cork,
    te_trailers::{GAP, TeTrailers, place},
    traffic::Traffic,
};

/// How much is read at once of a request line in pieces, and of what nobody wants.
const CHUNK_BYTES: usize = 8 * 1024;

/// After so long it is the turn of others, however much more there is to read, where much comes and nothing goes on.
const TURN: Duration = Duration::from_micros(500);

/// How much is read at once after that: small frames cost hyper more than their sender.
const SIP_BYTES: usize = 1024;

/// What is written to HTTP/2 in smaller pieces than this waits for the turn of others who may be about to write, too: a call of
/// the system costs more than most replies.
const PIECE_BYTES: usize = 4 * 1024;

/// What is written to HTTP/2 in pieces of this size is likely to go on: a frame holds no more, unless the peer wants larger ones.
const FRAME_BYTES: usize = 16 * 1024;

/// How long what still comes is taken after the last byte was written. Else the system would answer it with a reset,
/// which takes from the peer what it has not read yet: the end of a reply, or which stream was the last.
const LINGER: Duration = Duration::from_secs(2);

/// How much of it: more than may have been on its way, and not all that a peer can send.
const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A stream that hyper reads from.
pub struct Connection<S> {
    stream: S,
    /// What hyper reads first.
    ahead: BytesMut,
    te: Option<TeTrailers>,
    traffic: Arc<Traffic>,
    /// When its turn began, if much comes and nothing goes on.
    turn: Option<Instant>,
    /// Whether what comes so takes long to be made something of.
    is_dear: bool,
    /// Whether what is to be written has waited for others.
    has_waited: bool,
    /// Whether the system waits for more, to send it together.
    is_corked: bool,
    /// There once nothing more is written: for how long the rest is taken.
    linger: Option<Pin<Box<Sleep>>>,
    /// How much of the rest was taken.
    lingered: usize,
}

impl<S> Connection<S> {
    /// A connection for HTTP/2.
    pub fn http2(stream: S, ahead: &[u8], traffic: Arc<Traffic>) -> Self {
        Self {
            stream,
            ahead: ahead.into(),
            te: None,
            traffic,
            turn: None,
            is_dear: false,
            has_waited: false,
            is_corked: false,
            linger: None,
            lingered: 0,
        }
    }

    /// A connection for HTTP/1.1.
    pub fn http1(stream: S, ahead: &[u8], te: TeTrailers) -> Self {
        let mut all = BytesMut::new();
        te.append(ahead, &mut all);
        let traffic = te.traffic().clone();
        Self { ahead: all, te: Some(te), ..Self::http2(stream, b"", traffic) }
    }
}

impl<S: AsyncRead + Unpin> Connection<S> {
    /// Reads from the stream, within limits.
    fn poll_stream(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let is_long_talk = self.traffic.is_long_talk();
        if is_long_talk {
            let now = Instant::now();
            if now.duration_since(*self.turn.get_or_insert(now)) > TURN {
                (self.turn, self.is_dear) = (None, true);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        } else {
            (self.turn, self.is_dear) = (None, false);
        }
        let before = out.filled().len();
        let read = if is_long_talk && self.is_dear {
            let mut sip = [0; SIP_BYTES];
            let mut sip = ReadBuf::new(&mut sip[..out.remaining().min(SIP_BYTES)]);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut sip);
            out.put_slice(sip.filled());
            read
        } else {
            Pin::new(&mut self.stream).poll_read(cx, out)
        };
        if read.is_pending() {
            self.turn = None;
        }
        let length = out.filled().len() - before;
        if self.traffic.is_idle_talk(length) {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        read
    }

    /// Returns when there is something to read, or nothing will be. Keeps no buffer meanwhile.
    pub async fn readable(&mut self) -> io::Result<()> {
        poll_fn(|cx| if self.ahead.is_empty() { self.poll_ahead(cx) } else { Poll::Ready(Ok(())) }).await
    }

    /// Gives back what was read and not made use of.
    pub fn unread(&mut self, read: &[u8]) {
        if !read.is_empty() {
            self.ahead = [read, &self.ahead].concat().as_slice().into();
        }
    }

    /// Reads ahead.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [std::mem::MaybeUninit::uninit(); CHUNK_BYTES];
        let mut read = ReadBuf::uninit(&mut chunk);
        ready!(self.poll_stream(cx, &mut read))?;
        match &self.te {
            Some(te) => te.append(read.filled(), &mut self.ahead),
            None => self.ahead.extend_from_slice(read.filled()),
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Cork + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // hyper reads before it writes: what it could write last time is with the system.
        this.uncork();
        if this.ahead.is_empty() {
            match this.te.as_ref().map_or(place::BEHIND, TeTrailers::place) {
                place::BEFORE if out.remaining() > GAP.len() => {
                    let gap = out.filled().len();
                    out.put_slice(GAP);
                    let read = this.poll_stream(cx, out);
                    if out.filled().len() == gap + GAP.len() {
                        out.set_filled(gap);
                    } else if let Some(te) = &this.te {
                        te.fill_gap(out.filled_mut(), gap);
                    }
                    return read;
                }
                place::BEHIND => return this.poll_stream(cx, out),
                // A line that comes in pieces.
                _ => ready!(this.poll_ahead(cx))?,
            }
        }
        let length = this.ahead.len().min(out.remaining());
        out.put_slice(&this.ahead[..length]);
        this.ahead.advance(length);
        if this.ahead.is_empty() {
            // An idle connection keeps no buffer.
            this.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Cork> Connection<S> {
    /// Before so many bytes are written. Over HTTP/2 small ones let others go first, once, if they may have something to write
    /// on this connection; and the system waits for what is likely to follow large ones, as each segment costs both sides
    /// more than its bytes do.
    fn poll_turn(&mut self, cx: &Context<'_>, bytes: usize) -> Poll<()> {
        let is_http2 = self.te.is_none();
        if is_http2 && !self.is_corked {
            if bytes < PIECE_BYTES && !self.has_waited && self.traffic.has_others() {
                self.has_waited = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if bytes >= FRAME_BYTES {
                self.is_corked = self.stream.cork(true);
            }
        }
        self.traffic.writes(true);
        Poll::Ready(())
    }

    fn uncork(&mut self) {
        if std::mem::take(&mut self.is_corked) {
            self.stream.cork(false);
        }
    }

    /// hyper has written. Behind a cork it is called once more, when it has no more; who cannot write is called anyway.
    fn wrote(&mut self, cx: &Context<'_>) {
        self.has_waited = false;
        if self.is_corked {
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Cork + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx, data.len()));
        let wrote = ready!(Pin::new(&mut self.stream).poll_write(cx, data));
        self.wrote(cx);
        Poll::Ready(wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper has nothing left to write when it does this.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.traffic.writes(false);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        this.uncork();
        let linger = match &mut this.linger {
            Some(linger) => linger,
            none => {
                ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
                none.insert(Box::pin(sleep(LINGER)))
            }
        };
        let mut chunk = [std::mem::MaybeUninit::uninit(); CHUNK_BYTES];
        while linger.as_mut().poll(cx).is_pending() {
            let mut rest = ReadBuf::uninit(&mut chunk);
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut rest));
            this.lingered += rest.filled().len();
            // The peer has closed, too; or will not stop.
            if read.is_err() || rest.filled().is_empty() || this.lingered > LINGER_BYTES_MAX {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_turn(cx, data.iter().map(|piece| piece.len()).sum()));
        let wrote = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, data));
        self.wrote(cx);
        Poll::Ready(wrote)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        task::Wake,
    };

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;
    use crate::front::listener::Socket;

    /// Looks once whether `data` can be written.
    fn write<S: AsyncRead + AsyncWrite + Cork + Unpin>(
        connection: &mut Connection<S>,
        data: &[u8],
        is_vectored: bool,
    ) -> Poll<io::Result<usize>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        if is_vectored {
            let (first, second) = data.split_at(data.len() / 2);
            let pieces = [io::IoSlice::new(first), io::IoSlice::new(second)];
            Pin::new(connection).poll_write_vectored(&mut cx, &pieces)
        } else {
            Pin::new(connection).poll_write(&mut cx, data)
        }
    }

    /// What is read to the end, but for empty lines before it.
    async fn read_all(ahead: &[u8], pieces: &[&[u8]], te: TeTrailers) -> String {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        for piece in pieces {
            client.write_all(piece).await.unwrap();
        }
        drop(client);
        let mut read = String::new();
        Connection::http1(server, ahead, te).read_to_string(&mut read).await.unwrap();
        let whole = read.trim_start_matches("\r\n").to_owned();
        let blank = ahead.len() + pieces.concat().iter().take_while(|b| b"\r\n".contains(b)).count();
        assert!(read.len() - whole.len() <= GAP.len() + blank);
        whole
    }

    #[tokio::test]
    async fn the_header_stands_behind_the_request_line_wherever_the_bytes_are_cut() {
        let sent = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nbody\r\n";
        for cut in 0..sent.len() {
            let (ahead, rest) = sent.split_at(cut);
            let read = read_all(ahead, &[rest], TeTrailers::new(Traffic::new())).await;
            assert_eq!(read, "GET / HTTP/1.1\r\nte: trailers\r\nhost: a\r\n\r\nbody\r\n", "cut after {cut}");
        }
    }

    #[tokio::test]
    async fn empty_lines_before_a_request_are_no_request_line() {
        let read = read_all(b"\r\n", &[b"\r\nGET / HTTP/1.1\r\n\r\n"], TeTrailers::new(Traffic::new())).await;
        assert_eq!(read, "GET / HTTP/1.1\r\nte: trailers\r\n\r\n");
    }

    #[tokio::test]
    async fn a_request_line_without_end_is_not_held_back() {
        let long = vec![b'x'; 3 * CHUNK_BYTES];
        assert_eq!(read_all(b"", &[&long], TeTrailers::new(Traffic::new())).await.len(), long.len());
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_end_is_taken_until_the_peer_ends_or_for_a_while() {
        for (says, closes, want) in [(b"late", true, Duration::ZERO), (b"late", false, LINGER)] {
            let (mut client, server) = tokio::io::duplex(2);
            let mut connection = Connection::http2(server, b"", Traffic::new());
            let begin = tokio::time::Instant::now();
            let client = tokio::spawn(async move {
                assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "the end");
                client.write_all(says).await.unwrap();
                if closes {
                    drop(client);
                } else {
                    std::future::pending::<()>().await;
                }
            });
            connection.shutdown().await.unwrap();
            assert_eq!(begin.elapsed(), want);
            client.abort();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_stop_is_not_listened_to_for_ever() {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let mut connection = Connection::http2(server, b"", Traffic::new());
        let client = tokio::spawn(async move {
            let mut sent = 0;
            while client.write_all(&[0; 1024]).await.is_ok() {
                sent += 1024;
            }
            sent
        });
        let begin = tokio::time::Instant::now();
        connection.shutdown().await.unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO);
        drop(connection);
        let sent = client.await.unwrap();
        assert!((LINGER_BYTES_MAX..LINGER_BYTES_MAX + 1024 * 1024).contains(&sent), "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_gets_the_header() {
        let (mut client, server) = tokio::io::duplex(1024);
        let te = TeTrailers::new(Traffic::new());
        let mut connection = Connection::http1(server, b"", te.clone());
        for _ in 0..3 {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut read = vec![0; b"GET / HTTP/1.1\r\nte: trailers\r\n\r\n".len()];
            let read_all = connection.read_exact(&mut read);
            tokio::time::timeout(std::time::Duration::from_secs(1), read_all).await.unwrap().unwrap();
            assert!(read.ends_with(b"\r\nte: trailers\r\n\r\n"));
            te.expect_request();
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_frame_waits_for_those_behind_it_and_all_are_sent_when_hyper_has_no_more() {
        #[derive(Default)]
        struct Woken(AtomicBool);

        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.store(true, Ordering::Relaxed);
            }
        }

        for (http2, bytes, is_corked) in
            [(true, FRAME_BYTES, true), (true, FRAME_BYTES - 1, false), (false, FRAME_BYTES, false)]
        {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            server.set_nodelay(true).unwrap();
            let (server, traffic) = (Socket::Tcp(server), Traffic::new());
            let mut connection = if http2 {
                Connection::http2(server, b"", traffic.clone())
            } else {
                Connection::http1(server, b"", TeTrailers::new(traffic.clone()))
            };
            let corked = |connection: &Connection<Socket>| match &connection.stream {
                Socket::Tcp(stream) => socket2::SockRef::from(stream).tcp_cork().unwrap(),
                Socket::Unix(_) => unreachable!(),
            };
            let _others = [traffic.request(), traffic.request()];
            let data = vec![1; bytes];
            let woken = Arc::<Woken>::default();
            let waker = woken.clone().into();
            let mut cx = Context::from_waker(&waker);
            std::future::poll_fn(|cx| Pin::new(&mut connection).poll_write(cx, &[1; PIECE_BYTES]))
                .await
                .unwrap();
            assert!(!corked(&connection));
            // A socket that is new can take so much.
            let written = Pin::new(&mut connection).poll_write(&mut cx, &data);
            assert!(matches!(written, Poll::Ready(Ok(n)) if n == bytes), "{written:?}");
            assert_eq!((corked(&connection), woken.0.load(Ordering::Relaxed)), (is_corked, is_corked));
            if is_corked {
                // What is small and comes behind it does not wait for others.
                assert!(matches!(write(&mut connection, b"end", true), Poll::Ready(Ok(3))));
                assert!(corked(&connection));
            }
            if http2 && !is_corked {
                // Who cannot write is woken when the peer has read, and not before.
                let data = vec![1; FRAME_BYTES];
                let mut all = 0;
                while let Poll::Ready(Ok(n)) = {
                    woken.0.store(false, Ordering::Relaxed);
                    Pin::new(&mut connection).poll_write(&mut cx, &data)
                } {
                    all += n;
                }
                assert!(!woken.0.load(Ordering::Relaxed), "after {all} bytes");
                continue;
            }
            let mut out = [0; 64];
            assert!(Pin::new(&mut connection).poll_read(&mut cx, &mut ReadBuf::new(&mut out)).is_pending());
            assert!(!corked(&connection));
            drop(connection);
            let mut read = Vec::new();
            client.read_to_end(&mut read).await.unwrap();
            assert_eq!(read.len(), PIECE_BYTES + bytes + if is_corked { 3 } else { 0 });
        }
    }

    #[tokio::test]
    async fn what_is_written_waits_once_for_others_who_may_write_too() {
        let small = PIECE_BYTES - 1;
        for (http2, requests, bytes, waits) in [
            (true, 2, small, true),
            (true, 3, small, true),
            // Nobody else is there.
            (true, 1, small, false),
            (true, 0, small, false),
            (true, 2, PIECE_BYTES, false),
            (false, 1, small, false),
        ] {
            let (_client, server) = tokio::io::duplex(64 * 1024);
            let traffic = Traffic::new();
            let _requests: Vec<_> = (0..requests).map(|_| traffic.request()).collect();
            let mut connection = if http2 {
                Connection::http2(server, b"", traffic)
            } else {
                Connection::http1(server, b"", TeTrailers::new(traffic))
            };
            let data = vec![0; bytes];
            for _ in 0..2 {
                for is_vectored in [false, true] {
                    let mut written = write(&mut connection, &data, is_vectored);
                    assert_eq!(written.is_pending(), waits, "{http2} {requests} {bytes}");
                    if waits {
                        written = write(&mut connection, &data, is_vectored);
                    }
                    assert!(matches!(written, Poll::Ready(Ok(n)) if n == bytes), "{written:?}");
                }
            }
        }
    }
}
