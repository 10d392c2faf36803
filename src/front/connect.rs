//! Connect, unary: one message a body, JSON or protobuf, and errors as JSON.

use std::{pin::pin, sync::Arc};

use domain::{Code, Error};
use gather::Gather;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};

use super::{
    body::{Body, Lent},
    encoding::{ConnectCodec, Encoding},
    envelope::{self, Compression},
    gate::Gate,
    head::Head,
    limits,
    receive::{self, Received},
    record::Record,
    rpc::{Codec, Input, Reply, Rpc},
};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

/// Answers a Connect call of `rpc`.
pub async fn answer(
    gate: &Gate,
    rpc: &Rpc,
    codec: ConnectCodec,
    request: Box<Request<Lent>>,
    record: &Arc<Record>,
) -> Response<Body> {
    let encoding = Encoding::Connect(codec);
    let (parts, body) = request.into_parts();
    let mut response = match Head::read(parts, encoding, record.clone()) {
        Err(response) => response,
        Ok(head) => {
            let work = pin!(async {
                let input = read(gate, rpc, codec, &head.headers, body).await;
                let reply = rpc.call(gate, &head, input).await?;
                let response = write(reply.as_ref(), codec, &head.headers).await;
                response.map_err(|error| error.to_status(head.language))
            });
            head.conclude(work).await
        }
    };
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    response
}

async fn read(
    gate: &Gate,
    rpc: &Rpc,
    codec: ConnectCodec,
    headers: &HeaderMap,
    body: Lent,
) -> Result<Input, Error> {
    if let Some(version) = headers.get(PROTOCOL_VERSION).filter(|version| *version != "1") {
        let shown = String::from_utf8_lossy(version.as_bytes());
        let text = format!("Connect-Protocol-Version must be \"1\": got {shown:?}");
        return Err(Error::protocol(Code::InvalidArgument, text));
    }
    let compression = match headers.get(header::CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes) {
        b"" | b"identity" => Compression::Identity,
        b"gzip" => Compression::Gzip,
        other => {
            let other = String::from_utf8_lossy(other);
            let text = format!("unknown compression {other:?}: supported encodings are gzip");
            return Err(Error::protocol(Code::Unimplemented, text));
        }
    };
    let limit = rpc.message_bytes_max;
    let (codec, bytes_max) = match codec {
        ConnectCodec::Json => (Codec::Json(protojson::Envelope::Whole), limits::json_body_bytes_max(limit)),
        ConnectCodec::Proto => {
            (Codec::Proto { malformed: Code::InvalidArgument }, limits::proto_body_bytes_max(limit))
        }
    };
    let Received { bytes: mut payload, mut room } =
        receive::read(gate, body, bytes_max, limit, |_| None).await?;
    if compression == Compression::Gzip {
        payload = envelope::gunzip(&payload, &mut room, bytes_max, limit).await?.map_err(|error| {
            Error::protocol(Code::InvalidArgument, format!("the body is no valid gzip: {error}"))
        })?;
    }
    Ok(Input { codec, payload, room, path: Vec::new(), query: Vec::new() })
}

async fn write(reply: &dyn Reply, codec: ConnectCodec, asked: &HeaderMap) -> Result<Response<Body>, Error> {
    let (body, media_type) = match codec {
        ConnectCodec::Json => (Gather::from(reply.to_json()?), "application/json"),
        ConnectCodec::Proto => {
            let mut message = Gather::with_capacity(reply.proto_len());
            reply.write_proto(&mut message);
            (message, "application/proto")
        }
    };
    let (body, is_compressed) = match envelope::compress(body, 0, || accepts_gzip(asked)).await {
        Ok(compressed) => (Body::from(compressed), true),
        Err(plain) => (Body::gathered(plain), false),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if is_compressed {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let mut parts = coding.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            name.eq_ignore_ascii_case("gzip") && !refused
        })
    })
}
