//! What a browser asks for before a page may read an answer (Fetch standard, CORS protocol).

use http::{HeaderMap, HeaderValue, Method};

use crate::{
    exchange::{RawAnswer, RawRequest},
    rule::{Finding, Rule},
};

/// Headers that a page may send without a preflight, and those that the browser itself adds.
const SAFE: [&str; 6] = ["accept", "accept-language", "content-language", "origin", "te", "content-length"];

/// The question that a browser asks before it sends `request` from another origin.
pub fn preflight(request: &RawRequest) -> Option<RawRequest> {
    let origin = request.headers.get("origin")?;
    let mut headers = HeaderMap::new();
    headers.insert("origin", origin.clone());
    headers
        .insert("access-control-request-method", HeaderValue::from_str(request.http_method.as_str()).ok()?);
    let names = asked_headers(request).join(",");
    if !names.is_empty() {
        headers.insert("access-control-request-headers", HeaderValue::from_str(&names).ok()?);
    }
    Some(RawRequest {
        http_method: Method::OPTIONS,
        path: request.path.clone(),
        headers,
        body: bytes::Bytes::new(),
    })
}

/// Sorted and in lower case, as browsers send them.
fn asked_headers(request: &RawRequest) -> Vec<String> {
    let mut names: Vec<String> = request.headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.retain(|name| !SAFE.contains(&name.as_str()));
    names.sort();
    names
}

/// Whether a browser would go on and send `request`.
pub fn judge_preflight(request: &RawRequest, answer: &RawAnswer) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut refused = |text: String| findings.push(Finding::new(Rule::CorsPreflight, "headers", text));
    if !(200..300).contains(&answer.status) {
        refused(format!("the preflight is answered with HTTP {}", answer.status));
    }
    if let Some(origin) = request.headers.get("origin").filter(|origin| !allows(origin, answer)) {
        refused(format!("the preflight does not allow the origin {origin:?}"));
    }
    let method = request.http_method.as_str();
    let methods = list(answer, "access-control-allow-methods");
    let is_safe = ["GET", "HEAD", "POST"].contains(&method);
    if !is_safe && !methods.iter().any(|allowed| allowed == method || allowed == "*") {
        refused(format!("the preflight does not allow {method}"));
    }
    let allowed = list(answer, "access-control-allow-headers");
    for name in asked_headers(request) {
        let by_name = allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name));
        // A star does not stand for credentials.
        let by_star = name != "authorization" && allowed.iter().any(|allowed| allowed == "*");
        if !by_name && !by_star {
            refused(format!("the preflight does not allow the header {name}"));
        }
    }
    findings
}

/// Whether a page may read the answer, and the status of gRPC where it is in headers.
pub(super) fn judge_answer(origin: &HeaderValue, answer: &RawAnswer, findings: &mut Vec<Finding>) {
    if !allows(origin, answer) {
        let text =
            format!("a page of {origin:?} may not read the answer: no fitting Access-Control-Allow-Origin");
        findings.push(Finding::new(Rule::Cors, "headers.access-control-allow-origin", text));
    }
    let exposed = list(answer, "access-control-expose-headers");
    for name in ["grpc-status", "grpc-message"] {
        let is_exposed = exposed.iter().any(|exposed| exposed == "*" || exposed.eq_ignore_ascii_case(name));
        if answer.headers.contains_key(name) && !is_exposed {
            let text = format!("a page may not read {name}: it is not in Access-Control-Expose-Headers");
            findings.push(Finding::new(Rule::Cors, "headers.access-control-expose-headers", text));
        }
    }
}

fn allows(origin: &HeaderValue, answer: &RawAnswer) -> bool {
    answer
        .headers
        .get("access-control-allow-origin")
        .is_some_and(|allowed| allowed == "*" || allowed == origin)
}

fn list(answer: &RawAnswer, name: &str) -> Vec<String> {
    let values = answer.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_owned()).collect()
}
