//! One port: bytes in, bytes out.
//!
//! Knows no service: it is given a table of RPCs, as generated from the proto, and who decides on admission. What holds
//! for all encodings is written once, around them; each encoding reads a message, makes the call, writes the reply.

mod accept;
mod access_log;
mod body;
mod connect;
mod connection;
mod cors;
mod deadline;
mod detect;
mod encoding;
mod envelope;
mod grpc;
mod head;
mod health;
mod limits;
mod metadata;
mod operations;
mod path;
mod reflection;
mod request_id;
mod rest;
mod route;
mod rpc;
mod status;
mod tls;
mod web;

pub use accept::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES, STREAMS_MAX, serve};
pub use body::Body;
pub use deadline::Deadline;
pub use encoding::{ConnectCodec, Encoding};
pub use head::{Head, Record};
pub use health::Health;
pub use metadata::Metadata;
pub use route::Front;
pub use rpc::{Access, Admission, Bind, Binding, Call, Description, Gate, Rpc, Validate};
pub use tls::{Tls, TlsError};
