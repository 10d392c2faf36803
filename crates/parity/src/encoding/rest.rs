//! REST: JSON at the URLs of `google.api.http`, errors as grpc-gateway writes them.

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::{Call, any, json, judge_content_type, judge_http_status, lines, unreadable};
use crate::{
    api::{Api, Unspeakable},
    code::Code,
    exchange::RawAnswer,
    outcome::Outcome,
    rule::{Finding, Rule},
};

pub(super) fn target(call: &Call, api: &Api) -> Result<(Method, String, Bytes), Unspeakable> {
    let binding = api.binding(&call.method).map_err(Unspeakable)?;
    let binding = binding.ok_or_else(|| {
        Unspeakable(format!("{} has no URL: its proto says no google.api.http", call.method.full_name()))
    })?;
    let (path, body) = binding.url(&call.message)?;
    let body = match (&call.raw, body) {
        (Some(_), None) => return Err(Unspeakable("its URL takes no body".to_owned())),
        (Some(raw), Some(_)) => raw.clone(),
        (None, Some(body)) => body.to_string().into(),
        (None, None) => Bytes::new(),
    };
    Ok((binding.http_method, path, body))
}

/// Where something else than REST may be sent instead of the RPC's path: the URL, if it takes a body.
pub(super) fn url_of_a_body(call: &Call, api: &Api) -> Option<(Method, String)> {
    let binding = api.binding(&call.method).ok().flatten()?;
    let (path, body) = binding.url(&call.message).ok()?;
    body.map(|_| (binding.http_method, path))
}

pub(super) fn read(
    call: &Call,
    api: &Api,
    answer: &RawAnswer,
    findings: &mut Vec<Finding>,
) -> Result<Outcome, Finding> {
    judge_content_type(answer, &["application/json"], findings);
    let body: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| unreadable(answer, &format!("no JSON: {error}")))?;
    let headers = lines(&answer.headers);
    if (200..300).contains(&answer.status) {
        judge_http_status(answer, 200, "a success", findings);
        let response_body =
            api.binding(&call.method).ok().flatten().and_then(|binding| binding.response_body);
        let body = match response_body {
            Some(field) => serde_json::json!({ field: body }),
            None => body,
        };
        let response = json::read(&call.method.output(), &body, "response", findings)
            .map_err(|error| unreadable(answer, &error))?;
        return Ok(Outcome {
            code: Code::OK,
            message: String::new(),
            details: Vec::new(),
            response: Some(response),
            headers,
        });
    }
    let code = body.get("code").and_then(Value::as_i64).and_then(Code::from_number);
    let message = body.get("message").and_then(Value::as_str);
    let (Some(code), Some(message), Some(members)) = (code, message, body.as_object()) else {
        return Err(unreadable(answer, "no error with a code and a message"));
    };
    judge_http_status(answer, code.http_status(), code.name(), findings);
    for name in members.keys().filter(|name| !["code", "message", "details"].contains(&name.as_str())) {
        findings.push(Finding::new(Rule::ErrorBody, name, format!("an error has no member {name:?}")));
    }
    let details = body.get("details").and_then(Value::as_array).cloned().unwrap_or_default();
    let details = details
        .iter()
        .enumerate()
        .map(|(index, detail)| any::from_json(api.pool(), detail, &format!("details.{index}"), findings));
    let details = details.collect();
    Ok(Outcome { code, message: message.to_owned(), details, response: None, headers })
}
