//! Bytes to a server, and back.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

use crate::{
    dialect::{Dialect, Encoding, HttpVersion},
    exchange::{Exchange, RawAnswer, RawRequest},
};

/// Whom a server that speaks TLS must be vouched for by.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Certificates of authorities, PEM, instead of the system's.
    pub ca: Option<std::path::PathBuf>,
    /// Takes any certificate.
    pub anyone: bool,
}

/// A server: one URL for all encodings, or one for each.
#[derive(Clone, Debug)]
pub struct Target {
    origins: HashMap<Encoding, String>,
    default: Option<String>,
}

impl Target {
    /// A server from its URLs: `URL`, or `ENCODING=URL` for an encoding that is served elsewhere.
    ///
    /// # Errors
    /// If a URL has no `http` or `https`, no host, or more than these.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let mut target = Self { origins: HashMap::new(), default: None };
        for text in texts {
            let named = text.split_once('=').and_then(|(name, url)| Some((name.parse().ok()?, url)));
            match named {
                Some((encoding, url)) => {
                    target.origins.insert(encoding, origin(url)?);
                }
                None => target.default = Some(origin(text)?),
            }
        }
        Ok(target)
    }

    /// Where an encoding is served: a variant where what it is a variant of is, if nothing else is said.
    pub fn origin(&self, encoding: Encoding) -> Option<&str> {
        self.origins
            .get(&encoding)
            .or_else(|| self.origins.get(&encoding.base()))
            .or(self.default.as_ref())
            .map(String::as_str)
    }
}

fn origin(url: &str) -> Result<String, String> {
    let wrong = || format!("{url:?} is no URL of a server: it is like http://localhost:8080");
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let (Some("http" | "https"), Some(authority), "" | "/") = (uri.scheme_str(), uri.authority(), uri.path())
    else {
        return Err(wrong());
    };
    Ok(format!("{}://{authority}", uri.scheme_str().unwrap_or_default()))
}

/// Connections that were idle for longer are not used again: the server may be closing them.
const IDLE_MAX: Duration = Duration::from_secs(3);

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Clients of both versions, which keep their connections.
pub struct Transport {
    http1: Http,
    http2: Http,
    wait: Duration,
}

impl Transport {
    /// A transport that gives an answer up after `wait`.
    ///
    /// # Errors
    /// If certificates cannot be read.
    pub fn new(trust: &Trust, wait: Duration) -> Result<Self, String> {
        let config = tls(trust)?;
        let connector = |version| {
            let builder = HttpsConnectorBuilder::new().with_tls_config(config.clone()).https_or_http();
            match version {
                HttpVersion::Http1 => builder.enable_http1().wrap_connector(tcp()),
                HttpVersion::Http2 => builder.enable_http2().wrap_connector(tcp()),
            }
        };
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE_MAX).pool_timer(TokioTimer::new());
        let http1 = builder.build(connector(HttpVersion::Http1));
        let http2 = builder.http2_only(true).build(connector(HttpVersion::Http2));
        Ok(Self { http1, http2, wait })
    }

    /// Sends a request in a dialect, and reads all of its answer.
    pub async fn send(&self, target: &Target, dialect: Dialect, request: RawRequest) -> Exchange {
        let Some(origin) = target.origin(dialect.encoding) else {
            let answer = Err(format!("no URL was given for {}", dialect.encoding));
            return Exchange { origin: String::new(), request, answer };
        };
        let answer =
            match tokio::time::timeout(self.wait, self.exchange(origin, dialect.version, &request)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {:?}", self.wait)),
            };
        Exchange { origin: origin.to_owned(), request, answer }
    }

    async fn exchange(
        &self,
        origin: &str,
        version: HttpVersion,
        request: &RawRequest,
    ) -> Result<RawAnswer, String> {
        let mut outgoing = Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.http_method.clone();
        *outgoing.uri_mut() = format!("{origin}{}", request.path)
            .parse()
            .map_err(|error| format!("{}: {error}", request.path))?;
        *outgoing.headers_mut() = request.headers.clone();
        let (client, http_version) = match version {
            HttpVersion::Http1 => (&self.http1, http::Version::HTTP_11),
            HttpVersion::Http2 => (&self.http2, http::Version::HTTP_2),
        };
        *outgoing.version_mut() = http_version;
        let begun = Instant::now();
        let (head, mut incoming) =
            client.request(outgoing).await.map_err(|error| causes(&error))?.into_parts();
        let (mut body, mut trailers) = (BytesMut::new(), HeaderMap::new());
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|error| format!("the answer broke off: {}", causes(&error)))?;
            match frame.into_data() {
                Ok(data) => body.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        Ok(RawAnswer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.freeze(),
            trailers,
            took: begun.elapsed(),
        })
    }
}

/// Connections that send what they are given at once: small messages would wait for an acknowledgement, 40 ms each.
fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

/// An error, and what it comes of.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn tls(trust: &Trust) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if trust.anyone {
        let verifier = Arc::new(Anyone(provider));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    let roots = match &trust.ca {
        Some(file) => authorities(file)?,
        None => system()?,
    };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() { Err(failed(&"it holds no certificate")) } else { Ok(roots) }
}

/// The system's; none where it has none: what then is not trusted says so.
fn system() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(loaded.certs);
    Ok(roots)
}

/// Takes any certificate, but only a handshake that its key has signed.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_one_url_or_one_an_encoding() {
        let texts = ["http://localhost:8080/", "rest=https://api.example.com", "grpc=http://[::1]:9"];
        let target = Target::parse(&texts.map(str::to_owned)).unwrap();
        assert_eq!(target.origin(Encoding::GrpcWeb), Some("http://localhost:8080"));
        assert_eq!(target.origin(Encoding::Rest), Some("https://api.example.com"));
        assert_eq!(target.origin(Encoding::Grpc), Some("http://[::1]:9"));
        assert_eq!(target.origin(Encoding::GrpcJson), Some("http://[::1]:9"));
        let only_rest = Target::parse(&["rest=http://a".to_owned()]).unwrap();
        assert_eq!(only_rest.origin(Encoding::Grpc), None);
        for wrong in ["localhost:8080", "ftp://a", "http://a/path", "", "soap=http://a", "http://"] {
            let error = Target::parse(&[wrong.to_owned()]).unwrap_err();
            assert!(error.contains("is no URL of a server"), "{wrong}: {error}");
        }
    }
}
