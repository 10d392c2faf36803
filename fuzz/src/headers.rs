//! Headers that a caller may send.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Version};

use crate::server::answer;

const PATHS: [&str; 4] = [
    "/management/v1/metadata/_search",
    "/zitadel.management.v1.ManagementService/ListOrgMetadata",
    "/zitadel.org.v2.OrganizationService/ListOrganizationMetadata",
    "/grpc.health.v1.Health/Check",
];

const METHODS: [Method; 4] = [Method::POST, Method::GET, Method::OPTIONS, Method::DELETE];

const NAMES: [&str; 16] = [
    "content-type",
    "content-encoding",
    "accept-encoding",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-timeout",
    "connect-timeout-ms",
    "connect-protocol-version",
    "authorization",
    "x-zitadel-orgid",
    "accept-language",
    "origin",
    "access-control-request-headers",
    "access-control-request-method",
    "forwarded",
    "x-request-id",
];

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    path: u8,
    method: u8,
    is_http2: bool,
    headers: Vec<(u8, &'a [u8])>,
    body: &'a [u8],
}

/// Whatever headers say, there is an answer that can be read.
pub fn headers(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let mut request = Request::builder()
        .method(&METHODS[usize::from(input.method) % METHODS.len()])
        .uri(PATHS[usize::from(input.path) % PATHS.len()])
        .version(if input.is_http2 { Version::HTTP_2 } else { Version::HTTP_11 });
    for (name, value) in &input.headers {
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        request = request.header(NAMES[usize::from(*name) % NAMES.len()], value);
    }
    let answer = answer(request.body(Bytes::copy_from_slice(input.body)).unwrap());
    if answer.headers.get("content-type").is_some_and(|media_type| media_type == "application/json")
        && !answer.headers.contains_key("content-encoding")
    {
        serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap();
    }
}
