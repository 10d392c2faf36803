//! Messages as schemas: canonical proto3 JSON, with the rules of `validate.rules` in JSON's units.

use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as OptionValue,
};
use serde_json::{Map, Value, json};

use crate::options::{self, nested, number, rules};

/// Schemas by the full names of messages and enums: those that something refers to.
#[derive(Default)]
pub(super) struct Definitions(Map<String, Value>);

impl Definitions {
    pub(super) fn finish(self) -> Map<String, Value> {
        self.0
    }

    /// A reference to a message, which is defined if it is not yet.
    pub(super) fn reference(&mut self, message: &MessageDescriptor) -> Value {
        let name = message.full_name().to_owned();
        if !self.0.contains_key(&name) {
            // Stands in for a message that holds itself.
            self.0.insert(name.clone(), Value::Null);
            let schema = self.message(message, &[]);
            self.0.insert(name.clone(), schema);
        }
        json!({"$ref": format!("#/definitions/{name}")})
    }

    fn enumeration(&mut self, descriptor: &EnumDescriptor) -> Value {
        let name = descriptor.full_name();
        let names: Vec<_> = descriptor.values().map(|value| value.name().to_owned()).collect();
        let default = descriptor.default_value();
        let mut schema = json!({"type": "string", "enum": names, "default": default.name()});
        describe(&mut schema, options::comment(&descriptor.parent_file(), descriptor.path()));
        self.0.insert(name.to_owned(), schema);
        json!({"$ref": format!("#/definitions/{name}")})
    }

    /// A message, without the fields of these names.
    pub(super) fn message(&mut self, message: &MessageDescriptor, without: &[String]) -> Value {
        let fields: Vec<_> =
            message.fields().filter(|field| !without.iter().any(|name| name == field.name())).collect();
        let mut schema = json!({"type": "object"});
        let mut text = options::comment(&message.parent_file(), message.path()).unwrap_or_default();
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            let names: Vec<_> = oneof.fields().map(|field| format!("`{}`", field.json_name())).collect();
            let how_many = if is_required_oneof(&oneof) { "Exactly" } else { "At most" };
            text = format!("{text}\n{how_many} one of: {}.", names.join(", "));
        }
        describe(&mut schema, Some(text.trim().to_owned()));
        let required: Vec<_> =
            fields.iter().filter(|field| is_required(field)).map(|field| field.json_name()).collect();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        let properties: Map<_, _> =
            fields.iter().map(|field| (field.json_name().to_owned(), self.field(field))).collect();
        if !properties.is_empty() {
            schema["properties"] = properties.into();
        }
        schema
    }

    /// A field, with its comment.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        let rules = rules(field);
        let mut schema = if field.is_map() {
            let value = field.kind().as_message().map(MessageDescriptor::map_entry_value_field);
            let value = value.map_or(Value::Null, |value| self.value(&value.kind(), None));
            json!({"type": "object", "additionalProperties": value})
        } else if field.is_list() {
            let items = rules.and_then(|rules| nested(&nested(&rules, "repeated")?, "items"));
            json!({"type": "array", "items": self.value(&field.kind(), items)})
        } else {
            self.value(&field.kind(), rules)
        };
        let comment = options::comment(&field.parent_file(), field.path());
        if comment.is_some() && schema.get("$ref").is_some() {
            // What stands beside a reference is not read.
            schema = json!({"allOf": [schema]});
        }
        describe(&mut schema, comment);
        schema
    }

    fn value(&mut self, kind: &Kind, rules: Option<DynamicMessage>) -> Value {
        match kind {
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Float => json!({"type": "number", "format": "float"}),
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX})
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({"type": "string", "format": "int64", "pattern": "^(0|-?[1-9][0-9]{0,18})$"})
            }
            Kind::Uint64 | Kind::Fixed64 => {
                json!({"type": "string", "format": "uint64", "pattern": "^(0|[1-9][0-9]{0,19})$"})
            }
            Kind::String => {
                let (min, max) = lengths(rules, "string");
                limit(json!({"type": "string"}), min, max)
            }
            Kind::Bytes => {
                let (min, max) = lengths(rules, "bytes");
                limit(json!({"type": "string", "format": "byte"}), min.map(unpadded_len), max.map(padded_len))
            }
            Kind::Enum(descriptor) => self.enumeration(descriptor),
            Kind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
                "google.protobuf.Any" => json!({
                    "type": "object",
                    "required": ["@type"],
                    "properties": {"@type": {"type": "string"}},
                }),
                _ => self.reference(message),
            },
        }
    }
}

/// Whether a message without the field breaks a rule.
pub(super) fn is_required(field: &FieldDescriptor) -> bool {
    if let Some(oneof) = field.containing_oneof() {
        return is_required_oneof(&oneof) && oneof.fields().len() == 1;
    }
    let kind = match field.kind() {
        Kind::String => "string",
        Kind::Bytes => "bytes",
        _ => return false,
    };
    !field.is_list() && lengths(rules(field), kind).0.is_some_and(|min| min > 0)
}

fn is_required_oneof(oneof: &prost_reflect::OneofDescriptor) -> bool {
    matches!(options::extension(&oneof.options(), "validate.required"), Some(OptionValue::Bool(true)))
}

fn lengths(rules: Option<DynamicMessage>, kind: &str) -> (Option<u64>, Option<u64>) {
    let rules = rules.and_then(|rules| nested(&rules, kind));
    let limit = |name| rules.as_ref().and_then(|rules| number(rules, name));
    (limit("min_len"), limit("max_len"))
}

/// How long so many bytes are in base64 without padding: the shortest that is read.
fn unpadded_len(bytes: u64) -> u64 {
    (bytes * 4).div_ceil(3)
}

/// How long they are with padding.
fn padded_len(bytes: u64) -> u64 {
    bytes.div_ceil(3) * 4
}

fn limit(mut schema: Value, min: Option<u64>, max: Option<u64>) -> Value {
    for (name, limit) in [("minLength", min), ("maxLength", max)] {
        if let Some(limit) = limit {
            schema[name] = limit.into();
        }
    }
    schema
}

fn describe(schema: &mut Value, comment: Option<String>) {
    if let Some(comment) = comment.filter(|comment| !comment.is_empty()) {
        schema["description"] = comment.into();
    }
}
