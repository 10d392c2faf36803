//! How a call ended, in the one form in which encodings are compared.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::code::Code;

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its code.
    pub code: Code,
    /// The text of an error; empty for a success.
    pub message: String,
    /// The details of an error, each as the JSON of an `Any`.
    pub details: Vec<Value>,
    /// The message of a success, as canonical proto3 JSON: fields with presence are there if they were sent, others if they
    /// are not their default.
    pub response: Option<Value>,
    /// Headers and trailers together, names in lower case: which of both a value stands in depends on the encoding.
    pub headers: BTreeMap<String, Vec<String>>,
}

impl Outcome {
    /// A document with `code`, `message`, `details`, `response` and `headers`; what is empty is left out. Places in findings,
    /// masks and captures are paths into it.
    pub fn to_document(&self) -> Value {
        let mut document = Map::new();
        document.insert("code".to_owned(), self.code.name().into());
        if !self.message.is_empty() {
            document.insert("message".to_owned(), self.message.clone().into());
        }
        if !self.details.is_empty() {
            document.insert("details".to_owned(), self.details.clone().into());
        }
        if let Some(response) = &self.response {
            document.insert("response".to_owned(), response.clone());
        }
        let headers = self.headers.iter().map(|(name, values)| (name.clone(), values.join(", ").into()));
        let headers: Map<String, Value> = headers.collect();
        if !headers.is_empty() {
            document.insert("headers".to_owned(), headers.into());
        }
        document.into()
    }
}
