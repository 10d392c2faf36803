//! How often a call asks for memory: the one figure of its cost that is the same on every machine.
//!
//! The whole front door, from the request's head to the answer's last byte, on a store in memory. What hyper does for a connection is
//! not in it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use bytes::Bytes;
use domain::OrganizationId;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use identity::Directory;
use metagate::{
    api::{self, Gatekeeper, Realm, generated::zitadel::management::v1::SetOrgMetadataRequest},
    authority::Authority,
    front::{Front, Gate, Health, Peer, Phase},
};
use prost::Message;
use storage::{MemoryStore, Store};
use tokio::sync::watch;

const DIRECTORY: &str = "[instance]\nid = \"1\"\n[[organization]]\nid = \"o\"\nname = \"o\"\nstate = \"active\"\n\
     [[user]]\nid = \"u\"\nname = \"u\"\norganization = \"o\"\nstate = \"active\"\ntoken = [{ value = \"t\" }]\n\
     [[membership]]\nuser = \"u\"\ninstance = true\nroles = [\"IAM_OWNER\"]\n";

const SET: &str = "/zitadel.management.v1.ManagementService/SetOrgMetadata";
const GET: &str = "/zitadel.management.v1.ManagementService/GetOrgMetadata";

async fn front() -> Front {
    let shared = Arc::new(MemoryStore::new());
    let store: Arc<dyn Store> = shared.clone();
    store.create_organization(&OrganizationId::new("o").unwrap(), "o").await.unwrap();
    let directory = Arc::new(Directory::parse(DIRECTORY, "directory.toml").unwrap());
    let authority = Authority::open(shared.clone(), directory.clone()).await.unwrap();
    let realm = Realm {
        directory,
        trusted_proxies: Vec::new(),
        external_url: None,
        failed_logins: u32::MAX,
        issuers: Arc::default(),
    };
    let gate = Gate::new(Arc::new(Gatekeeper::new(realm, shared, authority.into())));
    let (_, phase) = watch::channel(Phase::Serving);
    let health = Health::new(Vec::new(), || true, phase);
    let pages = axum::Router::new();
    Front::new(api::rpcs(&store), pages, gate, api::DESCRIPTORS, api::OPENAPI, health, 0).unwrap()
}

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
    let front = runtime.block_on(front());
    let value = Bytes::from(vec![b'v'; 100]);
    let json = Bytes::from(format!(r#"{{"key":"k","value":"{}"}}"#, "dnZ2".repeat(33)));
    let set = SetOrgMetadataRequest { key: "k".into(), value }.encode_to_vec();
    let get = Bytes::from(b"\x0a\x01k".as_slice());
    let (proto, framed, framed_get) =
        (Bytes::from(set.clone()), envelope(&set).into(), envelope(&get).into());
    let mut wrong = Vec::new();
    for (name, path, content_type, body, stated) in [
        ("REST Set", "/management/v1/metadata/k", "application/json", &json, 30),
        ("Connect JSON Set", SET, "application/json", &json, 28),
        ("Connect proto Set", SET, "application/proto", &proto, 25),
        ("gRPC Set", SET, "application/grpc", &framed, 29),
        ("gRPC Get", GET, "application/grpc", &framed_get, 27),
        ("gRPC-Web Set", SET, "application/grpc-web+proto", &framed, 30),
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
