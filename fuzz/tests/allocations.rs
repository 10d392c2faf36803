//! How often a call asks for memory: the one figure of its cost that is the same on every machine.
//!
//! The whole front door, from the request's head to the answer's last byte, on a store in memory. What hyper does for a connection is
//! not in it.

#![expect(clippy::unwrap_used, reason = "a test")]

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use metagate::{
    api::generated::zitadel::management::v1::SetOrgMetadataRequest,
    front::{Front, Peer},
};
use prost::Message;

const SET: &str = "/zitadel.management.v1.ManagementService/SetOrgMetadata";
const GET: &str = "/zitadel.management.v1.ManagementService/GetOrgMetadata";

fn envelope(message: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, u8::try_from(message.len()).unwrap()], message].concat()
}

/// A request, without what it takes to make it.
fn request(path: &str, content_type: &str, body: &Bytes) -> Request<Full<Bytes>> {
    Request::post(path)
        .version(http::Version::HTTP_2)
        .header("authorization", "Bearer t")
        .header("content-type", content_type)
        .body(Full::new(body.clone()))
        .unwrap()
}

async fn answer(front: &Front, request: Request<Full<Bytes>>) -> StatusCode {
    let response = front.answer(request, Peer::default(), None).await;
    let (parts, mut body) = response.into_parts();
    while let Some(frame) = body.frame().await {
        drop(frame.unwrap());
    }
    parts.status
}

#[test]
fn a_call_asks_for_memory_as_often_as_is_written_here() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let front = runtime.block_on(metagate_fuzz::front());
    let value = Bytes::from(vec![b'v'; 100]);
    let json = Bytes::from(format!(r#"{{"key":"k","value":"{}"}}"#, "dnZ2".repeat(33)));
    let set = SetOrgMetadataRequest { key: "k".into(), value }.encode_to_vec();
    let get = Bytes::from(b"\x0a\x01k".as_slice());
    let (proto, framed, framed_get) =
        (Bytes::from(set.clone()), envelope(&set).into(), envelope(&get).into());
    let mut wrong = Vec::new();
    for (name, path, content_type, body, stated) in [
        ("REST Set", "/management/v1/metadata/k", "application/json", &json, 28),
        ("Connect JSON Set", SET, "application/json", &json, 27),
        ("Connect proto Set", SET, "application/proto", &proto, 24),
        ("gRPC Set", SET, "application/grpc", &framed, 28),
        ("gRPC Get", GET, "application/grpc", &framed_get, 26),
        ("gRPC-Web Set", SET, "application/grpc-web+proto", &framed, 29),
    ] {
        let count = || {
            let request = request(path, content_type, body);
            let measured = allocation_counter::measure(|| {
                assert_eq!(runtime.block_on(answer(&front, request)), StatusCode::OK, "{name}");
            });
            measured.count_total
        };
        // The first calls of each kind fill what is kept.
        let [_, _, counted, again] = std::array::from_fn(|_| count());
        assert_eq!(counted, again, "{name}: it grows");
        // Five of a hundred more are a mistake; five of a hundred fewer are to be written down.
        if counted.abs_diff(stated) * 20 > stated {
            wrong.push(format!("{name}: {counted} instead of {stated}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join(", "));
}
