//! Bodies of gRPC and gRPC-Web.

use ::base64::{Engine, engine::general_purpose::STANDARD};
use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use http::{Request, Version};

use crate::server::{answer, grpc_status};

const SET: &str = "/zitadel.management.v1.ManagementService/SetOrgMetadata";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    /// Whether `grpc-encoding` says gzip.
    is_gzip: bool,
    /// Where the text is cut into pieces that are padded each.
    cuts: [u8; 3],
    body: &'a [u8],
}

/// Every body has a gRPC status, and the same one however it travels: over gRPC, gRPC-Web, or as text in any pieces.
pub fn framing(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let mut text = String::new();
    let mut rest = input.body;
    for cut in input.cuts {
        let (piece, after) = rest.split_at(usize::from(cut).min(rest.len()));
        text.push_str(&STANDARD.encode(piece));
        rest = after;
    }
    text.push_str(&STANDARD.encode(rest));
    let body = Bytes::copy_from_slice(input.body);
    let outcomes = [
        ("application/grpc", body.clone()),
        ("application/grpc-web", body),
        ("application/grpc-web-text", text.into()),
    ]
    .map(|(content_type, body)| outcome(&input, content_type, body));
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
}

/// Status and message.
fn outcome(input: &Input<'_>, content_type: &str, body: Bytes) -> (i32, String) {
    let mut request = Request::post(SET)
        .version(Version::HTTP_2)
        .header("content-type", content_type)
        .header("authorization", "Bearer t");
    if input.is_gzip {
        request = request.header("grpc-encoding", "gzip");
    }
    let answer = answer(request.body(body).unwrap());
    assert_eq!(answer.status, 200);
    let Some(status) = grpc_status(&answer) else {
        // gRPC-Web has the status of a success in its body.
        let body = STANDARD.decode(&answer.body).unwrap_or_else(|_| answer.body.to_vec());
        assert!(String::from_utf8_lossy(&body).contains("grpc-status: 0\r\n"), "{body:?}");
        return (0, String::new());
    };
    let message = answer.headers.get("grpc-message").map(|message| message.to_str().unwrap().to_owned());
    (status, message.unwrap_or_default())
}
