//! The scenarios, and outcomes as they write them.

use std::error::Error;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::{Value, json};
use tonic::{
    Status,
    metadata::{AsciiMetadataKey, MetadataMap},
};

const STEPS: &str = include_str!("../../scenarios.json");

/// A call, and what it must come to.
pub struct Step {
    pub name: String,
    pub rpc: String,
    /// Whose token it has.
    pub token: Option<String>,
    organization: Option<String>,
    language: Option<String>,
    message: Value,
    pub want: Value,
}

impl Step {
    /// All steps, as they are for an organization.
    pub fn all(organization: &str) -> Result<Vec<Self>, Box<dyn Error>> {
        let text = with_zeros(&STEPS.replace("$ORG", organization));
        let steps: Vec<Value> = serde_json::from_str(&text)?;
        let text_of = |step: &Value, name: &str| step[name].as_str().map(str::to_owned);
        let or = |step: &Value, name: &str, default: &str| {
            if step.get(name).is_none() { Some(default.to_owned()) } else { text_of(step, name) }
        };
        let step = |step: &Value| {
            Some(Self {
                name: text_of(step, "name")?,
                rpc: text_of(step, "rpc")?,
                token: or(step, "token", "owner"),
                organization: or(step, "organization", organization),
                language: text_of(step, "language"),
                message: step["message"].clone(),
                want: match &step["error"] {
                    Value::Null => json!({"reply": step["reply"]}),
                    error => json!({"error": error}),
                },
            })
        };
        steps.iter().map(|value| step(value).ok_or_else(|| "a step without name or RPC".into())).collect()
    }

    /// The name of its method, if it is one of a service's.
    pub fn method_of(&self, service: &str) -> Option<&str> {
        self.rpc.strip_prefix(service)?.strip_prefix('/')
    }

    /// Its request, in protobuf.
    pub fn request(&self, pool: &DescriptorPool) -> Result<Vec<u8>, Box<dyn Error>> {
        let method = method(pool, &self.rpc)?;
        Ok(DynamicMessage::deserialize(method.input(), &self.message)?.encode_to_vec())
    }

    /// Its headers, the token aside.
    pub fn headers(&self) -> Result<MetadataMap, Box<dyn Error>> {
        let mut headers = MetadataMap::new();
        for (name, value) in [("x-zitadel-orgid", &self.organization), ("accept-language", &self.language)] {
            if let Some(value) = value {
                headers.insert(AsciiMetadataKey::from_static(name), value.parse()?);
            }
        }
        Ok(headers)
    }
}

/// An answer as the scenarios write it; an error with the whole of its status, if something in it does not belong together.
pub fn outcome_of(
    pool: &DescriptorPool,
    rpc: &str,
    answer: Result<Vec<u8>, Status>,
) -> Result<Value, Box<dyn Error>> {
    match answer {
        Ok(reply) => {
            let reply = DynamicMessage::decode(method(pool, rpc)?.output(), reply.as_slice())?;
            let mut reply = serde_json::to_value(reply)?;
            mask_times(&mut reply);
            Ok(json!({"reply": reply}))
        }
        Err(error) => {
            let (code, message) = (error.code() as i32, error.message());
            if error.details().is_empty() {
                return Ok(json!({"error": {"code": code, "text": message}}));
            }
            let descriptor =
                pool.get_message_by_name("google.rpc.Status").ok_or("google.rpc.Status is unknown")?;
            let status = serde_json::to_value(DynamicMessage::decode(descriptor, error.details())?)?;
            let (id, text) = (&status["details"][0]["id"], &status["details"][0]["message"]);
            let same = json!({
                "code": code,
                "message": format!("{} ({})", text.as_str().unwrap_or_default(), id.as_str().unwrap_or_default()),
                "details": [{"@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": id, "message": text}],
            });
            let whole = status == same && status["message"] == message;
            Ok(json!({"error": if whole { json!({"code": code, "text": text, "id": id}) } else { status }}))
        }
    }
}

fn method(pool: &DescriptorPool, rpc: &str) -> Result<MethodDescriptor, Box<dyn Error>> {
    let (service, method) = rpc.split_once('/').ok_or("an RPC without a slash")?;
    let service = pool.get_service_by_name(service).ok_or("a service that is not known")?;
    service.methods().find(|known| known.name() == method).ok_or_else(|| "a method that is not known".into())
}

/// A text with `$BYTES(n)` as so many zeros in base64.
fn with_zeros(text: &str) -> String {
    let mut parts = text.split("$BYTES(");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (count, rest) = part.split_once(')').unwrap_or((part, ""));
        let count: usize = count.parse().unwrap_or_default();
        out.push_str(&"A".repeat((count * 4).div_ceil(3)));
        out.push_str(&"=".repeat((3 - count % 3) % 3));
        out.push_str(rest);
    }
    out
}

fn mask_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name.ends_with("Date") || name.ends_with("Timestamp") {
                    *member = json!("$TIME");
                } else {
                    mask_times(member);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask_times),
        _ => {}
    }
}
