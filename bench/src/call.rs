//! The calls that are measured, and how an answer is known to be right.

mod request;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;

pub use request::{HOST, PAGE, key, keys, page, value};

use crate::{Error, directory};
use request::{bulk, request, uri};

/// How many bytes the requests of a case may have together; there are as many different ones as fit, up to the keys.
const PREPARED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many bytes of an answer's end are kept: enough for the trailers of gRPC-Web, in base64 too.
pub const TAIL_BYTES: usize = 160;

/// The version of HTTP that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// How a call is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Rest,
    ConnectJson,
    ConnectProto,
    Grpc,
    GrpcWeb,
    GrpcWebText,
}

impl Encoding {
    /// As the tables name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rest => "REST",
            Self::ConnectJson => "Connect JSON",
            Self::ConnectProto => "Connect proto",
            Self::Grpc => "gRPC",
            Self::GrpcWeb => "gRPC-Web",
            Self::GrpcWebText => "gRPC-Web text",
        }
    }

    /// What it is spoken over.
    pub fn protocol(self) -> Protocol {
        if self == Self::Grpc { Protocol::Http2 } else { Protocol::Http1 }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Rest | Self::ConnectJson => "application/json",
            Self::ConnectProto => "application/proto",
            Self::Grpc => "application/grpc",
            Self::GrpcWeb => "application/grpc-web+proto",
            Self::GrpcWebText => "application/grpc-web-text+proto",
        }
    }
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Set,
    Get,
    List,
    Bulk,
}

impl Operation {
    /// All, in the order of the tables.
    pub const ALL: [Self; 4] = [Self::Set, Self::Get, Self::List, Self::Bulk];

    /// The bytes of values that one call moves.
    pub fn value_bytes(self, value_bytes: usize) -> usize {
        match self {
            Self::Set | Self::Get => value_bytes,
            Self::List => value_bytes * page(value_bytes),
            Self::Bulk => value_bytes * bulk(value_bytes),
        }
    }
}

/// Requests that are ready to be sent, and what their answers must be.
pub struct Calls {
    pub protocol: Protocol,
    pub requests: Vec<Request<Full<Bytes>>>,
    /// How many bytes of values one of them moves, more or less.
    pub value_bytes: usize,
    ending: Ending,
    answer_bytes_min: usize,
}

/// Where an answer says that all went well.
#[derive(Clone, Copy)]
enum Ending {
    /// In the HTTP status alone.
    Http,
    /// In HTTP trailers.
    Trailers,
    /// At the end of the body.
    Body,
    /// At the end of the body, in base64.
    Text,
}

/// An answer, as far as it is looked at.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body_bytes: usize,
    /// The last [`TAIL_BYTES`] of the body.
    pub tail: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Calls {
    /// The same operation on one key after the other, by one caller after the other.
    pub fn new(encoding: Encoding, operation: Operation, value_bytes: usize) -> Result<Self, Error> {
        let different = match operation {
            Operation::Set => (PREPARED_BYTES_MAX / value_bytes).min(keys(value_bytes)),
            Operation::Bulk => {
                // Each key twice, with one value and with another: what does not change, a bulk leaves alone.
                let once = (PREPARED_BYTES_MAX / operation.value_bytes(value_bytes) / 2)
                    .min(keys(value_bytes) / bulk(value_bytes));
                2 * once
            }
            Operation::Get | Operation::List => keys(value_bytes),
        };
        Self::prepare(encoding, operation, value_bytes, different)
    }

    /// Sets, in one organization after the other.
    pub fn spread(encoding: Encoding, value_bytes: usize, organizations: usize) -> Result<Self, Error> {
        let mut calls = Self::new(encoding, Operation::Set, value_bytes)?;
        for (index, request) in calls.requests.iter_mut().enumerate() {
            let organization = directory::organization(index % organizations);
            request.headers_mut().insert("x-zitadel-orgid", organization.parse()?);
        }
        Ok(calls)
    }

    /// A page of the organization number `index`: of the keys that begin with `prefix`, from `offset` on.
    pub fn page(index: usize, prefix: Option<&str>, offset: u64, bytes_min: usize) -> Result<Self, Error> {
        let queries = prefix.map_or_else(String::new, |prefix| {
            format!(
                r#","queries":[{{"keyQuery":{{"key":"{prefix}","method":"TEXT_QUERY_METHOD_STARTS_WITH"}}}}]"#
            )
        });
        let body = format!(r#"{{"query":{{"limit":{PAGE},"offset":"{offset}"}}{queries}}}"#);
        let mut request = request(Encoding::Rest, Operation::List, 0, &Bytes::new())?;
        request.headers_mut().insert("x-zitadel-orgid", directory::organization(index).parse()?);
        *request.body_mut() = Full::new(body.into());
        let protocol = Encoding::Rest.protocol();
        Ok(Self {
            protocol,
            requests: vec![request],
            value_bytes: bytes_min,
            ending: Ending::Http,
            answer_bytes_min: bytes_min,
        })
    }

    /// Gets, each in another organization, all over them.
    pub fn scattered(organizations: usize, keys: usize, value_bytes: usize) -> Result<Self, Error> {
        /// A prime, so that each organization comes once.
        const STRIDE: usize = 7_368_787;

        let mut calls = Self::prepare(Encoding::Rest, Operation::Get, value_bytes, 0)?;
        for index in 0..organizations.min(20_000) {
            let mut request = request(Encoding::Rest, Operation::Get, index % keys, &Bytes::new())?;
            let organization = directory::organization(index * STRIDE % organizations);
            request.headers_mut().insert("x-zitadel-orgid", organization.parse()?);
            calls.requests.push(request);
        }
        Ok(calls)
    }

    /// Sets every key.
    pub fn fill(encoding: Encoding, value_bytes: usize) -> Result<Self, Error> {
        Self::prepare(encoding, Operation::Set, value_bytes, keys(value_bytes))
    }

    fn prepare(
        encoding: Encoding,
        operation: Operation,
        value_bytes: usize,
        different: usize,
    ) -> Result<Self, Error> {
        let value = value(value_bytes);
        let other: Bytes = value.iter().map(|byte| !byte).collect();
        let once = if operation == Operation::Bulk { different / 2 } else { different };
        let requests = (0..different)
            .map(|index| {
                request(encoding, operation, index % once, if index < once { &value } else { &other })
            })
            .collect::<Result<_, Error>>()?;
        let ending = match encoding {
            Encoding::Rest | Encoding::ConnectJson | Encoding::ConnectProto => Ending::Http,
            Encoding::Grpc => Ending::Trailers,
            Encoding::GrpcWeb => Ending::Body,
            Encoding::GrpcWebText => Ending::Text,
        };
        let answer_bytes_min = if matches!(operation, Operation::Set | Operation::Bulk) {
            1
        } else {
            operation.value_bytes(value_bytes)
        };
        let value_bytes = operation.value_bytes(value_bytes);
        Ok(Self { protocol: encoding.protocol(), requests, value_bytes, ending, answer_bytes_min })
    }

    /// Requests whose HTTP status says how they went.
    pub fn of(protocol: Protocol, requests: Vec<Request<Full<Bytes>>>) -> Self {
        Self { protocol, requests, value_bytes: 1_000, ending: Ending::Http, answer_bytes_min: 1 }
    }

    /// A body that comes back as it is.
    pub fn echo(protocol: Protocol, value_bytes: usize) -> Result<Self, Error> {
        let body = value(value_bytes);
        let request = Request::post(uri(protocol, "/")).header("host", HOST).body(Full::new(body))?;
        Ok(Self {
            protocol,
            requests: vec![request],
            value_bytes,
            ending: Ending::Http,
            answer_bytes_min: value_bytes,
        })
    }

    /// Whether an answer is a success, and whole.
    pub fn check(&self, answer: &Answer) -> Result<(), Error> {
        let tail = match self.ending {
            Ending::Text => decoded(&answer.tail),
            Ending::Http | Ending::Trailers | Ending::Body => answer.tail.clone(),
        };
        let succeeded = match self.ending {
            Ending::Http => true,
            Ending::Trailers => answer.trailers.get("grpc-status").is_some_and(|status| status == "0"),
            Ending::Body | Ending::Text => {
                let text: Vec<u8> = tail.iter().copied().filter(|&byte| byte != b' ').collect();
                text.windows(GRPC_OK.len()).any(|window| window == GRPC_OK)
            }
        };
        if answer.status == StatusCode::OK && succeeded && answer.body_bytes >= self.answer_bytes_min {
            return Ok(());
        }
        let Answer { status, headers, body_bytes, trailers, .. } = answer;
        let tail = String::from_utf8_lossy(&tail);
        Err(format!(
            "a call failed: {status}, {body_bytes} bytes that end in {tail:?}; headers {headers:?}, trailers {trailers:?}"
        )
        .into())
    }
}

const GRPC_OK: &[u8] = b"grpc-status:0\r\n";

/// The end of a text in base64 that may be padded at every chunk: each four characters stand for themselves.
fn decoded(tail: &[u8]) -> Vec<u8> {
    tail.rchunks_exact(4).rev().flat_map(|four| STANDARD.decode(four).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(tail: &[u8], grpc_status: Option<&'static str>) -> Answer {
        let mut trailers = HeaderMap::new();
        if let Some(status) = grpc_status {
            trailers.insert("grpc-status", status.parse().unwrap());
        }
        let (status, headers) = (StatusCode::OK, HeaderMap::new());
        Answer { status, headers, body_bytes: 1_000, tail: tail.to_vec(), trailers }
    }

    #[test]
    fn only_a_success_in_the_place_of_its_encoding_counts() {
        let padded = format!("{}{}", STANDARD.encode(b"a"), STANDARD.encode(b"grpc-status: 0\r\n"));
        for (encoding, answer, want) in [
            (Encoding::Rest, answer(b"{}", None), true),
            (Encoding::Grpc, answer(b"", Some("0")), true),
            (Encoding::Grpc, answer(b"", Some("5")), false),
            (Encoding::Grpc, answer(b"grpc-status:0\r\n", None), false),
            (Encoding::GrpcWeb, answer(b"..grpc-status: 0\r\n", None), true),
            (Encoding::GrpcWeb, answer(b"..grpc-status:13\r\n", None), false),
            (Encoding::GrpcWeb, answer(b"", Some("0")), false),
            (Encoding::GrpcWebText, answer(padded.as_bytes(), None), true),
            (Encoding::GrpcWebText, answer(b"grpc-status:0\r\n", None), false),
        ] {
            let calls = Calls::new(encoding, Operation::Set, 10).unwrap();
            let tail = String::from_utf8_lossy(&answer.tail);
            assert_eq!(calls.check(&answer).is_ok(), want, "{encoding:?} {tail:?} {:?}", answer.trailers);
        }
    }

    #[test]
    fn a_bulk_changes_what_it_sets() {
        for value_bytes in [100, 100_000, 500_000] {
            let calls = Calls::new(Encoding::Rest, Operation::Bulk, value_bytes).unwrap();
            let body = |index: usize| format!("{:?}", calls.requests[index].body());
            let half = calls.requests.len() / 2;
            assert!(half > 0);
            assert_eq!(body(0).len(), body(half).len());
            assert_ne!(body(0), body(half));
        }
    }

    #[test]
    fn a_refusal_or_half_an_answer_is_a_failure() {
        let calls = Calls::new(Encoding::Rest, Operation::Get, 1_000).unwrap();
        assert!(calls.check(&answer(b"", None)).is_ok());
        assert!(calls.check(&Answer { body_bytes: 999, ..answer(b"", None) }).is_err());
        assert!(calls.check(&Answer { status: StatusCode::NOT_FOUND, ..answer(b"", None) }).is_err());
    }
}
