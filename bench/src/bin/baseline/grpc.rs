//! A tonic service, alone or behind tonic-web.

use std::{
    convert::Infallible,
    future::ready,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use prost::Message;
use tonic::{Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service, service_fn};

use crate::map::Map;

/// The calls in gRPC.
pub fn service(map: Arc<Map>) -> Management {
    Management(map)
}

/// The same in gRPC-Web too.
pub fn web(map: Arc<Map>) -> GrpcWebService<Management> {
    GrpcWebLayer::new().layer(service(map))
}

/// What tonic's code generator would write for the three calls.
#[derive(Clone)]
pub struct Management(Arc<Map>);

impl<B> Service<Request<B>> for Management
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let map = self.0.clone();
        match request.uri().path() {
            "/zitadel.management.v1.ManagementService/SetOrgMetadata" => {
                Box::pin(unary(map, Map::set, request))
            }
            "/zitadel.management.v1.ManagementService/BulkSetOrgMetadata" => {
                Box::pin(unary(map, Map::bulk, request))
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

async fn unary<Q, R, B>(
    map: Arc<Map>,
    call: fn(&Map, Q) -> Option<R>,
    request: Request<B>,
) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
    Q: Message + Default + 'static,
    R: Message + 'static,
{
    let method = service_fn(move |request: tonic::Request<Q>| {
        let reply = call(&map, request.into_inner());
        ready(reply.map(tonic::Response::new).ok_or_else(|| Status::not_found("")))
    });
    Ok(Grpc::new(ProstCodec::<R, Q>::default()).unary(method, request).await)
}
