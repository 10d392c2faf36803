//! REST: JSON at the URLs of `google.api.http` bindings.

use std::{borrow::Cow, collections::BTreeMap, pin::pin, sync::Arc};

use bytes::Bytes;
use domain::{Code, Error};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};

use super::{
    body::{Body, Lent},
    encoding::Encoding,
    gate::Gate,
    grpc,
    head::Head,
    limits,
    path::{self, Fields},
    receive::{self, Received, Room},
    record::Record,
    rpc::{Codec, Input, Rpc},
    status, web,
};

/// The one content type with which a POST may mean another method (contract 7.2).
const FORM: &[u8] = b"application/x-www-form-urlencoded";

const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

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
pub struct Resource {
    /// The fields that the path has, in their order.
    fields: Vec<&'static str>,
    routes: Vec<(Method, Route)>,
}

/// All REST bindings, by path.
pub struct Resources(matchit::Router<Resource>);

impl Resources {
    /// Those of `rpcs`.
    ///
    /// # Errors
    /// If two templates cannot stand beside each other.
    pub fn new(rpcs: &[Rpc]) -> Result<Self, matchit::InsertError> {
        let mut router = matchit::Router::new();
        for (template, mut resource) in resources(rpcs) {
            resource.fields = fields(template).collect();
            router.insert(template, resource)?;
        }
        Ok(Self(router))
    }

    /// What is served at a path in its one spelling, and the fields that it sets.
    ///
    /// # Errors
    /// `InvalidArgument` for an invalid percent escape, or what is not UTF-8 once decoded.
    pub fn at(&self, path: &str) -> Result<Option<(&Resource, Fields)>, Error> {
        let Ok(found) = self.0.at(path) else { return Ok(None) };
        let values = found.params.iter().map(|(_, value)| path::decode(value));
        let fields = found.value.fields.iter().zip(values);
        let fields = fields.map(|(name, value)| Ok((Cow::Borrowed(*name), value?.into_owned())));
        Ok(Some((found.value, fields.collect::<Result<_, Error>>()?)))
    }
}

/// The names of a template's fields.
fn fields(template: &'static str) -> impl Iterator<Item = &'static str> {
    template.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}

/// Every path template, with what is served there.
///
/// Two things that a router would not do by itself: a template of literals must not hide the methods of one with a
/// field in that place (`GET /metadata/_search` is the key `_search`), and a last field may be empty.
fn resources(rpcs: &[Rpc]) -> BTreeMap<&'static str, Resource> {
    let mut resources: BTreeMap<&'static str, Resource> = BTreeMap::new();
    for rpc in rpcs {
        for binding in rpc.bindings {
            let (takes_body, takes_query) = (binding.takes_body, binding.takes_query);
            let route = Route { rpc: rpc.clone(), takes_body, takes_query, literals: Vec::new() };
            let resource = resources.entry(binding.template).or_default();
            resource.routes.push((binding.http_method.clone(), route));
        }
    }
    let templates: Vec<&str> = resources.keys().copied().collect();
    for template in &templates {
        for other in templates.iter().filter(|other| *other != template) {
            let Some(literals) = shadowed(template, other) else { continue };
            let hidden = resources.get(other).cloned().unwrap_or_default();
            let resource = resources.entry(template).or_default();
            for (method, route) in hidden.routes {
                if !resource.routes.iter().any(|(taken, _)| *taken == method) {
                    resource.routes.push((method, Route { literals: literals.clone(), ..route }));
                }
            }
        }
        if let Some((parent, field)) =
            template.strip_suffix('}').and_then(|template| template.rsplit_once('{'))
        {
            let mut resource = resources.get(template).cloned().unwrap_or_default();
            for (_, route) in &mut resource.routes {
                route.literals.push((field.into(), String::new()));
            }
            resources.insert(parent, resource);
        }
    }
    resources
}

/// If `general` also matches the literal path `special`: the fields' values there.
fn shadowed(special: &'static str, general: &'static str) -> Option<Fields> {
    if special.split('/').count() != general.split('/').count() {
        return None;
    }
    let mut literals = Vec::new();
    for (here, there) in special.split('/').zip(general.split('/')) {
        match there.strip_prefix('{').and_then(|field| field.strip_suffix('}')) {
            _ if here == there => {}
            Some(field) if !here.starts_with('{') => literals.push((field.into(), here.to_owned())),
            _ => return None,
        }
    }
    Some(literals)
}

impl Resource {
    fn route(&self, method: &Method) -> Option<&Route> {
        self.routes.iter().find(|(bound, _)| bound == method).map(|(_, route)| route)
    }
}

/// Answers a request to a resource, whose path has set `fields`. `encoding` is what it says it speaks, if that is not JSON.
pub async fn answer(
    gate: &Gate,
    (resource, mut fields): (&Resource, Fields),
    encoding: Option<Encoding>,
    request: Box<Request<Lent>>,
    record: &Arc<Record>,
) -> Response<Body> {
    let form = request.method() == Method::POST
        && request.headers().get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes() == FORM);
    let method = match request.headers().get(METHOD_OVERRIDE) {
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
    match encoding {
        // The documented URL in the other documented content types (departure D17).
        Some(encoding) if route.takes_body => match encoding {
            Encoding::Grpc(_) => {
                Box::pin(grpc::answer(gate, &route.rpc, fields, encoding, request, record)).await
            }
            _ => Box::pin(web::answer(gate, &route.rpc, fields, encoding, request, record)).await,
        },
        _ => Box::pin(json(gate, route, fields, form && method != Method::POST, request, record)).await,
    }
}

/// `form`: the body is a form, which adds to the query.
async fn json(
    gate: &Gate,
    route: &Route,
    path_fields: Fields,
    form: bool,
    request: Box<Request<Lent>>,
    record: &Arc<Record>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let head = match Head::read(parts, Encoding::Rest, record.clone()) {
        Ok(head) => head,
        Err(response) => return response,
    };
    let work = pin!(async {
        let limit = route.rpc.message_bytes_max;
        let read = async {
            let bytes_max = if route.takes_body || form { limits::json_body_bytes_max(limit) } else { 0 };
            let Received { bytes, room } = match bytes_max {
                0 => Received { bytes: Bytes::new(), room: Room::new(gate) },
                _ => receive::read(gate, body, bytes_max, limit, |_| None).await?,
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
        let json = reply.to_json().map_err(|error| error.to_status(head.language))?;
        let mut response = Response::new(Body::from(json));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    });
    head.conclude(work).await
}
