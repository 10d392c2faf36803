//! Bodies of answers, those of requests, and what becomes of what nobody read.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use gather::Gather;
use http::{HeaderMap, Request};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tower::BoxError;

/// The body of an answer: what is at hand, or what comes piece by piece.
#[derive(Debug, Default)]
pub struct Body {
    /// Sent first, one by one.
    pieces: std::vec::IntoIter<Bytes>,
    /// Sent then.
    last: Bytes,
    trailers: Option<Box<HeaderMap>>,
    /// Sent instead.
    stream: Option<axum::body::Body>,
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// One that somebody else makes.
    pub fn new(stream: impl http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static) -> Self {
        Self { stream: Some(axum::body::Body::new(stream)), ..Self::default() }
    }

    /// What was written, in its pieces.
    pub fn gathered(written: Gather) -> Self {
        let (pieces, last) = written.into_pieces();
        Self { pieces: pieces.into_iter(), last, ..Self::default() }
    }

    /// The same, with trailers behind it.
    pub fn with_trailers(self, trailers: HeaderMap) -> Self {
        Self { trailers: Some(Box::new(trailers)), ..self }
    }

    /// The trailers, where they are at hand.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_deref()
    }

    /// The same, to be changed.
    pub fn trailers_mut(&mut self) -> Option<&mut HeaderMap> {
        self.trailers.as_deref_mut()
    }

    /// What is at hand.
    pub fn into_parts(self) -> (Gather, HeaderMap) {
        let trailers = self.trailers.map(|trailers| *trailers).unwrap_or_default();
        (Gather::behind(self.pieces.collect(), self.last), trailers)
    }

    /// The piece that is next.
    fn next(&mut self) -> Option<Bytes> {
        let last = |last: &mut Bytes| Some(std::mem::take(last)).filter(|last| !last.is_empty());
        self.pieces.next().or_else(|| last(&mut self.last))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(data: T) -> Self {
        Self { last: data.into(), ..Self::default() }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(stream) = &mut self.stream {
            return Pin::new(stream).poll_frame(cx);
        }
        if let Some(data) = self.next() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.stream {
            Some(stream) => stream.is_end_stream(),
            None => self.pieces.as_slice().is_empty() && self.last.is_empty() && self.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let size = self.pieces.as_slice().iter().map(Bytes::len).sum::<usize>() + self.last.len();
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        match &self.stream {
            Some(stream) => stream.size_hint(),
            None if self.trailers.is_none() => SizeHint::with_exact(size),
            // Over HTTP/1.1 nothing can follow a body whose length was told.
            None => {
                let mut hint = SizeHint::new();
                hint.set_lower(size);
                hint
            }
        }
    }
}

/// A body as a connection has it.
type Source = dyn http_body::Body<Data = Bytes, Error = axum::Error> + Send + Unpin;

/// How much of a body nobody wants is read and thrown away.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long that may take.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long it may take where the answer is late already: enough for a body that is on its way.
pub const LATE_DRAIN_TIME_MAX: Duration = Duration::from_millis(200);

/// A request as it came, in a box: it is handed on several times, and large.
pub struct Inbound {
    /// Its body is lent.
    pub request: Box<Request<Lent>>,
    /// Where the body comes back to.
    pub leftover: Leftover,
}

impl<B> From<Request<B>> for Inbound
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    fn from(request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        let (body, leftover) = Leftover::lend(body);
        Self { request: Box::new(Request::from_parts(parts, body)), leftover }
    }
}

/// What is left of a lent body once its borrower is done.
pub struct Leftover(Option<Shared>);

/// A body that its borrower reads, and then its owner.
type Shared = Arc<Mutex<Source>>;

impl Leftover {
    /// Lends `body`: what is returned reads it, and gives back what is left when it is dropped.
    pub fn lend<B>(body: B) -> (Lent, Self)
    where
        B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        if body.is_end_stream() {
            return (Lent(None), Self(None));
        }
        let body: Shared = Arc::new(Mutex::new(body.map_err(axum::Error::new)));
        (Lent(Some(body.clone())), Self(Some(body)))
    }

    /// Reads and forgets what is left, within bounds of size and of `time_max`, so that the answer reaches a caller who still
    /// sends: an HTTP/2 client would see a reset, an HTTP/1.1 client a broken pipe. Returns whether the body was read
    /// to its end; it was not if it is still lent.
    pub async fn drain(self, time_max: Duration) -> bool {
        let Some(mut shared) = self.0 else { return true };
        let Some(body) = Arc::get_mut(&mut shared) else { return false };
        let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
        if body.is_end_stream() {
            return true;
        }
        let read = Box::pin(async move {
            let mut length = 0;
            while length <= DRAIN_BYTES_MAX {
                match body.frame().await {
                    Some(Ok(frame)) => length += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
            false
        });
        // A peer that will not stop is cut off: nothing is lost but its own answer.
        tokio::time::timeout(time_max, read).await.unwrap_or(false)
    }
}

/// The body of a request. Nobody else reads it while it is there.
pub struct Lent(Option<Shared>);

impl Lent {
    /// Looks at the body, if there is one.
    fn with<T>(&self, look: impl FnOnce(&mut Source) -> T) -> Option<T> {
        self.0.as_ref().map(|body| look(&mut *body.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|mut body| Pin::new(&mut body).poll_frame(cx)).unwrap_or(Poll::Ready(None))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream()).unwrap_or(true)
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint()).unwrap_or(SizeHint::with_exact(0))
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn what_is_left_is_drained() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, axum::Error>>(8);
        for _ in 0..3 {
            sender.send(Ok(Frame::data(Bytes::from_static(b"x")))).await.unwrap();
        }
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let (mut lent, leftover) = Leftover::lend(StreamBody::new(stream));
        lent.frame().await.unwrap().unwrap();
        drop(lent);
        assert_eq!(sender.capacity(), 6, "only one frame was read");
        let drained = tokio::spawn(leftover.drain(DRAIN_TIME_MAX));
        sender.send(Ok(Frame::data(Bytes::from_static(b"y")))).await.unwrap();
        drop(sender);
        assert!(drained.await.unwrap(), "read to its end");
    }

    #[tokio::test]
    async fn a_body_that_was_read_leaves_nothing() {
        let (lent, leftover) = Leftover::lend(Body::from("abc"));
        assert_eq!(lent.collect().await.unwrap().to_bytes(), "abc");
        assert!(leftover.drain(DRAIN_TIME_MAX).await);
    }

    #[tokio::test]
    async fn a_body_that_is_still_lent_is_not_drained() {
        let (_lent, leftover) = Leftover::lend(Body::from("abc"));
        assert!(!leftover.drain(DRAIN_TIME_MAX).await);
    }

    #[tokio::test]
    async fn trailers_follow_the_only_piece_and_its_length_is_not_told() {
        let mut trailers = HeaderMap::new();
        trailers.insert("a", "1".parse().unwrap());
        for data in ["", "abc"] {
            let mut body = Body::from(data).with_trailers(trailers.clone());
            assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (data.len() as u64, None));
            body.trailers_mut().unwrap().insert("b", "2".parse().unwrap());
            let read = body.collect().await.unwrap();
            assert_eq!(
                (read.trailers().unwrap()["a"].as_bytes(), read.trailers().unwrap().len()),
                (&b"1"[..], 2)
            );
            assert_eq!(read.to_bytes(), data);
        }
        assert_eq!(Body::from("abc").size_hint().exact(), Some(3));
        assert!(Body::empty().is_end_stream());
    }
}
