//! Calls in each encoding: what is sent, and what an answer says.
//!
//! What is sent is made by the book. What comes back is read leniently, so that as much as possible can be compared; where
//! it is not by the book, a finding says so.

pub(crate) mod any;
mod connect;
mod cors;
pub mod envelope;
mod grpc;
pub(crate) mod json;
mod rest;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use prost::Message;
use prost_reflect::{DynamicMessage, MethodDescriptor, ReflectMessage};

pub use cors::{judge_preflight, preflight};
pub(crate) use grpc::trailers_in_body;

use crate::{
    api::{Api, Unspeakable},
    dialect::Encoding,
    exchange::{RawAnswer, RawRequest},
    outcome::Outcome,
    rule::{Finding, Rule},
};

/// A call, before it has become bytes.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub method: MethodDescriptor,
    /// What is said.
    pub message: DynamicMessage,
    /// Bytes in place of the message: JSON where messages are JSON, else protobuf.
    pub raw: Option<Bytes>,
    /// Headers besides those of the encoding.
    pub headers: HeaderMap,
    /// How long the server may take.
    pub timeout: Option<Duration>,
}

/// What an answer says, and what is wrong with how it says it.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// None if it cannot be made out.
    pub outcome: Option<Outcome>,
    /// Rules of the wire that it breaks.
    pub findings: Vec<Finding>,
}

impl Call {
    /// The path of the RPC: `/package.Service/Method`.
    pub fn rpc_path(&self) -> String {
        format!("/{}/{}", self.method.parent_service().full_name(), self.method.name())
    }

    /// What is sent in an encoding.
    ///
    /// # Errors
    /// If the encoding has no way to say it.
    pub fn to_request(&self, api: &Api, encoding: Encoding) -> Result<RawRequest, Unspeakable> {
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: HeaderValue| {
            headers.insert(HeaderName::from_static(name), value);
        };
        put("content-type", HeaderValue::from_static(encoding.content_type()));
        match encoding.base() {
            Encoding::Grpc => put("te", HeaderValue::from_static("trailers")),
            Encoding::GrpcWeb | Encoding::GrpcWebText => {
                put("accept", HeaderValue::from_static(encoding.content_type()));
                put("x-grpc-web", HeaderValue::from_static("1"));
            }
            Encoding::ConnectJson | Encoding::ConnectProto => {
                put("connect-protocol-version", HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if let Some(timeout) = self.timeout {
            let milliseconds = timeout.as_millis().max(1);
            match encoding {
                Encoding::ConnectJson | Encoding::ConnectProto => {
                    put("connect-timeout-ms", number(&milliseconds.to_string()));
                }
                _ => put("grpc-timeout", number(&format!("{milliseconds}m"))),
            }
        }
        let (http_method, path, body) = match encoding.base() {
            Encoding::Rest => rest::target(self, api)?,
            base => {
                let at_url = if encoding.is_at_url() { rest::url_of_a_body(self, api) } else { None };
                let (http_method, path) = at_url.unwrap_or_else(|| (Method::POST, self.rpc_path()));
                let message = if encoding.is_json() { self.json_body()? } else { self.protobuf_body() };
                let body = match base {
                    Encoding::ConnectJson | Encoding::ConnectProto => message,
                    Encoding::GrpcWebText => grpc::to_text(&envelope::wrap(0, &message)).into(),
                    _ => envelope::wrap(0, &message).into(),
                };
                (http_method, path, body)
            }
        };
        if encoding == Encoding::Rest && body.is_empty() {
            headers.remove("content-type");
        }
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        Ok(RawRequest { http_method, path, headers, body })
    }

    fn protobuf_body(&self) -> Bytes {
        self.raw.clone().unwrap_or_else(|| self.message.encode_to_vec().into())
    }

    fn json_body(&self) -> Result<Bytes, Unspeakable> {
        match &self.raw {
            Some(raw) => Ok(raw.clone()),
            None => serde_json::to_vec(&self.message).map(Bytes::from).map_err(|error| {
                Unspeakable(format!("{} has no JSON: {error}", self.message.descriptor().full_name()))
            }),
        }
    }

    /// Reads what came back.
    pub fn read(&self, api: &Api, encoding: Encoding, answer: &RawAnswer) -> Reading {
        let mut reading = Reading::default();
        let answered = match encoding.base() {
            Encoding::Rest => rest::read(self, api, answer, &mut reading.findings),
            Encoding::ConnectJson | Encoding::ConnectProto => {
                connect::read(self, api, encoding, answer, &mut reading.findings)
            }
            _ => grpc::read(self, api, encoding, answer, &mut reading.findings),
        };
        match answered {
            Ok(outcome) => reading.outcome = Some(outcome),
            Err(finding) => reading.findings.push(finding),
        }
        if let Some(origin) = self.headers.get("origin").filter(|_| is_for_browsers(encoding)) {
            cors::judge_answer(origin, answer, &mut reading.findings);
        }
        reading
    }
}

/// Whether pages can make such calls: they cannot read the trailers that gRPC needs.
pub fn is_for_browsers(encoding: Encoding) -> bool {
    encoding.base() != Encoding::Grpc
}

fn number(digits: &str) -> HeaderValue {
    HeaderValue::from_str(digits).unwrap_or(HeaderValue::from_static("1"))
}

/// Names and values, those that are not text in the form of Rust's `b"…"`.
fn lines(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        lines.entry(name.as_str().to_owned()).or_default().push(text_of(value.as_bytes()));
    }
    lines
}

fn text_of(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("{}", bytes.escape_ascii()), str::to_owned)
}

/// Holds the media type of an answer against what it must be.
fn judge_content_type(answer: &RawAnswer, allowed: &[&str], findings: &mut Vec<Finding>) {
    let given = answer.header("content-type").unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if !allowed.iter().any(|allowed| media_type.eq_ignore_ascii_case(allowed)) {
        let mut finding = Finding::new(
            Rule::ContentType,
            "headers.content-type",
            format!("the content type is {given:?} instead of {:?}", allowed[0]),
        );
        finding.values = Some((allowed[0].to_owned(), given.to_owned()));
        findings.push(finding);
    }
}

/// Holds an HTTP status against what it must be.
fn judge_http_status(answer: &RawAnswer, want: u16, why: &str, findings: &mut Vec<Finding>) {
    if answer.status != want {
        let mut finding =
            Finding::new(Rule::HttpStatus, "", format!("HTTP {} instead of {want} for {why}", answer.status));
        finding.values = Some((want.to_string(), answer.status.to_string()));
        findings.push(finding);
    }
}

/// An answer that says nothing that could be compared.
fn unreadable(answer: &RawAnswer, why: &str) -> Finding {
    let begin = text_of(&answer.body[..answer.body.len().min(120)]);
    let content_type = answer.header("content-type").unwrap_or("no content type");
    Finding::new(Rule::Answer, "", format!("HTTP {}, {content_type}: {why}: {begin:?}", answer.status))
}
