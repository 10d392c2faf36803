//! Bare servers, to hold metagate against: nothing in them but the HTTP stack, the messages and a map.
//!
//! They share with metagate what is not its own doing: allocator, runtime, HTTP/2 windows, `TCP_NODELAY`. Their messages
//! are their own (`messages.rs`), so that what metagate does for its own ones shows.

mod encode;
mod grpc;
mod json;
mod map;
mod messages;

use std::{convert::Infallible, error::Error, sync::Arc};

use clap::{Parser, ValueEnum};
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::Either;
use hyper::{
    body::{Body, Incoming},
    server::conn::{http1, http2},
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use metagate::front::{CONNECTION_WINDOW_BYTES, Limits, STREAM_WINDOW_BYTES};
use tokio::net::TcpListener;
use tower::Service as _;

use map::Map;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What content types of gRPC and gRPC-Web begin with.
const GRPC: &[u8] = b"application/grpc";

/// A bare server on a free port of the loopback address, which it says on stdout; or a measurement.
#[derive(Parser)]
enum Cli {
    /// hyper: sends back what it is sent.
    Echo { protocol: Protocol },
    /// axum with serde_json or prost, for REST and Connect, and tonic behind tonic-web, by the content type.
    /// One port for all.
    Mux,
    /// tonic alone.
    Tonic,
    /// Encodes a page, and says how many microseconds of CPU that takes.
    Encode { format: encode::Format, entries: u32, bytes: usize },
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Http1,
    Http2,
    /// What the connection begins with.
    Either,
}

fn main() -> Result<(), Box<dyn Error>> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let map = Arc::new(Map::default());
        match cli {
            Cli::Echo { protocol } => {
                let echo = |request: Request<Incoming>| async {
                    Ok::<_, Infallible>(Response::new(request.into_body()))
                };
                serve(protocol, service_fn(echo)).await
            }
            Cli::Mux => {
                let (urls, grpc) = (json::router(map.clone()), grpc::web(map));
                let mux = service_fn(move |request: Request<Incoming>| {
                    let (mut urls, mut grpc) = (urls.clone(), grpc.clone());
                    async move {
                        let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
                        Ok::<_, Infallible>(if kind.is_some_and(|kind| kind.starts_with(GRPC)) {
                            grpc.call(request).await?.map(Either::Left)
                        } else {
                            urls.call(request).await?.map(Either::Right)
                        })
                    }
                });
                serve(Protocol::Either, mux).await
            }
            Cli::Tonic => serve(Protocol::Http2, TowerToHyperService::new(grpc::service(map))).await,
            Cli::Encode { format, entries, bytes } => encode::run(format, entries, bytes),
        }
    })
}

async fn serve<S, B>(protocol: Protocol, service: S) -> Result<(), Box<dyn Error>>
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let streams_max = Limits::default().streams;
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
                    .max_concurrent_streams(streams_max);
                tokio::spawn(async move { drop(http.serve_connection(io, service).await) });
            }
            Protocol::Either => {
                let mut http = auto::Builder::new(TokioExecutor::new());
                http.http1().timer(TokioTimer::new());
                http.http2()
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                    .max_concurrent_streams(streams_max);
                tokio::spawn(async move { drop(http.serve_connection(io, service).await) });
            }
        }
    }
}
