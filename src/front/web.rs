//! gRPC-Web: gRPC whose trailers are the last envelope of the body, binary or in base64.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, Request, Response};

use super::{
    body::{Body, Lent},
    encoding::Encoding,
    envelope::FLAG_TRAILERS,
    gate::Gate,
    grpc,
    path::Fields,
    record::Record,
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
    request: Request<Lent>,
    record: &Arc<Record>,
) -> Response<Body> {
    grpc::exchange(gate, rpc, fields, encoding, request, record).await.map(|body| {
        if body.trailers().is_none() {
            return body;
        }
        let (message, trailers) = body.into_parts();
        let mut all = BytesMut::from(message);
        write_trailers(&trailers, &mut all);
        match encoding {
            Encoding::WebText(_) => Body::from(STANDARD.encode(&all)),
            _ => Body::from(all),
        }
    })
}

fn write_trailers(trailers: &HeaderMap, out: &mut BytesMut) {
    let length: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    out.put_u8(FLAG_TRAILERS);
    // Headers that hyper could hold fit in 32 bits.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    for (name, value) in trailers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}
