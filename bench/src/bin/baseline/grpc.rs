//! A tonic service behind tonic-web: gRPC and gRPC-Web.

use std::{
    convert::Infallible,
    future::ready,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use prost::Message;
use tonic::{Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, service_fn};

use crate::map::Map;

/// Set, Get and List.
pub fn service(map: Arc<Map>) -> GrpcWebService<Management> {
    GrpcWebLayer::new().layer(Management(map))
}

/// What tonic's code generator would write for the three calls.
#[derive(Clone)]
pub struct Management(Arc<Map>);

impl Service<Request<Body>> for Management {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let map = self.0.clone();
        match request.uri().path() {
            "/zitadel.management.v1.ManagementService/SetOrgMetadata" => {
                Box::pin(unary(map, Map::set, request))
            }
            "/zitadel.management.v1.ManagementService/GetOrgMetadata" => {
                Box::pin(unary(map, Map::get, request))
            }
            "/zitadel.management.v1.ManagementService/ListOrgMetadata" => {
                Box::pin(unary(map, Map::list, request))
            }
            _ => Box::pin(ready(Ok(Status::unimplemented("").into_http()))),
        }
    }
}

async fn unary<Q, R>(
    map: Arc<Map>,
    call: fn(&Map, Q) -> Option<R>,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible>
where
    Q: Message + Default + 'static,
    R: Message + 'static,
{
    let method = service_fn(move |request: tonic::Request<Q>| {
        let reply = call(&map, request.into_inner());
        ready(reply.map(tonic::Response::new).ok_or_else(|| Status::not_found("")))
    });
    Ok(Grpc::new(ProstCodec::<R, Q>::default()).unary(method, request).await)
}
