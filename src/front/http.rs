//! HTTP on one connection: in TLS or not, HTTP/1.1 or HTTP/2, within limits, to an orderly end.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::IpAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use http::{HeaderValue, header::CONNECTION};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::timeout,
};

use super::{
    body::Inbound,
    connection::Connection,
    detect::{Detected, detect},
    limits::Limits,
    listener::{Cork, Peer, Socket},
    route::Front,
    te_trailers::TeTrailers,
    tls::{self, Tls},
    traffic::{Event, Reply, Traffic, Upload},
};
use crate::metrics::Metrics;

/// The HTTP/2 flow-control window of a stream, in bytes: the default of 64 KiB stalls on real round trips.
pub const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// The same, of a whole connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// The largest frame that HTTP/2 peers may send. Each costs some calls of the system, whatever its size; but what others
/// send on the same connection waits for its end, and a body is not seen to come before.
const FRAME_BYTES_MAX: u32 = 64 * 1024;

/// How much of a body over HTTP/1.1 is read at once, at least. hyper keeps so much for each connection that has had a large one.
const BUFFER_BYTES: usize = 64 * 1024;

/// How often an HTTP/2 peer is asked whether it is still there, and how long it may take to answer.
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long a connection without a request is kept when the server ends: a request may be on its way.
const LAST_REQUEST_WAIT_MAX: Duration = Duration::from_secs(1);

/// What a connection leads to.
#[derive(Clone)]
pub struct Door {
    /// The newest counts.
    pub fronts: watch::Receiver<Arc<Front>>,
    /// With something in it, connections over TCP must speak TLS.
    pub tls: watch::Receiver<Option<Tls>>,
    /// Whether the server ends.
    pub phase: watch::Receiver<Phase>,
}

/// The life of a server. Only ever goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Ready for calls.
    Serving,
    /// Says that it is not ready, and serves.
    Leaving,
    /// Takes no more connections, and ends those that there are when they are done.
    Draining,
}

impl Phase {
    /// Waits until it has come, or nobody is left who could say so.
    pub async fn come(self, phase: &mut watch::Receiver<Self>) {
        let _ = phase.wait_for(|now| *now >= self).await;
    }
}

/// After so long without a request, an HTTP/1.1 connection has no buffers any more: hyper's take three times as much memory as
/// all else.
const REST_AFTER: Duration = Duration::from_secs(2);

type Failure = Box<dyn Error + Send + Sync>;
type Ended = Result<(), Failure>;

/// Serves a connection from `address` to its end. Its limits are those that the front has now.
pub async fn serve_connection(socket: Socket, address: IpAddr, door: Door) {
    let (limits, metrics) = {
        let front = door.fronts.borrow();
        (front.gate().limits.clone(), front.gate().metrics.clone())
    };
    if let Err(error) = secure(socket, address, door, &limits, &metrics).await {
        if let Some(limit) = struck(&*error) {
            metrics.struck(limit);
        }
        // Peers break off all the time; nobody here can do anything about it.
        tracing::debug!(peer = %address, error, "a connection ended early");
    }
}

/// The limit that a connection ended for.
fn struck(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return (error.kind() == io::ErrorKind::TimedOut).then_some(Limits::HEAD_WAIT);
    }
    let error = error.downcast_ref::<hyper::Error>()?;
    if error.is_parse_too_large() {
        return Some(Limits::HEADERS_BYTES);
    }
    let cause = error.source()?;
    let is_abuse = match (cause.downcast_ref::<h2::Error>(), cause.downcast_ref::<io::Error>()) {
        (Some(error), _) if error.is_library() => error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM),
        (Some(error), _) => error.get_io().is_some_and(|error| error.kind() == io::ErrorKind::QuotaExceeded),
        (None, error) => error.is_some_and(|error| error.kind() == io::ErrorKind::QuotaExceeded),
    };
    is_abuse.then_some(Limits::HTTP2_ABUSE)
}

async fn secure(
    socket: Socket,
    address: IpAddr,
    door: Door,
    limits: &Limits,
    metrics: &Arc<Metrics>,
) -> Ended {
    let tls = match &socket {
        Socket::Tcp(stream) => {
            stream.set_nodelay(true)?;
            door.tls.borrow().clone()
        }
        Socket::Unix(_) => None,
    };
    let peer = Peer { address: Some(address), is_secure: tls.is_some() };
    let Some(tls) = tls else {
        return Box::pin(speak(socket, false, peer, door, limits, metrics)).await;
    };
    // In a box, as are all that are not there for long, or not for all.
    let handshake = Box::pin(timeout(limits.head_wait, tls.accept(socket)));
    let stream = handshake.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let http2 = tls::agreed_on_http2(&stream);
    Box::pin(speak(stream, http2, peer, door, limits, metrics)).await
}

/// `http2`: both sides have agreed on HTTP/2 already.
async fn speak(
    mut stream: impl AsyncRead + AsyncWrite + Cork + Unpin + Send + 'static,
    http2: bool,
    peer: Peer,
    Door { fronts, phase, .. }: Door,
    limits: &Limits,
    metrics: &Arc<Metrics>,
) -> Ended {
    let last = async {
        Phase::Draining.come(&mut phase.clone()).await;
        tokio::time::sleep(LAST_REQUEST_WAIT_MAX).await;
    };
    let detected = tokio::select! {
        detected = detect(&mut stream, limits.head_wait) => detected?,
        () = last => return Ok(()),
    };
    let detected = match detected {
        // What is not HTTP/2 then is told so in HTTP/2.
        Some(Detected::Http1(ahead)) if http2 => Some(Detected::Http2(ahead)),
        detected => detected,
    };
    let talk = Talk { fronts: &fronts, phase: &phase, peer, traffic: &Traffic::new(), limits, metrics };
    // In boxes, as one of the two would be the larger.
    match detected {
        None => Ok(()),
        Some(Detected::Http1(ahead)) => Box::pin(talk.http1(stream, &ahead)).await,
        Some(Detected::Http2(ahead)) => Box::pin(talk.http2(stream, &ahead)).await,
    }
}

/// A connection whose protocol is known.
struct Talk<'a> {
    fronts: &'a watch::Receiver<Arc<Front>>,
    phase: &'a watch::Receiver<Phase>,
    peer: Peer,
    traffic: &'a Arc<Traffic>,
    limits: &'a Limits,
    metrics: &'a Metrics,
}

impl Talk<'_> {
    async fn http2(
        self,
        stream: impl AsyncRead + AsyncWrite + Cork + Unpin + Send + 'static,
        ahead: &[u8],
    ) -> Ended {
        let service = service_fn(|request| self.answer(request, None));
        let io = TokioIo::new(Connection::http2(stream, ahead, self.traffic.clone()));
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(self.limits.streams)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_header_list_size(self.limits.headers_bytes)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WAIT_MAX);
        let serving = pin!(http.serve_connection(io, service));
        self.run(serving, self.drains(), None).await.map(drop)
    }

    async fn http1(
        self,
        stream: impl AsyncRead + AsyncWrite + Cork + Unpin + Send + 'static,
        ahead: &[u8],
    ) -> Ended {
        let te = TeTrailers::new(self.traffic.clone());
        let mut stream = Connection::http1(stream, ahead, te.clone());
        while let Some(mut resting) = Box::pin(self.until_it_rests(stream, &te)).await? {
            tokio::select! {
                readable = resting.readable() => readable?,
                () = self.drains() => {}
                Event::Overdue(limit) = self.traffic.event(self.limits, None) => {
                    self.metrics.struck(limit);
                    return Ok(resting.shutdown().await?);
                }
            }
            stream = resting;
        }
        Ok(())
    }

    /// Serves an HTTP/1.1 connection to its end, or until it rests: then it is given back, and hyper's buffers are gone.
    async fn until_it_rests<S: AsyncRead + AsyncWrite + Cork + Unpin + Send + 'static>(
        &self,
        stream: Connection<S>,
        te: &TeTrailers,
    ) -> Result<Option<Connection<S>>, Failure> {
        let service = service_fn(|request| {
            let answer = self.answer(request, Some(te.clone()));
            async {
                let mut response = answer.await?;
                if *self.phase.borrow() >= Phase::Draining {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let headers_bytes = self.limits.headers_bytes as usize;
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // hyper counts the time between two requests too; `Traffic` does not.
            .header_read_timeout(None)
            .max_buf_size(headers_bytes + BUFFER_BYTES)
            .max_header_size(headers_bytes);
        let mut serving = http.serve_connection(TokioIo::new(stream), service);
        // hyper would close it at once where no request is under way; the next answer says that it is the last.
        let last = async {
            self.drains().await;
            self.traffic.quiet(LAST_REQUEST_WAIT_MAX).await;
        };
        let rest = (*self.phase.borrow() < Phase::Draining).then_some(REST_AFTER);
        if !self.run(Pin::new(&mut serving), last, rest).await? {
            return Ok(None);
        }
        let http1::Parts { io, read_buf, .. } = serving.into_parts();
        let mut stream = io.into_inner();
        stream.unread(&read_buf);
        Ok(Some(stream))
    }

    /// Drives a connection, until it ends by itself, by its peer's fault, or because there shall be no more requests. Or until
    /// it rests, which is `true`.
    async fn run<C: GracefulConnection<Error = hyper::Error>>(
        &self,
        mut connection: Pin<&mut C>,
        last: impl Future<Output = ()>,
        rest: Option<Duration>,
    ) -> Result<bool, Failure> {
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended.map(|()| false)?),
            () = last => {}
            event = self.traffic.event(self.limits, rest) => match event {
                Event::Rest => return Ok(true),
                Event::Overdue(limit) => {
                    self.metrics.struck(limit);
                    if limit != Limits::IDLE {
                        return Ok(false);
                    }
                }
            }
        }
        // What is under way is finished; no more comes. The time for that begins now.
        self.traffic.moves();
        connection.as_mut().graceful_shutdown();
        let limits = Limits { idle: self.limits.head_wait, ..self.limits.clone() };
        tokio::select! {
            ended = connection => ended?,
            Event::Overdue(limit) = self.traffic.event(&limits, None) => {
                if limit != Limits::IDLE {
                    self.metrics.struck(limit);
                }
            }
        }
        Ok(false)
    }

    async fn drains(&self) {
        Phase::Draining.come(&mut self.phase.clone()).await;
    }

    fn answer(
        &self,
        request: hyper::Request<Incoming>,
        te: Option<TeTrailers>,
    ) -> impl Future<Output = Result<hyper::Response<Reply>, Infallible>> + use<> {
        let (front, traffic, peer) = (self.fronts.borrow().clone(), self.traffic.clone(), self.peer);
        let (open, version) = (traffic.request(), request.version());
        let request = Inbound::from(request.map(|body| Upload::new(body, traffic.clone())));
        // In a box that is there only while the call is: much may wait to be called, or to be taken by the peer.
        Box::pin(async move {
            let gate = front.gate();
            if !traffic.less_unsent(gate.limits.unsent_bytes).await {
                gate.metrics.struck(Limits::UNSENT_BYTES);
            }
            Ok(front.answer(request, peer, te.as_ref()).await.map(|body| open.reply(body, version)))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        time::{Instant, sleep},
    };

    use super::*;
    use crate::{
        api::{DESCRIPTORS, OPENAPI},
        front::{Gate, Health, rpc::tests::Everybody},
    };

    const REQUEST: &[u8] = b"HEAD /debug/healthz HTTP/1.1\r\nhost: a\r\n\r\n";

    /// A server without RPCs.
    fn door(phase: watch::Receiver<Phase>) -> Door {
        let gate = Gate::new(Arc::new(Everybody::default()));
        let health = Health::new(Vec::new(), || true, phase.clone());
        let front =
            Front::new(Vec::new(), Default::default(), gate, DESCRIPTORS, OPENAPI, health, 0).unwrap();
        Door { fronts: watch::channel(Arc::new(front)).1, tls: watch::channel(None).1, phase }
    }

    /// A connection to it, and who says that it ends.
    fn connect() -> (DuplexStream, watch::Sender<Phase>, Arc<Metrics>) {
        let (leave, phase) = watch::channel(Phase::Serving);
        let door = door(phase);
        let (metrics, limits) = {
            let front = door.fronts.borrow();
            (front.gate().metrics.clone(), front.gate().limits.clone())
        };
        let (client, server) = duplex(64 * 1024);
        let counts = metrics.clone();
        tokio::spawn(async move {
            speak(server, false, Peer::default(), door, &limits, &metrics).await.unwrap();
        });
        (client, leave, counts)
    }

    /// Reads an answer without a body.
    async fn answer(client: &mut DuplexStream) -> String {
        let mut read = Vec::new();
        while !read.ends_with(b"\r\n\r\n") {
            read.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(read).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn hyper_is_gone_a_while_after_the_last_answer_and_what_it_has_read_is_not() {
        for (sent, want) in [("", ""), ("\r\n", "\r\n")] {
            let (_leave, phase) = watch::channel(Phase::Serving);
            let Door { fronts, phase, .. } = door(phase);
            let (traffic, limits, metrics) = (Traffic::new(), Limits::default(), Metrics::default());
            let talk = Talk {
                fronts: &fronts,
                phase: &phase,
                peer: Peer::default(),
                traffic: &traffic,
                limits: &limits,
                metrics: &metrics,
            };
            let (mut client, server) = duplex(1024);
            client.write_all(&[REQUEST, sent.as_bytes()].concat()).await.unwrap();
            let te = TeTrailers::new(traffic.clone());
            let start = Instant::now();
            let rests = talk.until_it_rests(Connection::http1(server, b"", te.clone()), &te).await;
            assert_eq!(start.elapsed(), REST_AFTER);
            drop(client);
            let mut left = String::new();
            rests.unwrap().unwrap().read_to_string(&mut left).await.unwrap();
            assert_eq!(left, want);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_rested_goes_on() {
        let (mut client, _leave, metrics) = connect();
        let mut pieces = vec![vec![REQUEST], vec![REQUEST], vec![REQUEST, REQUEST]];
        pieces.extend((1..REQUEST.len()).map(|cut| vec![&REQUEST[..cut], &REQUEST[cut..]]));
        for pieces in pieces {
            let requests = pieces.concat().len() / REQUEST.len();
            for piece in &pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            for _ in 0..requests {
                assert!(answer(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"), "{pieces:?}");
            }
            sleep(2 * REST_AFTER).await;
        }
        let start = Instant::now();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!((start.elapsed() + 2 * REST_AFTER).as_secs(), Limits::default().idle.as_secs());
        assert!(metrics.text().unwrap().contains("limits_struck_total{limit=\"idle-seconds\"} 1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_not_waited_for_behind_a_rest() {
        let (mut client, _leave, metrics) = connect();
        sleep(2 * REST_AFTER).await;
        client.write_all(&REQUEST[..9]).await.unwrap();
        let start = Instant::now();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(start.elapsed().as_secs(), Limits::default().head_wait.as_secs());
        assert!(metrics.text().unwrap().contains("limits_struck_total{limit=\"head-seconds\"} 1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_has_a_last_request_when_the_server_ends() {
        for asks in [false, true] {
            let (mut client, leave, _) = connect();
            client.write_all(REQUEST).await.unwrap();
            answer(&mut client).await;
            sleep(2 * REST_AFTER).await;
            leave.send_replace(Phase::Draining);
            if asks {
                client.write_all(REQUEST).await.unwrap();
                assert!(answer(&mut client).await.contains("\r\nconnection: close\r\n"));
            }
            let start = Instant::now();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(start.elapsed().as_secs(), if asks { 0 } else { LAST_REQUEST_WAIT_MAX.as_secs() });
        }
    }
}
