//! gRPC: envelopes and trailers.

use std::{pin::pin, sync::Arc};

use bytes::BufMut;
use domain::{Code, Error};
use gather::Gather;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version, header};

use super::{
    blocking,
    body::{Body, Lent},
    encoding::Encoding,
    envelope::{self, Compression, GRPC_ENCODING},
    gate::Gate,
    head::Head,
    limits, metadata,
    path::Fields,
    receive::{self, Received},
    record::Record,
    rpc::{Codec, Input, Reply, Rpc},
    status,
};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Answers a gRPC call of `rpc`. `fields` come from the URL and replace the message's.
pub async fn answer(
    gate: &Gate,
    rpc: &Rpc,
    fields: Fields,
    encoding: Encoding,
    request: Box<Request<Lent>>,
    record: &Arc<Record>,
) -> Response<Body> {
    with_trailers(request, async |request| exchange(gate, rpc, fields, encoding, request, record).await).await
}

/// Makes sure that the trailers of an answer arrive.
pub(super) async fn with_trailers(
    request: Box<Request<Lent>>,
    answer: impl AsyncFnOnce(Box<Request<Lent>>) -> Response<Body>,
) -> Response<Body> {
    if let Some(refusal) = cannot_send_trailers(&request) {
        return refusal;
    }
    let version = request.version();
    let mut response = answer(request).await;
    if version < Version::HTTP_2 && !response.headers().contains_key(GRPC_STATUS) {
        metadata::announce_trailers(&mut response);
    }
    response
}

/// gRPC's status travels in trailers. Where they cannot be sent the call is refused rather than its status lost
/// (departure D3): over HTTP/1.0, and for a pipelined HTTP/1.1 call that does not ask for them.
fn cannot_send_trailers(request: &Request<Lent>) -> Option<Response<Body>> {
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
    request: Box<Request<Lent>>,
    record: &Arc<Record>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let head = match Head::read(parts, encoding, record.clone()) {
        Ok(head) => head,
        Err(response) => return response,
    };
    let work = pin!(async {
        let input = read(gate, rpc, fields, encoding, &head.headers, body).await;
        let reply = rpc.call(gate, &head, input).await?;
        let written = write(reply.as_ref(), encoding, &head.headers).await;
        written.map_err(|error| error.to_status(head.language))
    });
    let mut response = head.conclude(work).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

/// Reads the message of a call (departures D11 and D12).
async fn read(
    gate: &Gate,
    rpc: &Rpc,
    path: Fields,
    encoding: Encoding,
    headers: &HeaderMap,
    body: Lent,
) -> Result<Input, Error> {
    let limit = rpc.message_bytes_max;
    let is_json = encoding.is_json();
    let (message_max, body_max) = if is_json {
        (limits::json_body_bytes_max(limit), limits::json_body_bytes_max(limit))
    } else {
        (limit, limits::proto_body_bytes_max(limit))
    };
    let is_text = matches!(encoding, Encoding::WebText(_));
    let body_max = if is_text { limits::text_body_bytes_max(limit) } else { body_max };
    let declared = |first: &[u8]| if is_text { envelope::text_bytes(first) } else { envelope::bytes(first) };
    let Received { mut bytes, mut room } = receive::read(gate, body, body_max, limit, declared).await?;
    if is_text {
        bytes = blocking::in_place(bytes.len(), || envelope::decode_text(&bytes)).await?;
    }
    let declared = Compression::declared(headers);
    let payload = envelope::only_message(bytes, declared, &mut room, message_max, limit).await?;
    let codec = if is_json {
        Codec::Json(protojson::Envelope::Whole)
    } else {
        Codec::Proto { malformed: rpc.malformed }
    };
    Ok(Input { codec, payload, room, path, query: Vec::new() })
}

/// A success: one message in its envelope, and the status behind it.
async fn write(reply: &dyn Reply, encoding: Encoding, asked: &HeaderMap) -> Result<Response<Body>, Error> {
    let message = if encoding.is_json() {
        envelope::wrap(0, reply.to_json()?)?
    } else {
        let length = reply.proto_len();
        // gRPC-Web puts the trailers behind it.
        let mut message = Gather::with_capacity(envelope::HEADER_BYTES + length + envelope::TRAILERS_BYTES);
        message.put_slice(&envelope::header_of(0, length)?);
        reply.write_proto(&mut message);
        message
    };
    let (message, is_compressed) =
        match envelope::compress(message, envelope::HEADER_BYTES, || accepts_gzip(asked)).await {
            Ok(compressed) => (envelope::wrap(1, compressed)?, true),
            Err(plain) => (plain, false),
        };
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = Response::new(Body::gathered(message).with_trailers(trailers));
    if is_compressed {
        response.headers_mut().insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(GRPC_ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| coding.trim() == "gzip")
}
