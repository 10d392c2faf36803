//! gRPC: envelopes and trailers, by way of tonic.

use std::{future::Future, pin::Pin, sync::Arc};

use bytes::{BufMut, Bytes};
use domain::{Code, Error};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use tonic::{
    codec::{Codec as TonicCodec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::{Grpc, UnaryService},
};

use super::{
    blocking,
    body::Body,
    encoding::Encoding,
    envelope::{self, Compression},
    gate::Gate,
    head::Head,
    limits, metadata,
    path::Fields,
    receive::{self, Received},
    rpc::{Codec, Input, Reply, Rpc},
    status,
};

/// Replies smaller than this, in bytes, are not compressed: it would cost more than it saves.
const COMPRESS_BYTES_MIN: usize = 1024;

/// Answers a gRPC call of `rpc`. `fields` come from the URL and replace the message's.
pub async fn answer(
    gate: &Gate,
    rpc: &Rpc,
    fields: Fields,
    encoding: Encoding,
    request: Request<Body>,
) -> Response<Body> {
    with_trailers(request, async |request| exchange(gate, rpc, fields, encoding, request).await).await
}

/// Makes sure that the trailers of an answer arrive.
pub(super) async fn with_trailers(
    request: Request<Body>,
    answer: impl AsyncFnOnce(Request<Body>) -> Response<Body>,
) -> Response<Body> {
    if let Some(refusal) = cannot_send_trailers(&request) {
        return refusal;
    }
    let version = request.version();
    let mut response = answer(request).await;
    if version < Version::HTTP_2 && !response.headers().contains_key("grpc-status") {
        metadata::announce_trailers(&mut response);
    }
    response
}

/// gRPC's status travels in trailers. Where they cannot be sent the call is refused rather than its status lost
/// (departure D3): over HTTP/1.0, and for a pipelined HTTP/1.1 call that does not ask for them.
fn cannot_send_trailers(request: &Request<Body>) -> Option<Response<Body>> {
    let trailers = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    };
    let possible = match request.version() {
        Version::HTTP_2 => true,
        Version::HTTP_11 => request.headers().get_all(header::TE).iter().any(trailers),
        _ => false,
    };
    if possible {
        return None;
    }
    let text = "gRPC needs HTTP/2, or HTTP/1.1 with the header \"TE: trailers\"";
    Some(status::plain(StatusCode::BAD_REQUEST, Code::InvalidArgument, text))
}

/// The call itself, the same for gRPC and gRPC-Web: the answer has its status in trailers, or in headers if it has
/// no message.
pub(super) async fn exchange(
    gate: &Gate,
    rpc: &Rpc,
    fields: Fields,
    encoding: Encoding,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let head = match Head::read(parts, encoding) {
        Ok(head) => head,
        Err(response) => return response,
    };
    let media_type = encoding.media_type();
    let mut response = head
        .conclude(async {
            let message = read(gate, rpc, encoding, &head.headers, body).await;
            let call = Unary { gate, rpc, head: &head, input: Some((message, fields)) };
            Ok(serve(call, &head.headers).await)
        })
        .await;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("gzip"));
    response
}

/// Reads the message of a call (departures D11 and D12).
async fn read(
    gate: &Gate,
    rpc: &Rpc,
    encoding: Encoding,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, Error> {
    let limit = rpc.message_bytes_max;
    let (message_max, body_max) = if encoding.is_json() {
        (limits::json_body_bytes_max(limit), limits::json_body_bytes_max(limit))
    } else {
        (limit, limits::proto_body_bytes_max(limit))
    };
    let body_max =
        if let Encoding::WebText(_) = encoding { limits::text_body_bytes_max(limit) } else { body_max };
    let Received { mut bytes, mut room } = receive::read(gate, body, body_max, limit).await?;
    if let Encoding::WebText(_) = encoding {
        bytes = blocking::in_place(bytes.len(), || envelope::decode_text(&bytes)).await?;
    }
    let declared = Compression::declared(headers);
    let bytes = envelope::only_message(bytes, declared, &mut room, message_max, limit).await?;
    Ok(Received { bytes, room })
}

/// The call as tonic sees it.
struct Unary<'a> {
    gate: &'a Gate,
    rpc: &'a Rpc,
    head: &'a Arc<Head>,
    input: Option<(Result<Received, Error>, Fields)>,
}

impl<'a> UnaryService<()> for Unary<'a> {
    type Response = Written;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<Written>, tonic::Status>> + Send + 'a>>;

    fn call(&mut self, _: tonic::Request<()>) -> Self::Future {
        let (gate, rpc, head) = (self.gate, self.rpc, self.head);
        let input = self.input.take();
        let json = head.encoding.is_json();
        Box::pin(async move {
            let (message, path) =
                input.ok_or_else(|| tonic::Status::internal("a unary call is made once"))?;
            let input = message.map(|Received { bytes, room }| Input {
                codec: if json {
                    Codec::Json(protojson::Envelope::Whole)
                } else {
                    Codec::Proto { malformed: rpc.malformed }
                },
                payload: bytes,
                room,
                path,
                query: Vec::new(),
            });
            let reply = rpc.call(gate, head, input).await.and_then(|reply| {
                if !json {
                    return Ok(Written::Proto(reply));
                }
                reply.to_json().map(Written::Json).map_err(|error| error.to_status(head.language()))
            });
            let reply = reply.map_err(|failure| {
                head.record.failed(failure.code);
                status::to_tonic(&failure)
            })?;
            let small = reply.len() < COMPRESS_BYTES_MIN;
            let mut response = tonic::Response::new(reply);
            if small {
                response.disable_compression();
            }
            Ok(response)
        })
    }
}

/// Lets tonic make the answer. It gets an empty message to decode: what the call says has been read by rules that
/// are stricter than tonic's.
async fn serve(call: Unary<'_>, headers: &HeaderMap) -> Response<Body> {
    let mut request = Request::new(Full::new(Bytes::from_static(&[0; envelope::HEADER_BYTES])));
    if let Some(accepted) = headers.get("grpc-accept-encoding") {
        request.headers_mut().insert("grpc-accept-encoding", accepted.clone());
    }
    let mut grpc = Grpc::new(ReplyCodec)
        .send_compressed(CompressionEncoding::Gzip)
        // The limit was checked where it holds for all encodings.
        .max_encoding_message_size(usize::MAX);
    grpc.unary(call, request).await.map(Body::new)
}

/// A reply in the codec of its call.
enum Written {
    /// protobuf, to be written where it goes.
    Proto(Box<dyn Reply>),
    /// JSON.
    Json(Vec<u8>),
}

impl Written {
    /// In bytes.
    fn len(&self) -> usize {
        match self {
            Self::Proto(reply) => reply.proto_len(),
            Self::Json(json) => json.len(),
        }
    }
}

/// Writes replies; reads nothing.
struct ReplyCodec;

impl TonicCodec for ReplyCodec {
    type Encode = Written;
    type Decode = ();
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for ReplyCodec {
    type Item = Written;
    type Error = tonic::Status;

    fn encode(&mut self, reply: Self::Item, out: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        out.reserve(reply.len());
        match reply {
            Written::Proto(reply) => reply.write_proto(out),
            Written::Json(json) => out.put_slice(&json),
        }
        Ok(())
    }
}

impl Decoder for ReplyCodec {
    type Item = ();
    type Error = tonic::Status;

    fn decode(&mut self, _: &mut DecodeBuf<'_>) -> Result<Option<()>, tonic::Status> {
        Ok(Some(()))
    }
}
