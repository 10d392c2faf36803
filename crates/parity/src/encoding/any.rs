//! Details of errors: messages of any type.

use base64::{Engine, engine::general_purpose::STANDARD};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};

use super::json;
use crate::rule::{Finding, Rule};

/// What the type's URL begins with, in the one form in which details are compared.
const PREFIX: &str = "type.googleapis.com/";

/// An `Any` as JSON: `@type` and the fields; the bytes, if the type is unknown.
pub(crate) fn to_json(
    pool: &DescriptorPool,
    type_url: &str,
    bytes: &[u8],
    place: &str,
    findings: &mut Vec<Finding>,
) -> Value {
    let name = type_url.rsplit('/').next().unwrap_or(type_url);
    let opaque = || json!({"@type": format!("{PREFIX}{name}"), "value": STANDARD.encode(bytes)});
    let Some(descriptor) = pool.get_message_by_name(name) else {
        let text = format!("the type {name} is unknown: name it with `types`");
        findings.push(Finding::new(Rule::Answer, place, text));
        return opaque();
    };
    let fields = DynamicMessage::decode(descriptor, bytes)
        .map_err(|error| error.to_string())
        .and_then(|message| json::write(&message, place, findings));
    match fields {
        Ok(fields) => typed(name, fields),
        Err(error) => {
            findings.push(Finding::new(Rule::ErrorBody, place, format!("no {name}: {error}")));
            opaque()
        }
    }
}

/// An `Any` that came as JSON, in the same form.
pub(crate) fn from_json(
    pool: &DescriptorPool,
    detail: &Value,
    place: &str,
    findings: &mut Vec<Finding>,
) -> Value {
    let type_url = detail.get("@type").and_then(Value::as_str).unwrap_or_default();
    let name = type_url.rsplit('/').next().unwrap_or(type_url);
    if type_url != format!("{PREFIX}{name}") {
        let text = format!("the type of a detail is {type_url:?} instead of {PREFIX}…");
        findings.push(Finding::new(Rule::ErrorBody, place, text));
    }
    let mut fields = detail.clone();
    if let Some(members) = fields.as_object_mut() {
        members.remove("@type");
    }
    let Some(descriptor) = pool.get_message_by_name(name) else { return detail.clone() };
    match json::read(&descriptor, &fields, place, findings) {
        Ok(fields) => typed(name, fields),
        Err(error) => {
            findings.push(Finding::new(Rule::ErrorBody, place, format!("no {name}: {error}")));
            detail.clone()
        }
    }
}

fn typed(name: &str, fields: Value) -> Value {
    let mut detail = match fields {
        Value::Object(members) => Value::Object(members),
        value => json!({ "value": value }),
    };
    detail["@type"] = format!("{PREFIX}{name}").into();
    detail
}
