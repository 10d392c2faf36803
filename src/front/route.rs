//! The content-type-aware service: which front speaks for a request.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use axum::{Router, extract};
use bytes::Bytes;
use domain::{Code, Language};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use tower::{BoxError, ServiceExt};

use super::{
    body::{Body, DRAIN_TIME_MAX, LATE_DRAIN_TIME_MAX, Leftover},
    connect,
    connection::TeTrailers,
    cors,
    encoding::Encoding,
    gate::Gate,
    grpc,
    health::Health,
    listener::Peer,
    operations, path,
    record::{Open, Record},
    reflection::{self, StandardServices},
    request_id::{RequestIds, X_REQUEST_ID},
    rest,
    rpc::Rpc,
    status, web,
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
    http: Router,
    gate: Arc<Gate>,
    rest_prefixes: BTreeSet<&'static str>,
    request_ids: RequestIds,
}

impl Front {
    /// A front door for `rpcs`, and for `pages`, which are plain HTTP. `descriptors` is the encoded `FileDescriptorSet` of their protos, `openapi` an OpenAPI
    /// document in JSON; `process` is random, and makes request ids unique among all fronts of all processes.
    ///
    /// # Errors
    /// If `descriptors` does not decode.
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
        let fallback = async move |request: extract::Request| not_found(&request, &known);
        Ok(Self {
            services,
            standard,
            http: rest::router(&rpcs, &gate)
                .merge(operations::router(&health, &gate.metrics, openapi))
                .merge(pages)
                .fallback(fallback),
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

    /// Answers a request from `peer`, and writes its line in the log.
    pub async fn answer<B>(&self, mut request: Request<B>, peer: Peer) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let request_id = self.request_ids.of(request.headers());
        let record = Arc::new(Record::new(peer, request_id.clone()));
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let open = Open::new(method, uri, record.clone(), &self.gate.metrics);
        let leftover = Leftover::default();
        let te = request.extensions_mut().remove::<TeTrailers>();
        let mut request = request.map(|body| leftover.lend(Body::new(body)));
        request.extensions_mut().insert(record.clone());

        let mut response = match cors::preflight(&request) {
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
        headers.insert(X_REQUEST_ID, request_id);
        response
    }

    async fn route(&self, mut request: Request<Body>, record: &Record) -> Response<Body> {
        let path = request.uri().path();
        if let Some(rpc) = self.rpcs.get(path) {
            return self.at_rpc(rpc, request).await;
        }
        if let Some(service) = self.standard.at(path) {
            return match Encoding::of(request.headers(), false) {
                _ if request.method() != Method::POST => method_not_allowed(),
                Some(encoding @ Encoding::Grpc(_)) if !encoding.is_json() => {
                    reflection::answer(service, encoding, request).await
                }
                _ => unsupported_media_type(ACCEPT_POST_GRPC),
            };
        }
        let encoding = Encoding::of(request.headers(), false);
        let canonical = match path::canonical(path) {
            Ok(canonical) => canonical,
            Err(error) => {
                return status::draw(
                    &error.to_status(Language::En),
                    encoding.unwrap_or(Encoding::Rest),
                    record,
                );
            }
        };
        let beside =
            |prefix: &&str| canonical.strip_prefix(*prefix).is_some_and(|rest| !rest.starts_with('/'));
        if encoding.is_none() && self.rest_prefixes.iter().any(beside) {
            return status::plain(StatusCode::BAD_REQUEST, Code::InvalidArgument, "Bad Request");
        }
        if canonical.contains("//") {
            // Only the last field of a path may be empty.
            return not_found(&request, &self.services);
        }
        if let std::borrow::Cow::Owned(canonical) = canonical
            && let Some(uri) = with_path(request.uri(), &canonical)
        {
            *request.uri_mut() = uri;
        }
        match self.http.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn at_rpc(&self, rpc: &Rpc, request: Request<Body>) -> Response<Body> {
        if request.method() != Method::POST {
            return method_not_allowed();
        }
        // In boxes, as a future is moved several times before it is first polled, and these are large.
        match Encoding::of(request.headers(), true) {
            Some(encoding @ Encoding::Grpc(_)) => {
                Box::pin(grpc::answer(&self.gate, rpc, Vec::new(), encoding, request)).await
            }
            Some(encoding @ (Encoding::Web(_) | Encoding::WebText(_))) => {
                Box::pin(web::answer(&self.gate, rpc, Vec::new(), encoding, request)).await
            }
            Some(Encoding::Connect(codec)) => {
                Box::pin(connect::answer(&self.gate, rpc, codec, request)).await
            }
            Some(Encoding::Rest) | None => unsupported_media_type(ACCEPT_POST),
        }
    }
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

fn not_found(request: &Request<Body>, services: &[&'static str]) -> Response<Body> {
    // JSON alone says nothing here, but this header does.
    let says_connect = request.headers().contains_key("connect-protocol-version");
    match (Encoding::of(request.headers(), says_connect), request.extensions().get::<Arc<Record>>()) {
        (Some(encoding), Some(record)) => {
            let services = services.iter().copied();
            let mut response = reflection::unknown(request.uri().path(), services, encoding, record);
            if matches!(encoding, Encoding::Connect(_)) {
                // The HTTP status from which a client infers the code (Connect protocol, "HTTP to Error Code").
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
            response
        }
        _ => status::plain(StatusCode::NOT_FOUND, Code::NotFound, "Not Found"),
    }
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
