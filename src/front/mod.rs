//! One port: bytes in, bytes out.
//!
//! Knows no service: it is given a table of RPCs, as generated from the proto, and who decides on admission. What holds
//! for all encodings is written once, around them; each encoding reads a message, makes the call, writes the reply. Pages that are no
//! RPC are axum's, the services that come with gRPC are tonic's.

mod accept;
mod blocking;
mod body;
mod connect;
mod connection;
mod cors;
mod deadline;
mod detect;
mod encoding;
mod envelope;
mod gate;
mod grpc;
mod head;
mod health;
mod http;
mod limits;
mod listener;
mod metadata;
mod operations;
mod path;
mod receive;
mod record;
mod reflection;
mod request_id;
mod rest;
mod route;
mod rpc;
mod status;
mod te_trailers;
mod tls;
mod traffic;
mod web;

pub use accept::serve;
pub use body::{Body, Inbound};
pub use deadline::Deadline;
pub use encoding::{ConnectCodec, Encoding};
pub use gate::{Admission, Gate};
pub use head::Head;
pub use health::Health;
pub use http::{CONNECTION_WINDOW_BYTES, Door, Phase, STREAM_WINDOW_BYTES};
pub use limits::Limits;
pub use listener::{Listener, Peer, Place, SocketFile};
pub use metadata::Metadata;
pub use receive::Room;
pub use record::Record;
pub use route::Front;
pub use rpc::{Access, Bind, Binding, Call, Description, Rpc, Validate};
pub use tls::{Tls, TlsError};
