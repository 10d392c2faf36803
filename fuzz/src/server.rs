//! The whole front door, without a network: on a store in memory, with one owner.

use std::{cell::LazyCell, sync::Arc};

use bytes::Bytes;
use domain::OrganizationId;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use identity::Directory;
use metagate::{
    api::{self, Gatekeeper, Realm},
    authority::Authority,
    front::{Front, Gate, Health, Peer, Phase},
    oidc,
};
use storage::{MemoryStore, Store};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

const DIRECTORY: &str = "[instance]\nid = \"1\"\n[[organization]]\nid = \"o\"\nname = \"o\"\nstate = \"active\"\n\
     [[user]]\nid = \"u\"\nname = \"u\"\norganization = \"o\"\nstate = \"active\"\ntoken = [{ value = \"t\" }]\n\
     [[membership]]\nuser = \"u\"\ninstance = true\nroles = [\"IAM_OWNER\"]\n";

struct Server {
    runtime: Runtime,
    front: Front,
}

/// An answer, all of it.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

thread_local! {
    static SERVER: LazyCell<Server> = LazyCell::new(Server::start);
}

impl Server {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let front = runtime.block_on(front());
        Self { runtime, front }
    }
}

/// A front door on a new store, which has the organization `o` and its owner, whose token is `t`.
pub async fn front() -> Front {
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
    let gatekeeper = Arc::new(Gatekeeper::new(realm, shared, authority.into()));
    let gate = Gate::new(gatekeeper.clone());
    let (_, phase) = watch::channel(Phase::Serving);
    let health = Health::new(Vec::new(), || true, phase);
    Front::new(
        api::rpcs(&store),
        oidc::router(&gatekeeper, &gate.metrics),
        gate,
        api::DESCRIPTORS,
        api::OPENAPI,
        health,
        0,
    )
    .unwrap()
}

/// Answers a request, and checks what holds for every answer.
pub fn answer(request: Request<Bytes>) -> Answer {
    let shown = format!("{request:?}");
    let answer = SERVER.with(|server| {
        server.runtime.block_on(async {
            let response = server.front.answer(request.map(Full::new), Peer::default(), None).await;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap();
            let trailers = body.trailers().cloned().unwrap_or_default();
            Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), trailers }
        })
    });
    // Nothing that a caller sends is a mistake of the server. 501 and 504 say what the caller asked for.
    assert!(![500, 502, 503].contains(&answer.status.as_u16()), "{} to {shown}", answer.status);
    assert!(answer.headers.contains_key("x-request-id"), "{shown}");
    answer
}

/// gRPC's status, wherever it stands; `None` if there is none.
pub fn grpc_status(answer: &Answer) -> Option<i32> {
    let status = answer.headers.get("grpc-status").or_else(|| answer.trailers.get("grpc-status"))?;
    status.to_str().ok()?.parse().ok()
}
