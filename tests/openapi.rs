//! The OpenAPI document that follows from the protos: whole, and as a picture.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use metagate::{api, front::Access};
use serde_json::Value;
use storage::{MemoryStore, Store};

/// Those that a call over REST may be answered with.
const STATUSES: [&str; 9] = ["200", "400", "401", "403", "404", "429", "500", "503", "504"];

fn document() -> Value {
    serde_json::from_slice(api::OPENAPI).unwrap()
}

#[test]
fn openapi() {
    insta::assert_snapshot!(picture(&document(), 0));
}

/// JSON with a line for what fits on one.
fn picture(value: &Value, indent: usize) -> String {
    let line = value.to_string();
    if indent + line.len() <= 120 {
        return line;
    }
    let inside = indent + 2;
    let (open, items, close) = match value {
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{name:?}: {}", picture(value, inside));
            ('{', fields.iter().map(field).collect::<Vec<_>>(), '}')
        }
        Value::Array(items) => ('[', items.iter().map(|item| picture(item, inside)).collect(), ']'),
        _ => return line,
    };
    let pad = " ".repeat(inside);
    format!("{open}\n{pad}{}\n{}{close}", items.join(&format!(",\n{pad}")), " ".repeat(indent))
}

#[test]
fn every_binding_of_every_rpc_is_there_and_nothing_else() {
    let document = document();
    let mut there: BTreeMap<_, _> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            operations
                .as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| ((method.to_uppercase(), path.as_str()), operation))
        })
        .collect();
    let ids: BTreeSet<_> =
        there.values().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), there.len());

    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for rpc in api::rpcs(&store) {
        assert!(!rpc.bindings.is_empty(), "{}", rpc.path);
        for binding in rpc.bindings {
            let at = (binding.http_method.to_string(), binding.template);
            let operation = there.remove(&at).expect(binding.template);
            let id = operation["operationId"].as_str().unwrap();
            assert!(id.ends_with(&format!("Service_{}", rpc.method)), "{id}");
            assert_eq!(operation["x-rpc"]["path"], rpc.path);

            let parameters = operation["parameters"].as_array().unwrap();
            let has = |place: &str| parameters.iter().any(|parameter| parameter["in"] == place);
            assert_eq!(has("body"), binding.takes_body, "{id}");
            assert_eq!(has("query"), binding.takes_query, "{id}");
            assert_eq!(has("path"), binding.template.contains('{'), "{id}");

            let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().cloned().collect();
            let is_open = rpc.access == Access::Anybody;
            let expected: Vec<_> =
                STATUSES.into_iter().filter(|status| !(is_open && ["401", "403"].contains(status))).collect();
            assert_eq!(statuses, expected, "{id}");
            assert_eq!(operation.get("security").is_none(), is_open, "{id}");
            let organization =
                parameters.iter().any(|parameter| parameter["$ref"] == "#/parameters/Organization");
            assert_eq!(organization, !is_open, "{id}");
        }
    }
    assert!(there.is_empty(), "{there:?}");
}

#[test]
fn every_refusal_has_its_status() {
    for refusal in domain::Refusal::ALL {
        let status = refusal.code().http_status().to_string();
        assert!(STATUSES.contains(&&*status), "{refusal:?}: {status}");
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_definition_is_referred_to() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some_and(Value::is_object), "{reference}");
    }
    for part in ["parameters", "responses", "definitions"] {
        for name in document[part].as_object().unwrap().keys() {
            assert!(found.contains(format!("#/{part}/{name}").as_str()), "{part}: {name}");
        }
    }
}
