//! What goes on on a connection: how long it is kept, and how much may wait for a peer that does not read.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};
use tokio::{sync::Notify, time::Instant};

use super::{body::Body, http::CONNECTION_WINDOW_BYTES, limits::Limits};

/// So much of a reply is handed over at once over HTTP/2: what was handed over is not seen to wait. Over HTTP/1.1 there is
/// one reply at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// From here on others have their turn first.
const LONG_TALK_BYTES: usize = 16 * 1024;

/// So much may come while nothing goes on with requests or replies. Bodies that nobody reads yet are bounded by the
/// window of the connection.
const TALK_BYTES_MAX: usize = CONNECTION_WINDOW_BYTES as usize + 1024 * 1024;

/// No head is being read.
const NO_HEAD: u64 = u64::MAX;

/// What goes on on a connection. Times are in milliseconds from its start.
pub struct Traffic {
    start: Instant,
    /// Requests that were not answered to the end.
    requests: AtomicUsize,
    /// Bytes of replies that the peer has not taken.
    unsent_bytes: AtomicUsize,
    /// Woken when there are fewer.
    taken: Notify,
    /// When anything went on with requests or replies.
    moved: AtomicU64,
    /// When the head of an HTTP/1.1 request began that is not there yet.
    head: AtomicU64,
    /// What was read since anything went on with requests or replies.
    talk_bytes: AtomicUsize,
    /// Whether what was written may be held back: the peer does not take it.
    is_stuck: AtomicBool,
}

/// What a connection comes to by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer has struck this limit on time.
    Overdue(&'static str),
    /// Nothing goes on, and nothing waits.
    Rest,
}

impl Traffic {
    /// That of a new connection.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            requests: AtomicUsize::new(0),
            unsent_bytes: AtomicUsize::new(0),
            taken: Notify::new(),
            moved: AtomicU64::new(0),
            head: AtomicU64::new(NO_HEAD),
            talk_bytes: AtomicUsize::new(0),
            is_stuck: AtomicBool::new(false),
        })
    }

    /// Bytes have come where the head of an HTTP/1.1 request is awaited.
    pub fn head_comes(&self) {
        if self.head.load(Ordering::Relaxed) == NO_HEAD {
            self.head.store(self.now(), Ordering::Relaxed);
        }
    }

    /// Whether more is read than a few requests take, while nothing goes on.
    pub fn is_long_talk(&self) -> bool {
        self.talk_bytes.load(Ordering::Relaxed) > LONG_TALK_BYTES
    }

    /// So many bytes were read. Returns whether that is more than makes sense while nothing goes on: frames that only
    /// keep the server busy.
    pub fn is_idle_talk(&self, bytes: usize) -> bool {
        self.talk_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > TALK_BYTES_MAX
    }

    /// The head of a request is there.
    pub fn request(self: &Arc<Self>) -> Request {
        self.head.store(NO_HEAD, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.moves();
        Request { traffic: self.clone(), unsent_bytes: 0 }
    }

    /// Whether any request was not answered to the end.
    fn has_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    /// Whether a request has another one beside it.
    pub fn has_others(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 1
    }

    /// Waits until less than `bytes_max` of replies wait for the peer. Returns at once whether that was so.
    pub async fn less_unsent(&self, bytes_max: usize) -> bool {
        let is_less = || self.unsent_bytes.load(Ordering::Relaxed) < bytes_max;
        if is_less() {
            return true;
        }
        loop {
            let taken = self.taken.notified();
            if is_less() {
                return false;
            }
            taken.await;
        }
    }

    /// Something was written, or all of it is with the system.
    pub fn writes(&self, is_stuck: bool) {
        self.is_stuck.store(is_stuck, Ordering::Relaxed);
    }

    /// Waits until the peer has struck a limit on time, or until nothing has gone on for as long as `rest`.
    pub async fn event(&self, limits: &Limits, rest: Option<Duration>) -> Event {
        loop {
            match self.left(limits, rest) {
                Ok(left) => tokio::time::sleep(left).await,
                Err(event) => return event,
            }
        }
    }

    /// Waits until there was no request for so long from now on.
    pub async fn quiet(&self, wait: Duration) {
        self.moves();
        loop {
            let since = Duration::from_millis(self.now().saturating_sub(self.moved.load(Ordering::Relaxed)));
            let is_busy = self.has_requests() || self.head.load(Ordering::Relaxed) != NO_HEAD;
            let left = if is_busy { wait } else { wait.saturating_sub(since) };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// How long nothing has to be looked at.
    ///
    /// # Errors
    /// What has come.
    fn left(&self, limits: &Limits, rest: Option<Duration>) -> Result<Duration, Event> {
        let now = self.now();
        let left = |since: u64, wait: Duration, event| {
            let left = wait.saturating_sub(Duration::from_millis(now.saturating_sub(since)));
            if left.is_zero() { Err(event) } else { Ok(left) }
        };
        let moved = self.moved.load(Ordering::Relaxed);
        // What begins meanwhile is seen in time if nothing sleeps longer than the shortest limit.
        let mut next = limits.head_wait.min(limits.reply_wait).min(rest.unwrap_or(Duration::MAX));
        let head = self.head.load(Ordering::Relaxed);
        if head != NO_HEAD {
            next = next.min(left(head, limits.head_wait, Event::Overdue(Limits::HEAD_WAIT))?);
        }
        if self.unsent_bytes.load(Ordering::Relaxed) > 0 {
            next = next.min(left(moved, limits.reply_wait, Event::Overdue(Limits::REPLY_WAIT))?);
        } else if !self.has_requests() {
            next = next.min(left(moved, limits.idle, Event::Overdue(Limits::IDLE))?);
            if let Some(rest) = rest.filter(|_| head == NO_HEAD && !self.is_stuck.load(Ordering::Relaxed)) {
                next = next.min(left(moved, rest, Event::Rest)?);
            }
        }
        Ok(next)
    }

    /// Something goes on.
    pub fn moves(&self) {
        self.moved.store(self.now(), Ordering::Relaxed);
        self.talk_bytes.store(0, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NO_HEAD - 1)
    }

    fn took(&self, bytes: usize) {
        self.moves();
        if bytes > 0 {
            self.unsent_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.taken.notify_waiters();
        }
    }
}

/// A request, until its reply is taken or the peer is gone.
pub struct Request {
    traffic: Arc<Traffic>,
    /// Its share.
    unsent_bytes: usize,
}

impl Request {
    /// The body of the reply, on its way to the peer.
    pub fn reply(mut self, body: Body, version: Version) -> Reply {
        self.waits(usize::try_from(body.size_hint().exact().unwrap_or_default()).unwrap_or_default());
        let piece_bytes_max = if version == Version::HTTP_2 { PIECE_BYTES } else { usize::MAX };
        Reply { body, rest: Bytes::new(), handed: 0, piece_bytes_max, request: self }
    }

    /// At least so many bytes wait.
    fn waits(&mut self, bytes: usize) {
        let more = bytes.saturating_sub(self.unsent_bytes);
        self.unsent_bytes += more;
        self.traffic.unsent_bytes.fetch_add(more, Ordering::Relaxed);
    }

    fn took(&mut self, bytes: usize) {
        self.unsent_bytes -= bytes;
        self.traffic.took(bytes);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.traffic.requests.fetch_sub(1, Ordering::Relaxed);
        self.traffic.took(self.unsent_bytes);
    }
}

/// The body of a request. While it is read, something goes on.
pub struct Upload<B> {
    body: B,
    traffic: Arc<Traffic>,
}

impl<B> Upload<B> {
    /// A body that came on the connection of `traffic`.
    pub fn new(body: B, traffic: Arc<Traffic>) -> Self {
        Self { body, traffic }
    }
}

impl<B: http_body::Body + Unpin> http_body::Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && frame.data_ref().is_some_and(bytes::Buf::has_remaining)
        {
            self.traffic.moves();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a reply, in pieces of bounded size.
pub struct Reply {
    body: Body,
    /// Of the last frame, what was not handed over.
    rest: Bytes,
    /// How much was handed over last; taken when there is a wish for more.
    handed: usize,
    piece_bytes_max: usize,
    request: Request,
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let handed = std::mem::take(&mut this.handed);
        if handed > 0 {
            this.request.took(handed);
        }
        if this.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
            this.request.waits(this.rest.len());
        }
        let piece = this.rest.split_to(this.rest.len().min(this.piece_bytes_max));
        this.handed = piece.len();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> Limits {
        Limits { head_wait: 2 * SECOND, reply_wait: 3 * SECOND, idle: 9 * SECOND, ..Limits::default() }
    }

    /// When the connection is overdue, and why.
    async fn overdue(traffic: &Traffic) -> (&'static str, u64) {
        let start = Instant::now();
        match traffic.event(&limits(), None).await {
            Event::Overdue(limit) => (limit, start.elapsed().as_secs()),
            Event::Rest => panic!("nobody asked"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_kept_while_there_is_reason_to() {
        let traffic = Traffic::new();
        assert_eq!(overdue(&traffic).await, (Limits::IDLE, 9));

        let traffic = Traffic::new();
        traffic.head_comes();
        tokio::time::advance(SECOND).await;
        traffic.head_comes();
        assert_eq!(overdue(&traffic).await, (Limits::HEAD_WAIT, 1));

        let request = traffic.request();
        assert!(tokio::time::timeout(1_000 * SECOND, overdue(&traffic)).await.is_err(), "a call may be long");
        let mut reply = request.reply(Body::from(vec![0; 2 * PIECE_BYTES + 1]), Version::HTTP_2);
        assert_eq!(overdue(&traffic).await, (Limits::REPLY_WAIT, 0), "nothing moved for long");
        reply.frame().await.unwrap().unwrap();
        reply.frame().await.unwrap().unwrap();
        assert_eq!(overdue(&traffic).await, (Limits::REPLY_WAIT, 3));
        drop(reply);
        assert_eq!(overdue(&traffic).await, (Limits::IDLE, 9));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_rests_when_nothing_goes_on_and_nothing_waits() {
        let traffic = Traffic::new();
        let rests = async |traffic: &Traffic| {
            let start = Instant::now();
            let event = traffic.event(&limits(), Some(SECOND)).await;
            (event, start.elapsed().as_secs())
        };
        assert_eq!(rests(&traffic).await, (Event::Rest, 1));
        let request = traffic.request();
        assert!(tokio::time::timeout(60 * SECOND, rests(&traffic)).await.is_err(), "a call may be long");
        drop(request);
        traffic.writes(true);
        assert_eq!(rests(&traffic).await, (Event::Overdue(Limits::IDLE), 9));
        traffic.moves();
        traffic.writes(false);
        assert_eq!(rests(&traffic).await, (Event::Rest, 1));
        traffic.moves();
        traffic.head_comes();
        assert_eq!(rests(&traffic).await, (Event::Overdue(Limits::HEAD_WAIT), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_quiet_when_nothing_has_come_for_a_while_from_now_on() {
        let traffic = Traffic::new();
        tokio::time::advance(60 * SECOND).await;
        let quiet = async |traffic: &Traffic| {
            let start = Instant::now();
            tokio::time::timeout(600 * SECOND, traffic.quiet(2 * SECOND)).await.map(|()| start.elapsed())
        };
        assert_eq!(quiet(&traffic).await.unwrap(), 2 * SECOND, "it was quiet before");
        let request = traffic.request();
        quiet(&traffic).await.unwrap_err();
        drop(request);
        assert_eq!(quiet(&traffic).await.unwrap(), 2 * SECOND);
        traffic.head_comes();
        quiet(&traffic).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_without_news_is_not_one_that_nobody_reads() {
        let traffic = Traffic::new();
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, axum::Error>>(1);
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let body = Body::new(axum::body::Body::from_stream(stream));
        let mut reply = traffic.request().reply(body, Version::HTTP_2);
        sender.send(Ok(Bytes::from("news"))).await.unwrap();
        assert_eq!(reply.frame().await.unwrap().unwrap().into_data().unwrap(), "news");
        assert_eq!(overdue(&traffic).await, (Limits::REPLY_WAIT, 3), "it was not taken");
        assert!(reply.frame().now_or_never().is_none());
        assert!(tokio::time::timeout(1_000 * SECOND, overdue(&traffic)).await.is_err());
    }

    #[tokio::test]
    async fn a_reply_goes_out_whole_and_in_pieces_and_calls_wait_for_it() {
        let traffic = Traffic::new();
        let text: Vec<u8> = (0..PIECE_BYTES * 3).map(|n| (n % 251) as u8).collect();
        let mut reply = traffic.request().reply(Body::from(text.clone()), Version::HTTP_2);
        assert_eq!(reply.size_hint().exact(), Some(text.len() as u64));
        assert!(traffic.less_unsent(text.len() + 1).now_or_never().is_some());
        let mut waiting = Box::pin(traffic.less_unsent(PIECE_BYTES + 1));
        let mut read = Vec::new();
        while let Some(frame) = reply.frame().await {
            let data = frame.unwrap().into_data().unwrap();
            read.extend_from_slice(&data);
            assert!(data.len() <= PIECE_BYTES);
            let is_over = read.len() >= text.len();
            assert_eq!(reply.is_end_stream(), is_over);
            let left = text.len() - read.len() + data.len();
            assert_eq!(waiting.as_mut().now_or_never().is_some(), left <= PIECE_BYTES, "{left} left");
            if left <= PIECE_BYTES {
                break;
            }
        }
        assert_eq!(read, text);
        drop(reply);
        assert_eq!(traffic.less_unsent(1).now_or_never(), Some(true));
    }
}
