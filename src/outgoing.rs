//! Requests to other servers.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// A client over HTTP/1.1, with TLS where the URL says so. Follows no redirects.
pub struct Outgoing {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    answer_bytes_max: usize,
    answer_wait: Duration,
    /// In PEM, if it is not the system's roots that count.
    roots: Option<Vec<u8>>,
}

/// What a server has answered, whatever its status.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// All of its body.
    pub body: Bytes,
}

impl Outgoing {
    /// A client that takes answers of that size, within that time.
    ///
    /// # Errors
    /// If the system's certificates cannot be read.
    pub fn new(answer_bytes_max: usize, answer_wait: Duration) -> Result<Self, String> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| format!("the system's certificates cannot be read: {error}"))?;
        let connector = connector.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, answer_bytes_max, answer_wait, roots: None })
    }

    /// The same, for servers whose certificates lead to one of `roots`, in PEM, and to no other.
    ///
    /// # Errors
    /// If there is no certificate in it, or one that is none.
    pub fn with_roots(
        answer_bytes_max: usize,
        answer_wait: Duration,
        roots: Vec<u8>,
    ) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(&roots) {
            let root = root.map_err(|error| format!("it is not in PEM: {error}"))?;
            store.add(root).map_err(|error| format!("it is no certificate of an authority: {error}"))?;
        }
        if store.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(store)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(config);
        let connector = connector.https_or_http().enable_http1().build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, answer_bytes_max, answer_wait, roots: Some(roots) })
    }

    /// Whether the same servers are trusted as by the other.
    pub fn trusts_as(&self, other: &Self) -> bool {
        self.roots == other.roots
    }

    /// Sends a request, and reads the whole answer.
    ///
    /// # Errors
    /// If there is none, in time and not too large. The text names the URL.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Answer, String> {
        let url = request.uri().to_string();
        let failed = |error: &dyn std::error::Error| {
            let mut text = format!("{url}: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            text
        };
        let answer = async {
            let request = request.map(Full::new);
            let (head, body) =
                self.client.request(request).await.map_err(|error| failed(&error))?.into_parts();
            let body = Limited::new(body, self.answer_bytes_max);
            let body = body.collect().await.map_err(|error| failed(&*error))?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        };
        let answer = tokio::time::timeout(self.answer_wait, answer).await;
        answer.map_err(|_| format!("{url}: no answer within {:?}", self.answer_wait))?
    }
}
