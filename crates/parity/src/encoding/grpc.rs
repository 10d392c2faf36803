//! gRPC and gRPC-Web: envelopes, and a status behind them.

use std::collections::BTreeMap;

use base64::{
    Engine,
    engine::{
        DecodePaddingMode, GeneralPurpose,
        general_purpose::{NO_PAD, STANDARD},
    },
};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use prost::Message;
use prost_reflect::DynamicMessage;
use prost_types::Any;

use super::{Call, any, envelope, json, judge_content_type, judge_http_status, lines, unreadable};
use crate::{
    api::Api,
    code::Code,
    dialect::Encoding,
    exchange::RawAnswer,
    outcome::Outcome,
    rule::{Finding, Rule},
};

/// The flag of gRPC-Web's last frame.
const TRAILERS: u8 = 0x80;

/// Takes base64 with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

pub(super) fn to_text(framed: &[u8]) -> String {
    STANDARD.encode(framed)
}

pub(super) fn read(
    call: &Call,
    api: &Api,
    encoding: Encoding,
    answer: &RawAnswer,
    findings: &mut Vec<Finding>,
) -> Result<Outcome, Finding> {
    let allowed: &[&str] = match encoding.base() {
        _ if encoding.is_json() => &[encoding.content_type()],
        Encoding::Grpc => &["application/grpc", "application/grpc+proto"],
        Encoding::GrpcWeb => &["application/grpc-web+proto", "application/grpc-web"],
        _ => &["application/grpc-web-text+proto", "application/grpc-web-text"],
    };
    if answer.status != 200 && !answer.headers.contains_key("grpc-status") {
        return Err(unreadable(answer, "no status of gRPC"));
    }
    judge_content_type(answer, allowed, findings);
    judge_http_status(answer, 200, "a call of gRPC", findings);
    let body = match encoding.base() {
        Encoding::GrpcWebText => &text(answer, findings)?,
        _ => answer.body.as_ref(),
    };
    let frames = envelope::unwrap(body).map_err(|error| unreadable(answer, &error))?;
    let trailers = match encoding.base() {
        Encoding::Grpc => answer.trailers.clone(),
        _ => last_frame(&frames, findings),
    };
    let messages: Vec<_> = frames.iter().filter(|frame| frame.flag & TRAILERS == 0).collect();
    let status = match (trailers.get("grpc-status"), answer.headers.get("grpc-status")) {
        (Some(status), _) => status,
        (None, Some(status)) => {
            if !messages.is_empty() {
                let text = "the status stands in the headers of an answer that has a message";
                findings.push(Finding::new(Rule::Trailers, "headers.grpc-status", text));
            }
            status
        }
        (None, None) => {
            return Err(Finding::new(Rule::Trailers, "", "the answer ends without a status of gRPC"));
        }
    };
    let code = status.to_str().ok().and_then(|digits| digits.parse().ok()).and_then(Code::from_number);
    let code = code.ok_or_else(|| unreadable(answer, &format!("the status {status:?} is no code")))?;

    let mut headers = lines(&answer.headers);
    headers.extend(lines(&trailers));
    let end = if trailers.contains_key("grpc-status") { &trailers } else { &answer.headers };
    let message = message(end, findings);
    if code == Code::OK {
        let response = only_message(call, encoding, &messages, answer, findings)?;
        return Ok(Outcome {
            code,
            message: String::new(),
            details: Vec::new(),
            response: Some(response),
            headers,
        });
    }
    let details = details(api, code, &message, end, findings);
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
        headers.remove(name);
    }
    Ok(Outcome { code, message, details, response: None, headers })
}

/// The message of a success.
fn only_message(
    call: &Call,
    encoding: Encoding,
    messages: &[&envelope::Frame<'_>],
    answer: &RawAnswer,
    findings: &mut Vec<Finding>,
) -> Result<serde_json::Value, Finding> {
    let [frame] = messages else {
        let text = format!("a success has {} messages instead of one", messages.len());
        return Err(Finding::new(Rule::Envelope, "response", text));
    };
    if frame.flag != 0 {
        let text =
            format!("a message has the flag {:#04x}: compressed, though nothing was agreed", frame.flag);
        return Err(Finding::new(Rule::Envelope, "response", text));
    }
    let descriptor = call.method.output();
    let response = if encoding.is_json() {
        serde_json::from_slice(frame.message)
            .map_err(|error| format!("no JSON: {error}"))
            .and_then(|message| json::read(&descriptor, &message, "response", findings))
    } else {
        DynamicMessage::decode(descriptor, frame.message)
            .map_err(|error| error.to_string())
            .and_then(|message| json::write(&message, "response", findings))
    };
    response.map_err(|error| unreadable(answer, &error))
}

/// The bytes behind base64, which may be padded in several places.
fn text(answer: &RawAnswer, findings: &mut Vec<Finding>) -> Result<Vec<u8>, Finding> {
    let mut bytes = Vec::new();
    let mut rest = answer.body.as_ref();
    if !rest.len().is_multiple_of(4) {
        let text =
            format!("{} characters of base64 are no multiple of four: the padding is missing", rest.len());
        findings.push(Finding::new(Rule::TextPadding, "", text));
    }
    while !rest.is_empty() {
        let quads = rest.chunks(4).take_while(|quad| !quad.contains(&b'=')).count();
        let end = ((quads + 1) * 4).min(rest.len());
        let part = LENIENT
            .decode(&rest[..end])
            .map_err(|error| unreadable(answer, &format!("no base64: {error}")))?;
        bytes.extend(part);
        rest = &rest[end..];
    }
    Ok(bytes)
}

/// The trailers of gRPC-Web.
fn last_frame(frames: &[envelope::Frame<'_>], findings: &mut Vec<Finding>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let Some((last, others)) = frames.split_last() else { return trailers };
    if let Some(early) = others.iter().find(|frame| frame.flag & TRAILERS != 0) {
        let text = format!("a frame with the flag {:#04x} is not the last one", early.flag);
        findings.push(Finding::new(Rule::Trailers, "", text));
    }
    if last.flag & TRAILERS == 0 {
        return trailers;
    }
    for line in
        last.message.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
    {
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default().trim_ascii());
        if name.iter().any(u8::is_ascii_uppercase) {
            let text = format!("{} is not in lower case", name.escape_ascii());
            findings.push(Finding::new(Rule::Trailers, "", text));
        }
        match (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            (Ok(name), Ok(value)) => {
                trailers.append(name, value);
            }
            _ => {
                let text = format!("{:?} is no line of a header", line.escape_ascii().to_string());
                findings.push(Finding::new(Rule::Trailers, "", text));
            }
        }
    }
    trailers
}

/// `grpc-message`, decoded.
fn message(end: &HeaderMap, findings: &mut Vec<Finding>) -> String {
    let Some(value) = end.get("grpc-message") else { return String::new() };
    let bytes = value.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%');
    let mut broken = escapes.filter(|(at, _)| {
        !bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if bytes.iter().any(|byte| !(b' '..=b'~').contains(byte)) || broken.next().is_some() {
        let text = format!("grpc-message is not percent-encoded: {}", bytes.escape_ascii());
        findings.push(Finding::new(Rule::MessageEscapes, "message", text));
    }
    let text = String::from_utf8_lossy(bytes);
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// The details of an error, and whether they are those of this error.
fn details(
    api: &Api,
    code: Code,
    message: &str,
    end: &HeaderMap,
    findings: &mut Vec<Finding>,
) -> Vec<serde_json::Value> {
    let Some(value) = end.get("grpc-status-details-bin") else { return Vec::new() };
    let mut wrong = |text: String| findings.push(Finding::new(Rule::StatusDetails, "details", text));
    let decoded = LENIENT.decode(value.as_bytes()).map_err(|error| error.to_string());
    let status =
        decoded.and_then(|bytes| RpcStatus::decode(bytes.as_slice()).map_err(|error| error.to_string()));
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            wrong(format!("grpc-status-details-bin is no google.rpc.Status: {error}"));
            return Vec::new();
        }
    };
    if status.code != code.number() {
        wrong(format!("grpc-status-details-bin has the code {} instead of {}", status.code, code.number()));
    }
    if status.message != message {
        wrong(format!("grpc-status-details-bin has the text {:?} instead of {message:?}", status.message));
    }
    let details = status.details.iter().enumerate();
    details
        .map(|(index, any)| {
            any::to_json(api.pool(), &any.type_url, &any.value, &format!("details.{index}"), findings)
        })
        .collect()
}

/// For reports: the trailers that are inside of a body of gRPC-Web.
pub(crate) fn trailers_in_body(encoding: Encoding, answer: &RawAnswer) -> BTreeMap<String, Vec<String>> {
    let mut findings = Vec::new();
    let body = match encoding.base() {
        Encoding::GrpcWeb => answer.body.to_vec(),
        Encoding::GrpcWebText => text(answer, &mut findings).unwrap_or_default(),
        _ => return BTreeMap::new(),
    };
    lines(&last_frame(&envelope::unwrap(&body).unwrap_or_default(), &mut findings))
}
