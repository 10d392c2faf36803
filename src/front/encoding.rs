//! Which encoding a request speaks: its media type, read once.

use http::{HeaderMap, header::CONTENT_TYPE};

/// The encoding of a request, and so of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON at a URL of its own.
    Rest,
    /// gRPC; holds the media type to answer with.
    Grpc(&'static str),
    /// gRPC-Web; holds the media type to answer with.
    Web(&'static str),
    /// gRPC-Web in base64; holds the media type to answer with.
    WebText(&'static str),
    /// Connect, unary.
    Connect(ConnectCodec),
}

/// The codecs of Connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectCodec {
    /// `application/json`
    Json,
    /// `application/proto`
    Proto,
}

impl Encoding {
    /// The encoding that the headers name: of the gRPC family wherever it is sent, of Connect only where the path is
    /// an RPC's.
    pub fn of(headers: &HeaderMap, at_rpc_path: bool) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
        // Compared without case and parameters (departure D2).
        let essence = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        for (media_type, encoding) in [
            ("application/grpc", Self::Grpc("application/grpc")),
            ("application/grpc+proto", Self::Grpc("application/grpc+proto")),
            ("application/grpc+json", Self::Grpc("application/grpc+json")),
            ("application/grpc-web", Self::Web("application/grpc-web")),
            ("application/grpc-web+proto", Self::Web("application/grpc-web+proto")),
            ("application/grpc-web+json", Self::Web("application/grpc-web+json")),
            ("application/grpc-web-text", Self::WebText("application/grpc-web-text")),
            ("application/grpc-web-text+proto", Self::WebText("application/grpc-web-text+proto")),
        ] {
            if essence.eq_ignore_ascii_case(media_type.as_bytes()) {
                return Some(encoding);
            }
        }
        if at_rpc_path {
            if essence.eq_ignore_ascii_case(b"application/json") {
                return Some(Self::Connect(ConnectCodec::Json));
            }
            if essence.eq_ignore_ascii_case(b"application/proto") {
                return Some(Self::Connect(ConnectCodec::Proto));
            }
        }
        None
    }

    /// The media type of an answer with a body.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Rest | Self::Connect(ConnectCodec::Json) => "application/json",
            Self::Connect(ConnectCodec::Proto) => "application/proto",
            Self::Grpc(media_type) | Self::Web(media_type) | Self::WebText(media_type) => media_type,
        }
    }

    /// Whether messages are JSON.
    pub fn is_json(self) -> bool {
        self.media_type().ends_with("json")
    }

    /// The name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc(_) => "grpc",
            Self::Web(_) => "grpc-web",
            Self::WebText(_) => "grpc-web-text",
            Self::Connect(ConnectCodec::Json) => "connect-json",
            Self::Connect(ConnectCodec::Proto) => "connect-proto",
        }
    }
}
