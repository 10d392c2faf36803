//! What a call is spoken in: an encoding, over a version of HTTP.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a message and an error become HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// JSON at the URLs of `google.api.http`.
    Rest,
    /// `application/grpc`
    Grpc,
    /// `application/grpc-web+proto`
    GrpcWeb,
    /// `application/grpc-web-text+proto`
    GrpcWebText,
    /// Connect, unary, `application/json`
    ConnectJson,
    /// Connect, unary, `application/proto`
    ConnectProto,
    /// `application/grpc+json`: gRPC whose messages are JSON.
    GrpcJson,
    /// `application/grpc-web+json`: gRPC-Web whose messages are JSON.
    GrpcWebJson,
    /// gRPC at the URLs of `google.api.http`.
    GrpcAtUrl,
    /// gRPC-Web at the URLs of `google.api.http`.
    GrpcWebAtUrl,
    /// gRPC-Web text at the URLs of `google.api.http`.
    GrpcWebTextAtUrl,
}

impl Encoding {
    /// Those that most servers speak: what is compared if nothing is said.
    pub const USUAL: [Self; 6] =
        [Self::Rest, Self::Grpc, Self::GrpcWeb, Self::GrpcWebText, Self::ConnectJson, Self::ConnectProto];

    /// Every encoding, in the order in which they are shown.
    pub const ALL: [Self; 11] = [
        Self::Rest,
        Self::Grpc,
        Self::GrpcWeb,
        Self::GrpcWebText,
        Self::ConnectJson,
        Self::ConnectProto,
        Self::GrpcJson,
        Self::GrpcWebJson,
        Self::GrpcAtUrl,
        Self::GrpcWebAtUrl,
        Self::GrpcWebTextAtUrl,
    ];

    /// Its name, as flags and scenarios have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::GrpcWebText => "grpc-web-text",
            Self::ConnectJson => "connect-json",
            Self::ConnectProto => "connect-proto",
            Self::GrpcJson => "grpc-json",
            Self::GrpcWebJson => "grpc-web-json",
            Self::GrpcAtUrl => "grpc-at-url",
            Self::GrpcWebAtUrl => "grpc-web-at-url",
            Self::GrpcWebTextAtUrl => "grpc-web-text-at-url",
        }
    }

    /// What it is a variant of: an encoding that is framed in the same way. Itself, if it is none.
    pub fn base(self) -> Self {
        match self {
            Self::GrpcJson | Self::GrpcAtUrl => Self::Grpc,
            Self::GrpcWebJson | Self::GrpcWebAtUrl => Self::GrpcWeb,
            Self::GrpcWebTextAtUrl => Self::GrpcWebText,
            other => other,
        }
    }

    /// Whether it is one of these, or a variant of one of these.
    pub fn is_in(self, encodings: &[Self]) -> bool {
        encodings.contains(&self) || encodings.contains(&self.base())
    }

    /// Whether messages are JSON.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Rest | Self::ConnectJson | Self::GrpcJson | Self::GrpcWebJson)
    }

    /// Whether calls of something else than REST go to the URLs of REST.
    pub fn is_at_url(self) -> bool {
        matches!(self, Self::GrpcAtUrl | Self::GrpcWebAtUrl | Self::GrpcWebTextAtUrl)
    }

    /// The content type of its calls.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Rest | Self::ConnectJson => "application/json",
            Self::Grpc => "application/grpc",
            Self::GrpcJson => "application/grpc+json",
            Self::GrpcAtUrl => "application/grpc+proto",
            Self::GrpcWeb | Self::GrpcWebAtUrl => "application/grpc-web+proto",
            Self::GrpcWebJson => "application/grpc-web+json",
            Self::GrpcWebText | Self::GrpcWebTextAtUrl => "application/grpc-web-text+proto",
            Self::ConnectProto => "application/proto",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|encoding| encoding.name()).collect();
            format!("there is no encoding {name:?}: they are {}", names.join(", "))
        })
    }
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, in cleartext with prior knowledge.
    Http2,
}

impl HttpVersion {
    /// `1.1` or `2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http1 => "1.1",
            Self::Http2 => "2",
        }
    }
}

impl FromStr for HttpVersion {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "1.1" => Ok(Self::Http1),
            "2" => Ok(Self::Http2),
            _ => Err(format!("there is no HTTP version {name:?} here: they are 1.1 and 2")),
        }
    }
}

/// An encoding over a version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dialect {
    /// How messages are written.
    pub encoding: Encoding,
    /// What carries them.
    pub version: HttpVersion,
    /// Whether the version is named: only where there are several.
    names_version: bool,
}

impl Dialect {
    /// Each of the encodings over each of the versions; without versions, over what its clients use: gRPC, with its variants,
    /// over HTTP/2, the others over HTTP/1.1.
    pub fn product(encodings: &[Encoding], versions: &[HttpVersion]) -> Vec<Self> {
        let names_version = versions.len() > 1;
        let mut all = Vec::new();
        for &encoding in encodings {
            let usual =
                [if encoding.base() == Encoding::Grpc { HttpVersion::Http2 } else { HttpVersion::Http1 }];
            for &version in if versions.is_empty() { &usual } else { versions } {
                let dialect = Self { encoding, version, names_version };
                if !all.contains(&dialect) {
                    all.push(dialect);
                }
            }
        }
        all
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.names_version {
            f.pad(&format!("{}/{}", self.encoding, self.version.name()))
        } else {
            f.pad(self.encoding.name())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_read_by_their_names() {
        for encoding in Encoding::ALL {
            assert_eq!(encoding.name().parse(), Ok(encoding));
        }
        for encoding in Encoding::ALL {
            assert_eq!(encoding.base() == encoding, Encoding::USUAL.contains(&encoding), "{encoding}");
        }
        assert!(
            Encoding::GrpcAtUrl.is_in(&[Encoding::Grpc]) && !Encoding::Grpc.is_in(&[Encoding::GrpcAtUrl])
        );
        let error = "soap".parse::<Encoding>().unwrap_err();
        assert!(
            error.contains("rest, grpc, grpc-web, grpc-web-text, connect-json, connect-proto"),
            "{error}"
        );
    }

    #[test]
    fn dialects_are_a_product_that_names_what_differs() {
        let names = |versions: &[HttpVersion]| {
            let all = Dialect::product(&[Encoding::Rest, Encoding::GrpcJson], versions);
            all.iter().map(|dialect| format!("{dialect} {}", dialect.version.name())).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["rest 1.1", "grpc-json 2"]);
        assert_eq!(names(&[HttpVersion::Http2]), ["rest 2", "grpc-json 2"]);
        assert_eq!(
            names(&[HttpVersion::Http1, HttpVersion::Http2]),
            ["rest/1.1 1.1", "rest/2 2", "grpc-json/1.1 1.1", "grpc-json/2 2"]
        );
    }
}
