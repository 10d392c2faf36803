//! A server that is metagate but for one bug: a proxy that spoils what passes.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};

/// In which encoding a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Rest,
    Grpc,
    Web,
    WebText,
    ConnectJson,
    ConnectProto,
    GrpcJson,
    /// gRPC at the URL of REST.
    GrpcAtUrl,
    /// A question of a browser, or of reflection.
    Other,
}

/// An answer on its way, and what it answers.
pub struct Answer {
    pub encoding: Encoding,
    pub method: Method,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

/// What is done to an answer.
pub type Spoil = fn(&mut Answer);

/// Starts a server that spoils the answers of `upstream`. It lasts as long as the runtime.
pub async fn start(upstream: SocketAddr, spoil: Spoil) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let proxy = Arc::new(Proxy { client, upstream, spoil });
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let proxy = Arc::clone(&proxy);
            let service = service_fn(move |request| {
                let proxy = Arc::clone(&proxy);
                async move { Ok::<_, Infallible>(proxy.pass(request).await) }
            });
            tokio::spawn(async move {
                // A client that leaves is none of our business.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service)
                    .await;
            });
        }
    });
    address
}

struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    upstream: SocketAddr,
    spoil: Spoil,
}

impl Proxy {
    async fn pass(
        &self,
        request: Request<Incoming>,
    ) -> Response<impl hyper::body::Body<Data = Bytes, Error = Infallible> + use<>> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let encoding = encoding(&head);
        let method = head.method.clone();
        let path = head.uri.path_and_query().unwrap().clone();
        head.uri = format!("http://{}{path}", self.upstream).parse().unwrap();
        head.version = http::Version::HTTP_2;
        for name in ["host", "content-length", "transfer-encoding", "connection"] {
            head.headers.remove(name);
        }
        let answer = self.client.request(Request::from_parts(head, Full::new(body))).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap();
        let mut answer = Answer {
            encoding,
            method,
            status: head.status.as_u16(),
            headers: head.headers,
            trailers: body.trailers().cloned().unwrap_or_default(),
            body: body.to_bytes().to_vec(),
        };
        if encoding != Encoding::Other || answer.method == Method::OPTIONS {
            (self.spoil)(&mut answer);
        }
        answer.headers.remove("content-length");
        let trailers = (!answer.trailers.is_empty()).then_some(Ok(answer.trailers));
        let body = Full::new(Bytes::from(answer.body)).with_trailers(async move { trailers });
        let mut response = Response::new(body);
        *response.status_mut() = answer.status.try_into().unwrap();
        *response.headers_mut() = answer.headers;
        response
    }
}

fn encoding(head: &http::request::Parts) -> Encoding {
    let content_type = head.headers.get("content-type").map_or("", |value| value.to_str().unwrap());
    match content_type {
        _ if head.method == Method::OPTIONS || head.uri.path().contains("reflection") => Encoding::Other,
        "application/grpc" => Encoding::Grpc,
        "application/grpc+json" => Encoding::GrpcJson,
        "application/grpc+proto" => Encoding::GrpcAtUrl,
        "application/grpc-web+proto" => Encoding::Web,
        "application/grpc-web-text+proto" => Encoding::WebText,
        "application/proto" => Encoding::ConnectProto,
        "application/json" if head.headers.contains_key("connect-protocol-version") => Encoding::ConnectJson,
        _ => Encoding::Rest,
    }
}

impl Answer {
    /// Puts one text for another, in the message of a success of gRPC.
    pub fn replace_in_frame(&mut self, from: &str, to: &str) {
        if self.body.is_empty() {
            return;
        }
        let message = std::str::from_utf8(&self.body[5..]).unwrap().replace(from, to);
        self.body =
            [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message.as_bytes()].concat();
    }

    /// Puts one text for another, in the body; true if it was there.
    pub fn replace(&mut self, from: &str, to: &str) -> bool {
        let Ok(text) = std::str::from_utf8(&self.body) else { return false };
        let replaced = text.replace(from, to);
        let is_other = replaced != text;
        self.body = replaced.into_bytes();
        is_other
    }

    /// The headers in which the status of gRPC stands.
    pub fn end(&mut self) -> &mut HeaderMap {
        if self.trailers.contains_key("grpc-status") { &mut self.trailers } else { &mut self.headers }
    }

    /// Whether the call succeeded, as far as HTTP tells.
    pub fn is_error(&self) -> bool {
        self.status >= 400
    }
}
