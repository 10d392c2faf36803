//! A request and its answer, byte by byte.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// What is sent. The host comes from the target.
#[derive(Clone, Debug)]
pub struct RawRequest {
    /// HTTP's method.
    pub http_method: Method,
    /// Path and query.
    pub path: String,
    /// All headers but those that HTTP itself adds.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct RawAnswer {
    /// HTTP's status.
    pub status: u16,
    /// The headers before the body.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The headers behind the body.
    pub trailers: HeaderMap,
    /// From the first byte sent to the last one received.
    pub took: Duration,
}

/// Both.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Where it was sent: scheme and authority.
    pub origin: String,
    /// What was sent.
    pub request: RawRequest,
    /// What came back, or why nothing did.
    pub answer: Result<RawAnswer, String>,
}

impl RawAnswer {
    /// A header's first value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
