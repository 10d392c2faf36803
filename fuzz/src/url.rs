//! Paths and queries.

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use http::{Request, Uri};
use metagate::api::generated::zitadel::management::v1::{GetOrgMetadataRequest, SetOrgMetadataRequest};
use prost::Message;

use crate::server::{answer, grpc_status};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// A key, and for each byte whether it is written as it is, or escaped, in capitals or not.
    Key { key: &'a str, escapes: &'a [u8] },
    /// What stands behind the slash.
    Raw { target: &'a str, is_post: bool },
}

/// A key that is set over gRPC is found at its URL, however that is escaped; and no target is a mistake of the server.
pub fn url(input: &[u8]) {
    match Input::arbitrary_take_rest(Unstructured::new(input)) {
        Ok(Input::Key { key, escapes }) => find(key, escapes),
        Ok(Input::Raw { target, is_post }) => {
            let Ok(uri) = format!("/{target}").parse::<Uri>() else { return };
            let request = if is_post { Request::post(uri) } else { Request::get(uri) };
            answer(request.header("authorization", "Bearer t").body(Bytes::new()).unwrap());
        }
        Err(_) => {}
    }
}

fn find(key: &str, escapes: &[u8]) {
    let set = SetOrgMetadataRequest { key: key.to_owned(), value: Bytes::from_static(b"v") };
    let is_key = call("SetOrgMetadata", &set);
    if is_key {
        assert!(call("GetOrgMetadata", &GetOrgMetadataRequest { key: key.to_owned() }), "{key:?}");
    }
    let mut path = "/management/v1/metadata/".to_owned();
    for (index, byte) in key.bytes().enumerate() {
        match escapes.get(index).copied().unwrap_or_default() % 3 {
            0 if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) => {
                path.push(char::from(byte));
            }
            1 => path.push_str(&format!("%{byte:02x}")),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    let get = Request::get(&path).header("authorization", "Bearer t").body(Bytes::new()).unwrap();
    let status = answer(get).status;
    assert_eq!(status == 200, is_key, "{status} for {key:?} at {path}");
}

fn call(method: &str, message: &impl Message) -> bool {
    let mut body = vec![0];
    body.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
    message.encode(&mut body).unwrap();
    let request = Request::post(format!("/zitadel.management.v1.ManagementService/{method}"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("authorization", "Bearer t");
    grpc_status(&answer(request.body(body.into()).unwrap())) == Some(0)
}
