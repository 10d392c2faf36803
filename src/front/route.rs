//! The content-type-aware service: which front speaks for a request.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{Router, extract};
use domain::{Code, Error, Language};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use http_body::Body as _;
use tower::{BoxError, ServiceExt};

use super::{
    body::{Body, DRAIN_TIME_MAX, Inbound, LATE_DRAIN_TIME_MAX, Lent},
    connect, cors,
    encoding::Encoding,
    gate::Gate,
    grpc,
    health::Health,
    listener::Peer,
    operations, path,
    record::{Open, Record},
    reflection::{self, StandardServices},
    request_id::{RequestIds, X_REQUEST_ID},
    rest::{self, Resources},
    rpc::Rpc,
    status,
    te_trailers::TeTrailers,
    web,
};

/// What is taken at the path of an RPC (departure D2).
const ACCEPT_POST: &str = "application/grpc, application/grpc+json, application/grpc+json; charset=utf-8, \
     application/grpc+proto, application/grpc-web, application/grpc-web+json, \
     application/grpc-web+json; charset=utf-8, application/grpc-web+proto, application/json, \
     application/json; charset=utf-8, application/proto, application/grpc-web-text, \
     application/grpc-web-text+proto";

/// What is taken at the path of a service that only gRPC speaks.
const ACCEPT_POST_GRPC: &str = "application/grpc, application/grpc+proto";

/// The front door of a server: everything between a request and its answer.
pub struct Front {
    rpcs: HashMap<&'static str, Rpc>,
    standard: StandardServices,
    /// All names, for errors.
    services: Arc<[&'static str]>,
    rest: Resources,
    /// What is no RPC.
    pages: Router,
    gate: Arc<Gate>,
    rest_prefixes: BTreeSet<&'static str>,
    request_ids: RequestIds,
}

impl Front {
    /// A front door for `rpcs`, and for `pages`, which are plain HTTP. `descriptors` is the encoded `FileDescriptorSet` of their protos, `openapi` an OpenAPI
    /// document in JSON; `process` is random, and makes request ids unique among all fronts of all processes.
    ///
    /// # Errors
    /// If `descriptors` does not decode, or the URLs of `rpcs` cannot be told apart.
    pub fn new(
        rpcs: Vec<Rpc>,
        pages: Router,
        gate: Gate,
        descriptors: &'static [u8],
        openapi: &'static [u8],
        health: Health,
        process: u64,
    ) -> Result<Self, BoxError> {
        let gate = Arc::new(gate);
        let standard = StandardServices::new(descriptors, health.clone())?;
        let services: Arc<[&'static str]> =
            rpcs.iter().map(|rpc| rpc.service).chain(standard.names()).collect();
        let known = services.clone();
        let fallback = async move |request: extract::Request| {
            let record = request.extensions().get::<Arc<Record>>().cloned().unwrap_or_default();
            not_found(&request, &record, &known)
        };
        Ok(Self {
            services,
            standard,
            rest: Resources::new(&rpcs)?,
            pages: operations::router(&health, &gate.metrics, openapi).merge(pages).fallback(fallback),
            gate,
            rest_prefixes: rpcs
                .iter()
                .map(|rpc| rpc.rest_prefix)
                .filter(|prefix| !prefix.is_empty())
                .collect(),
            rpcs: rpcs.into_iter().map(|rpc| (rpc.path, rpc)).collect(),
            request_ids: RequestIds::new(process),
        })
    }

    /// What stands around every call.
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// Answers a request from `peer`, and writes its line in the log. `te` is told whether its connection can go on.
    pub async fn answer(
        &self,
        request: impl Into<Inbound>,
        peer: Peer,
        te: Option<&TeTrailers>,
    ) -> Response<Body> {
        let Inbound { request, leftover } = request.into();
        let mut request_id = self.request_ids.of(request.headers());
        let record = Arc::new(Record::new(peer, request_id.clone()));
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let open = Open::new(method, uri, record.clone(), &self.gate.metrics);
        let is_head = request.method() == Method::HEAD;

        let mut response = match cors::preflight(&*request) {
            Some(response) => response,
            None => {
                let origin = request.headers().get(header::ORIGIN).cloned();
                let mut response = self.route(request, &record).await;
                cors::expose(origin, response.headers_mut());
                response
            }
        };
        let is_late = record.code() == Code::DeadlineExceeded.number();
        let is_drained = leftover.drain(if is_late { LATE_DRAIN_TIME_MAX } else { DRAIN_TIME_MAX }).await;
        match te {
            Some(te) if is_drained => te.expect_request(),
            // What is left of the body would be taken for a request.
            Some(_) => {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            None => {}
        }
        open.answered(response.status());
        let headers = response.headers_mut();
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        // Each is another one: HTTP/2 need not remember it.
        request_id.set_sensitive(true);
        headers.insert(X_REQUEST_ID, request_id);
        if is_head { without_body(response) } else { response }
    }

    async fn route(&self, mut request: Box<Request<Lent>>, record: &Arc<Record>) -> Response<Body> {
        let path = request.uri().path();
        if let Some(rpc) = self.rpcs.get(path) {
            return self.at_rpc(rpc, request, record).await;
        }
        if let Some(service) = self.standard.at(path) {
            return match Encoding::of(request.headers(), false) {
                _ if request.method() != Method::POST => method_not_allowed(),
                Some(encoding @ Encoding::Grpc(_)) if !encoding.is_json() => {
                    Box::pin(reflection::answer(service, encoding, request, record)).await
                }
                _ => unsupported_media_type(ACCEPT_POST_GRPC),
            };
        }
        let encoding = Encoding::of(request.headers(), false);
        let malformed = |error: &Error| {
            status::draw(&error.to_status(Language::En), encoding.unwrap_or(Encoding::Rest), record)
        };
        let canonical = match path::canonical(path) {
            Ok(canonical) => canonical,
            Err(error) => return malformed(&error),
        };
        let beside =
            |prefix: &&str| canonical.strip_prefix(*prefix).is_some_and(|rest| !rest.starts_with('/'));
        if encoding.is_none() && self.rest_prefixes.iter().any(beside) {
            return status::plain(StatusCode::BAD_REQUEST, Code::InvalidArgument, "Bad Request");
        }
        if canonical.as_bytes().windows(2).any(|two| two == b"//") {
            // Only the last field of a path may be empty.
            return not_found(&request, record, &self.services);
        }
        match self.rest.at(&canonical) {
            Ok(Some(resource)) => {
                return rest::answer(&self.gate, resource, encoding, request, record).await;
            }
            Ok(None) => {}
            Err(error) => return malformed(&error),
        }
        if let Cow::Owned(canonical) = canonical
            && let Some(uri) = with_path(request.uri(), &canonical)
        {
            *request.uri_mut() = uri;
        }
        request.extensions_mut().insert(record.clone());
        match Box::pin(self.pages.clone().oneshot(*request)).await {
            Ok(response) => response.map(Body::new),
            Err(never) => match never {},
        }
    }

    async fn at_rpc(&self, rpc: &Rpc, request: Box<Request<Lent>>, record: &Arc<Record>) -> Response<Body> {
        if request.method() != Method::POST {
            return method_not_allowed();
        }
        // In boxes, as a future is moved several times before it is first polled, and these are large.
        match Encoding::of(request.headers(), true) {
            Some(encoding @ Encoding::Grpc(_)) => {
                Box::pin(grpc::answer(&self.gate, rpc, Vec::new(), encoding, request, record)).await
            }
            Some(encoding @ (Encoding::Web(_) | Encoding::WebText(_))) => {
                Box::pin(web::answer(&self.gate, rpc, Vec::new(), encoding, request, record)).await
            }
            Some(Encoding::Connect(codec)) => {
                Box::pin(connect::answer(&self.gate, rpc, codec, request, record)).await
            }
            Some(Encoding::Rest) | None => unsupported_media_type(ACCEPT_POST),
        }
    }
}

/// The answer to HEAD: how long a body would be, and none (RFC 9110, section 9.3.2). Over HTTP/2 hyper would send it.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(size) = body.size_hint().exact().filter(|&size| size > 0) {
        parts.headers.insert(header::CONTENT_LENGTH, size.into());
    }
    Response::from_parts(parts, Body::empty())
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path_and_query = match uri.query() {
        Some(query) => PathAndQuery::try_from(format!("{path}?{query}")),
        None => PathAndQuery::try_from(path),
    };
    parts.path_and_query = Some(path_and_query.ok()?);
    Uri::from_parts(parts).ok()
}

fn not_found<B>(request: &Request<B>, record: &Record, services: &[&'static str]) -> Response<Body> {
    // JSON alone says nothing here, but this header does.
    let says_connect = request.headers().contains_key("connect-protocol-version");
    let Some(encoding) = Encoding::of(request.headers(), says_connect) else {
        return status::plain(StatusCode::NOT_FOUND, Code::NotFound, "Not Found");
    };
    let services = services.iter().copied();
    let mut response = reflection::unknown(request.uri().path(), services, encoding, record);
    if matches!(encoding, Encoding::Connect(_)) {
        // The HTTP status from which a client infers the code (Connect protocol, "HTTP to Error Code").
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

fn method_not_allowed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

fn unsupported_media_type(accepted: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response.headers_mut().insert("accept-post", HeaderValue::from_static(accepted));
    response
}
