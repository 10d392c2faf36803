//! Limits on what is read, and the bodies that are read within them (departure D12).

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::{Code, Error};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::Body;

/// Room for what an encoding adds to a message that is just not too large: envelope, white space, field names.
const FRAMING_BYTES_MAX: usize = 64 * 1024;

/// How long the next piece of a body may take.
const PIECE_WAIT_MAX: Duration = Duration::from_secs(30);

/// The largest body of a JSON request for a message of at most `message_bytes_max`.
pub fn json_body_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_mul(2).saturating_add(FRAMING_BYTES_MAX)
}

/// The largest body of a protobuf request for a message of at most `message_bytes_max`.
pub fn proto_body_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(FRAMING_BYTES_MAX)
}

/// The largest body of a protobuf request in base64.
pub fn text_body_bytes_max(message_bytes_max: usize) -> usize {
    (message_bytes_max / 3).saturating_mul(4).saturating_add(FRAMING_BYTES_MAX)
}

/// A message of `size` bytes where `limit` are allowed.
pub fn message_too_large(size: usize, limit: usize) -> Error {
    Error::protocol(
        Code::ResourceExhausted,
        format!("grpc: received message larger than max ({size} vs. {limit})"),
    )
}

/// A response message of `size` bytes where `limit` are allowed.
pub fn reply_too_large(size: usize, limit: usize) -> Error {
    Error::protocol(
        Code::ResourceExhausted,
        format!("grpc: trying to send message larger than max ({size} vs. {limit})"),
    )
}

/// Reads a whole body of at most `bytes_max`. `limit` is the message's, for the text of the error.
///
/// # Errors
/// `ResourceExhausted` if it is longer, `DeadlineExceeded` if it stalls, `InvalidArgument` if it breaks off or is badly
/// framed.
pub async fn read(mut body: Body, bytes_max: usize, limit: usize) -> Result<Bytes, Error> {
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(frame) = timeout(PIECE_WAIT_MAX, body.frame()).await.map_err(|_| stalled())? {
        let Ok(data) = frame.map_err(broken_off)?.into_data() else { continue };
        let length = all.as_ref().map_or(first.len(), BytesMut::len);
        if length + data.len() > bytes_max {
            let size = length + data.len();
            return Err(message_too_large(size, limit));
        }
        match &mut all {
            Some(all) => all.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let more = usize::try_from(http_body::Body::size_hint(&body).lower()).unwrap_or(0);
                let mut joined = BytesMut::with_capacity(first.len() + data.len() + more.min(bytes_max));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                all = Some(joined);
            }
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

fn stalled() -> Error {
    Error::protocol(Code::DeadlineExceeded, "the rest of the request body does not come")
}

fn broken_off(error: impl std::fmt::Display) -> Error {
    Error::protocol(Code::InvalidArgument, format!("the request body broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use http_body::Frame;
    use http_body_util::StreamBody;
    use tokio_stream::{StreamExt, pending};

    use super::*;

    #[tokio::test]
    async fn bodies_in_pieces() {
        for (pieces, bytes_max, want) in [
            (&[][..], 0, Some("")),
            (&["abc"], 3, Some("abc")),
            (&["", "a", "", "bc"], 3, Some("abc")),
            (&["abcd"], 3, None),
            (&["abc", "d"], 3, None),
        ] {
            let frames = pieces.iter().map(|piece| Ok::<_, axum::Error>(Frame::data(Bytes::from(*piece))));
            let body = Body::new(StreamBody::new(tokio_stream::iter(frames)));
            let read = read(body, bytes_max, 2).await;
            match want {
                Some(want) => assert_eq!(read.unwrap(), want),
                None => assert_eq!(read.unwrap_err(), message_too_large(4, 2), "{pieces:?}"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_not_waited_for() {
        let first = tokio_stream::iter([Ok::<_, axum::Error>(Frame::data(Bytes::from("a")))]);
        let body = Body::new(StreamBody::new(first.chain(pending())));
        let Err(Error::Protocol { code, .. }) = read(body, 10, 10).await else { panic!("it was read") };
        assert_eq!(code, Code::DeadlineExceeded);
    }
}
