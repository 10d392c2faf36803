//! A call as a command that can be pasted.

use base64::{Engine, engine::general_purpose::STANDARD};
use prost_reflect::{DynamicMessage, ReflectMessage};

use super::shown_header;
use crate::{
    dialect::{Dialect, Encoding, HttpVersion},
    encoding::envelope,
    exchange::Exchange,
    scenario::Step,
};

/// Longer bodies are not put into a command.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The command that makes a call again: grpcurl for gRPC where it can say it, else curl. Secrets are `$TOKEN` and `$SECRET`.
pub fn repro(step: &Step, dialect: Dialect, exchange: &Exchange) -> String {
    let by_grpcurl = (dialect.encoding == Encoding::Grpc && dialect.version == HttpVersion::Http2)
        .then(|| grpcurl(step, exchange))
        .flatten();
    by_grpcurl.unwrap_or_else(|| curl(dialect, exchange))
}

fn grpcurl(step: &Step, exchange: &Exchange) -> Option<String> {
    let frames = envelope::unwrap(&exchange.request.body).ok()?;
    let [frame] = frames.as_slice() else { return None };
    let message = DynamicMessage::decode(step.method.input(), frame.message).ok()?;
    // What JSON cannot say must go as it is.
    if message.unknown_fields().next().is_some() || frame.message.len() > BODY_BYTES_MAX {
        return None;
    }
    let json = serde_json::to_string(&message).ok()?;
    let (scheme, authority) = exchange.origin.split_once("://")?;
    let mut command = "grpcurl".to_owned();
    if scheme == "http" {
        command.push_str(" -plaintext");
    }
    for (name, value) in &exchange.request.headers {
        if !["content-type", "te"].contains(&name.as_str()) {
            command.push_str(&format!(
                " -H {}",
                quoted(&format!("{name}: {}", shown_header(name.as_str(), value.as_bytes())))
            ));
        }
    }
    let service = step.method.parent_service();
    let rpc = format!("{}/{}", service.full_name(), step.method.name());
    debug_assert_eq!(message.descriptor(), step.method.input());
    Some(format!("{command} -d {} {authority} {rpc}", quoted(&json)))
}

fn curl(dialect: Dialect, exchange: &Exchange) -> String {
    let request = &exchange.request;
    let mut command = "curl -i".to_owned();
    if dialect.version == HttpVersion::Http2 {
        command.push_str(" --http2-prior-knowledge");
    }
    if request.http_method != "GET" {
        command.push_str(&format!(" -X {}", request.http_method));
    }
    for (name, value) in &request.headers {
        let line = format!("{name}: {}", shown_header(name.as_str(), value.as_bytes()));
        command.push_str(&format!(" -H {}", quoted(&line)));
    }
    let url = quoted(&format!("{}{}", exchange.origin, request.path));
    let body = &request.body;
    if body.is_empty() {
        return format!("{command} {url}");
    }
    if body.len() > BODY_BYTES_MAX {
        return format!("{command} --data-binary @body {url}  # a body of {} bytes", body.len());
    }
    match std::str::from_utf8(body) {
        Ok(text) if !text.chars().any(|character| character.is_control() && !"\n\t".contains(character)) => {
            format!("{command} --data-binary {} {url}", quoted(text))
        }
        _ => {
            let text = STANDARD.encode(body);
            format!("printf %s {text} | base64 -d | {command} --data-binary @- --output - {url}")
        }
    }
}

/// As a shell reads it: in single quotes, or in double ones around a variable.
fn quoted(text: &str) -> String {
    match ["$TOKEN", "$SECRET"].into_iter().find(|secret| text.ends_with(secret)) {
        Some(secret) => format!("'{}'\"{secret}\"", text[..text.len() - secret.len()].replace('\'', "'\\''")),
        None => format!("'{}'", text.replace('\'', "'\\''")),
    }
}
