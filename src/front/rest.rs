//! REST: JSON at the URLs of `google.api.http` bindings, as axum handlers.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{RawPathParams, Request},
    routing::any,
};
use bytes::Bytes;
use domain::{Code, Error};
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::{
    body::Body,
    encoding::Encoding,
    gate::Gate,
    grpc,
    head::Head,
    limits,
    path::{self, Fields},
    receive::{self, Received, Room},
    rpc::{Codec, Input, Rpc},
    status, web,
};

/// The one content type with which a POST may mean another method (contract 7.2).
const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// One binding, as seen from one path.
#[derive(Clone)]
struct Route {
    rpc: Rpc,
    takes_body: bool,
    takes_query: bool,
    /// Fields that this path has as literal text.
    literals: Fields,
}

/// What is served at one path, by HTTP method.
#[derive(Clone, Default)]
struct Resource(Vec<(Method, Route)>);

/// The axum router of all REST bindings of `rpcs`.
pub fn router(rpcs: &[Rpc], gate: &Arc<Gate>) -> Router {
    let mut router = Router::new();
    for (template, resource) in resources(rpcs) {
        let (resource, gate) = (Arc::new(resource), gate.clone());
        let handler = move |fields: RawPathParams, request: Request| async move {
            let fields = fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            answer(&resource, fields, &gate, request).await
        };
        router = router.route(&template, any(handler));
    }
    router
}

/// Every path template, with what is served there.
///
/// Two things that a router would not do by itself: a template of literals must not hide the methods of one with a
/// field in that place (`GET /metadata/_search` is the key `_search`), and a last field may be empty.
fn resources(rpcs: &[Rpc]) -> BTreeMap<String, Resource> {
    let mut resources: BTreeMap<String, Resource> = BTreeMap::new();
    for rpc in rpcs {
        for binding in rpc.bindings {
            let (takes_body, takes_query) = (binding.takes_body, binding.takes_query);
            let route = Route { rpc: rpc.clone(), takes_body, takes_query, literals: Vec::new() };
            resources
                .entry(binding.template.to_owned())
                .or_default()
                .0
                .push((binding.http_method.clone(), route));
        }
    }
    let templates: Vec<String> = resources.keys().cloned().collect();
    for template in &templates {
        for other in templates.iter().filter(|other| *other != template) {
            let Some(literals) = shadowed(template, other) else { continue };
            let hidden = resources.get(other).cloned().unwrap_or_default();
            let resource = resources.entry(template.clone()).or_default();
            for (method, route) in hidden.0 {
                if !resource.0.iter().any(|(taken, _)| *taken == method) {
                    resource.0.push((method, Route { literals: literals.clone(), ..route }));
                }
            }
        }
        if let Some((parent, field)) =
            template.strip_suffix('}').and_then(|template| template.rsplit_once('{'))
        {
            let mut resource = resources.get(template).cloned().unwrap_or_default();
            for (_, route) in &mut resource.0 {
                route.literals.push((field.to_owned(), String::new()));
            }
            resources.insert(parent.to_owned(), resource);
        }
    }
    resources
}

/// If `general` also matches the literal path `special`: the fields' values there.
fn shadowed(special: &str, general: &str) -> Option<Fields> {
    if special.split('/').count() != general.split('/').count() {
        return None;
    }
    let mut literals = Vec::new();
    for (here, there) in special.split('/').zip(general.split('/')) {
        match there.strip_prefix('{').and_then(|field| field.strip_suffix('}')) {
            _ if here == there => {}
            Some(field) if !here.starts_with('{') => literals.push((field.to_owned(), here.to_owned())),
            _ => return None,
        }
    }
    Some(literals)
}

impl Resource {
    fn route(&self, method: &Method) -> Option<&Route> {
        self.0.iter().find(|(bound, _)| bound == method).map(|(_, route)| route)
    }
}

async fn answer(resource: &Resource, mut fields: Fields, gate: &Gate, request: Request) -> Response<Body> {
    let form = request.method() == Method::POST
        && request.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes() == FORM);
    let method = match request.headers().get("x-http-method-override") {
        Some(method) if form && !method.is_empty() => {
            Method::from_bytes(&method.as_bytes().to_ascii_uppercase()).unwrap_or_default()
        }
        _ => request.method().clone(),
    };
    let route = resource.route(&method).or_else(|| if form { resource.route(&Method::GET) } else { None });
    let Some(route) = route else {
        return status::plain(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, "Method Not Allowed");
    };
    fields.extend(route.literals.iter().cloned());
    match Encoding::of(request.headers(), false) {
        // The documented URL in the other documented content types (departure D17).
        Some(encoding) if route.takes_body => match encoding {
            Encoding::Grpc(_) => Box::pin(grpc::answer(gate, &route.rpc, fields, encoding, request)).await,
            _ => Box::pin(web::answer(gate, &route.rpc, fields, encoding, request)).await,
        },
        _ => Box::pin(json(gate, route, fields, form && method != Method::POST, request)).await,
    }
}

/// `form`: the body is a form, which adds to the query.
async fn json(
    gate: &Gate,
    route: &Route,
    path_fields: Fields,
    form: bool,
    request: Request,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let head = match Head::read(parts, Encoding::Rest) {
        Ok(head) => head,
        Err(response) => return response,
    };
    head.conclude(async {
        let limit = route.rpc.message_bytes_max;
        let read = async {
            let bytes_max = if route.takes_body || form { limits::json_body_bytes_max(limit) } else { 0 };
            let Received { bytes, room } = match bytes_max {
                0 => Received { bytes: Bytes::new(), room: Room::new(gate) },
                _ => receive::read(gate, body, bytes_max, limit).await?,
            };
            let (payload, form) = if form { (Bytes::new(), bytes) } else { (bytes, Bytes::new()) };
            let mut query_fields = Vec::new();
            if route.takes_query {
                let form = std::str::from_utf8(&form)
                    .map_err(|_| Error::protocol(Code::InvalidArgument, "the form is not UTF-8"))?;
                query_fields = path::query(form)?;
                query_fields.extend(path::query(&query)?);
            }
            Ok(Input {
                codec: Codec::Json(protojson::Envelope::Lenient),
                payload,
                room,
                path: path_fields,
                query: query_fields,
            })
        };
        let input = read.await;
        let reply = route.rpc.call(gate, &head, input).await?;
        let json = reply.to_json().map_err(|error| error.to_status(head.language()))?;
        let mut response = Response::new(Body::from(json));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    })
    .await
}
