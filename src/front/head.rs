//! What is known of a request besides its body.

use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use domain::{Code, Language, OrganizationId, Status};
use http::{HeaderMap, HeaderValue, Response, header, request::Parts};
use identity::UserId;

use super::{
    body::Body,
    deadline::Deadline,
    encoding::Encoding,
    metadata::{Metadata, Slot},
    status,
};

/// The head of a request, as far as a call needs it.
#[derive(Debug)]
pub struct Head {
    /// All headers; over REST also those that came as `grpc-metadata-…`.
    pub headers: HeaderMap,
    /// The host that the client named: the target's, else the `Host` header's; may be empty.
    pub host: String,
    /// The request's encoding, and so the answer's.
    pub encoding: Encoding,
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Who connected, and what is noted for the log.
    pub record: Arc<Record>,
    metadata: Slot,
}

impl Head {
    /// Reads the head of a request in `encoding`.
    ///
    /// # Errors
    /// The answer to a head that cannot be read: a deadline that is none.
    #[expect(clippy::result_large_err, reason = "an answer, on its way out")]
    pub fn read(parts: Parts, encoding: Encoding) -> Result<Arc<Self>, Response<Body>> {
        let record = parts.extensions.get::<Arc<Record>>().cloned().unwrap_or_default();
        record.encoding(encoding.name());
        let mut headers = parts.headers;
        if encoding == Encoding::Rest {
            unwrap_metadata(&mut headers);
        }
        let host = match parts.uri.authority() {
            Some(authority) => authority.as_str().to_owned(),
            None => headers
                .get(header::HOST)
                .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned())
                .unwrap_or_default(),
        };
        match Deadline::of(&headers, encoding, record.start) {
            Ok(deadline) => {
                let metadata = Slot::default();
                Ok(Arc::new(Self { headers, host, encoding, deadline, record, metadata }))
            }
            Err(error) => Err(status::draw(&error.to_status(Language::En), encoding, &record)),
        }
    }

    /// Answers with `metadata` too, be it a success or a failure. The first counts.
    pub fn answer_with(&self, metadata: Metadata) {
        self.metadata.set(metadata);
    }

    /// Runs `work`, but not beyond the deadline, draws its failure, and adds the metadata.
    pub async fn conclude(
        &self,
        work: impl Future<Output = Result<Response<Body>, Status>>,
    ) -> Response<Body> {
        let outcome = match self.deadline.limit(work).await {
            Ok(outcome) => outcome,
            Err(exceeded) => Err(exceeded.to_status(Language::En)),
        };
        let mut response =
            outcome.unwrap_or_else(|failure| status::draw(&failure, self.encoding, &self.record));
        self.metadata.add_to(&mut response, self.encoding);
        response
    }

    /// The language that the headers ask for.
    pub fn language(&self) -> Language {
        let header = self.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        header.map_or(Language::En, Language::negotiate)
    }
}

/// Over REST a header travels as `grpc-metadata-<name>` too; the plain one wins (departure D10).
fn unwrap_metadata(headers: &mut HeaderMap) {
    const PREFIX: &str = "grpc-metadata-";
    if !headers.keys().any(|name| name.as_str().starts_with(PREFIX)) {
        return;
    }
    for (wrapped, value) in headers.clone().iter() {
        let name =
            wrapped.as_str().strip_prefix(PREFIX).and_then(|name| name.parse::<http::HeaderName>().ok());
        if let Some(name) = name
            && !headers.contains_key(&name)
        {
            headers.insert(name, value.clone());
        }
    }
}

/// What is noted of a request on its way, for its line in the log.
#[derive(Debug)]
pub struct Record {
    /// When the request's head was there.
    pub start: Instant,
    /// The peer's address; `None` where it has none.
    pub peer: Option<IpAddr>,
    request_id: HeaderValue,
    rpc: OnceLock<&'static str>,
    encoding: OnceLock<&'static str>,
    organization: OnceLock<OrganizationId>,
    caller: OnceLock<UserId>,
    code: AtomicU8,
}

impl Default for Record {
    fn default() -> Self {
        Self::new(None, HeaderValue::from_static(""))
    }
}

impl Record {
    /// The record of a request that begins now.
    pub fn new(peer: Option<IpAddr>, request_id: HeaderValue) -> Self {
        Self {
            start: Instant::now(),
            peer,
            request_id,
            rpc: OnceLock::new(),
            encoding: OnceLock::new(),
            organization: OnceLock::new(),
            caller: OnceLock::new(),
            code: AtomicU8::new(0),
        }
    }

    /// The request's id.
    pub fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// Notes the RPC's path.
    pub fn rpc(&self, path: &'static str) {
        let _ = self.rpc.set(path);
    }

    /// Notes the encoding's name.
    pub fn encoding(&self, name: &'static str) {
        let _ = self.encoding.set(name);
    }

    /// Notes who calls.
    pub fn caller(&self, user: &UserId) {
        let _ = self.caller.set(user.clone());
    }

    /// Notes which organization is meant.
    pub fn organization(&self, id: &OrganizationId) {
        let _ = self.organization.set(id.clone());
    }

    /// Notes why the call failed.
    pub fn failed(&self, code: Code) {
        self.code.store(code.number(), Ordering::Relaxed);
    }

    /// The gRPC code, 0 for success.
    pub fn code(&self) -> u8 {
        self.code.load(Ordering::Relaxed)
    }

    /// RPC, encoding, organization and caller, each empty if unknown.
    pub fn names(&self) -> [&str; 4] {
        [
            self.rpc.get().copied().unwrap_or_default(),
            self.encoding.get().copied().unwrap_or_default(),
            self.organization.get().map_or("", |id| id.as_str()),
            self.caller.get().map_or("", |id| id.as_str()),
        ]
    }
}
