//! What is sent: keys, values and pages, in each encoding.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Request};
use http_body_util::Full;
use metagate::api::generated::zitadel::{
    management::v1::{
        BulkSetOrgMetadataRequest, GetOrgMetadataRequest, ListOrgMetadataRequest, SetOrgMetadataRequest,
        bulk_set_org_metadata_request,
    },
    v1::ListQuery,
};
use prost::Message;

use super::{Encoding, Operation, Protocol};
use crate::{Error, directory};

/// How many keys there are, of values that are not large.
pub const KEYS: usize = 1_000;

/// How many items a list asks for, of values that are not large.
pub const PAGE: u32 = 100;

/// How many values a bulk sets, if they are not large.
const BULK: usize = 10;

/// How many bytes the values of an organization may have.
const STORED_BYTES_MAX: usize = 100_000_000;

/// How many bytes a page may have: what ZITADEL sends, at most.
const PAGE_BYTES_MAX: usize = 10 << 20;

/// How many bytes a bulk may have: what ZITADEL takes, at most.
const BULK_BYTES_MAX: usize = 4 << 20;

/// No key and no details are longer.
const ENTRY_BYTES: usize = 128;

/// How many keys of values of this size there are.
pub fn keys(value_bytes: usize) -> usize {
    (STORED_BYTES_MAX / value_bytes).min(KEYS)
}

/// How many values of this size a list asks for.
pub fn page(value_bytes: usize) -> usize {
    (PAGE_BYTES_MAX / (value_bytes + ENTRY_BYTES)).min(PAGE as usize)
}

/// How many values of this size a bulk sets.
pub fn bulk(value_bytes: usize) -> usize {
    (BULK_BYTES_MAX / (value_bytes + ENTRY_BYTES)).min(BULK)
}

/// The server's name for itself; it answers to any.
pub const HOST: &str = "localhost";

const SERVICE: &str = "/zitadel.management.v1.ManagementService";

/// A request; its key, its caller, and in a bulk its keys, follow from `index`.
pub fn request(
    encoding: Encoding,
    operation: Operation,
    index: usize,
    value: &Bytes,
) -> Result<Request<Full<Bytes>>, Error> {
    let key = key(index);
    let (http_method, path) = match (encoding, operation) {
        (Encoding::Rest, Operation::Set) => (Method::POST, format!("/management/v1/metadata/{key}")),
        (Encoding::Rest, Operation::Get) => (Method::GET, format!("/management/v1/metadata/{key}")),
        (Encoding::Rest, Operation::List) => (Method::POST, "/management/v1/metadata/_search".to_owned()),
        (Encoding::Rest, Operation::Bulk) => (Method::POST, "/management/v1/metadata/_bulk".to_owned()),
        (_, Operation::Set) => (Method::POST, format!("{SERVICE}/SetOrgMetadata")),
        (_, Operation::Get) => (Method::POST, format!("{SERVICE}/GetOrgMetadata")),
        (_, Operation::List) => (Method::POST, format!("{SERVICE}/ListOrgMetadata")),
        (_, Operation::Bulk) => (Method::POST, format!("{SERVICE}/BulkSetOrgMetadata")),
    };
    let body = match encoding {
        Encoding::Rest if operation == Operation::Get => Bytes::new(),
        Encoding::Rest | Encoding::ConnectJson => json(operation, index, value),
        Encoding::ConnectProto => message(operation, index, value),
        Encoding::Grpc | Encoding::GrpcWeb => envelope(&message(operation, index, value))?,
        Encoding::GrpcWebText => STANDARD.encode(envelope(&message(operation, index, value))?).into(),
    };
    let mut request = Request::builder()
        .method(http_method)
        .uri(uri(encoding.protocol(), &path))
        .header("authorization", format!("Bearer {}", directory::token(index)));
    if !body.is_empty() {
        request = request.header("content-type", encoding.content_type());
    }
    match encoding {
        Encoding::Grpc => request = request.header("te", "trailers"),
        _ => request = request.header("host", HOST),
    }
    if matches!(encoding, Encoding::GrpcWebText) {
        request = request.header("accept", encoding.content_type());
    }
    Ok(request.body(Full::new(body))?)
}

/// The key number `index`.
pub fn key(index: usize) -> String {
    format!("key-{index:06}")
}

/// HTTP/1.1 has the host in a header, HTTP/2 in the URI.
pub fn uri(protocol: Protocol, path: &str) -> String {
    match protocol {
        Protocol::Http1 => path.to_owned(),
        Protocol::Http2 => format!("http://{HOST}{path}"),
    }
}

/// The keys that the bulk number `index` sets: no two of them are the same.
fn bulk_keys(index: usize, value_bytes: usize) -> impl Iterator<Item = String> {
    let (keys, count) = (keys(value_bytes), bulk(value_bytes));
    (index * count..(index + 1) * count).map(move |index| key(index % keys))
}

fn json(operation: Operation, index: usize, value: &[u8]) -> Bytes {
    let entry = |key: String| format!(r#"{{"key":"{key}","value":"{}"}}"#, STANDARD.encode(value));
    match operation {
        Operation::Set => entry(key(index)),
        Operation::Get => format!(r#"{{"key":"{}"}}"#, key(index)),
        Operation::List => format!(r#"{{"query":{{"limit":{}}}}}"#, page(value.len())),
        Operation::Bulk => {
            let entries: Vec<_> = bulk_keys(index, value.len()).map(entry).collect();
            format!(r#"{{"metadata":[{}]}}"#, entries.join(","))
        }
    }
    .into()
}

fn message(operation: Operation, index: usize, value: &Bytes) -> Bytes {
    match operation {
        Operation::Set => SetOrgMetadataRequest { key: key(index), value: value.clone() }.encode_to_vec(),
        Operation::Get => GetOrgMetadataRequest { key: key(index) }.encode_to_vec(),
        Operation::List => {
            let limit = page(value.len()) as u32;
            let query = ListQuery { limit, ..Default::default() };
            ListOrgMetadataRequest { query: Some(query), queries: Vec::new() }.encode_to_vec()
        }
        Operation::Bulk => {
            let metadata = bulk_keys(index, value.len())
                .map(|key| bulk_set_org_metadata_request::Metadata { key, value: value.clone() });
            BulkSetOrgMetadataRequest { metadata: metadata.collect() }.encode_to_vec()
        }
    }
    .into()
}

/// gRPC's envelope: not compressed, length, message.
fn envelope(message: &[u8]) -> Result<Bytes, Error> {
    let mut envelope = BytesMut::with_capacity(5 + message.len());
    envelope.put_u8(0);
    envelope.put_u32(message.len().try_into()?);
    envelope.extend_from_slice(message);
    Ok(envelope.freeze())
}

/// Bytes that look like nothing in particular, the same in each run (xorshift).
pub fn value(bytes: usize) -> Bytes {
    let mut state: u32 = 2_463_534_242;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(bytes).collect()
}
