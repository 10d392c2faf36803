//! Limits on what a peer may use, and what is said when one is struck. Each has a setting of its name.

use std::time::Duration;

use domain::{Code, Error};

/// Room for what an encoding adds to a message that is just not too large: envelope, white space, field names.
const FRAMING_BYTES_MAX: usize = 64 * 1024;

/// What peers may use. The default is what is right for a server of its own, open to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections, of all peers; one more is closed at once.
    pub connections: usize,
    /// Calls at once on one HTTP/2 connection.
    pub streams: u32,
    /// Bytes of the headers of a request.
    pub headers_bytes: u32,
    /// Bytes of the bodies of all requests that are held at once. A request's first 64 KiB are always taken.
    pub bodies_bytes: usize,
    /// Bytes of a response message, in protobuf (departure D13).
    pub reply_bytes: usize,
    /// Bytes of replies that wait for a peer on one connection. Its further calls wait too.
    pub unsent_bytes: usize,
    /// How long a peer may take for the handshake of TLS, for the first bytes of a connection, and for the head of an
    /// HTTP/1.1 request.
    pub head_wait: Duration,
    /// How long a connection is kept without a request.
    pub idle: Duration,
    /// How long a peer may take for the next 16 KiB of a body, or its end.
    pub body_wait: Duration,
    /// How long a peer may leave a reply where it is.
    pub reply_wait: Duration,
}

impl Limits {
    /// The setting of [`Limits::connections`].
    pub const CONNECTIONS: &str = "connections-max";
    /// The setting of [`Limits::streams`].
    pub const STREAMS: &str = "streams-max";
    /// The setting of [`Limits::headers_bytes`].
    pub const HEADERS_BYTES: &str = "headers-bytes-max";
    /// The setting of [`Limits::bodies_bytes`].
    pub const BODIES_BYTES: &str = "bodies-bytes-max";
    /// The setting of [`Limits::reply_bytes`].
    pub const REPLY_BYTES: &str = "reply-bytes-max";
    /// The setting of [`Limits::unsent_bytes`].
    pub const UNSENT_BYTES: &str = "unsent-bytes-max";
    /// The setting of [`super::Description::message_bytes_max`].
    pub const MESSAGE_BYTES: &str = "message-bytes-max";
    /// The setting of [`Limits::head_wait`].
    pub const HEAD_WAIT: &str = "head-seconds";
    /// The setting of [`Limits::idle`].
    pub const IDLE: &str = "idle-seconds";
    /// The setting of [`Limits::body_wait`].
    pub const BODY_WAIT: &str = "body-seconds";
    /// The setting of [`Limits::reply_wait`].
    pub const REPLY_WAIT: &str = "reply-seconds";
    /// The setting of how often a peer may fail to say who it is, in a minute.
    pub const FAILED_LOGINS: &str = "failed-logins-per-minute";
    /// Not a setting: floods of streams that are reset, of headers, and of frames with which nothing goes on.
    pub const HTTP2_ABUSE: &str = "http2-abuse";
    /// Not a setting: the process may open no more files.
    pub const OPEN_FILES: &str = "open-files";
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            streams: 250,
            headers_bytes: 64 * 1024,
            bodies_bytes: 256 * 1024 * 1024,
            reply_bytes: 64 * 1024 * 1024,
            unsent_bytes: 4 * 1024 * 1024,
            head_wait: Duration::from_secs(10),
            idle: Duration::from_secs(180),
            body_wait: Duration::from_secs(30),
            reply_wait: Duration::from_secs(30),
        }
    }
}

/// The largest body of a JSON request for a message of at most `message_bytes_max`.
pub fn json_body_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_mul(2).saturating_add(FRAMING_BYTES_MAX)
}

/// The largest body of a protobuf request for a message of at most `message_bytes_max`.
pub fn proto_body_bytes_max(message_bytes_max: usize) -> usize {
    message_bytes_max.saturating_add(FRAMING_BYTES_MAX)
}

/// The largest body of a protobuf request in base64.
pub fn text_body_bytes_max(message_bytes_max: usize) -> usize {
    (message_bytes_max / 3).saturating_mul(4).saturating_add(FRAMING_BYTES_MAX)
}

/// A message of `size` bytes where `limit` are allowed.
pub fn message_too_large(size: usize, limit: usize) -> Error {
    Error::Limit {
        limit: Limits::MESSAGE_BYTES,
        code: Code::ResourceExhausted,
        message: format!("grpc: received message larger than max ({size} vs. {limit})"),
    }
}

/// A response message of `size` bytes where `limit` are allowed.
pub fn reply_too_large(size: usize, limit: usize) -> Error {
    Error::Limit {
        limit: Limits::REPLY_BYTES,
        code: Code::ResourceExhausted,
        message: format!("grpc: trying to send message larger than max ({size} vs. {limit})"),
    }
}

/// A body that does not go on.
pub fn body_stalled() -> Error {
    Error::Limit {
        limit: Limits::BODY_WAIT,
        code: Code::DeadlineExceeded,
        message: "the rest of the request body does not come".to_owned(),
    }
}

/// A large body where the server holds too many already.
pub fn bodies_too_large() -> Error {
    Error::Limit {
        limit: Limits::BODIES_BYTES,
        code: Code::ResourceExhausted,
        message: "the server holds too many large requests: try again later".to_owned(),
    }
}
