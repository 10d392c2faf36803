//! Bare servers, to hold metagate against: nothing in them but the HTTP stack, the messages and a map.
//!
//! They share with metagate what is not its own doing: allocator, runtime, HTTP/2 windows, `TCP_NODELAY`, and the
//! generated messages with their JSON.

mod grpc;
mod json;
mod map;

use std::{convert::Infallible, error::Error, sync::Arc};

use clap::{Parser, ValueEnum};
use http::{Request, Response};
use hyper::{
    body::{Body, Incoming},
    server::conn::{http1, http2},
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metagate::front::{CONNECTION_WINDOW_BYTES, Limits, STREAM_WINDOW_BYTES};
use tokio::net::TcpListener;

use map::Map;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A bare server on a free port of the loopback address, which it says on stdout.
#[derive(Parser)]
struct Cli {
    server: Kind,
    protocol: Protocol,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// hyper: sends back what it is sent.
    Echo,
    /// axum with serde_json or prost: REST and Connect.
    Axum,
    /// tonic with tonic-web: gRPC and gRPC-Web.
    Tonic,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Http1,
    Http2,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Cli { server, protocol } = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let map = Arc::new(Map::default());
        match server {
            Kind::Echo => {
                let echo = |request: Request<Incoming>| async {
                    Ok::<_, Infallible>(Response::new(request.into_body()))
                };
                serve(protocol, service_fn(echo)).await
            }
            Kind::Axum => serve(protocol, TowerToHyperService::new(json::router(map))).await,
            Kind::Tonic => serve(protocol, TowerToHyperService::new(grpc::service(map))).await,
        }
    })
}

async fn serve<S, B>(protocol: Protocol, service: S) -> Result<(), Box<dyn Error>>
where
    S: HttpService<Incoming, ResBody = B> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("baseline listens on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (io, service) = (TokioIo::new(stream), service.clone());
        // How a connection ends is its client's business, and the client looks at each answer.
        match protocol {
            Protocol::Http1 => {
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new());
                tokio::spawn(async move { drop(http.serve_connection(io, service).await) });
            }
            Protocol::Http2 => {
                let mut http = http2::Builder::new(TokioExecutor::new());
                http.timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                    .max_concurrent_streams(Limits::default().streams);
                tokio::spawn(async move { drop(http.serve_connection(io, service).await) });
            }
        }
    }
}
