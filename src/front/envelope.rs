//! gRPC's envelopes: a flag, a length, a message (gRPC over HTTP/2, "Length-Prefixed-Message"), plain or in base64.

use std::io::{Read, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{Buf, BufMut, Bytes};
use domain::{Code, Error};
use flate2::{Compression as Level, read::GzDecoder, write::GzEncoder};
use gather::Gather;
use http::{HeaderMap, HeaderName};
use memchr::memchr;

use super::{blocking, limits, receive::Room};

/// Flag and length.
pub const HEADER_BYTES: usize = 5;

/// How a message may be compressed.
pub const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// gRPC-Web's trailers; no message.
pub const FLAG_TRAILERS: u8 = 0x80;

/// Room for the trailers of a success.
pub const TRAILERS_BYTES: usize = 32;

/// The header of a message of `length` bytes.
///
/// # Errors
/// `ResourceExhausted` if it is longer than an envelope can say.
pub fn header_of(flag: u8, length: usize) -> Result<[u8; HEADER_BYTES], Error> {
    let length =
        u32::try_from(length).map_err(|_| limits::reply_too_large(length, u32::MAX as usize))?.to_be_bytes();
    Ok([flag, length[0], length[1], length[2], length[3]])
}

/// A message in its envelope.
///
/// # Errors
/// As [`header_of`].
pub fn wrap(flag: u8, message: Vec<u8>) -> Result<Gather, Error> {
    let mut wrapped = Gather::with_capacity(HEADER_BYTES + message.len() + TRAILERS_BYTES);
    wrapped.put_slice(&header_of(flag, message.len())?);
    wrapped.put(Bytes::from(message));
    Ok(wrapped)
}

/// How messages of a request may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Identity,
    /// With gzip.
    Gzip,
}

impl Compression {
    /// What `grpc-encoding` declares.
    ///
    /// # Errors
    /// `Unimplemented` for anything but `identity` and `gzip`.
    pub fn declared(headers: &HeaderMap) -> Result<Self, Error> {
        match headers.get(GRPC_ENCODING).map_or(&b""[..], |value| value.as_bytes()) {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" => Ok(Self::Gzip),
            other => Err(Error::protocol(
                Code::Unimplemented,
                format!(
                    "grpc: Decompressor is not installed for grpc-encoding {:?}",
                    String::from_utf8_lossy(other)
                ),
            )),
        }
    }
}

/// The one message in the body of a unary call (departure D11). `declared` is what its compression may be, `limit`
/// the message's, for the text of errors.
///
/// # Errors
/// `Unimplemented` if there is none or a second; `Internal` for a truncated one, an unknown flag or what cannot be
/// decompressed; `ResourceExhausted` if it is longer than `bytes_max`, also after decompression; that of `declared`.
pub async fn only_message(
    mut body: Bytes,
    declared: Result<Compression, Error>,
    room: &mut Room,
    bytes_max: usize,
    limit: usize,
) -> Result<Bytes, Error> {
    let internal = |text: &str| Error::protocol(Code::Internal, text);
    let none = || Error::protocol(Code::Unimplemented, "a unary call takes one message; there is none");
    if body.is_empty() {
        return Err(none());
    }
    let (flag, length) = header(&body).ok_or_else(|| internal("the message's envelope is truncated"))?;
    if flag & FLAG_TRAILERS != 0 {
        return Err(none());
    }
    if flag > 1 {
        return Err(internal(&format!("grpc: received unexpected payload format {flag}")));
    }
    let compression = declared?;
    if length > bytes_max {
        return Err(limits::message_too_large(length, limit));
    }
    if body.len() - HEADER_BYTES < length {
        return Err(internal("the message is truncated"));
    }
    body.advance(HEADER_BYTES);
    let message = body.split_to(length);
    // Only a gRPC-Web client's trailers may follow.
    if body.first().is_some_and(|flag| flag & FLAG_TRAILERS == 0) {
        return Err(Error::protocol(Code::Unimplemented, "a unary call takes one message; there is more"));
    }
    match (flag, compression) {
        (0, _) => Ok(message),
        (_, Compression::Identity) => {
            Err(internal("grpc: compressed flag set with identity or empty encoding"))
        }
        (_, Compression::Gzip) => gunzip(&message, room, bytes_max, limit)
            .await?
            .map_err(|error| internal(&format!("the message is no valid gzip: {error}"))),
    }
}

/// How long an envelope is that begins like this, in bytes.
pub fn bytes(first: &[u8]) -> Option<usize> {
    let (_, length) = header(first)?;
    length.checked_add(HEADER_BYTES)
}

/// The same of one in base64.
pub fn text_bytes(first: &[u8]) -> Option<usize> {
    let mut header = [0; 6];
    STANDARD.decode_slice(first.get(..8)?, &mut header).ok()?;
    bytes(&header)?.div_ceil(3).checked_mul(4)
}

fn header(body: &[u8]) -> Option<(u8, usize)> {
    let (flag, rest) = body.split_first()?;
    let length = u32::from_be_bytes(*rest.first_chunk::<4>()?);
    Some((*flag, usize::try_from(length).ok()?))
}

/// Decompresses at most `bytes_max`: a small bomb must not become a large buffer. `limit` is the message's, for the
/// text of the error.
///
/// # Errors
/// The outer one is `ResourceExhausted` if there is more; the inner one says why it is no gzip.
pub async fn gunzip(
    compressed: &[u8],
    room: &mut Room,
    bytes_max: usize,
    limit: usize,
) -> Result<std::io::Result<Bytes>, Error> {
    // How much comes out of it is not known before; its end claims something (RFC 1952, section 2.3.1).
    let claimed = compressed.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size));
    let claimed = usize::try_from(claimed).unwrap_or(usize::MAX).min(bytes_max.saturating_add(1));
    let read_max = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut message = Vec::with_capacity(claimed);
    let read =
        blocking::in_place(claimed, || GzDecoder::new(compressed).take(read_max).read_to_end(&mut message))
            .await;
    if message.len() > bytes_max {
        return Err(limits::message_too_large(message.len(), limit));
    }
    room.grow(message.len())?;
    Ok(read.map(|_| message.into()))
}

/// Replies smaller than this, in bytes, are not compressed: it would cost more than it saves.
const COMPRESS_BYTES_MIN: usize = 1024;

/// Compresses what follows the `header` first bytes, if it is worth that and `is_accepted`; else gives all back.
pub async fn compress(
    plain: Gather,
    header: usize,
    is_accepted: impl FnOnce() -> bool,
) -> Result<Vec<u8>, Gather> {
    if plain.len() < header + COMPRESS_BYTES_MIN || !is_accepted() {
        return Err(plain);
    }
    let plain = plain.into_bytes();
    let compressed = blocking::in_place(plain.len(), || gzip(&plain[header..])).await;
    compressed.ok_or_else(|| plain.into())
}

/// Fast rather than small. `None` if that does not work: in memory nothing can fail, and what is plain is as good.
fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 2), Level::fast());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

/// Decodes the base64 of gRPC-Web text: any number of padded pieces, one after the other.
///
/// # Errors
/// `InvalidArgument` if it is not base64.
pub fn decode_text(text: &[u8]) -> Result<Bytes, Error> {
    let mut binary = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        // A piece ends with its padding; where there is none, it is the last.
        let padding = memchr(b'=', rest).unwrap_or(rest.len());
        let end = padding + rest[padding..].iter().take_while(|&&b| b == b'=').count();
        let (piece, after) = rest.split_at(end);
        if base64_simd::STANDARD.decode_append(piece, &mut binary).is_err() {
            let at = text.len() - rest.len();
            let error = STANDARD.decode(piece).err().map(|error| error.to_string()).unwrap_or_default();
            return Err(Error::protocol(
                Code::InvalidArgument,
                format!("invalid base64 in the piece from byte {at} on: {error}"),
            ));
        }
        rest = after;
    }
    Ok(binary.into())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::front::Gate;

    fn room() -> Room {
        Room::new(&Gate::new(Arc::new(crate::front::rpc::tests::Everybody::default())))
    }

    fn envelope(flag: u8, message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![flag];
        bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(message);
        bytes
    }

    #[tokio::test]
    async fn the_only_message_of_a_body() {
        let code = async |body: Vec<u8>| match only_message(
            body.into(),
            Ok(Compression::Identity),
            &mut room(),
            4,
            4,
        )
        .await
        {
            Ok(message) => Ok(message.to_vec()),
            Err(Error::Protocol { code, .. } | Error::Limit { code, .. }) => Err(code),
            Err(other) => panic!("{other}"),
        };
        let one = envelope(0, b"abcd");
        for cut in 1..one.len() {
            assert_eq!(code(one[..cut].to_vec()).await, Err(Code::Internal), "cut after {cut}");
        }
        assert_eq!(code(one.clone()).await, Ok(b"abcd".to_vec()));
        assert_eq!(code(Vec::new()).await, Err(Code::Unimplemented));
        assert_eq!(code(envelope(0, b"")).await, Ok(Vec::new()));
        assert_eq!(code(envelope(0, b"abcde")).await, Err(Code::ResourceExhausted));
        assert_eq!(code(envelope(1, b"abcd")).await, Err(Code::Internal));
        assert_eq!(code(envelope(2, b"abcd")).await, Err(Code::Internal));
        assert_eq!(code(envelope(0x80, b"")).await, Err(Code::Unimplemented));
        assert_eq!(code([one.clone(), one.clone()].concat()).await, Err(Code::Unimplemented));
        assert_eq!(code([one.clone(), envelope(0x80, b"a: b\r\n")].concat()).await, Ok(b"abcd".to_vec()));
        assert_eq!(code([one, b"x".to_vec()].concat()).await, Err(Code::Unimplemented));
    }

    #[test]
    fn text_in_pieces() {
        for (text, want) in [
            ("", Some("")),
            ("YWJj", Some("abc")),
            ("YQ==Yg==YWJj", Some("ababc")),
            ("YWI=\n", Some("ab")),
            ("YQ", None),
            ("YQ=", None),
            ("Y!==", None),
            ("YR==", None),
            ("=", None),
        ] {
            assert_eq!(decode_text(text.as_bytes()).ok(), want.map(Bytes::from), "{text:?}");
        }
    }

    #[test]
    fn the_length_of_an_envelope_by_its_first_bytes() {
        for length in [0, 1, 2, 3, 500_000] {
            let whole = envelope(0, &vec![7; length]);
            let text = STANDARD.encode(&whole);
            for cut in 0..40 {
                let (first, first_text) =
                    (&whole[..cut.min(whole.len())], &text.as_bytes()[..cut.min(text.len())]);
                assert_eq!(bytes(first), (cut >= 5).then_some(whole.len()), "{length}, {cut}");
                assert_eq!(text_bytes(first_text), (cut >= 8).then_some(text.len()), "{length}, {cut}");
            }
        }
        assert_eq!(text_bytes(b"!!!!!!!!"), None);
    }
}
