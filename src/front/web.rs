//! gRPC-Web: gRPC whose trailers are the last envelope of the body, binary or in base64.

use std::sync::Arc;

use bytes::BufMut;
use gather::Gather;
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
    request: Box<Request<Lent>>,
    record: &Arc<Record>,
) -> Response<Body> {
    grpc::exchange(gate, rpc, fields, encoding, request, record).await.map(|body| {
        if body.trailers().is_none() {
            return body;
        }
        let (mut all, trailers) = body.into_parts();
        write_trailers(&trailers, &mut all);
        match encoding {
            Encoding::WebText(_) => {
                Body::from(base64_simd::STANDARD.encode_type::<Vec<u8>>(all.into_bytes()))
            }
            _ => Body::gathered(all),
        }
    })
}

fn write_trailers(trailers: &HeaderMap, out: &mut Gather) {
    let length: usize = trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    out.put_u8(FLAG_TRAILERS);
    // Headers that hyper could hold fit in 32 bits.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    for (name, value) in trailers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
}
