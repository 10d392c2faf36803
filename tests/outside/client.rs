//! HTTP as a client speaks it: one connection, one request after the other.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// Of a server on 127.0.0.1 or localhost; valid for a hundred years.
const CERTIFICATE: &[u8] = include_bytes!("../tls/certificate.pem");

/// A connection.
pub enum Client {
    Http1(http1::SendRequest<Full<Bytes>>, SocketAddr),
    Http2(http2::SendRequest<Full<Bytes>>, SocketAddr),
}

/// An answer, all of it.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Answer {
    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Client {
    /// Connects with HTTP/1.1, or HTTP/2 with prior knowledge.
    pub async fn connect(address: SocketAddr, version: Version) -> Self {
        Self::try_connect(address, version).await.unwrap()
    }

    /// The same, to a server that may not be there.
    pub async fn try_connect(address: SocketAddr, version: Version) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Self::over(stream, address, version).await
    }

    /// The same, inside TLS, where both sides agree on the version.
    pub async fn connect_tls(address: SocketAddr, version: Version) -> Self {
        Self::try_connect_tls(address, version).await.unwrap()
    }

    /// The same, to a server that may not be there.
    pub async fn try_connect_tls(address: SocketAddr, version: Version) -> io::Result<Self> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(CERTIFICATE) {
            roots.add(root.unwrap()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let protocol: &[u8] = if version == Version::HTTP_2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::from(address.ip());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol));
        Self::over(stream, address, version).await
    }

    /// The same, on a connection that there is.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: SocketAddr,
        version: Version,
    ) -> io::Result<Self> {
        let stream = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let (sender, connection) =
                http2::handshake(TokioExecutor::new(), stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Ok(Self::Http2(sender, address))
        } else {
            let (sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Ok(Self::Http1(sender, address))
        }
    }

    /// Sends a request whose URI is a path, and reads the whole answer.
    pub async fn send(&mut self, request: Request<impl Into<Bytes>>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// The same, with a server that may be gone before it has answered.
    pub async fn try_send(&mut self, request: Request<impl Into<Bytes>>) -> hyper::Result<Answer> {
        let (parts, body) = self.begin(request).await?.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), trailers })
    }

    /// Sends a request, and reads the head of the answer.
    pub async fn begin(&mut self, request: Request<impl Into<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let mut request = request.map(|body| Full::new(body.into()));
        match self {
            Self::Http1(sender, address) => {
                let host = address.to_string().parse().unwrap();
                request.headers_mut().entry("host").or_insert(host);
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender, address) => {
                let uri = format!("http://{address}{}", request.uri());
                *request.uri_mut() = uri.parse().unwrap();
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

/// Sends bytes as they are on a connection of their own, and reads until the server closes it.
pub async fn raw(address: SocketAddr, request: &[u8]) -> String {
    String::from_utf8_lossy(&raw_bytes(address, request).await).into_owned()
}

/// The same, with an answer that is no text.
pub async fn raw_bytes(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}
