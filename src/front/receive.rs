//! Reading bodies, within the limits of one and of all (departure D12).

use std::{
    fmt::Display,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use domain::{Code, Error};
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{gate::Gate, limits};
use crate::metrics::Metrics;

/// So much of a body must come within [`Limits::body_wait`], or its end: a limit on each piece alone would let a peer
/// send byte by byte for hours.
const STRETCH_BYTES: usize = 16 * 1024;

/// So much of each request is taken, whatever all others hold: large requests must not keep small ones out.
const ALWAYS_TAKEN_BYTES: usize = 64 * 1024;

/// Memory for so much is taken at once because a peer says that it will send it.
const BELIEVED_BYTES_MAX: usize = 1024 * 1024;

/// A body that was read, and the room that it takes.
#[derive(Debug)]
pub struct Received {
    /// What was read.
    pub bytes: Bytes,
    /// Keep it as long as the bytes.
    pub room: Room,
}

/// A share of what all bodies together may take; given back when it is dropped.
#[derive(Debug)]
pub struct Room {
    metrics: Arc<Metrics>,
    bodies_bytes_max: usize,
    bytes: usize,
}

impl Room {
    /// No room yet.
    pub fn new(gate: &Gate) -> Self {
        let (metrics, bodies_bytes_max) = (gate.metrics.clone(), gate.limits.bodies_bytes);
        Self { metrics, bodies_bytes_max, bytes: 0 }
    }

    /// Makes room for `more` bytes.
    ///
    /// # Errors
    /// [`BODIES_BYTES`](super::Limits::BODIES_BYTES) if all together hold too much already.
    pub fn grow(&mut self, more: usize) -> Result<(), Error> {
        let all = self.metrics.holding(more);
        self.bytes += more;
        if self.bytes > ALWAYS_TAKEN_BYTES && all > self.bodies_bytes_max {
            return Err(limits::bodies_too_large());
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.metrics.released(self.bytes);
    }
}

/// Reads a whole body of at most `bytes_max`. `limit` is the message's, for the text of the error. `declared` says how long the
/// body is by its first bytes, if they do.
///
/// # Errors
/// `ResourceExhausted` if it is longer, or all bodies together are; `DeadlineExceeded` if it stalls; `InvalidArgument` if
/// it breaks off or is badly framed.
pub async fn read<B>(
    gate: &Gate,
    mut body: B,
    bytes_max: usize,
    limit: usize,
    declared: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Received, Error>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    let mut room = Room::new(gate);
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    let mut patience = Patience::new(gate.limits.body_wait);
    while let Some(frame) = patience.frame(&mut body).await? {
        let Ok(data) = frame.map_err(broken_off)?.into_data() else { continue };
        let length = all.as_ref().map_or(first.len(), BytesMut::len);
        if length + data.len() > bytes_max {
            return Err(limits::message_too_large(length + data.len(), limit));
        }
        room.grow(data.len())?;
        match &mut all {
            Some(all) => all.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let here = first.len() + data.len();
                let more = usize::try_from(body.size_hint().lower()).unwrap_or(0);
                let declared = declared(&first).unwrap_or(0);
                let all_of_it = declared.max(here.saturating_add(more)).min(bytes_max);
                let mut joined = BytesMut::with_capacity(all_of_it.min(BELIEVED_BYTES_MAX).max(here));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                all = Some(joined);
            }
        }
    }
    Ok(Received { bytes: all.map_or(first, BytesMut::freeze), room })
}

/// How long the next stretch of a body is waited for. What is there already costs no look at the clock.
struct Patience {
    wait: Duration,
    /// Known once something was waited for.
    until: Option<Instant>,
    /// One for all frames: to set it up anew for each would cost as much as the frame.
    timer: Option<Pin<Box<Sleep>>>,
    /// What has come of the stretch.
    bytes: usize,
}

impl Patience {
    fn new(wait: Duration) -> Self {
        Self { wait, until: None, timer: None, bytes: 0 }
    }

    /// The next frame; an error if it does not come.
    async fn frame<B: Body<Data = Bytes> + Unpin>(
        &mut self,
        body: &mut B,
    ) -> Result<Option<Result<Frame<Bytes>, B::Error>>, Error> {
        let frame = poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => self.poll_end(cx).map(|()| Err(limits::body_stalled())),
            frame => frame.map(Ok),
        })
        .await?;
        if let Some(Ok(frame)) = &frame {
            self.bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        if self.bytes >= STRETCH_BYTES {
            (self.until, self.bytes) = (None, 0);
        }
        Ok(frame)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let until = *self.until.get_or_insert_with(|| Instant::now() + self.wait);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        while timer.deadline() < until {
            ready!(timer.as_mut().poll(cx));
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(cx)
    }
}

fn broken_off(error: impl Display) -> Error {
    Error::protocol(Code::InvalidArgument, format!("the request body broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use tokio_stream::{Stream, StreamExt, pending};

    use super::*;
    use crate::front::Limits;

    fn gate(limits: Limits) -> Gate {
        Gate { limits, ..Gate::new(Arc::new(crate::front::rpc::tests::Everybody::default())) }
    }

    fn body(pieces: impl Stream<Item = Bytes> + Send + 'static) -> axum::body::Body {
        axum::body::Body::new(StreamBody::new(pieces.map(|piece| Ok::<_, axum::Error>(Frame::data(piece)))))
    }

    #[tokio::test]
    async fn bodies_in_pieces() {
        for (pieces, bytes_max, want) in [
            (&[][..], 0, Some("")),
            (&["abc"], 3, Some("abc")),
            (&["", "a", "", "bc"], 3, Some("abc")),
            (&["abcd"], 3, None),
            (&["abc", "d"], 3, None),
        ] {
            let pieces: Vec<_> = pieces.iter().map(|piece| Bytes::from(*piece)).collect();
            let body = body(tokio_stream::iter(pieces.clone()));
            let read = read(&gate(Limits::default()), body, bytes_max, 2, |_| None).await;
            match want {
                Some(want) => assert_eq!(read.unwrap().bytes, want),
                None => assert_eq!(read.unwrap_err(), limits::message_too_large(4, 2), "{pieces:?}"),
            }
        }
    }

    #[tokio::test]
    async fn memory_is_taken_once_for_as_much_as_is_declared_within_reason() {
        for (declared, want) in
            [(Some(90_000), 90_000), (Some(usize::MAX), BELIEVED_BYTES_MAX), (Some(1), 200), (None, 200)]
        {
            let pieces = tokio_stream::iter(std::iter::repeat_n(Bytes::from(vec![0; 100]), 2));
            let gate = gate(Limits::default());
            let read =
                read(&gate, body(pieces), 1 << 30, 1 << 30, |first| declared.filter(|_| first.len() == 100));
            let bytes = read.await.unwrap().bytes;
            assert_eq!(bytes.len(), 200);
            assert_eq!(bytes.try_into_mut().unwrap().capacity(), want, "{declared:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_or_trickles_is_not_waited_for() {
        let trickle = |every: Duration| {
            tokio_stream::iter(std::iter::repeat_n(Bytes::from("a"), 1_000)).throttle(every)
        };
        let gate = gate(Limits::default());
        let enough = tokio_stream::iter(std::iter::repeat_n(Bytes::from(vec![0; STRETCH_BYTES]), 20))
            .throttle(Duration::from_secs(29));
        for (body, want) in [
            (body(tokio_stream::iter([Bytes::from("a")]).chain(pending())), None),
            (body(trickle(Duration::from_secs(1))), None),
            (body(trickle(Duration::from_millis(20))), Some(1_000)),
            (body(enough), Some(20 * STRETCH_BYTES)),
        ] {
            match (read(&gate, body, 1 << 20, 1 << 20, |_| None).await, want) {
                (Ok(received), want) => assert_eq!(Some(received.bytes.len()), want),
                (Err(error), want) => assert_eq!((error, want), (limits::body_stalled(), None)),
            }
        }
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_limit_that_small_ones_do_not_feel() {
        let gate = gate(Limits { bodies_bytes: 100_000, ..Limits::default() });
        let read = async |length: usize| {
            read(&gate, axum::body::Body::from(vec![0; length]), 1 << 20, 1 << 20, |_| None)
                .await
                .map(|received| received.room)
        };
        let first = read(90_000).await.unwrap();
        assert_eq!(read(90_000).await.unwrap_err(), limits::bodies_too_large());
        let small = read(ALWAYS_TAKEN_BYTES).await.unwrap();
        drop(first);
        assert_eq!(read(90_000).await.unwrap_err(), limits::bodies_too_large());
        drop(small);
        drop(read(90_000).await.unwrap());
        drop(read(90_000).await.unwrap());
    }
}
