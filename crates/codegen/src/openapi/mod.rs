//! The API as an OpenAPI document, in version 2.0: the REST bindings of the RPCs, and of an RPC that has none its path in
//! the Connect protocol; messages in proto3 JSON, in the form in which they are written.

mod message;

use std::collections::BTreeMap;

use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};
use serde_json::{Map, Value, json};

use crate::{
    Result, binding, is_generated,
    options::{self, HttpRule},
};
use message::Definitions;

/// Which statuses an answer may have besides 200: what it is called here, and when it comes.
const FAILURES: [(u16, &str, &str); 9] = [
    (
        400,
        "BadRequest",
        "The request is malformed or breaks a rule, or the state of things does not allow the call.",
    ),
    (401, "Unauthorized", "There is no valid bearer token."),
    (403, "Forbidden", "The caller may not do this, or the organization does not exist."),
    (
        404,
        "NotFound",
        "What was asked for does not exist, or the caller has nothing to do with the organization.",
    ),
    (429, "TooManyRequests", "A limit was reached: of a message's size, or of the storage."),
    (500, "InternalServerError", "A mistake of the server, or damaged data."),
    (501, "NotImplemented", "The call is not there in this form."),
    (503, "ServiceUnavailable", "Not now; the outcome of a write is open."),
    (504, "GatewayTimeout", "The caller's deadline came first; the outcome of a write is open."),
];

const DESCRIPTION: &str = "Messages are proto3 JSON. What is written here is how the server writes them; it also reads the \
     names of fields as the proto has them, numbers in place of enum names and of numbers in strings (and the other way \
     round), base64 without padding or in the URL-safe alphabet, `null` for what is absent, and ignores fields that it does \
     not know, unless it is set to refuse them. Fields that have their default value are not written.\n\n\
     Every call is there at the path of its RPC too (`x-rpc`), for gRPC, gRPC-Web and Connect; of those that take a body, \
     the URLs here speak gRPC and gRPC-Web as well, by content type. A request may have a deadline, in the header \
     `Grpc-Timeout`.";

/// The text of the document.
pub(crate) fn document(pool: &DescriptorPool) -> Result<Vec<u8>> {
    let mut services: Vec<_> =
        pool.services().filter(|service| is_generated(service.package_name())).collect();
    services.sort_by(|a, b| a.full_name().cmp(b.full_name()));
    let mut document = Document::default();
    for service in &services {
        let name = match services.iter().filter(|other| other.name() == service.name()).count() {
            1 => service.name().to_owned(),
            _ => format!("{}_{}", version(service), service.name()),
        };
        document.service(service, &name)?;
    }
    Ok(serde_json::to_vec(&document.finish())?)
}

/// The last part of the service's package.
fn version(service: &ServiceDescriptor) -> &str {
    service.package_name().rsplit('.').next().unwrap_or_default()
}

#[derive(Default)]
struct Document {
    tags: Vec<Value>,
    /// By path, and there by HTTP method.
    paths: BTreeMap<String, Map<String, Value>>,
    responses: Map<String, Value>,
    definitions: Definitions,
}

impl Document {
    fn service(&mut self, service: &ServiceDescriptor, name: &str) -> Result<()> {
        let comment = options::comment(&service.parent_file(), service.path());
        self.tags.push(json!({"name": service.full_name(), "description": comment}));
        let prefix = options::service_settings(service)?.rest_prefix;
        for method in service.methods() {
            let id = format!("{name}_{}", method.name());
            let rules = options::http_rules(&method)?;
            for (index, rule) in rules.iter().enumerate() {
                let id = if index == 0 { id.clone() } else { format!("{id}{}", index + 1) };
                let parameters = self.rest_parameters(&method, rule);
                let operation = self.operation(&method, &id, parameters, "");
                self.add(&method, format!("{prefix}{}", rule.template), rule.http_method, operation)?;
            }
            if rules.is_empty() {
                let parameters = vec![body(self.definitions.reference(&method.input()), true)];
                let operation = self.operation(&method, &id, parameters, "Connect");
                self.add(&method, rpc_path(&method), "POST", operation)?;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        method: &MethodDescriptor,
        path: String,
        http_method: &str,
        operation: Value,
    ) -> Result<()> {
        let bound = self.paths.entry(path.clone()).or_default().insert(http_method.to_lowercase(), operation);
        match bound {
            None => Ok(()),
            Some(_) => Err(format!("{}: {http_method} {path} is bound twice", method.full_name()).into()),
        }
    }

    /// `protocol` is what the names of its failures begin with.
    fn operation(
        &mut self,
        method: &MethodDescriptor,
        id: &str,
        mut parameters: Vec<Value>,
        protocol: &str,
    ) -> Value {
        let (request, reply) =
            (self.definitions.reference(&method.input()), self.definitions.reference(&method.output()));
        let permission = options::permission(method);
        let mut responses = Map::new();
        responses.insert("200".to_owned(), json!({"description": "The call succeeded.", "schema": reply}));
        for (status, name, description) in FAILURES {
            let is_possible = match status {
                401 | 403 => permission.is_some(),
                501 => protocol == "Connect",
                _ => true,
            };
            if is_possible {
                let name = format!("{protocol}{name}");
                responses.insert(status.to_string(), json!({"$ref": format!("#/responses/{name}")}));
                let schema = json!({"$ref": format!("#/definitions/{protocol}Error")});
                self.responses.insert(name, json!({"description": description, "schema": schema}));
            }
        }
        let mut operation = json!({
            "operationId": id,
            "tags": [method.parent_service().full_name()],
            "responses": responses,
            "x-rpc": {"path": rpc_path(method), "request": request, "response": reply},
        });
        if let Some(comment) = options::comment(&method.parent_file(), method.path()) {
            operation["summary"] = comment.into();
        }
        if let Some(permission) = permission {
            parameters.push(json!({"$ref": "#/parameters/Organization"}));
            operation["security"] = json!([{"Bearer": []}]);
            operation["x-permission"] = permission.into();
        }
        operation["parameters"] = parameters.into();
        operation
    }

    fn rest_parameters(&mut self, method: &MethodDescriptor, rule: &HttpRule) -> Vec<Value> {
        let message = method.input();
        let in_path = binding::path_fields(&rule.template);
        let mut parameters = Vec::new();
        for field in message.fields() {
            let is_in_path = in_path.iter().any(|name| name == field.name());
            if !is_in_path && rule.takes_body {
                continue;
            }
            // Only texts can stand in a URL, and their schema is the parameter's.
            let mut parameter = self.definitions.field(&field);
            if is_in_path {
                parameter["name"] = field.name().into();
                parameter["in"] = "path".into();
                parameter["required"] = true.into();
            } else {
                parameter["name"] = field.json_name().into();
                parameter["in"] = "query".into();
                parameter["required"] = message::is_required(&field).into();
                if field.is_list() {
                    parameter["collectionFormat"] = "multi".into();
                }
            }
            parameters.push(parameter);
        }
        if rule.takes_body {
            let schema = match in_path.as_slice() {
                [] => self.definitions.reference(&message),
                _ => self.definitions.message(&message, &in_path),
            };
            let is_required = message
                .fields()
                .any(|field| message::is_required(&field) && !in_path.contains(&field.name().to_owned()));
            parameters.push(body(schema, is_required));
        }
        parameters
    }

    fn finish(self) -> Value {
        let mut definitions = self.definitions.finish();
        for (name, schema) in [("Error", error()), ("ConnectError", connect_error())] {
            let reference = json!({"$ref": format!("#/definitions/{name}")});
            if self.responses.values().any(|response| response["schema"] == reference) {
                definitions.insert(name.to_owned(), schema);
            }
        }
        json!({
            "swagger": "2.0",
            "info": {"title": "metagate", "version": env!("CARGO_PKG_VERSION"), "description": DESCRIPTION},
            "consumes": ["application/json"],
            "produces": ["application/json"],
            "tags": self.tags,
            "paths": self.paths,
            "parameters": {"Organization": {
                "name": "x-zitadel-orgid",
                "in": "header",
                "type": "string",
                "description": "The id of the organization that the call is for, if it is not the caller's own.",
            }},
            "responses": self.responses,
            "securityDefinitions": {"Bearer": {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "`Bearer` and a personal access token.",
            }},
            "definitions": definitions,
        })
    }
}

fn rpc_path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn body(schema: Value, is_required: bool) -> Value {
    json!({"name": "body", "in": "body", "required": is_required, "schema": schema})
}

/// What a failure over REST says.
fn error() -> Value {
    json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 16, "description": "The gRPC code."},
            "message": {"type": "string", "description": "What happened, in the caller's language."},
            "details": {
                "type": "array",
                "description": "What happened, for machines: at most one `zitadel.v1.ErrorDetail`.",
                "items": {
                    "type": "object",
                    "required": ["@type"],
                    "properties": {
                        "@type": {"type": "string", "description": "`type.googleapis.com/`, and the name of a message."},
                        "id": {"type": "string", "description": "The place and kind of the error, such as `QUERY-Rph32`."},
                        "message": {"type": "string", "description": "The message without the id."},
                    },
                },
            },
        },
    })
}

/// What a failure in the Connect protocol says.
fn connect_error() -> Value {
    json!({
        "type": "object",
        "required": ["code"],
        "properties": {
            "code": {"type": "string", "description": "The name of the code, such as `not_found`."},
            "message": {"type": "string", "description": "What happened."},
            "details": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["type", "value"],
                    "properties": {
                        "type": {"type": "string", "description": "The name of a message."},
                        "value": {"type": "string", "description": "The message in protobuf, in base64 without padding."},
                        "debug": {"description": "The message in JSON."},
                    },
                },
            },
        },
    })
}
