//! Bodies, and what becomes of those that nobody read.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// The body of every request and response inside the front door.
pub type Body = axum::body::Body;

/// How much of a body nobody wants is read and thrown away.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long that may take.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// How long it may take where the answer is late already: enough for a body that is on its way.
pub const LATE_DRAIN_TIME_MAX: Duration = Duration::from_millis(200);

/// What is left of a lent body once its borrower is done.
#[derive(Default)]
pub struct Leftover(Arc<Mutex<Option<Body>>>);

impl Leftover {
    /// Lends `body`: the returned body reads it, and gives back what is left when it is dropped.
    pub fn lend(&self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Lent { body, owner: self.0.clone() })
    }

    /// Reads and forgets what is left, within bounds of size and of `time_max`, so that the answer reaches a caller who still
    /// sends: an HTTP/2 client would see a reset, an HTTP/1.1 client a broken pipe. Returns whether the body was read
    /// to its end; it was not if it is still lent.
    pub async fn drain(self, time_max: Duration) -> bool {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = left else { return Arc::strong_count(&self.0) == 1 };
        let read = async {
            let mut length = 0;
            while length <= DRAIN_BYTES_MAX {
                match body.frame().await {
                    Some(Ok(frame)) => length += frame.data_ref().map_or(0, Bytes::len),
                    Some(Err(_)) => return false,
                    None => return true,
                }
            }
            false
        };
        // A peer that will not stop is cut off: nothing is lost but its own answer.
        tokio::time::timeout(time_max, read).await.unwrap_or(false)
    }
}

struct Lent {
    body: Body,
    owner: Arc<Mutex<Option<Body>>>,
}

impl http_body::Body for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            let body = std::mem::take(&mut self.body);
            *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    #[tokio::test]
    async fn what_is_left_is_drained() {
        let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Frame<Bytes>, axum::Error>>(8);
        for _ in 0..3 {
            sender.send(Ok(Frame::data(Bytes::from_static(b"x")))).await.unwrap();
        }
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let leftover = Leftover::default();
        let mut lent = leftover.lend(Body::new(StreamBody::new(stream)));
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
        let leftover = Leftover::default();
        let lent = leftover.lend(Body::from("abc"));
        assert_eq!(lent.collect().await.unwrap().to_bytes(), "abc");
        assert!(leftover.drain(DRAIN_TIME_MAX).await);
    }

    #[tokio::test]
    async fn a_body_that_is_still_lent_is_not_drained() {
        let leftover = Leftover::default();
        let _lent = leftover.lend(Body::from("abc"));
        assert!(!leftover.drain(DRAIN_TIME_MAX).await);
    }
}
