//! What is noted of a request on its way, for its line in the log and for the metrics.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use domain::{Code, OrganizationId};
use http::{HeaderValue, Method, StatusCode, Uri};
use identity::UserId;

use super::listener::Peer;
use crate::metrics::Metrics;

/// What is known of a request so far.
#[derive(Debug)]
pub struct Record {
    /// When the request's head was there.
    pub start: Instant,
    /// Who connected.
    pub peer: Peer,
    request_id: HeaderValue,
    rpc: OnceLock<&'static str>,
    encoding: OnceLock<&'static str>,
    organization: OnceLock<OrganizationId>,
    caller: OnceLock<UserId>,
    code: AtomicU8,
}

impl Default for Record {
    fn default() -> Self {
        Self::new(Peer::default(), HeaderValue::from_static(""))
    }
}

impl Record {
    /// The record of a request that begins now.
    pub fn new(peer: Peer, request_id: HeaderValue) -> Self {
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
}

/// A request that has no answer yet. Dropped like this, its peer has given up.
pub struct Open<'a> {
    method: Method,
    uri: Uri,
    record: Arc<Record>,
    metrics: &'a Metrics,
    is_answered: bool,
}

impl<'a> Open<'a> {
    /// A request that begins.
    pub fn new(method: Method, uri: Uri, record: Arc<Record>, metrics: &'a Metrics) -> Self {
        Self { method, uri, record, metrics, is_answered: false }
    }

    /// It was answered.
    pub fn answered(mut self, status: StatusCode) {
        self.is_answered = true;
        self.end(status);
    }

    /// Writes the line, and counts. Never a header's value but the request id, never a query, never a body.
    fn end(&self, status: StatusCode) {
        let record = &self.record;
        let took = record.start.elapsed();
        let (rpc, encoding) = (record.rpc.get().copied(), record.encoding.get().copied().unwrap_or_default());
        match rpc {
            Some(rpc) => self.metrics.called(rpc, encoding, Code::from_number(record.code()), took),
            None => self.metrics.answered(status.as_u16()),
        }
        tracing::info!(
            target: "metagate::access",
            // As a text: what is given as a message is made one anew for each line.
            message = "request",
            method = self.method.as_str(),
            path = self.uri.path(),
            rpc = rpc.unwrap_or_default(),
            encoding,
            status = status.as_u16(),
            grpc_code = record.code(),
            organization = record.organization.get().map_or("", |id| id.as_str()),
            caller = record.caller.get().map_or("", |id| id.as_str()),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            request_id = record.request_id(),
        );
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.record.failed(Code::Canceled);
            self.end(StatusCode::from_u16(Code::Canceled.http_status()).unwrap_or_default());
        }
    }
}
