//! An authorization server that does what a test wants of it.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use identity::oauth::service_account_key;
use jsonwebtoken::{Algorithm, EncodingKey, crypto::sign, jwk::Jwk};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// A key that signs.
pub struct SigningKey {
    id: String,
    private: EncodingKey,
}

impl SigningKey {
    pub fn new(id: &str) -> Self {
        let (_, file) = service_account_key("u", id, None).unwrap();
        let file: Value = serde_json::from_str(file.expose_secret()).unwrap();
        let private = EncodingKey::from_rsa_pem(file["key"].as_str().unwrap().as_bytes()).unwrap();
        Self { id: id.to_owned(), private }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&json!({"alg": "RS256", "kid": self.id, "typ": "at+jwt"}), claims)
    }

    /// A token with this header, whatever it says.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        format!("{message}.{}", sign(message.as_bytes(), &self.private, Algorithm::RS256).unwrap())
    }

    fn public(&self) -> Value {
        let mut jwk =
            serde_json::to_value(Jwk::from_encoding_key(&self.private, Algorithm::RS256).unwrap()).unwrap();
        jwk["kid"] = json!(self.id);
        jwk
    }
}

/// A set of keys, as an issuer shows it.
pub fn jwks(keys: &[&SigningKey]) -> String {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()}).to_string()
}

/// Now, in seconds since the Unix epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What it answers.
#[derive(Clone)]
struct Answers {
    /// By path.
    pages: Arc<Mutex<BTreeMap<String, (StatusCode, String)>>>,
    /// What it knows of tokens.
    tokens: Arc<Mutex<BTreeMap<String, Value>>>,
    /// What it was asked: paths, each with what was sent.
    asked: Arc<Mutex<Vec<(String, String)>>>,
    /// While it is true, nobody is answered.
    is_held: watch::Sender<bool>,
}

/// An authorization server on a port of this machine.
pub struct Issuer {
    address: SocketAddr,
    answers: Answers,
    /// With TLS.
    acceptor: Option<TlsAcceptor>,
    serving: Option<JoinHandle<()>>,
}

/// Where it tells what tokens are.
const INTROSPECT: &str = "/introspect";

impl Issuer {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One with a certificate of `tests/tls/ca.pem`.
    pub async fn start_with_tls() -> Self {
        let chain = CertificateDer::pem_slice_iter(include_bytes!("../../tls/renewed.pem"));
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../tls/renewed-key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key);
        Self::start_with(Some(TlsAcceptor::from(Arc::new(config.unwrap())))).await
    }

    async fn start_with(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers {
            pages: Arc::default(),
            tokens: Arc::default(),
            asked: Arc::default(),
            is_held: watch::Sender::new(false),
        };
        let mut issuer = Self { address, answers, acceptor, serving: None };
        issuer.serve(listener);
        issuer.page("/.well-known/openid-configuration", issuer.discovery(&issuer.url()));
        issuer
    }

    /// What tells where the keys of `issuer` are.
    pub fn discovery(&self, issuer: &str) -> String {
        json!({"issuer": issuer, "jwks_uri": format!("{}/keys", self.url())}).to_string()
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = Router::new().fallback(answer).with_state(self.answers.clone());
        let acceptor = self.acceptor.clone();
        self.serving = Some(tokio::spawn(async move {
            // Ends with all its connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let service = TowerToHyperService::new(router.clone());
                let acceptor = acceptor.clone();
                connections.spawn(async move {
                    let http = http1::Builder::new();
                    // Whoever does not trust it does not stay.
                    let _ = match acceptor {
                        None => http.serve_connection(TokioIo::new(stream), service).await,
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await,
                            Err(_) => Ok(()),
                        },
                    };
                });
            }
        }));
    }

    pub fn url(&self) -> String {
        format!("http{}://{}", if self.acceptor.is_some() { "s" } else { "" }, self.address)
    }

    /// Nobody is there any more.
    pub async fn leave(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _ = serving.await;
    }

    /// It is back.
    pub async fn return_(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub fn page(&self, path: &str, text: impl Into<String>) {
        self.page_with(path, StatusCode::OK, text);
    }

    pub fn page_with(&self, path: &str, status: StatusCode, text: impl Into<String>) {
        self.answers.pages.lock().unwrap().insert(path.to_owned(), (status, text.into()));
    }

    pub fn keys(&self, keys: &[&SigningKey]) {
        self.page("/keys", jwks(keys));
    }

    /// What it says of a token.
    pub fn token(&self, token: &str, answer: Value) {
        self.answers.tokens.lock().unwrap().insert(token.to_owned(), answer);
    }

    pub fn hold(&self, is_held: bool) {
        self.answers.is_held.send_replace(is_held);
    }

    /// How often it was asked for that.
    pub fn count(&self, path: &str) -> usize {
        self.answers.asked.lock().unwrap().iter().filter(|(asked, _)| asked == path).count()
    }

    /// How often it was asked anything.
    pub fn count_all(&self) -> usize {
        self.answers.asked.lock().unwrap().len()
    }

    /// What it was asked about tokens.
    pub fn questions(&self) -> Vec<String> {
        let asked = self.answers.asked.lock().unwrap();
        asked.iter().filter(|(path, _)| path == INTROSPECT).map(|(_, sent)| sent.clone()).collect()
    }

    /// Claims of a good token.
    pub fn claims(&self) -> Value {
        json!({"iss": self.url(), "sub": "u", "aud": ["metagate"], "iat": now(), "exp": now() + 600})
    }
}

async fn answer(State(answers): State<Answers>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let form = std::str::from_utf8(&body).unwrap();
    let authorization = headers.get("authorization").map_or("", |value| value.to_str().unwrap());
    answers.asked.lock().unwrap().push((path.clone(), format!("{authorization} {form}")));
    let mut is_held = answers.is_held.subscribe();
    is_held.wait_for(|is_held| !is_held).await.unwrap();
    if let Some((status, text)) = answers.pages.lock().unwrap().get(&path) {
        return (*status, text.clone()).into_response();
    }
    if path == INTROSPECT {
        let token = form.strip_prefix("token=").unwrap().split('&').next().unwrap();
        let token = percent_encoding::percent_decode_str(token).decode_utf8().unwrap();
        let known = answers.tokens.lock().unwrap().get(&*token).cloned();
        return known.unwrap_or(json!({"active": false})).to_string().into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}
