//! gRPC-Web: gRPC whose trailers are the last envelope of the body, binary or in base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;

use super::{
    body::Body,
    encoding::Encoding,
    envelope::{FLAG_TRAILERS, HEADER_BYTES},
    gate::Gate,
    grpc,
    path::Fields,
    rpc::Rpc,
};

/// Answers a gRPC-Web call of `rpc`. `fields` come from the URL and replace the message's.
///
/// A failure is told in headers and has no body, as in ZITADEL; clients read both.
pub async fn answer(
    gate: &Gate,
    rpc: &Rpc,
    fields: Fields,
    encoding: Encoding,
    request: Request<Body>,
) -> Response<Body> {
    let response = grpc::exchange(gate, rpc, fields, encoding, request).await;
    if response.headers().contains_key("grpc-status") {
        return response;
    }
    let (parts, body) = response.into_parts();
    // The body was made in memory a moment ago, from one message: there is nothing that could fail.
    let collected = body.collect().await.unwrap_or_default();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let message = collected.to_bytes();
    let mut all = BytesMut::with_capacity(message.len() + HEADER_BYTES + 32);
    all.extend_from_slice(&message);
    write_trailers(&trailers, &mut all);
    let body = match encoding {
        Encoding::WebText(_) => Body::from(STANDARD.encode(&all)),
        _ => Body::from(all.freeze()),
    };
    Response::from_parts(parts, body)
}

fn write_trailers(trailers: &HeaderMap, out: &mut BytesMut) {
    let mut text = Vec::with_capacity(32);
    for (name, value) in trailers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    out.put_u8(FLAG_TRAILERS);
    // Headers that hyper could hold fit in 32 bits.
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(&text);
}
