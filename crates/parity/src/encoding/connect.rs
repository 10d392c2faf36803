//! Connect, unary: the message is the body, an error is JSON.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use prost_reflect::DynamicMessage;
use serde_json::Value;

use super::{Call, any, json, judge_content_type, judge_http_status, lines, unreadable};
use crate::{
    api::Api,
    code::Code,
    dialect::Encoding,
    exchange::RawAnswer,
    outcome::Outcome,
    rule::{Finding, Rule},
};

/// Headers that would be trailers, if unary calls of Connect had any.
const TRAILER: &str = "trailer-";

pub(super) fn read(
    call: &Call,
    api: &Api,
    encoding: Encoding,
    answer: &RawAnswer,
    findings: &mut Vec<Finding>,
) -> Result<Outcome, Finding> {
    let mut headers = lines(&answer.headers);
    let trailers: Vec<String> = headers.keys().filter(|name| name.starts_with(TRAILER)).cloned().collect();
    for name in trailers {
        let values = headers.remove(&name).unwrap_or_default();
        headers.entry(name[TRAILER.len()..].to_owned()).or_default().extend(values);
    }
    if (200..300).contains(&answer.status) {
        judge_http_status(answer, 200, "a success", findings);
        let response = if encoding == Encoding::ConnectJson {
            judge_content_type(answer, &["application/json"], findings);
            let body: Value = serde_json::from_slice(&answer.body)
                .map_err(|error| unreadable(answer, &format!("no JSON: {error}")))?;
            json::read(&call.method.output(), &body, "response", findings)
        } else {
            judge_content_type(answer, &["application/proto"], findings);
            DynamicMessage::decode(call.method.output(), answer.body.clone())
                .map_err(|error| error.to_string())
                .and_then(|message| json::write(&message, "response", findings))
        };
        let response = Some(response.map_err(|error| unreadable(answer, &error))?);
        return Ok(Outcome {
            code: Code::OK,
            message: String::new(),
            details: Vec::new(),
            response,
            headers,
        });
    }
    judge_content_type(answer, &["application/json"], findings);
    let body: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| unreadable(answer, &format!("no JSON: {error}")))?;
    let code = body.get("code").and_then(Value::as_str);
    let (Some(code), Some(members)) = (code.and_then(Code::from_name), body.as_object()) else {
        return Err(unreadable(answer, "no error with a code"));
    };
    judge_http_status(answer, code.http_status(), code.name(), findings);
    for name in members.keys().filter(|name| !["code", "message", "details"].contains(&name.as_str())) {
        findings.push(Finding::new(Rule::ErrorBody, name, format!("an error has no member {name:?}")));
    }
    let mut details = Vec::new();
    for (index, detail) in body.get("details").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let place = format!("details.{index}");
        let part = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
        let value = part("value");
        let bytes = STANDARD_NO_PAD.decode(value.trim_end_matches('='));
        if value.ends_with('=') || bytes.is_err() {
            let text = format!("the value of a detail is not base64 without padding: {value:?}");
            findings.push(Finding::new(Rule::ErrorBody, &place, text));
        }
        details.push(any::to_json(api.pool(), part("type"), &bytes.unwrap_or_default(), &place, findings));
    }
    let message = body.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Outcome { code, message, details, response: None, headers })
}
