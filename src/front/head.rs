//! What is known of a request besides its body.

use std::{
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use domain::{Code, Language, OrganizationId};
use http::{HeaderMap, header::ACCEPT_LANGUAGE};
use identity::UserId;

use super::deadline::Deadline;

/// The head of a request, as far as a call needs it.
#[derive(Debug)]
pub struct Head {
    /// All headers, the plain ones taking precedence over `grpc-metadata-…`.
    pub headers: HeaderMap,
    /// The host that the client named: the target's, else the `Host` header's.
    pub host: String,
    /// When the caller stops waiting.
    pub deadline: Deadline,
    /// Who connected and what is noted for the log.
    pub record: Arc<Record>,
}

impl Head {
    /// The language that the headers ask for.
    pub fn language(&self) -> Language {
        let header = self.headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        header.map_or(Language::En, Language::negotiate)
    }
}

/// What is noted of a request on its way, for its line in the log.
#[derive(Debug)]
pub struct Record {
    /// The peer's address; `None` where it has none.
    pub peer: Option<IpAddr>,
    rpc: OnceLock<&'static str>,
    encoding: OnceLock<&'static str>,
    organization: OnceLock<OrganizationId>,
    caller: OnceLock<UserId>,
    code: AtomicU8,
}

impl Record {
    /// The record of a request from `peer`.
    pub fn new(peer: Option<IpAddr>) -> Self {
        Self {
            peer,
            rpc: OnceLock::new(),
            encoding: OnceLock::new(),
            organization: OnceLock::new(),
            caller: OnceLock::new(),
            code: AtomicU8::new(0),
        }
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
