//! The services that come with gRPC itself, served by tonic as they are: reflection, v1 and v1alpha, and
//! `grpc.health.v1`. Over gRPC only (departure D20).

use std::{convert::Infallible, pin::pin, sync::Arc};

use domain::{Code, Error, Language};
use http::{HeaderValue, Request, Response, header};
use tonic_health::pb::health_server::HealthServer;
use tower::{BoxError, Service, ServiceExt, util::BoxCloneSyncService};

use super::{
    body::{Body, Lent},
    encoding::Encoding,
    grpc,
    head::Head,
    health::Health,
    record::Record,
    status,
};

type TonicService = BoxCloneSyncService<Request<Lent>, Response<tonic::body::Body>, Infallible>;

/// The RPCs of these services, by path.
#[derive(Clone)]
pub struct StandardServices(Vec<(&'static str, TonicService)>);

impl StandardServices {
    /// The services for `descriptors`, an encoded `FileDescriptorSet` of everything that is served.
    ///
    /// # Errors
    /// If the set does not decode.
    pub fn new(descriptors: &'static [u8], health: Health) -> Result<Self, BoxError> {
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(descriptors)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let health = boxed(HealthServer::new(health));
        Ok(Self(vec![
            ("/grpc.health.v1.Health/Check", health.clone()),
            ("/grpc.health.v1.Health/Watch", health),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", boxed(reflection().build_v1()?)),
            (
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                boxed(reflection().build_v1alpha()?),
            ),
        ]))
    }

    /// The RPC at `path` and its service, if there is one.
    pub fn at(&self, path: &str) -> Option<(&'static str, TonicService)> {
        self.0.iter().find(|(served, _)| *served == path).cloned()
    }

    /// The full names of these services.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter_map(|(path, _)| path.strip_prefix('/')?.split('/').next())
    }
}

/// Answers a gRPC call of `rpc` by `service`.
pub async fn answer(
    (rpc, service): (&'static str, TonicService),
    encoding: Encoding,
    request: Box<Request<Lent>>,
    record: &Arc<Record>,
) -> Response<Body> {
    grpc::with_trailers(request, async |request| {
        let (parts, body) = request.into_parts();
        let head = match Head::read(parts.clone(), encoding, record.clone()) {
            Ok(head) => head,
            Err(response) => return response,
        };
        head.record.rpc(rpc);
        let request = Request::from_parts(parts, body);
        let work = pin!(async {
            let answer = service.oneshot(request).await.map_err(|never| match never {})?;
            let mut response = answer.map(Body::new);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
            Ok(response)
        });
        head.conclude(work).await
    })
    .await
}

/// What grpc-go says of a path at which nothing is served.
pub fn unknown(
    path: &str,
    services: impl IntoIterator<Item = &'static str>,
    encoding: Encoding,
    record: &Record,
) -> Response<Body> {
    let text = match path.strip_prefix('/').unwrap_or(path).rsplit_once('/') {
        None => format!("malformed method name: {path:?}"),
        Some((service, method)) if services.into_iter().any(|known| known == service) => {
            format!("unknown method {method} for service {service}")
        }
        Some((service, _)) => format!("unknown service {service}"),
    };
    let status = Error::protocol(Code::Unimplemented, text).to_status(Language::En);
    status::draw(&status, encoding, record)
}

fn boxed<S>(service: S) -> TonicService
where
    S: Service<Request<Lent>, Response = Response<tonic::body::Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    BoxCloneSyncService::new(service)
}
